#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A client's packets come in at another port than before, to a worker that does not own its allocation: they
are handed to the owner, requests as well as data, and nothing is lost. A stranger's packets are not.

    client ==> r0, worker 0 (owner) <-- hand-off -- worker 1, r1 <== the same packets (sent by hand) -- peer
"""
# light
import ipaddress
import json
import socket
import struct

import lab
from lab import endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter(workers=2)
PACKETS = 200


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF or 0xFFFF


def datagram(source, destination, data):
    """An IPv4 packet from anybody; the kernel fills in the header's checksum."""
    length = 8 + len(data)
    addresses = ipaddress.ip_address(source[0]).packed + ipaddress.ip_address(destination[0]).packed
    udp = struct.pack("!HHHH", source[1], destination[1], length, 0)
    total = checksum(addresses + struct.pack("!HH", 17, length) + udp + data)
    udp = udp[:6] + struct.pack("!H", total)
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0, 64, 17, 0) + addresses + udp + data


def event(name):
    """The sum over the workers."""
    stats = json.loads(lab.relayctl("-j", "stats").stdout)
    return sum(worker["events"].get(name, 0) for worker in stats["workers"])


peer = lab.udp("peer", lab.PEER4)
client = lab.client()
expect("Allocate", client.allocate().code, 0)
expect("ChannelBind", client.bind(0x4001, endpoint(peer)).code, 0)
client.send_channel(0x4001, b"the usual way")
expect("at its own port", receive(peer)[0], b"the usual way")

with lab.namespace("peer"):
    wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
here, server = client.sock.getsockname()[:2], (lab.RELAY4, 3478)
before = event("client_elsewhere")
for i in range(PACKETS):
    data = b"packet %d" % i
    wire.sendto(datagram(here, server, channel_data(0x4001, data)), server)
    expect("at the other port", receive(peer)[0], data)
expect("hand-offs", event("client_elsewhere") - before, PACKETS)

wire.sendto(datagram(here, server, client.message(REFRESH)), server)
answer = client.wait(lambda data, _: parse(data) if is_stun(data) else None, 3)
expect("a request is answered as the owner would", answer and answer.code, 0)

strangers = event("client_elsewhere")
for i in range(50):
    wire.sendto(datagram((here[0], 1024 + i), server, channel_data(0x4001, b"not mine")), server)
client.send_channel(0x4001, b"and still")
expect("after the strangers", receive(peer)[0], b"and still")
expect("strangers are handed to nobody", event("client_elsewhere"), strangers)
workers = json.loads(lab.relayctl("-j", "workers").stdout)
expect("what went out of one came into the other",
       sum(w["handoffs_in"] for w in workers), sum(w["handoffs_out"] for w in workers))
print("%d packets and a request found their owner" % PACKETS)
