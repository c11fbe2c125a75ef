#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Nothing is remembered. Real traffic of clients and peers with conspicuous addresses, v4 and v6, then its end: one
allocation is deleted by its client, the other expires by itself. After that neither process's memory, nor a
file, nor an answer on a socket, nor a line of output holds one of the addresses in any form. While the mappings
live the search does find them, which shows that it can.

    client 185.233.147.211                      relay                      peer 91.199.173.137
           2a0d:9e3b:71c5:d2f7:8a91:...  == TURN ==> (routers at .2) -- UDP -->  2a0e:83d9:5b17:c9e3:94b5:...
"""
# limit: 240
import os
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import lab  # noqa: E402
from lab import endpoint, expect, receive  # noqa: E402
from search import Search, until  # noqa: E402
from turn_client import *  # noqa: E402, F403

lab.enter()
BEGIN = time.time()
# Conspicuous bytes, each address in a network that is routed as a whole: no route holds it. Two deniers and a
# stranger leave traces of their own kind: a failed login, an ICMP error, a packet nobody permitted.
CLIENT4, CLIENT6 = "185.233.147.211", "2a0d:9e3b:71c5:d2f7:8a91:6cb3:e54d:97f1"
PEER4, PEER6 = "91.199.173.137", "2a0e:83d9:5b17:c9e3:94b5:a2d1:7f63:8be7"
FAILED4, STRANGER4, FLOOD4 = "185.233.147.151", "91.199.173.217", "185.233.147.197"
ADDRESSES = [CLIENT4, CLIENT6, PEER4, PEER6, FAILED4, STRANGER4, FLOOD4]
LIVING = [CLIENT4, CLIENT6, PEER4, PEER6]
DAEMONS = ["turnserver"] if lab.coturn() else ["dataplane", "controlplane"]
LIFETIME_MS, PATIENCE = 8000, 90
DIRECTORIES = [lab.LAB_DIR, "/dev/shm", "/run", "/var/run/dpdk", "/var/lib/blindrelay", "/var/log", "/var/tmp", "/var/crash"]


def route(where, *arguments):
    done = lab.run_in(where, "ip", *arguments)
    assert done.returncode == 0, done.stderr


for where, prefixes, via4, via6 in (("client", ("185.233.147.0/24", "2a0d:9e3b:71c5:d2f7::/64"), lab.CLIENT4, lab.CLIENT6),
                                    ("peer", ("91.199.173.0/24", "2a0e:83d9:5b17:c9e3::/64"), lab.PEER4, lab.PEER6)):
    for prefix, via in zip(prefixes, (via4, via6)):
        route(where, "route", "add", "local", prefix, "dev", "lo")
        route("relay", "route", "add", prefix, "via", via)

short = None
if not lab.coturn():
    import short_lifetimes
    short = short_lifetimes.ShortLifetimes()


def traffic():
    """Everything a mapping sees in its life; returns the client that will not say goodbye."""
    kept = None
    for server, client_address, peer_address in ((lab.RELAY4, CLIENT4, PEER4), (lab.RELAY6, CLIENT6, PEER6),
                                                 (lab.RELAY4, CLIENT4, PEER6), (lab.RELAY6, CLIENT6, PEER4)):
        peer = lab.udp("peer", peer_address)
        client = lab.client(address=client_address, server=server)
        last = (server, peer_address) == (lab.RELAY6, PEER4)
        if short:
            short.limits["allocation"] = LIFETIME_MS if last or server == lab.RELAY4 and peer_address == PEER6 else None
        family = (REQUESTED_ADDRESS_FAMILY, u8x4(IPV6 if ":" in peer_address else IPV4))
        expect("Allocate", client.allocate(family).code, 0)
        expect("CreatePermission", client.permit(endpoint(peer)).code, 0)
        client.send(endpoint(peer), b"by Send")
        expect("at the peer", receive(peer)[0], b"by Send")
        peer.sendto(b"by Data", client.relayed[0])
        expect("at the client", client.receive()[2], b"by Data")
        expect("ChannelBind", client.bind(0x4000, endpoint(peer)).code, 0)
        for number in range(200):
            client.send_channel(0x4000, b"%d" % number)
            expect("at the peer", receive(peer)[0], b"%d" % number)
            peer.sendto(b"%d" % number, client.relayed[0])
            expect("at the client", client.receive()[2], b"%d" % number)
        client.permit((peer_address, 9))
        client.send((peer_address, 9), b"nobody listens, ICMP comes")
        client.receive(0.3)
        client.refresh(600)
        client.permit((lab.PEER4B if ":" not in peer_address else lab.PEER6B, 1), ("127.0.0.1", 1))  # refused
        client.binding()
        kept = kept or []
        kept.append(client)
    # Those who got nothing.
    failed = lab.client(address=FAILED4, user="nobody", password="x")
    failed.allocate()
    stranger = lab.udp("peer", STRANGER4)
    stranger.sendto(b"nobody permitted this", kept[0].relayed[0])
    kept[0].send(endpoint(stranger), b"nor this")
    flood = lab.client(address=FLOOD4, user=None)
    for _ in range(50):
        flood.send_raw(build(BINDING))
    flood.binding()
    return kept


def background():
    """The relay's ordinary life goes on with other clients: buffers are used again, as they would be."""
    there = lab.udp("peer", lab.PEER4)
    client = lab.client()
    expect("Allocate", client.allocate().code, 0)
    client.bind(0x4000, endpoint(there))
    for number in range(20):
        client.send_channel(0x4000, b"%d" % number)
        receive(there)
    client.refresh(0)
    client.close()


def answers():
    """What the sockets tell: all of relayctl, and the dataplane's readings as they are."""
    if lab.coturn():
        return b""
    out = []
    for verb in "status", "stats", "ports", "workers", "version":
        for arguments in ([verb], ["-j", verb]):
            done = lab.relayctl(*arguments)
            expect(f"relayctl {verb}", done.returncode, 0)
            out.append(done.stdout.encode() + done.stderr.encode())
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(f"{lab.LAB_DIR}/run/dataplane.sock")
    sock.settimeout(5)
    observer = 2
    sock.send(struct.pack("<IIi", 1, 1, 8) + struct.pack("<II", 2, observer))
    out.append(sock.recv(1 << 17))
    for kind in 48, 49, 50, 51:  # counters, ports, workers, gauges
        sock.send(struct.pack("<IIi", kind, kind, 0))
        out.append(sock.recv(1 << 17))
    sock.close()
    return b"\n".join(out)


def logs():
    return b"\n".join(path.read_bytes() for path in pathlib.Path(lab.LAB_DIR).glob("*.log") if path.name != "with.log")


everything, living = Search(ADDRESSES), Search(LIVING)


def memory_hits(search=everything, daemons=DAEMONS):
    return [f"{name}: {hit}" for name in daemons for hit in search.in_memory(lab.pid(name))[0]]


# Before: the search itself starts from nothing, so nothing it finds later is chance.
before = memory_hits()
assert not before, f"found before any traffic: {before}"

kept = traffic()
told = everything.in_text(answers(), "the sockets' answers") + everything.in_text(logs(), "the daemons' output")

found = memory_hits(living)
for address in LIVING:
    count = sum(address in hit for hit in found)
    print(f"while the mappings live: {address} found in {count} places")
    assert count, f"the search does not find {address} although a mapping with it lives"
in_control = [hit for hit in found if hit.startswith("controlplane")]
print(f"of those in the control plane: {len(in_control)}")
if not lab.coturn():
    assert not told, f"told while the mappings live: {told}"

# The end of all of them: two by their clients, two by the clock.
for client in kept[:2]:
    expect("Refresh 0", client.refresh(0).code, 0)
if short:
    lab.wait_for(lambda: lab.status()["allocations"] == 0, 30, "the other two to expire")
else:
    for client in kept[2:]:
        client.refresh(0)
lab.release()
background()

left = []


def clean():
    global left
    left = memory_hits()
    return not left


begin = time.monotonic()
until(clean, 20 if lab.coturn() else PATIENCE)
searched = {name: everything.in_memory(lab.pid(name)) for name in DAEMONS}
print(f"afterwards, {time.monotonic() - begin:.0f} s after the last packet:")
for name, (_, size, unreadable) in searched.items():
    print(f"  {name}: {size >> 20} MiB searched; cannot be read: {', '.join(unreadable) or 'nothing'}")
hits = list(left)
for name in DAEMONS:
    in_files, count = everything.in_files(lab.pid(name), DIRECTORIES, BEGIN)
    print(f"  {name}: {count} files searched")
    hits += in_files
hits += everything.in_text(answers(), "the sockets' answers")
hits += everything.in_text(logs(), "the daemons' output")
for hit in hits[:60]:
    print("  LEFT", hit)
if lab.coturn():
    lab.skip(f"turnserver remembers: {len(hits)} places; this is about our own daemons")
assert not hits, f"{len(hits)} traces of addresses are left"
print("none of the addresses is left in memory, files, answers or output")
