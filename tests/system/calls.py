# SPDX-License-Identifier: BSD-3-Clause
"""People who call each other with relaycall in a lab: their cards, their processes, their files of sound.

alice and carol are in the client namespace, bob in the peer namespace; begin() makes them.
"""
import json
import os
import pathlib
import signal
import subprocess
import threading
import wave

import numpy
import lab

PLACES = {"alice": "client", "bob": "peer", "carol": "client", "nowhere": "client"}
CARDS = {}
RUNS = []


def path(name):
    return os.path.join(lab.LAB_DIR, name)


def begin():
    """Identities, and a router on the host of the relay."""
    if lab.coturn():
        lab.skip("turnserver knows nothing of the native protocol")
    route(True)
    key = lab.status()["registration"]["relay_key"]
    for who in PLACES:
        relay = [lab.RELAY4 + ":3999"] if who == "nowhere" else [lab.RELAY4, "--relay", lab.RELAY6]
        made = Run(who, "id", "--relay", *relay, "--relay-key", key)
        lab.expect("exit of id", made.wait(10), 0)
        CARDS[who] = made.events[0]["contact"]
    lab.AFTER_CHECK.append(end)


def route(open_):
    """Whether packets get from host to host without the relay."""
    lab.run_in("relay", "sysctl", "-qw", f"net.ipv4.ip_forward={int(open_)}", f"net.ipv6.conf.all.forwarding={int(open_)}")


def end():
    route(True)
    while RUNS:
        RUNS.pop().close()


class Run:
    """relaycall -j of somebody; what it says is gathered while it runs."""

    count = 0

    def __init__(self, who, verb, *arguments, stdin=subprocess.DEVNULL):
        Run.count += 1
        self.stats = path(f"{who}-{Run.count}.json")
        self.events, self.said = [], threading.Condition()
        self.error_file = open(path(f"{who}-{Run.count}.err"), "w+")
        extra = ["--stats", self.stats] if verb in ("call", "answer") else []
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", f"{lab.LAB_NAME}-{PLACES[who]}", lab.LAB_BIN + "/relaycall", "-j", "--identity",
             path(who + ".id"), verb, *map(str, arguments), *extra],
            stdin=stdin, stdout=subprocess.PIPE, stderr=self.error_file, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        RUNS.append(self)

    def read(self):
        for line in self.process.stdout:
            with self.said:
                self.events.append(json.loads(line))
                self.said.notify_all()
        with self.said:
            self.events.append({"event": "end of output"})
            self.said.notify_all()

    def event(self, name, number=1, seconds=15):
        """The number-th event of that name."""
        def found():
            return [e for e in self.events if e.get("event") == name][number - 1:number]
        with self.said:
            self.said.wait_for(lambda: found() or self.events[-1:] == [{"event": "end of output"}], seconds)
            if not found():
                raise AssertionError(f"no {name} number {number} within {seconds} s, only {self.events[-8:]}; {self.errors()}")
            return found()[0]

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"none within {seconds} s; it said {self.events[-3:]} {self.errors()}"

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def errors(self):
        return pathlib.Path(self.error_file.name).read_text()

    def records(self):
        return [json.loads(line) for line in pathlib.Path(self.stats).read_text().splitlines()]

    def record(self):
        return self.records()[0]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.error_file):
            if stream:
                stream.close()


def answer(who, *arguments, ask=False):
    """Returns when `who` can be called."""
    run = Run(who, "answer", "--ask" if ask else "--auto", *arguments, stdin=subprocess.PIPE if ask else subprocess.DEVNULL)
    run.event("registered")
    return run


def call(who, whom, *arguments):
    return Run(who, "call", CARDS[whom], *arguments)


# ---- sound ----

def speech(name, line):
    """A file in which somebody says the line."""
    file = path(name + "-in.wav")
    subprocess.run(["espeak-ng", "-v", "en", "-w", file, line], check=True, stdin=subprocess.DEVNULL)
    return file


def sound(file):
    """(samples, rate)."""
    with wave.open(file) as read:
        rate, frames = read.getframerate(), read.readframes(read.getnframes())
    return numpy.frombuffer(frames, dtype="<i2").astype(float), rate


def seconds(file):
    samples, rate = sound(file)
    return len(samples) / rate


def loudness(file):
    """Of each 10 ms, as a root."""
    samples, rate = sound(file)
    step = rate // 100
    return numpy.sqrt((samples[:len(samples) // step * step].reshape(-1, step) ** 2).mean(axis=1))


def likeness(a, b, offset):
    """How alike a's and b's loudness go, piece by piece, b being that much later; the jitter buffer may have
    stretched or shortened pauses, so each piece of half a second is looked for within 100 ms."""
    found = []
    for at in range(0, len(a) - 50, 50):
        piece, best = a[at:at + 50], -1.0
        if piece.std() < 50:  # a pause
            continue
        for start in range(max(at + offset - 10, 0), at + offset + 11):
            other = b[start:start + 50]
            if len(other) == 50 and other.std() > 0:
                best = max(best, numpy.corrcoef(piece, other)[0, 1])
        found.append(best)
    return sum(found) / len(found)


def same_sound(said, heard, part=False, least=0.9):
    """That what was heard is what was said, within two seconds from the beginning; part: as far as it was heard."""
    a, b = loudness(said), loudness(heard)
    if part:
        a = a[:max(len(b) - 200, 100)]
    best = max(likeness(a, b, offset) for offset in range(0, 200, 5))
    if best < least:
        raise AssertionError(f"{heard} ({len(b) / 100} s) is not {said} ({len(a) / 100} s): likeness {best:.2f}")
    return best
