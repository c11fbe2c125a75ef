# SPDX-License-Identifier: BSD-3-Clause
"""Numbered ChannelData, 20 ms apart, between clients and peers, in both directions at once (not an echo). Every packet is
counted where it arrives, so that one that was lost shows."""
import select
import struct
import threading
import time

from lab import expect
from turn_client import channel_data

INTERVAL = 0.02


class Traffic(threading.Thread):
    """Numbered packets both ways, each counted where it arrives."""

    def __init__(self, pairs):
        super().__init__(daemon=True)
        self.pairs, self.sent, self.stopping = pairs, 0, threading.Event()
        self.to_peer = [set() for _ in pairs]
        self.to_client = [set() for _ in pairs]
        self.start()

    def run(self):
        due, end = time.monotonic(), None
        while end is None or time.monotonic() < end and not self.complete():
            if time.monotonic() >= due and end is None:
                for client, peer in self.pairs:
                    client.sock.sendto(channel_data(0x4000, struct.pack("!I", self.sent) + bytes(156)), client.server)
                    peer.sendto(struct.pack("!I", self.sent) + bytes(156), client.relayed[0])
                self.sent += 1
                due += INTERVAL
                if self.stopping.is_set():
                    end = time.monotonic() + 3
            self.receive(max(0, min(due - time.monotonic(), INTERVAL)))

    def receive(self, seconds):
        sockets = {client.sock: (n, True) for n, (client, _) in enumerate(self.pairs)}
        sockets.update({peer: (n, False) for n, (_, peer) in enumerate(self.pairs)})
        for sock in select.select(list(sockets), [], [], seconds)[0]:
            number, is_client = sockets[sock]
            while True:
                try:
                    data = sock.recv(2048)
                except BlockingIOError:
                    break
                if not is_client:
                    self.to_peer[number].add(struct.unpack("!I", data[:4])[0])
                elif data[0] == 0x40:
                    self.to_client[number].add(struct.unpack("!I", data[4:8])[0])

    def complete(self):
        return all(len(seen) == self.sent for seen in self.to_peer + self.to_client)

    def finish(self):
        self.stopping.set()
        self.join()
        for what, seen in ("client to peer", self.to_peer), ("peer to client", self.to_client):
            lost = self.sent * len(seen) - sum(len(one) for one in seen)
            print(f"{what}: {self.sent * len(seen)} packets, {lost} lost")
            expect(f"{what}: lost", lost, 0)
