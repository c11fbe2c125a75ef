#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tagged frames through the real port, also where the kernel has no VLAN interfaces: a Binding request in a frame with
an 802.1Q tag is answered in a frame with the same tag, for both families; one with two tags as well; a tagged
frame that is not the relay's goes to the kernel and is not answered.

    client -- frames built by hand, tag inline --> r0 (AF_XDP)
"""
# light
import os
import socket
import struct

import lab
from lab import check, expect
from turn_client import *  # noqa: F403

lab.enter()
if lab.coturn():
    lab.skip("turnserver needs the kernel's VLAN interfaces")
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4
VLAN = 100


def mac(where, interface):
    text = lab.run_in(where, "cat", f"/sys/class/net/{interface}/address").stdout
    return bytes.fromhex(text.strip().replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source, destination, port, payload):
    """An IP packet with a whole UDP checksum; source port 40000."""
    six = ":" in source
    family = socket.AF_INET6 if six else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", 40000, port, length, 0) + payload
    total = checksum(addresses + struct.pack("!IHBB", length, 0, 0, 17) + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", total) + udp[8:]
    if six:
        return struct.pack("!IHBB", 6 << 28, length, 17, 64) + addresses + udp
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 1, 0x4000, 64, 17, 0) + addresses
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp


class Wire:
    """Raw frames on c0. The kernel takes the outer tag out of what it shows and tells it aside."""

    def __init__(self):
        with lab.namespace("client"):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.sock.bind(("c0", 0))
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.addresses = mac("relay", "r0") + mac("client", "c0")

    def send(self, tags, packet):
        kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
        tagged = b"".join(struct.pack("!HH", *tag) for tag in tags)
        self.sock.send(self.addresses + tagged + struct.pack("!H", kind) + packet)

    def answer(self, transaction, seconds):
        """([tags], STUN message) of the frame from the relay that carries the transaction, or (None, None)."""
        self.sock.settimeout(seconds)
        try:
            while True:
                frame, extra, _, _ = self.sock.recvmsg(4096, 256)
                if frame[6:12] != self.addresses[:6] or transaction not in frame:
                    continue
                tags = []
                for level, kind, data in extra:
                    if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                        status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data)
                        if status & TP_STATUS_VLAN_VALID:
                            tags.append((tpid, tci))
                at = 12
                while frame[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
                    tags.append(struct.unpack("!HH", frame[at:at + 4]))
                    at += 4
                return tags, parse(frame[frame.index(transaction) - 8:])
        except TimeoutError:
            return None, None


def ask(tags, source, server, port=3478, seconds=3):
    wire, transaction = Wire(), os.urandom(12)
    request = build(BINDING, REQUEST, [], transaction)
    wire.send(tags, datagram(source, server, port, request))
    return wire.answer(transaction, seconds)


def answered(tags, source, server):
    seen, response = ask(tags, source, server)
    expect("tags of the answer", seen, tags)
    expect("Binding", response.kind, SUCCESS)


@check("one tag, IPv4")
def _():
    answered([(0x8100, VLAN)], lab.CLIENT4, lab.RELAY4)


@check("one tag, IPv6")
def _():
    answered([(0x8100, VLAN)], lab.CLIENT6, lab.RELAY6)


@check("two tags")
def _():
    answered([(0x88A8, 7), (0x8100, VLAN)], lab.CLIENT4, lab.RELAY4)


@check("no tag: the same frame")
def _():
    answered([], lab.CLIENT4, lab.RELAY4)


@check("another port in a tagged frame is not the relay's")
def _():
    expect("answer", ask([(0x8100, VLAN)], lab.CLIENT4, lab.RELAY4, port=3477, seconds=1), (None, None))


lab.run_checks()
