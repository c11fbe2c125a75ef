#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, rows "state per spoofed packet" and "hash flooding": a million Allocate, Binding, Send and ChannelData
packets from random forged sources leave no state behind: resident memory of both daemons stays flat, and what
was being served goes on.

    attacker (raw socket, sources 12.0.0.0/8) -- 1,000,000 packets --> relay <--> client with a live channel
"""
# limit: 180
import random
import socket
import struct

import lab
from lab import expect
from turn_client import *  # noqa: F403

lab.enter()
COUNT = 1_000_000
FLAT_KIB = 4096  # 4 bytes a source: no state per source is that small, while allocators breathe by some hundred KiB


def resident(name):
    with open(f"/proc/{lab.pid(name)}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def udp_frame(destination_mac, source_mac, payload):
    """Ethernet, IPv4 from 12.x.x.x, UDP without checksum (which IPv4 allows) to the relay's port 3478."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0x4000, 64, 17, 0, b"\x0c\0\0\0",
                         socket.inet_aton(lab.RELAY4))
    return bytearray(destination_mac + source_mac + b"\x08\0" + header +
                     struct.pack("!HHHH", 1024, 3478, 8 + len(payload), 0) + payload)


def mac(where, interface):
    out = lab.run_in(where, "cat", f"/sys/class/net/{interface}/address").stdout.strip()
    return bytes.fromhex(out.replace(":", ""))


there = lab.udp("peer", lab.PEER4)
client = lab.client()
expect("Allocate", client.allocate().code, 0)
expect("ChannelBind", client.bind(0x4000, lab.endpoint(there)).code, 0)
# Replies find a way back, so that the relay does all that it would do.
lab.run_in("relay", "ip", "route", "add", "12.0.0.0/8", "via", lab.CLIENT4)
lab.run_in("client", "ip", "route", "add", "blackhole", "12.0.0.0/8")
client.binding()

peer_attribute = (XOR_PEER_ADDRESS, xor_address(lab.endpoint(there), bytes(12)))
frames = [udp_frame(mac("relay", "r0"), mac("client", "c0"), payload) for payload in (
    build(ALLOCATE, attributes=[(REQUESTED_TRANSPORT, transport())]), build(BINDING),
    build(ALLOCATE, attributes=[(REQUESTED_TRANSPORT, transport()), (USERNAME, b"alice"), (REALM, lab.LAB_REALM.encode()),
                                (NONCE, b"obMatJos2wAAA" + b"0" * 12)], key=bytes(16)),
    build(SEND, INDICATION, [peer_attribute, (DATA_ATTRIBUTE, b"x")], bytes(12)), channel_data(0x4000, b"x"))]
with lab.namespace("client"):
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("c0", 0))

dice = random.Random(7)


def flood(count):
    alive = 0
    for number in range(count):
        frame = frames[number % len(frames)]
        low, high = dice.getrandbits(24), dice.getrandbits(16)
        struct.pack_into("!HI", frame, 24, 0, 0x0C000000 | low)  # header checksum, source
        total = sum(struct.unpack_from("!10H", frame, 14))
        total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into("!H", frame, 24, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF)
        struct.pack_into("!H", frame, 34, high | 1)
        if len(frame) >= 42 + 20:
            frame[50:54] = low.to_bytes(4, "big")  # another transaction id each
        try:
            raw.send(frame)
        except OSError:  # the queue was full: that packet is not counted
            continue
        if number % 50000 == 0:
            client.send_channel(0x4000, b"alive")
            alive += lab.receive(there, 3)[0] == b"alive"
    return alive


names = ["turnserver"] if lab.coturn() else ["dataplane", "controlplane"]
flood(100_000)  # buffers that are made once are made now
before = {name: resident(name) for name in names}
alive = flood(COUNT)
client.refresh(600)
after = {name: resident(name) for name in names}
received = lab.run_in("relay", "cat", "/sys/class/net/r0/statistics/rx_packets").stdout.strip()
print(f"{COUNT} packets offered, {received} received by the relay's interface in all")
for name in names:
    print(f"{name}: resident {before[name]} KiB before, {after[name]} KiB after")
print(f"the live channel answered {alive} of 20 times during the flood")
client.send_channel(0x4000, b"mark")
lab.wait_for(lambda: lab.receive(there, 1)[0] == b"mark", 5, "the live channel after the flood")
assert int(received) > COUNT / 2, "too few packets arrived to prove anything"
for name in names:
    if lab.coturn():
        continue  # keeps a session per source: what this test is there to tell
    assert after[name] - before[name] < FLAT_KIB, f"{name} grew by {after[name] - before[name]} KiB"
if not lab.coturn():
    status = lab.status()
    print(f"allocations {status['allocations']}, dropped {status['dropped']}, buffers free {status['buffers_free']} of {status['buffers_total']}")
    expect("allocations", status["allocations"], 1)
