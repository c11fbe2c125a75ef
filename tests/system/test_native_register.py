#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Registering addresses with the native protocol: what each message is answered with, and whom data by address reaches
afterwards. Clients and relay were written apart, from lib/wire/README.md.

    devices of several owners == SOLICIT, REGISTER ==> relay <== data by address == anybody with a cookie
"""
# light
# sanitizers
# light
import os
import pathlib
import re
import time

import lab
import native
import native_keys
from lab import check, expect
from native import *  # noqa: F403
from native_lab import *  # noqa: F403

lab.enter(registration_lines="enabled = yes\nlease = 900\nkeepalive = 25\nnew-leases = 20000")
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")


@check("keys: what Python computes is what the standards' vectors say")
def _():
    text = pathlib.Path(lab.ROOT, "tests/vectors/blake3.h").read_text()
    rows = re.findall(r'\{(\d+), "(\w+)",\s+"(\w+)",\s+"(\w+)"\}', text)
    rows = [(int(length), values) for length, *values in rows if int(length) <= 2048]
    assert len(rows) > 5, rows
    for length, (plain, keyed, derived) in rows:
        data = bytes(n % 251 for n in range(length))
        expect(f"hash of {length}", native_keys.blake3(data).hex(), plain)
        expect(f"keyed hash of {length}", native_keys.blake3_keyed(b"whats the Elvish word for friend", data).hex(), keyed)
        expect(f"derived from {length}", native_keys.blake3_derive("BLAKE3 2019-12-27 16:29:52 test vectors context", data).hex(), derived)


@check("register: a lease, the address it is seen from, the relay's key; over IPv4 and IPv6, from either side")
def _():
    for where, address in (("client", lab.CLIENT4), ("client", lab.CLIENT6), ("peer", lab.PEER4), ("peer", lab.PEER6)):
        one = device(where, address)
        challenge = one.solicit()
        expect("admission, difficulty", (challenge.admission, challenge.difficulty), (0, 0))
        expect("epoch of", challenge.epoch_seconds, 3600)
        answer = one.register(lifetime=300)
        expect("REGISTER", kind_of(answer), "REGISTERED")
        expect("observed", observed(answer), lab.endpoint(one.sock))
        expect("lifetime", answer.lifetime, 300)
        expect("keepalive", answer.keepalive, 25)
        expect("devices", answer.devices, 8)
        assert any(answer.relay_key), "no relay key"
        expect("devices reached", reaches(one, one.address, one), [1])
        alive = one.keepalive()
        expect("KEEPALIVE", (kind_of(alive), observed(alive), alive.left), ("ALIVE", lab.endpoint(one.sock), 0))
    expect("longest lease", one.register(lifetime=86400).lifetime, {900, *range(0, 900)})
    expect("leases", leases(), 4)


@check("register: data arrives as it was sent, one hop less, without the sender's cookie")
def _():
    one, sender = registered("peer"), device()
    sender.solicit()
    for size in 0, 1, 160, 1232 - 48:
        payload = os.urandom(size)
        sender.send_to(one.address, payload, hops=3)
        got = arrived(one, payload)
        expect("from", got.source, (lab.RELAY4, 3478))
        expect("address, hops", (got.address, got.hops), (one.address, 2))
        assert sender.cookie not in got.raw
    expect("hops 0, 9, 1", [reaches(sender, one.address, one, hops=hops) for hops in (0, 9, 1)], [[0], [0], [1]])
    sender.cookie = os.urandom(12)
    sender.send_to(one.address, b"no cookie")
    answer = sender.receive(lambda m: m.kind == CHALLENGE)
    expect("data without a good cookie", (kind_of(answer), answer.transaction), ("CHALLENGE", sender.cookie[4:]))
    sender.learn(answer)
    sender.send_to(one.address, b"with that one")
    assert arrived(one, b"with that one")


def later(one):
    """Waits until cookies are of a later time, which is what orders messages; returns one of the earlier time."""
    early = one.solicit().cookie
    lab.wait_for(lambda: one.solicit().cookie[:4] != early[:4], 5, "a later cookie")
    return early


@check("register: renewed, repeated, moved, withdrawn")
def _():
    one, sender = registered(), device("peer")
    for _ in range(3):
        expect("renewal", kind_of(one.register()), "REGISTERED")
    expect("leases", leases(), 1)
    repeated = one.sent[-1]
    one.send_raw(repeated)
    expect("the same once more", kind_of(one.receive(lambda m: m.get("transaction") == repeated[4:12])), "REGISTERED")
    expect("arrives", reaches(sender, one.address, one), [1])
    moved = device(owner=one.owner, address=lab.CLIENT6)
    moved.devices = one.devices
    expect("REGISTER from elsewhere", kind_of(moved.register()), "REGISTERED")
    expect("leases", leases(), 1)
    expect("old and new place", reaches(sender, one.address, one, moved), [0, 1])
    expect("lifetime 0", kind_of(moved.withdraw()), "REGISTERED")
    expect("after withdrawal", reaches(sender, one.address, one, moved), [0, 0])
    expect("leases", leases(), 0)
    later(moved)
    expect("withdrawn again", kind_of(moved.withdraw()), "REGISTERED")
    later(moved)
    expect("again", kind_of(moved.register()), "REGISTERED")
    expect("afterwards", reaches(sender, one.address, one, moved), [0, 1])


@check("register: eight devices all get it, a ninth is refused until one leaves")
def _():
    first = registered()
    rest = [registered(where, owner=first.owner) for where in ["client", "peer"] * 3 + ["peer"]]
    sender, ninth = device("peer"), device(owner=first.owner)
    expect("of the ninth", kind_of(ninth.register()), refused(DEVICES))
    expect("devices reached", reaches(sender, first.address, first, *rest, ninth), [1] * 8 + [0])
    expect("renewal of the eighth", kind_of(rest[-1].register()), "REGISTERED")
    expect("withdrawal of the third", kind_of(rest[1].withdraw()), "REGISTERED")
    expect("of the ninth now", kind_of(ninth.register()), "REGISTERED")
    expect("devices reached", reaches(sender, first.address, first, *rest, ninth), [1, 1, 0, 1, 1, 1, 1, 1, 1])


@check("register: the epoch before, this one and the next; no others")
def _():
    one, sender = device(), device("peer")
    # Workers tell the new epoch a moment after it has begun.
    lab.wait_for(lambda: time.time() % 3600 < 3590 and one.solicit().epoch == int(time.time()) // 3600, 15, "the turn of an epoch that is about to end")
    now = one.solicit().epoch
    for epoch in now - 1, now, now + 1:
        expect(f"epoch {epoch - now}", kind_of(one.register(epoch=epoch)), "REGISTERED")
        expect("arrives", reaches(sender, one.owner.at(epoch).address, one), [1])
    expect("leases", leases(), 3)
    for epoch in now - 2, now + 2, 0, 0xFFFFFFFF:
        answer = one.register(epoch=epoch)
        expect(f"epoch {epoch - now}", (kind_of(answer), answer.detail), (refused(EPOCH), now))
    for epoch in now - 1, now, now + 1:
        one.registered = epoch
        one.withdraw()
    expect("leases", leases(), 0)


@check("register: a reason for each refusal")
def _():
    one, other = device(), native_keys.Owner()
    epoch = one.solicit().epoch
    mine, theirs = one.owner.at(epoch), other.at(epoch)
    expect("another's address", kind_of(one.register(address=theirs.address)), refused(NOT_THE_KEY))
    expect("another's address and key", kind_of(one.register(address=theirs.address, key=theirs.public)), refused(SIGNATURE))
    expect("no signature", kind_of(one.register(signature=bytes(64))), refused(SIGNATURE))
    chosen = os.urandom(16) + mine.address[16:]  # whoever looks up, looks up all of it
    expect("half an address of one's own", kind_of(one.register(address=chosen)), "REGISTERED")
    expect("which is not the address", reaches(one, mine.address, one), [0])
    expect("its withdrawal", kind_of(one.withdraw(address=chosen)), "REGISTERED")
    for what, bad in (("kind 3", {"admission_kind": 3}), ("a solution without its kind", {"admission": bytes(8)}),
                      ("kind 1 without a solution", {"admission_kind": 1}), ("zeros that are none", {"zero": b"\1\0\0"})):
        expect(what, kind_of(one.register(**bad)), refused(MALFORMED))
    # The order of cookies: a later one has registered the device meanwhile.
    number, early = transaction(), later(one)
    expect("with the later cookie", kind_of(one.register(fresh=False)), "REGISTERED")
    one.send_raw(one.register_message(number, epoch, 600, cookie=early))
    expect("with the earlier one", kind_of(one.receive(lambda m: m.get("transaction") == number)), refused(OLDER))


@check("register: unknown versions, unknown types, and what is too short")
def _():
    one = device()
    one.solicit()
    for version in 0, 2, 255:
        answer = one.exchange(lambda number: build(SOLICIT, number, version=version))
        expect(f"version {version}", (kind_of(answer), answer.version, answer.lowest, answer.highest), ("UNSUPPORTED", 1, 1, 1))
    silent = [bytes([CONTROL, 2, SOLICIT, 0]) + transaction() + bytes(27)]
    silent += [build(SOLICIT)[:size] for size in (1, 3, 4, 11, 12, 39)]
    silent += [build(SOLICIT) + b"\0", build(SOLICIT, zero=b"\1" + bytes(27))]
    silent += [bytes([CONTROL, 1, kind, 0]) + transaction() + bytes(60) for kind in (0, CHALLENGE, REGISTERED, REFUSED, ALIVE, INVITE, OPENED, CLOSED, 17, 255)]
    silent += [bytes([CONTROL, 1, SOLICIT, 1]) + transaction() + bytes(28), build(SOLICIT) + bytes(1300)]
    silent += [bytes([BY_ADDRESS, 1, 8, 0]) + bytes(43), bytes([BY_ADDRESS, 2, 8, 0]) + bytes(44), bytes([6, 0]), bytes([6, 1]) + bytes(40)]
    for raw in silent:
        one.send_raw(raw)
    settle(one)
    expect("answers", [str(m) for m in one.inbox], [])


@check("register: more at once than new-leases says are asked to come later")
def _():
    old, answers = registered(), []

    def newcomers(wanted):
        answers.extend(device().register() for _ in range(4))
        return wanted in map(kind_of, answers[-4:])
    configure(new_leases=2)
    try:
        lab.wait_for(lambda: newcomers(refused(BUSY)), 5, "a refusal")
        expect("worth trying after ms", [a.detail for a in answers if kind_of(a) == refused(BUSY) and not 0 < a.detail <= 10000], [])
    finally:
        configure(new_leases=20000)
    expect("renewal", kind_of(old.register()), "REGISTERED")
    lab.wait_for(lambda: answers.clear() or newcomers("REGISTERED"), 5, "room again")


@check("register: switched off, nothing answers and nothing is delivered; switched on, everybody comes back")
def _():
    one, sender = registered("peer"), device()
    sender.solicit()
    configure(enabled="no")
    try:
        def silent():
            sender.inbox.clear()
            for raw in build(SOLICIT), by_address(sender.cookie, one.address, b"x" * 40), sender.register_message(transaction(), sender.epoch, 60):
                sender.send_raw(raw)
            lab.client(user=None).binding()
            return sender.receive(seconds=0) is None
        lab.wait_for(silent, 5, "silence")
        one.receive(lambda m: False, 0)
        one.inbox.clear()
        assert silent(), "answered"
        expect("at the receiver", one.receive(seconds=0), None)
        expect("served", (registration()["enabled"], registration()["served"]), (False, False))
    finally:
        configure(enabled="yes")
    expect("renewal", kind_of(one.register()), "REGISTERED")
    expect("arrives", reaches(sender, one.address, one), [1])


@check("register: kill -9 of the control plane takes no lease and no packet; a new one knows them all")
def _():
    one, sender = registered("peer"), device()
    lab.shell("lab_controlplane_stop KILL")
    for _ in range(20):
        expect("arrives", reaches(sender, one.address, one), [1])
    expect("KEEPALIVE", kind_of(one.keepalive()), "ALIVE")
    newcomer = device()
    try:
        newcomer.solicit()
        number = transaction()
        newcomer.exchange(lambda number: newcomer.register_message(number, newcomer.epoch, 60), seconds=0.6)
        raise AssertionError("registered without a control plane")
    except Silence:
        pass
    lab.shell("lab_controlplane_start")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the control plane")
    expect("leases", leases(), 1)
    expect("arrives", reaches(sender, one.address, one), [1])
    key = one.lease.relay_key
    expect("renewal", kind_of(one.register()), "REGISTERED")
    expect("the relay's key", one.lease.relay_key, key)
    expect("newcomer", kind_of(newcomer.register()), "REGISTERED")
    expect("leases", leases(), 2)


@check("register: a dataplane that starts again knows nobody: CHALLENGE, and the client comes back")
def _():
    one, sender = registered("peer"), device()
    sender.solicit()
    cookie = sender.cookie
    lab.shell("lab_controlplane_stop TERM; lab_stop dataplane TERM; lab_dataplane_start; lab_controlplane_start")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the relay")
    expect("leases", leases(), 0)
    sender.send_to(one.address, b"to nobody")
    answer = lab.wait_for(lambda: sender.receive(lambda m: m.kind == CHALLENGE, 0.5) or sender.send_to(one.address, b"to nobody"),
                          10, "an answer")
    expect("old cookie", (kind_of(answer), answer.transaction), ("CHALLENGE", cookie[4:]))
    expect("KEEPALIVE with the old cookie, then a good one", kind_of(one.keepalive()), "ALIVE")
    expect("REGISTER with the old cookie, then a good one", kind_of(one.register(fresh=False)), "REGISTERED")
    expect("arrives", reaches(sender, one.address, one), [1])


@check("register: draining refuses newcomers and lets the others go on")
def _():
    one = registered()
    expect("relayctl drain", lab.relayctl("drain").returncode, 0)
    expect("newcomer", kind_of(device().register()), refused(DRAINING))
    expect("renewal", kind_of(one.register()), "REGISTERED")
    expect("withdrawal", kind_of(one.withdraw()), "REGISTERED")
    expect("relayctl undrain", lab.relayctl("undrain").returncode, 0)
    expect("newcomer", kind_of(device().register()), "REGISTERED")


lab.run_checks()
