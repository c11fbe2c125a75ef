#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""IP header fields of what the relay sends (RFC 8656 sections 13 to 15, preferred behaviours): TTL one less,
DSCP and ECN kept, DF as it came or as DONT-FRAGMENT asks, a flow label of the relay's own; and ICMP errors of
peers as Data indications with ICMP (section 11.5).

    client -- marked packets --> relay -- what do they look like now? --> peer (raw sockets on both sides)
"""
# light
# sanitizers
import struct

import lab
from lab import check, endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter()
IP_MTU_DISCOVER, PMTU_NEVER, PMTU_ALWAYS = 10, 0, 2
MARKS = 0xB8, 0xB9, 0xBA, 0xBB, 0x02, 0x00  # DSCP EF with each ECN codepoint, ECT(0) alone, nothing


def mark(sock, tos=None, ttl=None, df=None):
    six = sock.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP
    if tos is not None:
        sock.setsockopt(level, socket.IPV6_TCLASS if six else socket.IP_TOS, tos)
    if ttl is not None:
        sock.setsockopt(level, socket.IPV6_UNICAST_HOPS if six else socket.IP_TTL, ttl)
    if df is not None:
        sock.setsockopt(level, IP_MTU_DISCOVER, PMTU_ALWAYS if df else PMTU_NEVER)


class Pair:
    """A client with a channel to a peer, and what arrives on both wires."""

    def __init__(self, server=None, peer=None):
        server, peer = server or lab.RELAY4, peer or lab.PEER4
        self.peer = lab.udp("peer", peer)
        self.client = lab.client(server=server)
        family = (REQUESTED_ADDRESS_FAMILY, u8x4(IPV6 if ":" in peer else IPV4))
        expect("Allocate", self.client.allocate(family).code, 0)
        expect("ChannelBind", self.client.bind(0x4000, endpoint(self.peer)).code, 0)
        self.at_peer, self.at_client = lab.Frames("peer", "p0"), lab.Frames("client", "c0")

    def out(self, by_send=(), data=b"out"):
        """The packet at the peer."""
        if by_send:
            self.client.send(endpoint(self.peer), data, *by_send)
        else:
            self.client.send_channel(0x4000, data)
        return self.arrives(self.at_peer, data)

    def back(self, data=b"back"):
        self.peer.sendto(data, self.client.relayed[0])
        return self.arrives(self.at_client, data)

    @staticmethod
    def arrives(frames, data):
        packet = frames.next(lambda p: not p["outgoing"] and p["data"].endswith(data + bytes(-len(data) % 4)) or
                             not p["outgoing"] and p["data"].endswith(data))
        assert packet, "nothing arrived"
        return packet


FAMILIES = lambda: ((lab.RELAY4, lab.PEER4), (lab.RELAY6, lab.PEER6), (lab.RELAY4, lab.PEER6), (lab.RELAY6, lab.PEER4))  # noqa: E731


@check("TTL and hop limit: one less than what came in, both ways, within a family",
       coturn="towards the client it takes the default")
def _():
    for server, peer in FAMILIES()[:2]:
        pair = Pair(server, peer)
        mark(pair.client.sock, ttl=33)
        mark(pair.peer, ttl=44)
        expect("at the peer", pair.out()["ttl"], 32)
        expect("at the client", pair.back()["ttl"], 43)


@check("TTL between the families: one less, or the default")
def _():
    for server, peer in FAMILIES()[2:]:
        pair = Pair(server, peer)
        mark(pair.client.sock, ttl=33)
        expect("at the peer", pair.out()["ttl"], {32, 64})


@check("a TTL that is used up ends here", coturn="sends it with the default")
def _():
    pair = Pair()
    mark(pair.client.sock, ttl=1)
    pair.client.send_channel(0x4000, b"last")
    mark(pair.client.sock, ttl=64)
    pair.client.send_channel(0x4000, b"next")
    expect("first at the peer", receive(pair.peer)[0], b"next")


@check("DSCP and ECN are kept, both ways, in and between the families", coturn="not between the families")
def _():
    for server, peer in FAMILIES():
        pair = Pair(server, peer)
        for tos in MARKS:
            mark(pair.client.sock, tos=tos)
            mark(pair.peer, tos=tos)
            expect(f"{server} to {peer}", pair.out()["tos"], tos)
            expect(f"{peer} to {server}", pair.back()["tos"], tos)


@check("DF is copied from the packet that came in, both ways", coturn="decides by itself")
def _():
    pair = Pair()
    for df in True, False:
        mark(pair.client.sock, df=df)
        mark(pair.peer, df=df)
        expect("at the peer", pair.out()["df"], df)
        expect("at the client", pair.back()["df"], df)


@check("Send with DONT-FRAGMENT leaves with DF whatever came in", coturn="needs a privilege for it")
def _():
    pair = Pair()
    mark(pair.client.sock, df=False)
    expect("with", pair.out(by_send=[(DONT_FRAGMENT, b"")])["df"], True)


@check("flow label: the client's is not passed on; a flow keeps the one it has")
def _():
    pair = Pair(lab.RELAY6, lab.PEER6)
    labels = {pair.out(data=b"flow%d" % n)["flow"] for n in range(8)}
    expect("labels of one flow", len(labels), 1)


@check("the IPv4 identification of a packet with DF unset differs between packets",
       coturn="the kernel sets it")
def _():
    pair = Pair()
    mark(pair.client.sock, df=False)
    seen = {pair.out(data=b"id%d" % n)["id"] for n in range(8)}
    assert len(seen) >= 7, f"identifications {sorted(seen)}"


@check("UDP checksums on the wire towards IPv6 peers are never zero")
def _():
    pair = Pair(lab.RELAY4, lab.PEER6)
    for n in range(64):
        assert pair.out(data=b"%03d" % n)["checksum"], "zero checksum"


# ---- ICMP ----

@check("8656 11.5: port unreachable of a peer comes as Data with ICMP, v4 and v6",
       coturn="does not relay ICMP unless asked to")
def _():
    for server, address, wanted in (lab.RELAY4, lab.PEER4, (3, 3)), (lab.RELAY6, lab.PEER6, (1, 4)):
        client = lab.client(server=server)
        client.allocate((REQUESTED_ADDRESS_FAMILY, u8x4(IPV6 if ":" in address else IPV4)))
        client.permit((address, 9))
        client.send((address, 9), b"nobody listens there")
        kind, peer, value = client.receive() or (None, None, None)
        expect("indication", kind, "icmp")
        expect("peer", peer, (address, 9))
        number = struct.unpack("!I", value[:4])[0]
        expect("type and code", (number >> 9 & 0x7F, number & 0x1FF), wanted)


def icmp_sum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def icmp_error(kind, code, rest, source, source_port, destination, destination_port):
    """An ICMP error about a UDP packet that the relay (source) is said to have sent."""
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 48, 0, 0x4000, 60, 17, 0,
                        socket.inet_aton(source), socket.inet_aton(destination))
    inner = inner[:10] + struct.pack("!H", icmp_sum(inner)) + inner[12:]
    inner += struct.pack("!HHHH", source_port, destination_port, 28, 0)
    raw = struct.pack("!BBHI", kind, code, 0, rest) + inner
    return raw[:2] + struct.pack("!H", icmp_sum(raw)) + raw[4:]


@check("8656 11.5: fragmentation needed carries the MTU; errors about peers without permission or by strangers do not pass",
       coturn="does not relay ICMP unless asked to")
def _():
    client = lab.client()
    client.allocate()
    client.permit((lab.PEER4, 9))
    with lab.namespace("peer"):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    port = client.relayed[0][1]
    for inner_peer, inner_port, rest in ((lab.PEER4B, port, 1111), (lab.PEER4, port ^ 1, 1222), (lab.PEER4, port, 1333)):
        raw.sendto(icmp_error(3, 4, rest, lab.RELAY4, inner_port, inner_peer, 9), (lab.RELAY4, 0))
    kind, peer, value = client.receive() or (None, None, None)
    expect("indication", (kind, peer), ("icmp", (lab.PEER4, 9)))
    number, data = struct.unpack("!II", value[:8])
    expect("type, code, MTU", (number >> 9 & 0x7F, number & 0x1FF, data), (3, 4, 1333))
    raw.sendto(icmp_error(8, 0, 0, lab.RELAY4, port, lab.PEER4, 9), (lab.RELAY4, 0))
    expect("an echo request is no error", client.all_so_far(), [])


lab.run_checks()
