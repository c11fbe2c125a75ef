#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, section "Registration, mesh, services", rows "address hijack", "replay" and "enumeration", and of section "Relay"
row "reflection": nobody but who has the epoch's key registers an address, nothing that was once said has an effect
when it is said again, whoever lies about its source gets no more than it sends to the victim, and who does not know
an address learns nothing about it.

    attacker (raw frames with any source, on either side) == forged, replayed, cut, spoofed ==> relay <== owner and peer
"""
# sanitizers
import os
import random

import lab
import native_keys
from lab import check, expect
from native import *  # noqa: F403
from native_lab import *  # noqa: F403
from spoof import Arrivals, Spoofer

lab.enter(registration_lines="lease = 600", guard_lines="punts = 100000\npunts-total = 200000\nreply-bytes = 100000000")
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")
FORGED = 10_000
ORDER = 2 ** 252 + 27742317777372353535851937790883648493
# Points of small order, and encodings of them that are not canonical.
SMALL = [bytes(32), b"\1" + bytes(31), bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
         bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
         b"\xec" + b"\xff" * 30 + b"\x7f", b"\xed" + b"\xff" * 30 + b"\x7f", b"\xee" + b"\xff" * 30 + b"\x7f"]
EFFECTS = ("leases_made", "leases_changed", "leases_removed", "handles_installed", "handles_closed", "paths_moved")


def effects():
    """What has changed a lease or a handle since the start, and how many live."""
    events = counted()
    return {**{name: events.get(name, 0) for name in EFFECTS}, "leases": leases(), "handles": handles()}


# ---- address hijack ----

def forgeries(attacker, victim, captured, dice):
    """Endless REGISTERs for the victim's address by who knows everything but the key: the attacker's cookie is good."""
    epoch, theirs, own = victim.registered, victim.key, attacker.owner.at(victim.registered)
    own_device = victim.devices[epoch]
    told = {"epoch": epoch, "lifetime": 600, "cookie": attacker.cookie, "address": theirs.address}

    def device():
        return dice.choice((own_device, dice.randbytes(8)))
    while True:
        number = transaction()
        yield build(REGISTER, number, **told, device=device(), key=own.public, signer=own)  # its own key
        yield build(REGISTER, number, **told, device=device(), key=theirs.public, signer=own)  # it has seen the key
        yield build(REGISTER, number, **told, device=device(), key=theirs.public, signature=captured[-64:])
        yield build(REGISTER, number, **told, device=device(), key=theirs.public, signature=dice.randbytes(64))
        yield build(REGISTER, number, **{**told, "lifetime": 0}, device=own_device, key=theirs.public, signer=own)  # withdraws
        yield build(REGISTER, number, **{**told, "epoch": epoch + 1}, device=device(), key=theirs.public, signer=own)
        # The owner's message with another cookie, and with one bit turned.
        yield captured[:4] + number + attacker.cookie + captured[24:]
        turned = bytearray(captured[:4] + number + attacker.cookie + captured[24:])
        turned[dice.randrange(24, len(turned))] ^= 1 << dice.randrange(8)
        yield bytes(turned)
        # Other encodings of the signature, and keys under which anything may be a signature.
        scalar = int.from_bytes(captured[-32:], "little") + ORDER
        yield captured[:4] + number + attacker.cookie + captured[24:-32] + scalar.to_bytes(32, "little")
        small = dice.choice(SMALL)
        yield build(REGISTER, number, **told, device=device(), key=small, signature=small + bytes(32))
        half = native_keys.blake3(small)[:16]
        yield build(REGISTER, number, **{**told, "address": theirs.address[:16] + half}, device=device(), key=small,
                    signature=small + bytes(32))


@check(f"address hijack: {FORGED} forged registrations for another's address give none")
def _():
    victim, attacker, sender = registered(), device("peer"), device()
    captured = victim.sent[-1]
    attacker.solicit()
    before = effects()
    messages = forgeries(attacker, victim, captured, random.Random(11))
    answers, waiting, sent = {}, 0, 0
    while sent < FORGED or waiting:
        while sent < FORGED and waiting < 32:
            attacker.sock.sendto(next(messages), attacker.server)
            sent, waiting = sent + 1, waiting + 1
            if sent % 2000 == 0:
                expect("at the owner alone", reaches(sender, victim.address, victim, attacker), [1, 0])
        answer = attacker.receive(lambda m: m.kind is not None, 3)
        assert answer, f"{waiting} of {sent} were not answered"
        waiting -= 1
        answers[kind_of(answer)] = answers.get(kind_of(answer), 0) + 1
    print("        " + ", ".join(f"{count} times {what}" for what, count in sorted(answers.items(), key=str)))
    expect("answers but refusals", [what for what in answers if what[0] != "REFUSED"], [])
    expect("refusals of key and signature", [what in answers for what in (refused(NOT_THE_KEY), refused(SIGNATURE))], [True, True])
    expect("leases and handles", effects(), before)
    expect("at the owner alone", reaches(sender, victim.address, victim, attacker), [1, 0])


# ---- replay ----

class Recorded:
    """A life with every kind of message in it: two clients, a call, a move of one; both leases and the call still live,
    and another lease was withdrawn. messages: (source, datagram) as an attacker on the way has seen them."""

    def __init__(self):
        self.one, self.other, self.gone = registered(), registered("peer"), registered()
        self.one.register()
        self.gone.withdraw()
        self.ours, self.theirs, _ = call(self.one, self.other)
        self.one.keepalive(self.ours)
        self.one.send_to(self.other.address, b"data by address")
        assert arrived(self.other, b"data by address")
        self.before_move = self.one
        moved = device("client", lab.CLIENT4B, owner=self.one.owner)
        moved.devices, moved.handles, moved.lease = self.one.devices, self.one.handles, self.one.lease
        later(moved)
        expect("REGISTER at the new place", kind_of(moved.register()), "REGISTERED")
        for here in moved, self.one, moved:  # there, back, and there again, each by a later token
            lab.wait_for(lambda h=here: h.send(self.ours, b"moves the handle" * 2) or h.receive(lambda m: m.kind == ALIVE, 0.1), 5, "the move")
        self.one, self.before_move.handles = moved, []
        self.ended = call(self.one, self.other)
        self.one.send_raw(self.ended[0].close())
        assert self.one.receive(lambda m: m.kind == CLOSED) and self.other.receive(lambda m: m.kind == CLOSED)
        for side, handle in zip((self.one, self.other), self.ended):
            side.handles.remove(handle)
        later(self.one)
        self.one.solicit()
        self.messages = [(lab.endpoint(one.sock), raw) for one in (self.before_move, self.one, self.other, self.gone) for raw in one.sent]
        kinds = {raw[2] for _, raw in self.messages if raw[0] == CONTROL}
        expect("kinds of messages", sorted(kinds), [SOLICIT, REGISTER, KEEPALIVE, PATH_RESPONSE, OPEN, ACCEPT, CLOSE])
        self.talk()

    def talk(self):
        for sender, receiver, handle in (self.one, self.other, self.ours), (self.other, self.one, self.theirs):
            payload = os.urandom(100)
            sender.send(handle, payload)
            assert arrived(receiver, payload), "the call is broken"

    def delivery(self):
        """Whom data for the three addresses reaches."""
        all_of_them = self.before_move, self.one, self.other, self.gone
        self.talk()
        return [reaches(self.other, address, *all_of_them) for address in (self.one.address, self.other.address, self.gone.address)]


def later(one):
    """Waits until cookies are of a later time."""
    early = one.solicit().cookie
    lab.wait_for(lambda: one.solicit().cookie[:4] != early[:4], 5, "a later cookie")


def replay(recorded, attackers, what, wanted, allowed=()):
    """Everything once more, in its order and then from the end to the begin, so that the oldest is said last: from its
    own source, and from the attacker's."""
    spoofers, relay = {"client": Spoofer(), "peer": Spoofer("peer", "p0", "r1")}, (lab.RELAY4, 3478)
    before = effects()
    for step in 1, -1:
        for source, raw in recorded.messages[::step]:
            for spoofer in spoofers.values():  # from either side of the relay
                spoofer.send(source, relay, raw)
            for attacker in attackers:
                attacker.sock.sendto(raw, attacker.server)
        settle(*attackers, recorded.one, recorded.other)
    after = effects()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name] and name not in allowed}
    expect(f"changed by replays {what}", changed, {})
    if wanted is not None:
        expect(f"delivery after replays {what}", recorded.delivery(), wanted)
    for one in (recorded.before_move, recorded.one, recorded.other, recorded.gone, *attackers):
        one.inbox.clear()
    print(f"        {what}: {len(recorded.messages)} messages, each from its own source on two sides and from {len(attackers)} others, to and fro")


@check("replay: every message again, from its source and from others, while all lives and after its end: no effect")
def _():
    recorded, attackers = Recorded(), [device("client", lab.CLIENT4), device("peer", lab.PEER4B)]
    for attacker in attackers:
        attacker.answers_paths = False
    wanted = recorded.delivery()
    expect("delivery", wanted, [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    # The last REGISTER of a device and the last PATH_RESPONSE from where they came from are repetitions: answered again,
    # and counted, but they change nothing.
    repetitions = "leases_changed", "paths_moved"
    replay(recorded, attackers, "while all lives", wanted, repetitions)
    lab.shell("lab_controlplane_stop KILL; lab_controlplane_start")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the control plane")
    replay(recorded, attackers, "after kill -9 of the control plane", wanted, repetitions)
    recorded.one.send_raw(recorded.ours.close())
    assert recorded.one.receive(lambda m: m.kind == CLOSED)
    recorded.one.handles.clear()
    recorded.other.handles.clear()
    later(recorded.one)
    for one in recorded.one, recorded.other:
        expect("withdrawal", kind_of(one.withdraw()), "REGISTERED")
    for one in recorded.one, recorded.other:
        recorded.messages.append((lab.endpoint(one.sock), one.sent[-1]))
    replay(recorded, attackers, "after CLOSE and withdrawal", None)
    expect("leases and handles", (leases(), handles()), (0, 0))
    lab.shell("lab_controlplane_stop TERM; lab_stop dataplane TERM; lab_dataplane_start; lab_controlplane_start")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the relay")
    replay(recorded, attackers, "after a restart of the dataplane", None)
    expect("leases and handles", (leases(), handles()), (0, 0))


# ---- reflection ----

def shapes(victim_cookie, handle):
    """Everything a sender can send that has proven nothing: each type with many lengths."""
    sizes = [1, 4, 11, 12, 16, 20, 24, 28, 31, 32, 35, 36, 37, 39, 40, 41, 47, 48, 49, 60, 88, 172, 180, 208, 240, 348, 700, 1232, 1233, 1400]
    for size in sizes:
        for version in 1, 2:
            for kind in range(0, 18):
                if version == 2 and kind not in (SOLICIT, REGISTER):
                    continue
                raw = bytes([CONTROL, version, kind, 0]) + transaction() + bytes(1388)
                yield raw[:size]
                if size > 24:  # with a cookie that is another's
                    yield (raw[:12] + victim_cookie + raw[24:])[:size]
        yield (bytes([BY_ADDRESS, 1, 8, 0]) + victim_cookie + bytes(1384))[:size]
        yield (handle + bytes(1392))[:size]
        yield (bytes([6, 0, 0, 1, 0, 0, 0, 9]) + bytes(1392))[:size]
        yield (build(KEEPALIVE, handle=handle) + bytes(1352))[:size]


@check("reflection: before proof, nobody is sent more IP bytes than were sent in his name, whatever the message")
def _():
    one, other, liar = registered(), registered("peer"), device("peer", lab.PEER4B)
    ours, theirs, _ = call(one, other)
    liar.solicit()  # with a good cookie, which is its own and good for nobody else
    for address, relay, side in (lab.CLIENT4B, lab.RELAY4, "client"), (lab.CLIENT6B, lab.RELAY6, "client"), (lab.CLIENT4B, lab.RELAY4, "peer"):
        wires = ("client", "c0", "r0"), ("peer", "p0", "r1")
        spoofer = Spoofer(*wires[side == "peer"])
        arrivals = [Arrivals(*wire[:2]) for wire in wires]
        canary = device("client", lab.CLIENT6 if ":" in address else lab.CLIENT4)
        headers, asked, answered, worst = 48 if ":" in address else 28, 0, 0, {}
        for raw in shapes(liar.cookie, ours.raw):
            spoofer.send((address, 7777), (relay, 3478), raw)
            settle(liar, canary)
            replies = [reply for one in arrivals for reply in one.take(address)]
            asked, answered, octets = asked + 1, answered + bool(replies), sum(reply["ip_length"] for reply in replies)
            assert octets <= headers + len(raw), f"{raw[:16].hex()}... of {headers + len(raw)} bytes: {[r['ip_length'] for r in replies]}"
            for reply in replies:
                name = NAMES.get(reply["data"][2], "data")
                worst[name] = max(worst.get(name, 0), octets / (headers + len(raw)))
        print(f"        {side} to {relay}: {asked} messages, {answered} answered; at most, in sizes of what was sent: "
              + ", ".join(f"{name} {ratio:.2f}" for name, ratio in sorted(worst.items())))
        expect("answers", sorted(worst), ["CHALLENGE", "PATH_CHALLENGE", "UNSUPPORTED"])


# ---- enumeration ----

@check("enumeration: who does not know an address cannot tell whether it, or a part of it, is registered")
def _():
    target, stranger, caller = registered("peer"), device(), registered()
    stranger.solicit()
    nobody = os.urandom(32)
    near = [target.address[:-1] + bytes([target.address[-1] ^ 1]), target.address[:16] + os.urandom(16), os.urandom(16) + target.address[16:]]
    # Data by address: silence whether it arrives or not.
    for address in nobody, target.address, *near:
        stranger.send_to(address, b"anybody there?")
    settle(stranger, target)
    expect("answers", [str(m) for m in stranger.inbox], [])
    expect("at the target", take(target, b"anybody there?"), 1)
    # REGISTER for it with a key of one's own: the same refusal. Without a lease, OPEN tells nothing either.
    for address in nobody, target.address, *near:
        expect("REGISTER", kind_of(stranger.register(address=address)), refused(NOT_THE_KEY))
        stranger.begin_open(address)
        expect("OPEN without a lease", kind_of(stranger.finish_open()), refused(NOT_REGISTERED))
    # With one, it tells about the whole address, which takes namespace and key to compute; about no part of it.
    for address in nobody, *near:
        caller.begin_open(address)
        expect("OPEN to nobody", kind_of(caller.finish_open()), refused(NO_ADDRESS))
    expect("at the target", [str(m) for m in target.inbox], [])
    caller.begin_open(target.address)
    expect("INVITE", target.invited().callee, target.address)


lab.run_checks()
