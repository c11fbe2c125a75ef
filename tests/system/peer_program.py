# SPDX-License-Identifier: BSD-3-Clause
"""A program of tests/interop in a namespace of the lab: wishes go in as lines of JSON, what it tells is kept and waited for."""
import contextlib
import json
import os
import queue
import subprocess
import threading
import time

import lab

RUNNING = []


class Program:
    def __init__(self, name, where):
        self.events = []  # told so far, in order
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", f"{os.environ['LAB_NAME']}-{where}", str(lab.ROOT / "build/tests" / name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        RUNNING.append(self)

    def read(self):
        for line in self.process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def wish(self, name, **members):
        self.process.stdin.write(json.dumps({"wish": name, **members}) + "\n")
        self.process.stdin.flush()

    def since(self):
        """A place in what was told, for wait(..., since)."""
        self.take()
        return len(self.events)

    def take(self, seconds=0.0):
        """Whether there was anything new within so long."""
        before = len(self.events)
        with contextlib.suppress(queue.Empty):
            self.add(self.lines.get(timeout=seconds) if seconds else self.lines.get_nowait())
            while True:
                self.add(self.lines.get_nowait())
        return len(self.events) > before

    def add(self, event):
        if event is None:
            raise AssertionError(f"{self.process.args[-1]} ended: {self.process.wait()}")
        self.events.append(event)

    def wait(self, *names, since=0, seconds=10.0, match=lambda event: True):
        """The first event of these names, told after `since`."""
        deadline = time.monotonic() + seconds
        while True:
            for event in self.events[since:]:
                if event["event"] in names and match(event):
                    return event
            left = deadline - time.monotonic()
            if left <= 0 or not self.take(left) and time.monotonic() >= deadline:
                raise AssertionError(f"waited {seconds} s for {names}, told were {self.events[since:][-8:]}")

    def ask(self, name, answer, seconds=10.0, **members):
        since = self.since()
        self.wish(name, **members)
        return self.wait(answer, since=since, seconds=seconds)

    def count(self, name, since=0):
        self.take()
        return sum(event["event"] == name for event in self.events[since:])

    def close(self):
        """Ends it, by the end of its input."""
        if self in RUNNING:
            RUNNING.remove(self)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if code != 0:
            raise AssertionError(f"{self.process.args[-1]} ended with {code}")


def close_all():
    while RUNNING:
        RUNNING[-1].close()


lab.AFTER_CHECK.append(close_all)
