# SPDX-License-Identifier: BSD-3-Clause
"""A call between two clients of the native protocol that goes on while the test does things to relay and network:
numbered packets by handle and by address, 20 ms apart, both ways. Each client keeps itself registered for this epoch
and the next, answers path checks, and registers anew when it learns that it moved; all that without waiting, so that
the packets stay in time. What was sent and what arrived is kept with its time.
"""
import select
import struct
import threading
import time

import native
from native import build, observed, parse, transaction

INTERVAL = 0.02
REPEAT = 0.1  # s until a request that was not answered is sent again
KEEPALIVE = 0.5


class Side:
    """One client in a call. At each moment one request may be under way."""

    def __init__(self, client, handle):
        self.client, self.handle = client, handle
        self.peer = None
        self.sent = {"handle": {}, "address": {}}      # number -> time
        self.received = {"handle": {}, "address": {}}
        self.leases = {}                               # epoch -> until when the lease is good
        self.seen_from = observed(client.lease)
        self.request = self.due = None                 # transaction and message of what is under way; when to repeat it
        self.epoch_wanted = None
        self.alive_due = 0.0
        self.moves = []                                # (when the path check ended, when all leases had moved)
        self.moving = None

    def epoch_now(self):
        return int(time.time()) // self.client.challenge.epoch_seconds

    # ---- data ----

    def send(self, number):
        payload = struct.pack("!I", number) + bytes(156)
        self.sent["handle"][number] = self.sent["address"][number] = time.monotonic()
        self.client.sock.sendto(self.handle.raw + b"H" + payload, self.client.server)
        self.by_address(number)

    def by_address(self, number):
        payload = b"A" + struct.pack("!I", number) + bytes(156)
        there = self.peer.client.owner.at(self.epoch_now()).address
        self.client.sock.sendto(native.by_address(self.client.cookie, there, payload), self.client.server)

    # ---- what keeps it going ----

    def tend(self):
        now = time.monotonic()
        if self.request and now >= self.due:
            self.ask(*self.request)
        if not self.request:
            epoch = self.epoch_now()
            self.leases = {e: until for e, until in self.leases.items() if e >= epoch}
            missing = [e for e in (epoch, epoch + 1) if self.leases.get(e, 0) < now + 1]
            if missing:
                self.epoch_wanted = missing[0]
                number = transaction()
                self.ask(number, build(native.SOLICIT, number))
            elif self.moving is not None:
                self.moves.append((self.moving, now))
                self.moving = None
        if now >= self.alive_due:
            self.alive_due = now + KEEPALIVE
            self.client.sock.sendto(build(native.KEEPALIVE, cookie=self.client.cookie, handle=self.handle.raw), self.client.server)

    def ask(self, number, raw):
        self.request, self.due = (number, raw), time.monotonic() + REPEAT
        self.client.sock.sendto(raw, self.client.server)

    def take(self):
        """One datagram; False when there is none."""
        try:
            data = self.client.sock.recv(2048)
        except (BlockingIOError, ConnectionError):
            return False
        message, now = parse(data), time.monotonic()
        if message.kind is None:
            kind = {b"H": "handle", b"A": "address"}[message.payload[:1]]
            self.received[kind].setdefault(struct.unpack("!I", message.payload[1:5])[0], now)
        elif message.kind == native.PATH_CHALLENGE:
            self.client.answer_path(message)
        elif message.kind == native.ALIVE:
            self.client.cookie = message.cookie
            if observed(message) != self.seen_from:
                self.seen_from, self.moving, self.leases = observed(message), now, {}
        elif message.kind == native.CHALLENGE:
            self.challenged(message)
        elif self.request and message.transaction == self.request[0]:
            self.request = None
            if message.kind == native.REGISTERED:
                self.leases[self.epoch_wanted] = now + message.lifetime
            elif message.kind != native.REFUSED or message.reason not in (native.EPOCH, native.OLDER, native.BUSY):
                raise ValueError(f"REGISTER was answered by {message}")
        return True

    def challenged(self, message):
        shown = self.client.cookie
        self.client.learn(message)
        if self.request and message.transaction == self.request[0]:
            number = transaction()
            self.ask(number, self.client.register_message(number, self.epoch_wanted, 600))
        elif message.transaction == shown[4:]:
            self.by_address(max(self.sent["address"]))  # data with a cookie of the old place: that packet once more

    def lost(self, kind):
        """Numbers of what the peer did not get, with the time each was sent."""
        got = self.peer.received[kind]
        return {number: at for number, at in self.sent[kind].items() if number not in got}


class Call(threading.Thread):
    def __init__(self, one, other, handles):
        super().__init__(daemon=True)
        self.sides = [Side(one, handles[0]), Side(other, handles[1])]
        self.sides[0].peer, self.sides[1].peer = self.sides[1], self.sides[0]
        self.rounds, self.stopping, self.error = 0, threading.Event(), None
        # Both are registered before numbers begin: what is sent to nobody is not lost.
        deadline = time.monotonic() + 5
        while not all(side.leases and not side.request for side in self.sides):
            self.serve(0.005)
            if time.monotonic() > deadline:
                raise native.Silence("the call did not begin")
        self.start()

    def serve(self, seconds):
        for side in self.sides:
            side.tend()
        ready, _, _ = select.select([side.client.sock for side in self.sides], [], [], seconds)
        for side in self.sides:
            if side.client.sock in ready:
                while side.take():
                    pass

    def run(self):
        try:
            due, end = time.monotonic(), None
            while end is None or time.monotonic() < end and any(side.lost(kind) for side in self.sides for kind in side.sent):
                if time.monotonic() >= due and end is None:
                    for side in self.sides:
                        side.send(self.rounds)
                    self.rounds += 1
                    due += INTERVAL
                    if self.stopping.is_set():
                        end = time.monotonic() + 1
                self.serve(max(0, min(due - time.monotonic(), INTERVAL)))
        except Exception as error:  # told by finish()
            self.error = error

    def finish(self):
        self.stopping.set()
        self.join()
        if self.error:
            raise self.error
