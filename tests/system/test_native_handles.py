#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Handles of the native protocol: two registered clients agree, and then talk with eight bytes of header. What each side
is told, whom data reaches, who may move or close a handle, and who may not.

    caller == OPEN, INVITE, ACCEPT, OPENED ==> relay <== callee       r0 and r1 have a worker each
    stranger == data with a handle that is not its own ==> relay
"""
# sanitizers
# light
import os

import lab
import native
from lab import check, expect
from native import *  # noqa: F403
from native_lab import *  # noqa: F403

lab.enter(workers=2, registration_lines="leases = 128\nhandles = 256\nkeepalive = 10")
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")


def talk(one, other, ours, theirs, rounds=3):
    """Data goes both ways, each to the other's handle."""
    for _ in range(rounds):
        for sender, receiver, handle, expected in (one, other, ours, theirs), (other, one, theirs, ours):
            payload = os.urandom(160)
            sender.send(handle, payload)
            got = arrived(receiver, payload)
            expect("arrived with the receiver's handle", got and got.handle, expected.raw)


def pair(where_caller="client", where_callee="peer", **how):
    one, other = registered(where_caller, **how), registered(where_callee)
    ours, theirs, _ = call(one, other)
    return one, other, ours, theirs


def end(one, handle):
    """CLOSE, and the CLOSED that answers it."""
    number = transaction()
    answer = one.exchange(lambda _: handle.close(number), number=number)
    expect("CLOSE", (kind_of(answer), answer.reason, handle.closed(answer)), ("CLOSED", BY_YOU, True))
    one.handles.remove(handle)


@check("handles: opened, talked through, closed; between IPv4 and IPv6, on one worker and across two")
def _():
    places = ("client", lab.CLIENT4), ("client", lab.CLIENT6), ("peer", lab.PEER4), ("peer", lab.PEER6)
    for caller in places:
        for callee in places:
            one, other = registered(*caller), registered(*callee)
            one.begin_open(other.address, b"sealed for the callee")
            invite = other.invited()
            expect("what the callee sees", (invite.sealed, invite.callee, one.address in invite.raw), (b"sealed for the callee", other.address, False))
            theirs = other.accept(invite, b"sealed for the caller")
            ours = one.finish_open()
            assert isinstance(ours, Handle) and isinstance(theirs, Handle), f"{caller} to {callee}: {ours}, {theirs}"
            expect("what the caller sees", ours.sealed, b"sealed for the caller")
            expect("keepalive", (ours.keepalive, theirs.keepalive), (10, 10))
            expect("of one pair", (ours.raw[:4], ours.raw[7] ^ theirs.raw[7]), (theirs.raw[:4], 1))
            expect("handles", handles(), 2)
            talk(one, other, ours, theirs)
            end(one, ours)
            told = other.receive(lambda m: m.kind == CLOSED)
            expect("the other is told", (kind_of(told), told.reason, theirs.closed(told)), ("CLOSED", BY_PEER, True))
            expect("handles", handles(), 0)
            one.send(ours, b"after the end")
            other.send(theirs, b"after the end")
            settle(one, other)
            again, back, _ = call(one, other)
            talk(one, other, again, back, 1)
            expect("after the end", (take(one, b"after the end"), take(other, b"after the end")), (0, 0))
            end(other, back)
            expect("the caller is told", one.receive(lambda m: m.kind == CLOSED).reason, BY_PEER)
            release()


@check("handles: sizes from nothing to all that fits")
def _():
    one, other, ours, theirs = pair()
    for size in 0, 1, 7, 23, 24, 31, 1232, 1464:
        payload = os.urandom(size)
        one.send(ours, payload)
        assert arrived(other, payload), f"{size} bytes did not arrive"
    sealed, answer = os.urandom(884), os.urandom(884)
    end(one, ours)
    ours, theirs, invite = call(one, other, sealed, answer)
    expect("sealed", (invite.sealed, ours.sealed), (sealed, answer))


@check("handles: a client that moved proves itself, and data flows after one round trip; the key alone moves it")
def _():
    one, other, ours, theirs = pair()
    earlier, last = [], None  # responses that moved it once; the time of the last token
    for address in lab.CLIENT4B, lab.CLIENT6, lab.CLIENT4:
        moved = device("client", address)
        moved.handles, moved.lease = [ours], one.lease
        moved.answers_paths = False

        def later_challenge():
            moved.send(ours, b"lost" * 8)
            challenge = moved.receive(lambda m: m.kind == PATH_CHALLENGE)
            return challenge if challenge.token[:4] != last else None
        challenge = lab.wait_for(later_challenge, 5, "a later token")
        last = challenge.token[:4]
        expect("challenged handle", challenge.handle, ours.raw)
        # Not proven yet: data still goes to the old place only.
        other.send(theirs, b"to the old place")
        assert arrived(one, b"to the old place"), "not at the old place before the proof"
        settle(moved)
        expect("at the new place before the proof", take(moved, b"to the old place"), 0)
        wrong = Handle(Message(handle=ours.raw, lifetime=0, keepalive=0, sealed=b""), os.urandom(16))
        moved.send_raw(wrong.path_response(challenge))
        settle(moved)
        expect("a wrong proof", [m for m in moved.inbox if m.kind == ALIVE], [])
        moved.send_raw(ours.path_response(challenge))
        alive = moved.receive(lambda m: m.kind == ALIVE)
        expect("seen from", (observed(alive), alive.left > 0), (lab.endpoint(moved.sock), True))
        talk(moved, other, ours, theirs)
        other.send(theirs, b"to the new place")
        assert arrived(moved, b"to the new place"), "not at the new place after the proof"
        settle(one)
        expect("at the old place after the proof", take(one, b"to the new place"), 0)
        # A token is for one place, and once a newer one has moved the handle it is for none.
        one.send_raw(ours.path_response(challenge))
        for place, response in earlier:
            place.send_raw(response)
            settle(place)
        settle(one, other)
        talk(moved, other, ours, theirs, 1)
        earlier.append((moved, ours.path_response(challenge)))
        one = moved


@check("handles: KEEPALIVE from elsewhere asks for a path check too, and a lost challenge is made again")
def _():
    one, other, ours, theirs = pair()
    moved = device("client", lab.CLIENT4B)
    moved.handles, moved.answers_paths = [ours], False
    for _ in range(2):
        answer = moved.exchange(lambda number: build(KEEPALIVE, number, cookie=bytes(12), handle=ours.raw))
        expect("KEEPALIVE from elsewhere", (kind_of(answer), answer.handle), ("PATH_CHALLENGE", ours.raw))
    moved.answer_path(answer)
    expect("then", kind_of(moved.receive(lambda m: m.kind == ALIVE)), "ALIVE")
    talk(moved, other, ours, theirs)


@check("handles: KEEPALIVE tells how long it lives, and that it lives no more")
def _():
    one, other, ours, theirs = pair()
    expect("lifetime", ours.lifetime, 30)
    expect("left", one.keepalive(ours).left, {29, 30, 31})
    end(other, theirs)
    expect("left", one.keepalive(ours).left, 0)


@check("handles: nobody but its two holders sends, moves or closes: data, CLOSE, PATH_RESPONSE from other namespaces")
def _():
    one, other, ours, theirs = pair()
    other_one, other_other, their_ours, their_theirs = pair()
    strangers = [registered("client", lab.CLIENT4B), registered("peer", lab.PEER6B), one, other_other]
    foreign = their_ours.raw, their_theirs.raw
    for stranger in strangers:
        for handle in ours, theirs, their_ours, their_theirs:
            if (stranger is one and handle is ours) or (stranger is other_other and handle is their_theirs):
                continue
            payload = os.urandom(64)
            stranger.answers_paths = False
            stranger.send(handle, payload)
            false_one = Handle(Message(handle=handle.raw, lifetime=0, keepalive=0, sealed=b""), os.urandom(16))
            stranger.send_raw(false_one.close())
            stranger.send_raw(false_one.path_response(Message(token=os.urandom(12))))
            settle(stranger)
            # What is sent the same way afterwards arrives, so the other would have.
            talk(one, other, ours, theirs, 1)
            talk(other_one, other_other, their_ours, their_theirs, 1)
            expect("arrived", [take(x, payload) for x in (one, other, other_one, other_other)], [0] * 4)
    # Every other line of the table, and other generations of a line that lives.
    for index in range(16):
        for generation in range(4):
            handle = bytes([6, 0, 0, generation]) + index.to_bytes(4, "big")
            if handle not in (ours.raw, theirs.raw, *foreign):
                strangers[0].send_raw(handle + b"guessed" * 5)
    settle(strangers[0])
    talk(one, other, ours, theirs)
    talk(other_one, other_other, their_ours, their_theirs)
    expect("arrived", [take(x, b"guessed" * 5) for x in (one, other, other_one, other_other)], [0] * 4)
    expect("handles", handles(), 4)


@check("handles: declined, taken, somebody else's ticket, not registered, no such address")
def _():
    one, other = registered(), registered("peer")
    one.begin_open(other.address, b"will you")
    invite = other.invited()
    expect("the callee hears", kind_of(other.accept(invite, decision=0)), refused(DECLINED))
    expect("the caller hears", kind_of(one.finish_open()), refused(DECLINED))
    # Two devices answer: the first has it. Its own repetition gets the same again.
    second = registered("peer", owner=other.owner)
    one.begin_open(other.address)
    invites = other.invited(), second.invited()
    expect("to both the same", invites[0].ticket, invites[1].ticket)
    theirs = other.accept(invites[0])
    again = other.accept(invites[0])
    expect("the same ACCEPT", (again.raw, again.key), (theirs.raw, theirs.key))
    expect("the second", kind_of(second.accept(invites[1])), refused(TAKEN))
    ours = one.finish_open()
    talk(one, other, ours, theirs)
    end(one, ours)
    expect("after the end", kind_of(second.accept(invites[1])), refused(TAKEN))
    expect("handles", handles(), 0)
    # A ticket is for one callee, one open id, unchanged.
    third = registered("peer")
    for what, fields in (("another callee", {"callee": third.address, "by": third}),
                         ("another open id", {"open_id": os.urandom(16)}),
                         ("another ticket", {"ticket": bytes(144)}),
                         ("a changed ticket", {"ticket": invites[0].ticket[:-1] + bytes([invites[0].ticket[-1] ^ 1])})):
        who = fields.pop("by", other)
        expect(what, kind_of(who.accept(invites[0], **fields)), refused(TICKET))
    nobody = device(owner=other.owner)
    expect("of no lease", kind_of(nobody.accept(invites[0])), refused(NOT_REGISTERED))
    for who, fields, reason in ((one, {"caller": third.address, "key": third.key.public}, NOT_REGISTERED),
                                (one, {"signature": bytes(64)}, SIGNATURE), (one, {"key": third.key.public}, NOT_THE_KEY),
                                (one, {"zero": b"\1\0\0\0"}, MALFORMED)):
        who.begin_open(other.address, **fields)
        expect(f"OPEN with {list(fields)}", kind_of(who.finish_open()), refused(reason))
    one.begin_open(os.urandom(32))
    expect("OPEN to nobody", kind_of(one.finish_open()), refused(NO_ADDRESS))


@check("handles: with all of them given, callee and caller are told, and the others go on")
def _():
    one, other = registered(), registered("peer")
    pairs = []
    while True:  # closed ones keep their place while a ticket could open them again
        one.begin_open(other.address)
        theirs = other.accept(other.invited())
        ours = one.finish_open()
        if not isinstance(ours, Handle) or len(pairs) > 128:
            break
        pairs.append((ours, theirs))
    expect(f"pair {len(pairs) + 1}", (kind_of(theirs), kind_of(ours)), (refused(FULL), refused(FULL)))
    expect("handles", handles(), 2 * len(pairs))
    for ours, theirs in pairs[0], pairs[-1]:
        talk(one, other, ours, theirs, 1)


@check("handles: with all leases given, newcomers are refused and the others go on")
def _():
    many = []
    while True:  # withdrawn ones keep their place for half a minute, so that no replay brings them back
        many.append(device())
        answer = many[-1].register()
        if answer.kind == REFUSED or len(many) > 128:
            break
    expect(f"newcomer {len(many)}", kind_of(answer), refused(FULL))
    assert answer.detail > 0, answer
    expect("leases", leases(), len(many) - 1)
    assert len(many) > 1
    expect("renewal", kind_of(many[0].register()), "REGISTERED")
    expect("arrives", reaches(many[-1], many[0].address, many[0]), [1])


lab.run_checks()
