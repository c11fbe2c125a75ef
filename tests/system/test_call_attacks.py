#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# light
"""What calls put on the wires, captured on all of them: no candidate, no address of a host, no key and no voice in clear;
with --relay-only nothing but the relay; to who has not answered, no more than the capped checks; after the end, nothing.

    alice a == cone, IPv6 firewall == core, relay, echoes of the Internet == cone == b bob, mole      m moves from a cone to another
"""
import base64
import ipaddress
import os
import pathlib
import re
import struct
import time

import calls
import lab
import pairs

pairs.enter("a=cone/v6 b=cone/v6 m=cone+symmetric", delay=10)
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")
PEOPLE = {"alice": "a", "bob": "b", "mover": "m", "mole": "b"}
RELAY = [lab.RELAY4, "--relay", lab.RELAY6, "--relay-key", lab.status()["registration"]["relay_key"]]
SOUND = "--in", "tone", "--out", "none"
COOKIE = struct.pack("!I", 0x2112A442)
# Anybody may name anybody; these are who did not ask for it.
ECHOES = [pairs.echo(number) for number in (71, 72, 73, 74)]
CHECKS_MAX = 64 + 4  # to an address in ten seconds (endpoint/agent/agent.h)


@lab.AFTER_CHECK.append
def end():
    while calls.RUNS:
        calls.RUNS.pop().close()


def make(who, *relay):
    calls.PLACES[who] = PEOPLE[who]
    run = calls.Run(who, "id", "--relay", *relay)
    lab.expect("exit of id", run.wait(10), 0)
    calls.CARDS[who] = run.events[0]["contact"]
    return pathlib.Path(calls.path(who + ".id")).read_text()


def note(who, whom):
    with open(calls.path(who + ".id.contacts"), "a", opener=lambda path, flags: os.open(path, flags, 0o600)) as book:
        book.write(f"{whom} = {calls.CARDS[whom]}\n")


FILES = {who: make(who, *RELAY) for who in PEOPLE if who != "mole"}
BOOK = list(FILES)
for one in BOOK:
    for other in BOOK:
        if one != other:
            note(one, other)


# ---- what was captured ----

class Packet:
    """A UDP datagram: when, from, to (address, port), payload."""

    def __init__(self, at, ip):
        self.at, self.ok = at, False
        if ip[:1] and ip[0] >> 4 == 4 and ip[9] == 17:
            head = (ip[0] & 15) * 4
            ends, length = (ip[12:16], ip[16:20]), struct.unpack("!H", ip[2:4])[0]
        elif ip[:1] and ip[0] >> 4 == 6 and ip[6] == 17:
            head, ends, length = 40, (ip[8:24], ip[24:40]), 40 + struct.unpack("!H", ip[4:6])[0]
        else:
            return
        source, destination = struct.unpack("!HH", ip[head:head + 4])
        self.raw = ends
        self.source, self.to = (str(ipaddress.ip_address(ends[0])), source), (str(ipaddress.ip_address(ends[1])), destination)
        self.data, self.ok = ip[head + 8:length], True


class Wires:
    """All wires of the lab."""

    def __init__(self, *hosts):
        self.captures = {where: pairs.Capture(where) for where in ("relay1", *hosts)}
        self.begin = time.time()

    def stop(self):
        self.packets = {where: [p for at, ip in capture.packets() if (p := Packet(at, ip)).ok] for where, capture in self.captures.items()}
        for where, packets in self.packets.items():
            assert len(packets) > 20, f"only {len(packets)} datagrams were captured at {where}"
        return self

    def all(self):
        return [packet for packets in self.packets.values() for packet in packets]


def key_forms(text):
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return {text.encode(), raw, raw.hex().encode(), base64.b64encode(raw)}


def secrets():
    """{bytes: what it is}: keys and seeds from the identities, and names."""
    out = {}
    for who, text in FILES.items():
        for name, value in re.findall(r"^([a-z-]+(?:-seed|-key)?|namespace) = ([A-Za-z0-9_-]{43})$", text, re.M):
            out |= {form: f"{who}'s {name}" for form in key_forms(value)}
        card = calls.CARDS[who].split(":", 1)[1]
        for value in re.findall(r"[A-Za-z0-9_-]{43}", card):
            out |= {form: f"a key of {who}'s card" for form in key_forms(value)}
        out[who.encode()] = f"{who}'s name"
    relay_key = key_forms(RELAY[-1])
    return {form: what for form, what in out.items() if form not in relay_key}


def host_forms(host):
    """{address: forms of it} of all that a host has."""
    found = {}
    for uplink in host.uplinks:
        for name in "address4", "outside4", "address6":
            if uplink.get(name):
                address = ipaddress.ip_address(uplink[name])
                found[address.packed] = {address.packed, str(address).encode(), address.packed.hex().encode()}
    return found


def in_clear(packet, hosts, patterns):
    for pattern, what in patterns.items():
        if pattern in packet.data:
            return what
    for host in hosts:
        for packed, forms in host_forms(host).items():
            if packed in packet.raw:
                continue  # the header says it in any case
            forms = set(forms)
            if packet.data[4:8] == COOKIE:  # XOR-MAPPED-ADDRESS
                mask = packet.data[4:20]
                forms.add(bytes(a ^ b for a, b in zip(packed, mask)))
            for form in forms:
                if form in packet.data:
                    return f"{ipaddress.ip_address(packed)} of {host.name}"
    return None


def envelope(packet):
    """The envelope in it, if there is one: by itself, or by a relay's handle."""
    for at in 0, 8:
        if packet.data[at:at + 1] == b"\x09" and (at == 0 or packet.data[0] == 6) and len(packet.data) >= at + 34:
            return packet.data[at:]
    return None


def forged(payload):
    """A datagram from nobody to nobody, to see that the search finds what there is."""
    return Packet(0, bytes([0x45, 0]) + struct.pack("!H", 28 + len(payload)) + bytes(5) + b"\x11" + bytes(18) + payload)


def nothing_in_clear(wires, hosts):
    patterns, inside = secrets(), ipaddress.ip_address(hosts[0].address4).packed
    assert len(patterns) > 20, patterns
    for payload in (b"x" + inside, b"\1\1\0\x0c" + COOKIE + bytes(12) + b"\0\x20\0\x08\0\1ab" + bytes(a ^ b for a, b in zip(inside, COOKIE)),
                    b"to alice", f"{hosts[1].address6}".encode(), ipaddress.ip_address(hosts[1].address6).packed, next(iter(patterns))):
        assert in_clear(forged(payload), hosts, patterns), f"{payload} is not found"
    for where, packets in wires.packets.items():
        for packet in packets:
            what = in_clear(packet, hosts, patterns)
            assert what is None, f"at {where}, {packet.source} to {packet.to}: {what} in {packet.data.hex()}"
        # A tone's frames are all alike, as the headers are: sealed, no two of them are.
        sealed = [found for packet in packets if (found := envelope(packet))]
        pieces = [found[at:at + 8] for found in sealed for at in (10, 18, 26)]
        assert len(sealed) > 50, f"{len(sealed)} envelopes at {where}"
        # By relay1 and by the NATs each passes twice.
        assert len(set(pieces)) >= 3 * len({bytes(s) for s in sealed}) - 1, f"envelopes at {where} resemble each other"


def talk(caller, callee, *arguments, answers=(), seconds=2):
    answering = calls.answer(callee, *SOUND, *answers)
    calling = calls.Run(caller, "call", callee if callee in BOOK else calls.CARDS[callee], *SOUND, "--duration", seconds, "-v", *arguments)
    return calling, answering


def ended(calling, answering):
    lab.expect("exit of call", calling.wait(20), 0)
    answering.event("ended")
    return calling.record(), answering.record()


# ---- checks ----

@lab.check("a direct call, IPv4 and IPv6: on no wire an address, a key, a name or voice in clear; after the end nothing")
def direct():
    wires = Wires("a", "b")
    calling, answering = talk("alice", "bob")
    first, _ = ended(calling, answering)
    over = time.time()
    lab.expect("path", first["changes"][-1]["now"], ["direct"])
    lab.expect("who may read the record", os.stat(calling.stats).st_mode & 0o777, 0o600)
    # Bob goes on, talks with somebody else, and has nothing to say to alice any more.
    again = calls.Run("mover", "call", "bob", *SOUND, "--duration", "2")
    lab.expect("exit of the next call", again.wait(20), 0)
    wires.stop()
    hosts = [pairs.host(name) for name in "abm"]
    nothing_in_clear(wires, hosts)
    ours = {str(ipaddress.ip_address(packed)) for packed in host_forms(pairs.host("a"))}
    late = [p for p in wires.packets["b"] if p.at > over + 1.2 and p.to[0] in ours]
    assert not late, f"{len(late)} datagrams to alice, the last one {late[-1].at - over:.1f} s after the end: {late[-1].data.hex()}"
    assert max(p.at for p in wires.packets["b"]) > over + 2, "nothing was captured after the end"


@lab.check("a call through the relay, then with the hosts on the move: the same")
def moving():
    wires = Wires("a", "m")
    calling, answering = talk("alice", "mover", "--relay-after", "0", seconds=5)
    calling.event("status")
    pairs.host("m").move(1)
    calling.event("status", 3)
    pairs.host("a").rebind()
    ended(calling, answering)
    pairs.host("m").move(0)
    nothing_in_clear(wires.stop(), [pairs.host(name) for name in "abm"])


@lab.check("--relay-only: no datagram to or from anybody but the relay, no STUN, no candidate for the other to try")
def relay_only():
    wires = Wires("a", "b")
    calling, answering = talk("alice", "bob", "--relay-only")
    records = ended(calling, answering)
    wires.stop()
    nothing_in_clear(wires, [pairs.host(name) for name in "abm"])
    relays = {pairs.relay().address4, pairs.relay().address6}
    for packet in wires.packets["a"]:
        assert packet.source[0] in relays or packet.to[0] in relays, f"{packet.source} to {packet.to}"
        assert packet.data[0] > 3, f"STUN with {packet.to}"
    hidden = {str(ipaddress.ip_address(packed)) for packed in host_forms(pairs.host("a"))}
    tried = [p.to for p in wires.packets["b"] if p.to[0] in hidden]
    assert not tried, f"bob sends to {tried}"
    for record in records:
        lab.expect("paths", [p["path"] for p in record["paths"] if p["sent"] + p["received"]], ["relay"])


def heard(echo):
    """All that came to it."""
    out, data = [], True
    while data is not None:
        data, _ = lab.receive(echo, 0.05)
        if data is not None:
            out.append(data)
    return out


@lab.check("a card that names others as its relay's addresses, and a peer that names others as its own: capped, and only checks")
def others():
    # The second to fourth address of mole's relay are somebody else's.
    names = [f"{address}:{port}" for address, port in map(lab.endpoint, ECHOES[:3])]
    FILES["mole"] = make("mole", lab.RELAY4, *(word for name in names for word in ("--relay", name)), *RELAY[-2:])
    # And it says that it has an address that is not its own.
    mole, (address, _) = pairs.host("b"), lab.endpoint(ECHOES[3])
    lab.run_in("b", "ip", "address", "add", f"{address}/32", "dev", mole.interface)
    wires = Wires("a")
    try:
        calling, answering = talk("alice", "mole", seconds=8)
        record, _ = ended(calling, answering)
    finally:
        lab.run_in("b", "ip", "address", "del", f"{address}/32", "dev", mole.interface)
    lab.expect("path", record["changes"][-1]["now"], ["direct"])
    wires.stop()
    for echo in ECHOES[:3]:
        got = heard(echo)
        assert 1 <= len(got) <= 30, f"{len(got)} datagrams to an address that a card has named"
        assert all(data[0] <= 4 for data in got), "something else than a question"
    checks = [p for p in wires.packets["a"] if p.to[0] == address]
    assert 1 <= len(checks) <= CHECKS_MAX, f"{len(checks)} checks of an address that a peer has named"
    assert all(p.data[0] <= 3 and p.data[4:8] == COOKIE for p in checks), "something else than checks"
    sizes = {p.to[0] for p in wires.packets["a"] if p.source[0] == pairs.host("a").outside4}
    known = {pairs.relay().address4, pairs.relay().address6, pairs.host("b").outside4, address, *(name.split(":")[0] for name in names)}
    # The NATs' private networks are tried as well: capped in the same way.
    for destination in sizes - known:
        assert ipaddress.ip_address(destination).is_private, f"something was sent to {destination}"
        count = sum(p.to[0] == destination for p in wires.packets["a"])
        assert count <= CHECKS_MAX, f"{count} to {destination}"


lab.run_checks()
