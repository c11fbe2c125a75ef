# SPDX-License-Identifier: BSD-3-Clause
"""What traffic.py shows of the native protocol: a call by handle with the same kind of packets as the TURN probe's, and
relaycall as two people would use it."""
import os
import pathlib
import select
import subprocess
import threading
import time

import lab
import native
import native_lab


class HandleCall(threading.Thread):
    """Two clients that register; one calls the other, which sends back what it gets. A packet every `interval` seconds."""
    KEEPALIVE, RENEWAL = 10, 240  # s

    def __init__(self, size, interval):
        super().__init__(daemon=True)
        self.one, self.other = native_lab.registered("client"), native_lab.registered("peer")
        self.ours, self.theirs, _ = native.call(self.one, self.other)
        self.size, self.interval = size, interval
        self.stopping = threading.Event()
        self.sent = self.back = 0
        self.recent, self.all, self.waiting = [], [], {}
        self.trouble = None

    def run(self):
        try:
            self.talk()
            self.one.send_raw(self.ours.close())
            if not self.other.receive(lambda m: m.kind == native.CLOSED and self.theirs.closed(m)):
                self.trouble = "the end of the call was not told to its other side"
            self.one.handles, self.other.handles = [], []
            native_lab.release()
        except Exception as error:  # told at the end
            self.trouble = f"{type(error).__name__}: {error}"

    def talk(self):
        due = keep = time.monotonic()
        renew = due + self.RENEWAL
        while not self.stopping.is_set() or self.waiting and time.monotonic() < due + 1:
            now = time.monotonic()
            if now >= due and not self.stopping.is_set():
                self.waiting[self.sent] = now
                self.one.send(self.ours, self.sent.to_bytes(8, "big") + bytes(self.size - 8))
                self.sent += 1
                due += self.interval
            if now >= keep:
                for client, handle in (self.one, self.ours), (self.other, self.theirs):
                    client.send_raw(native.build(native.KEEPALIVE, cookie=client.cookie, handle=handle.raw))
                keep = now + self.KEEPALIVE
            if now >= renew:
                for client in self.one, self.other:
                    client.register()
                renew = now + self.RENEWAL
            for client in self.one, self.other:
                client.sent.clear()
            wait = self.interval if self.stopping.is_set() else max(0, min(due - time.monotonic(), self.interval))
            if not (self.one.inbox or self.other.inbox):
                select.select([self.one.sock, self.other.sock], [], [], wait)
            self.take()

    def take(self):
        while message := self.other.receive(seconds=0):
            if message.kind is None:
                self.other.send(self.theirs, message.payload)
        while message := self.one.receive(seconds=0):
            if message.kind is None:
                self.came_back(int.from_bytes(message.payload[:8], "big"))
            elif message.kind == native.ALIVE:
                self.one.cookie = message.cookie

    def came_back(self, number):
        begun, arrived = self.waiting.pop(number, None), time.monotonic()
        if begun is not None:
            self.back += 1
            self.recent.append((arrived, (arrived - begun) * 1000))
            self.all.append((arrived - begun) * 1000)

    def latencies(self, seconds=5):
        since = time.monotonic() - seconds
        self.recent = [(at, ms) for at, ms in self.recent if at >= since]
        return sorted(ms for _, ms in self.recent)

    def stop(self):
        self.stopping.set()
        self.join()


class Lines(threading.Thread):
    """`relaycall listen` in the peer namespace, and a line by `relaycall send` every few seconds. Each is a call of its own."""
    EVERY = 3  # s

    def __init__(self):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.sent, self.said, self.heard, self.trouble = 0, [], [], None
        done = subprocess.run(self.command("client", "listener", "id", "--relay", lab.RELAY4), text=True, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"relaycall id: {done.stderr}")
        self.contact = done.stdout.strip()
        self.listener = subprocess.Popen(self.command("peer", "listener", "listen"), stdin=subprocess.DEVNULL, text=True, bufsize=1,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        lab.wait_for(lambda: any(line.startswith("registered at") for line in self.said), 10, "relaycall listen to be registered")

    @staticmethod
    def command(where, who, *arguments):
        return ["ip", "netns", "exec", f"{lab.LAB_NAME}-{where}", os.environ["LAB_BIN"] + "/relaycall", "--identity",
                str(pathlib.Path(lab.LAB_DIR, f"{who}.id")), *arguments]

    def read(self):
        for line in self.listener.stdout:
            self.said.append(line.rstrip())
            if ": line " in line:
                self.heard.append(line.rstrip().rpartition("line ")[2])

    def run(self):
        while not self.stopping.is_set():
            self.sent += 1
            done = subprocess.run(self.command("client", "sender", "send", self.contact, "--text", f"line {self.sent}", "--timeout", "10"), text=True,
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False, start_new_session=True)
            if done.returncode:
                self.trouble = f"relaycall send ended with {done.returncode}: {done.stderr.strip()}"
            self.stopping.wait(self.EVERY)

    def stop(self):
        self.stopping.set()
        self.join()
        self.listener.terminate()
        self.listener.wait()
        self.reader.join(2)
        if not self.trouble and self.heard != [str(n + 1) for n in range(self.sent)]:
            self.trouble = f"of {self.sent} lines these arrived: {' '.join(self.heard)}"
