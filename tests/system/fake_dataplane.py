#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Stands in for relay-dataplane in tests of the control plane: speaks dataplane/api/messages.h to one
control plane, keeps what it was told in a file of sorted lines (rewritten whenever nothing more waits),
and does as it is told by lines on stdin.

  fake_dataplane.py SOCKET STATE_FILE INTERFACE...   (kernel interfaces of its ports)

stdin: "want IFINDEX ADDRESS", "resync", "restart" (another instance), "drop" (close the connection)."""

import ipaddress
import os
import select
import socket
import struct
import sys

HEADER = struct.Struct("<IIi")
NAMES = {32: "link set", 33: "link delete", 34: "route set", 35: "route delete",
         36: "neighbour set", 37: "neighbour delete", 38: "synced"}
SNAPSHOT, DRAIN, COUNTERS, PORTS, WORKERS, GAUGES, WANTED, RESYNC = 22, 23, 48, 49, 50, 51, 66, 67
STEERING = 104


def address(data):
    if data[16] == 4:
        return str(ipaddress.IPv4Address(data[:4]))
    if data[16] == 6:
        return str(ipaddress.IPv6Address(data[:16]))
    return ""


def packed(text):
    a = ipaddress.ip_address(text)
    return a.packed.ljust(16, b"\0") + bytes([a.version, 0, 0, 0])


def mac(data):
    return ":".join("%02x" % b for b in data)


class Dataplane:
    def __init__(self, path, state_file, interfaces):
        self.state_file, self.interfaces = state_file, interfaces
        self.instance, self.draining, self.connections = 1, 0, 0
        self.links, self.routes, self.neighbours, self.fresh = {}, {}, {}, set()
        self.synced, self.snapshots = 0, 0
        self.client = None
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(path)
        self.listener.listen(4)

    def answer(self, id, type, payload=b"", error=0):
        padding = b"\0" * (-len(payload) % 4)
        self.client.send(HEADER.pack(id, type, error or len(payload)) + payload + padding)

    def route(self, data):
        prefix = "%s/%d" % (address(data), data[20])
        count = struct.unpack_from("<H", data, 24)[0]
        hops = []
        for i in range(count):
            hop = data[32 + 24 * i:56 + 24 * i]
            hops.append("%s@%d" % (address(hop[4:24]), struct.unpack_from("<I", hop)[0]))
        return prefix, ",".join(hops) or "blackhole"

    def take(self, id, type, data):
        if type == 1:
            self.fresh = set()
            self.answer(id, type, struct.pack("<IIIIQQ16sII16s32x", 2, 1, len(self.interfaces), 1000,
                        self.instance, 1000, b"k" * 16, self.draining, 0xFFFFFFFF, b"fake"))
        elif type == SNAPSHOT:
            self.snapshots += 1
            self.answer(id, type)
        elif type == DRAIN:
            self.draining = struct.unpack_from("<I", data)[0]
            self.answer(id, type)
        elif type == PORTS:
            for i, name in enumerate(self.interfaces):
                self.answer(id, type, struct.pack("<HH6sBBI64s32s16sI4x7Q", i, 1, b"\2" * 6, 1, 0, 0,
                            b"af_xdp:" + name.encode(), b"fake", name.encode(), 0, *[0] * 7))
            self.answer(id, type)
        elif type == COUNTERS:
            self.answer(id, type, struct.pack("<HH36sQQ", 0, 1, b"parse", 5, 50))
            self.answer(id, type)
        elif type in (WORKERS, STEERING):
            self.answer(id, type)
        elif type == GAUGES:
            self.answer(id, type, struct.pack("<9QIIII32x", 1000, *[0] * 8, self.draining,
                        0xFFFFFFFF, 0, 0))
        elif type in NAMES:
            self.routing(NAMES[type], data)
            self.answer(id, type)
        else:
            self.answer(id, type, error=-22)

    def routing(self, what, data):
        print(what, end=" ")
        if what.startswith("link"):
            index = struct.unpack_from("<I", data)[0]
            print(index)
            self.fresh.add(("link", index))
            if what == "link set":
                name, vlan, mtu = struct.unpack_from("<4x16sHH", data)
                self.links[index] = "port=%s vlan=%d mtu=%d mac=%s up=%d" % (
                    name.rstrip(b"\0").decode(), vlan, mtu, mac(data[24:30]), data[30])
            else:
                del self.links[index]
        elif what.startswith("route"):
            prefix, hops = self.route(data)
            print(prefix, hops)
            self.fresh.add(("route", prefix))
            if what == "route set":
                self.routes[prefix] = hops
            else:
                del self.routes[prefix]
        elif what.startswith("neighbour"):
            key = (struct.unpack_from("<I", data)[0], address(data[4:24]))
            print(*key, mac(data[24:30]))
            self.fresh.add(("neighbour", key))
            if what == "neighbour set":
                self.neighbours[key] = mac(data[24:30])
            else:
                del self.neighbours[key]
        else:
            print()
            self.synced += 1
            for kind, table in (("link", self.links), ("route", self.routes),
                                ("neighbour", self.neighbours)):
                for key in [k for k in table if (kind, k) not in self.fresh]:
                    del table[key]

    def write_state(self):
        sys.stdout.flush()
        lines = ["link %d %s" % i for i in self.links.items()]
        lines += ["route %s %s" % i for i in self.routes.items()]
        lines += ["neighbour %d %s %s" % (*k, m) for k, m in self.neighbours.items()]
        lines += ["synced %d" % self.synced, "snapshots %d" % self.snapshots,
                  "draining %d" % self.draining, "connections %d" % self.connections,
                  "connected %d" % (self.client is not None)]
        with open(self.state_file + ".new", "w") as f:
            f.write("\n".join(sorted(lines)) + "\n")
        os.rename(self.state_file + ".new", self.state_file)

    def drop(self):
        if self.client:
            self.client.close()
        self.client = None

    def receive(self):
        data = self.client.recv(65536)
        if not data:
            self.drop()
            return
        position = 0
        while position < len(data):
            id, type, length = HEADER.unpack_from(data, position)
            position += HEADER.size
            self.take(id, type, data[position:position + length])
            position += (length + 3) & ~3

    def command(self, words):
        if words[0] == "want":
            self.answer(0, WANTED, struct.pack("<I", int(words[1])) + packed(words[2]))
        elif words[0] == "resync":
            self.answer(0, RESYNC)
        elif words[0] == "restart":
            self.instance += 1
            self.links, self.routes, self.neighbours, self.draining = {}, {}, {}, 0
            self.drop()
        elif words[0] == "drop":
            self.drop()

    def run(self):
        while True:
            sources = [self.listener, 0] + ([self.client] if self.client else [])
            ready = select.select(sources, [], [], 0)[0]
            if not ready:
                self.write_state()
                ready = select.select(sources, [], [])[0]
            for source in ready:
                if source is self.listener:
                    self.drop()
                    self.client = self.listener.accept()[0]
                    self.connections += 1
                elif source == 0:
                    data = os.read(0, 4096)
                    if not data:
                        return
                    for line in data.decode().splitlines():
                        self.command(line.split())
                elif source is self.client:
                    self.receive()


Dataplane(sys.argv[1], sys.argv[2], sys.argv[3:]).run()
