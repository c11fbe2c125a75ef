#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, row "reflection": a relay must be no amplifier and no mirror. Sizes are IP bytes as on the wire: a
Binding reply is at most 1.4 times its request, a 401, 438, 400 or 420 at most 2.5 times; nothing optional is in
them; and all of them together are held to a budget per source prefix (/24, /56).

    attacker (forged source 11.0.2.x) -- small requests --> relay -- few, small replies --> victim 11.0.2.x
"""
import time

import lab
from lab import check, expect
from turn_client import *  # noqa: F403

lab.enter()
BUDGET = 256 * 1024  # bytes of unauthenticated replies per second and prefix, a burst is one second's worth
OPTIONAL = {SOFTWARE}
SERVERS = lab.RELAY4, lab.RELAY6


def sizes(raw, server, source=None):
    """(IP bytes of the request, of the reply, the reply)."""
    frames = lab.Frames("client", "c0")
    client = lab.client(server=server, address=source, user=None)
    response = client.exchange(raw, repeat=False, seconds=3)
    asked = frames.next(lambda p: p["outgoing"] and p["data"] == raw)
    replied = frames.next(lambda p: not p["outgoing"] and p["data"] == response.raw)
    frames.close()
    return asked["ip_length"], replied["ip_length"], response


def bare_error(response):
    expect("reason phrase", response.get(ERROR_CODE)[4:], b"")
    assert not OPTIONAL & {a for a, _ in response.attributes}, response.names()


@check("reflection: Binding replies are at most 1.4 times the request, with nothing optional",
       coturn="adds MAPPED-ADDRESS, RESPONSE-ORIGIN and SOFTWARE")
def _():
    for server in SERVERS:
        for what, raw in (("bare", build(BINDING)), ("with FINGERPRINT", build(BINDING, fingerprint=True)),
                          ("with SOFTWARE", build(BINDING, attributes=[(SOFTWARE, b"some client")])),
                          ("as ICE", build(BINDING, attributes=[(0xC057, bytes(4))], fingerprint=True)),
                          ("with CHANGE-REQUEST 0", build(BINDING, attributes=[(CHANGE_REQUEST, u32(0))]))):
            asked, replied, response = sizes(raw, server)
            print(f"        {server} {what}: {asked} -> {replied}, {replied / asked:.2f}  {response}")
            assert replied <= 1.4 * asked, f"{server} {what}: {asked} -> {replied} bytes"
            assert not OPTIONAL & {a for a, _ in response.attributes}, response.names()


@check("reflection: 401, 438, 400 and 420 are at most 2.5 times the request and carry no phrase",
       coturn="carries phrases and SOFTWARE")
def _():
    for server in SERVERS:
        client = lab.client(server=server)
        for what, raw, code in (
                ("bare Allocate", build(ALLOCATE), 401), ("bare Refresh", build(REFRESH), 401),
                ("Allocate", build(ALLOCATE, attributes=[(REQUESTED_TRANSPORT, transport())]), 401),
                ("unknown attribute", build(BINDING, attributes=[(0x7F01, b"")]), 420),
                ("many unknown attributes", build(BINDING, attributes=[(0x7F00 + n, b"") for n in range(64)]), 420),
                ("integrity alone", build(ALLOCATE, key=b"x"), 400),
                ("stale nonce", None, 438), ("wrong user", None, 401)):
            if raw is None:
                client.learn(client.exchange(build(ALLOCATE)))
                if code == 438:
                    client.nonce = b"obMatJos2wAAA" + b"0" * 12
                else:
                    client.user = "x"
                raw = client.message(ALLOCATE)
            asked, replied, response = sizes(raw, server)
            print(f"        {server} {what}: {asked} -> {replied}, {replied / asked:.2f}  {response}")
            expect(what, response.code, {code, 438} if what == "wrong user" else code)
            assert replied <= 2.5 * asked, f"{server} {what}: {asked} -> {replied} bytes"
            bare_error(response)


@check("reflection: what a client without an allocation sends besides requests is not answered")
def _():
    client = lab.client(user=None)
    for raw in (build(SEND, INDICATION, [(DATA_ATTRIBUTE, b"x")]), channel_data(0x4000, b"x"), b"\x05" * 40, b"\xff" * 40,
                build(BINDING, INDICATION), build(BINDING, SUCCESS), b"hello"):
        client.send_raw(raw)
    client.binding()
    expect("answers", len(client.inbox), 0)


def flood(source, raw, count):
    """Sends count requests from one source as fast as can be; returns the replies' number and IP bytes."""
    sock = lab.udp("client", source)
    sock.setblocking(False)
    replies = octets = 0

    def drain():
        nonlocal replies, octets
        while True:
            try:
                octets += len(sock.recv(2048)) + 28
                replies += 1
            except BlockingIOError:
                return
    for number in range(count):
        try:
            sock.sendto(raw[:8] + number.to_bytes(12, "big") + raw[20:], (lab.RELAY4, 3478))
        except BlockingIOError:
            time.sleep(0.001)
        if number % 16 == 0:
            drain()
    # Once another prefix has been answered, what is still under way is next to nothing, and could but add.
    lab.client(address=lab.CLIENT4, user=None).binding()
    drain()
    sock.close()
    return replies, octets


def flood_within_budget(sources, raw, count, what):
    begin = time.monotonic()
    seen = [flood(source, raw, count) for source in sources]
    seconds = time.monotonic() - begin
    replies, octets = (sum(column) for column in zip(*seen))
    total, allowed = count * len(sources), BUDGET * (seconds + 1) * 1.05
    print(f"        {total} {what} requests in {seconds:.2f} s: {replies} replies, {octets} bytes; budget {allowed:.0f}")
    assert octets <= allowed, f"{octets} bytes of replies, expected at most {allowed:.0f}"


@check("reflection: a flood from one /24 is answered within its budget only, other prefixes are served meanwhile",
       coturn="has no budget")
def _():
    for what, raw in (("Binding", build(BINDING)), ("Allocate", build(ALLOCATE, attributes=[(REQUESTED_TRANSPORT, transport())]))):
        flood_within_budget(["11.0.2.66"], raw, 20000, what)
        begin = time.monotonic()
        lab.client(user=None).binding()
        print(f"        another prefix: answered in {(time.monotonic() - begin) * 1000:.1f} ms")
        expect("Allocate of another prefix", lab.client().allocate().code, 0)


@check("reflection: the budget of a /24 is shared by its addresses", coturn="has no budget")
def _():
    flood_within_budget([f"11.0.2.{n}" for n in range(100, 110)], build(BINDING), 4000, "Binding")


@check("reflection: a live allocation of the flooded prefix is not held to that budget", coturn="has no budget")
def _():
    there = lab.udp("peer", lab.PEER4)
    client = lab.client(address="11.0.2.200")
    lab.wait_for(lambda: client.allocate().code == 0, 20, "an Allocate in the flooded prefix")
    client.bind(0x4000, lab.endpoint(there))
    flood("11.0.2.66", build(BINDING), 20000)
    for number in range(200):
        client.send_channel(0x4000, b"%d" % number)
        expect("at the peer", lab.receive(there)[0], b"%d" % number)
    expect("Refresh", client.refresh(600).code, 0)


lab.run_checks()
