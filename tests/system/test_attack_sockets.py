#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, row "control plane": the UNIX sockets of both daemons get oversize, truncated, wrong and endless requests,
a wrong version, a wrong user, and a peer that never reads. All are refused, and a live channel notices nothing.

    attacker (same machine) --> run/dataplane.sock, run/control.sock       client == ChannelData ==> relay --> peer
"""
# light
# sanitizers
import os
import random
import socket
import struct

import lab
from lab import check, endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter()
if lab.coturn():
    lab.skip("turnserver has no such sockets")
DATAPLANE, CONTROL = (f"{lab.LAB_DIR}/run/{name}.sock" for name in ("dataplane", "control"))
HEADER = struct.Struct("<IIi")
HELLO, PORTS, ROLE_CONTROL, ROLE_OBSERVER, ADMIN_STATUS = 1, 49, 1, 2, 16

there = lab.udp("peer", lab.PEER4)
live = lab.Client(lab.udp("client", lab.CLIENT4), (lab.RELAY4, 3478), lab.LAB_USER, lab.LAB_PASSWORD)
expect("Allocate", live.allocate().code, 0)
expect("ChannelBind", live.bind(0x4000, endpoint(there)).code, 0)


def served():
    """What has to hold after every attack: forwarding, the control plane's decisions, and its admin socket."""
    for number in range(10):
        live.send_channel(0x4000, b"%d" % number)
        expect("at the peer", receive(there)[0], b"%d" % number)
    expect("Refresh", live.refresh(600).code, 0)
    expect("relayctl status", lab.relayctl("status").returncode, 0)


def connected(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(3)
    sock.connect(path)
    return sock


def hello(path, role=ROLE_OBSERVER, version=None):
    own, other = (2, role) if path == DATAPLANE else (1, 0)
    return HEADER.pack(1, HELLO, 8) + struct.pack("<II", own if version is None else version, other)


def greeted(path, **how):
    sock = connected(path)
    sock.send(hello(path, **how))
    expect("hello answered", HEADER.unpack_from(sock.recv(4096))[0], 1)
    return sock


def refused(sock, what):
    """The connection is closed, or what was sent is answered with a negative errno."""
    try:
        while data := sock.recv(1 << 17):
            if HEADER.unpack_from(data)[2] < 0:
                return
            raise AssertionError(f"{what}: answered with {data[:32].hex()}")
    except ConnectionError:
        pass
    except TimeoutError:
        raise AssertionError(f"{what}: neither refused nor closed") from None


def offer(sock, data):
    try:
        sock.send(data)
    except OSError:  # closed before, or larger than what can be sent: refused as well
        pass


@check("control plane: requests before hello, a wrong version, and a wrong role are refused")
def _():
    for path in DATAPLANE, CONTROL:
        for what, data in (("no hello", HEADER.pack(1, PORTS if path == DATAPLANE else ADMIN_STATUS, 0)),
                           ("version 0", hello(path, version=0)), ("version 999", hello(path, version=999)),
                           ("hello without payload", HEADER.pack(1, HELLO, 0)),
                           ("hello with half of it", HEADER.pack(1, HELLO, 4) + bytes(4))):
            sock = connected(path)
            offer(sock, data)
            refused(sock, f"{path} {what}")
            sock.close()
    sock = connected(DATAPLANE)
    sock.send(hello(DATAPLANE, role=77))
    refused(sock, "role 77")
    served()


@check("control plane: a second one is refused while the first lives, and an observer may change nothing")
def _():
    sock = connected(DATAPLANE)
    sock.send(hello(DATAPLANE, role=ROLE_CONTROL))
    refused(sock, "second control role")
    for kind in (*range(16, 24), *range(32, 39), *range(112, 117)):
        sock = greeted(DATAPLANE)
        offer(sock, HEADER.pack(2, kind, 0))
        refused(sock, f"observer's request {kind} without payload")
        sock = greeted(DATAPLANE)
        size = {16: 144, 17: 16, 18: 16, 19: 16, 20: 48, 21: 56, 22: 0, 23: 8, 32: 32, 33: 8, 34: 224, 35: 224,
                36: 32, 37: 32, 38: 0, 112: 96, 113: 96, 114: 152, 115: 40, 116: 24}[kind]
        offer(sock, HEADER.pack(2, kind, size) + bytes(size))
        refused(sock, f"observer's request {kind}")
    served()


@check("control plane: truncated, oversize and lying lengths, unknown types")
def _():
    for path in DATAPLANE, CONTROL:
        for what, data in (("3 bytes", b"abc"), ("half a header", HEADER.pack(2, PORTS, 0)[:7]),
                           ("unknown type", HEADER.pack(2, 9999, 0)), ("negative length", HEADER.pack(2, PORTS, -5)),
                           ("length beyond the datagram", HEADER.pack(2, PORTS, 4096)),
                           ("largest length", HEADER.pack(2, PORTS, 0x7FFFFFFF)),
                           ("payload nobody asked for", HEADER.pack(2, PORTS, 64) + bytes(64)),
                           ("60000 bytes", bytes(60000)), ("200000 bytes", bytes(200000))):
            sock = greeted(path)
            before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            expect("socket error", before, 0)
            try:
                sock.send(data)
            except OSError:
                continue  # the kernel would not carry it
            refused(sock, f"{path} {what}")
            sock.close()
    served()


@check("control plane: random datagrams, thousands of them")
def _():
    dice = random.Random(99)
    for path in DATAPLANE, CONTROL:
        for _ in range(400):
            sock = greeted(path) if dice.random() < 0.8 else connected(path)
            for _ in range(8):
                length = dice.choice([0, 4, 8, 16, 48, 64])
                # Types that change state are left out for the dataplane: an observer gets none of them anyway.
                offer(sock, HEADER.pack(dice.getrandbits(8), dice.choice([dice.randrange(80), dice.getrandbits(32)]),
                                        dice.choice([length, dice.getrandbits(31)])) + dice.randbytes(length))
            sock.close()
    served()


@check("control plane: peers that never read hold up nobody")
def _():
    idle = []
    for path, kind in (DATAPLANE, 48), (CONTROL, 18):
        for _ in range(4):
            sock = greeted(path)
            sock.setblocking(False)
            for number in range(5000):
                try:
                    sock.send(HEADER.pack(number + 2, kind, 0))
                except OSError:  # full, or thrown out
                    break
            idle.append(sock)
        served()
    for sock in idle:
        sock.close()


@check("control plane: more connections than it serves")
def _():
    crowd = []
    for path in DATAPLANE, CONTROL:
        for _ in range(200):
            try:
                crowd.append(connected(path))
            except OSError:
                break
    for number in range(10):
        live.send_channel(0x4000, b"%d" % number)
        expect("at the peer", receive(there)[0], b"%d" % number)
    for sock in crowd:
        sock.close()
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 10, "relayctl to be let in again")
    served()


@check("control plane: another user gets nowhere")
def _():
    for path in DATAPLANE, CONTROL:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                sock = connected(path)
                sock.send(hello(path, role=ROLE_CONTROL))
                refused(sock, "nobody")
                code = 0
            except (PermissionError, FileNotFoundError, ConnectionError):
                code = 0
            finally:
                os._exit(code)
        expect(f"user nobody refused at {path}", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
    served()


lab.run_checks()
