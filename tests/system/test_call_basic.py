#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# light
"""Two people on two hosts call each other with relaycall, with speech from files into files: directly, through the
relay only, one call after the other, and with every way to end. What is heard is what was said; what goes wrong is
said, with its exit code.

    alice (client) 11.0.0.2 == 11.0.0.1 relay 11.0.1.1 == 11.0.1.2 bob (peer)

The relay's host also routes between the two, so a direct path exists.
"""
import os
import signal
import time

import calls
import lab

lab.enter()
calls.begin()
LINE = "The quick brown fox jumps over the lazy dog, and nobody else hears it."


def talked(call, other):
    """Both records of one call that went well: who they were, that all was heard, that nothing was lost."""
    for record, direction in ((call, "outgoing"), (other, "incoming")):
        lab.expect("direction", record["direction"], direction)
        # On a busy machine a frame may come late.
        gone = record["voice"]["lost"] + record["voice"]["late"]
        assert gone <= 5, f"{gone} frames lost or late of {record['voice']['received']}"
        lab.expect("envelopes rejected", record["rejected"], 0)
        times = record["ms"]
        assert times["called"] <= times["ringing"] <= times["answered"] <= times["ended"], times
    for a, b in ((call, other), (other, call)):
        missing = a["voice"]["sent"] - b["voice"]["received"]
        assert 0 <= missing <= 10, f"{a['voice']['sent']} sent, {b['voice']['received']} received"


@lab.check("a direct call: both hear what the other says, nothing is lost, no voice passes the relay")
def direct():
    said, heard = calls.speech("alice", LINE), calls.speech("bob", "Yes, very well. " + LINE)
    bob = calls.answer("bob", "--once", "--in", heard, "--out", calls.path("bob-out.wav"))
    alice = calls.call("alice", "bob", "--in", said, "--out", calls.path("alice-out.wav"), "--hangup-at-end", "-v")
    lab.expect("alice's exit", alice.wait(40), 0)
    lab.expect("bob's exit", bob.wait(10), 0)
    talked(alice.record(), bob.record())
    lab.expect("why it ended", (alice.record()["ended"], bob.record()["ended"]), ("by_self", "by_peer"))
    for one in (alice, bob):
        record = one.record()
        lab.expect("first path", record["changes"][0]["now"], ["direct"])
        lab.expect("voice on the relay", record["ms"]["heard_relay"], None)
        assert record["ms"]["heard_direct"] - record["ms"]["answered"] < 500, record["ms"]
    ours = (lab.CLIENT4, lab.CLIENT4B, lab.CLIENT6, lab.CLIENT6B)
    used = [p["local"].rsplit(":", 1)[0].strip("[]") for p in alice.record()["paths"] if p["path"] == "direct" and p["sent"]]
    assert used and all(address in ours for address in used), used
    calls.same_sound(said, calls.path("bob-out.wav"))
    calls.same_sound(heard, calls.path("alice-out.wav"), part=True)


@lab.check("--relay-only: all voice through the relay, at once, and nothing sent to the peer's addresses")
def relay_only():
    said = calls.speech("alice", LINE)
    wire = lab.Frames("peer", "p0")
    bob = calls.answer("bob", "--once", "--in", "tone", "--out", calls.path("bob-out.wav"))
    alice = calls.call("alice", "bob", "--relay-only", "--in", said, "--out", "none", "--hangup-at-end")
    lab.expect("alice's exit", alice.wait(40), 0)
    lab.expect("bob's exit", bob.wait(10), 0)
    talked(alice.record(), bob.record())
    for one in (alice, bob):
        lab.expect("paths", [p["path"] for p in one.record()["paths"] if p["sent"] + p["received"]], ["relay"])
        lab.expect("voice on a direct path", one.record()["ms"]["heard_direct"], None)
        waited = one.record()["changes"][0]["at"] - one.record()["ms"]["answered"]
        assert waited < 500, f"the relay after {waited} ms, and nothing to wait for"
    calls.same_sound(said, calls.path("bob-out.wav"))
    ours = {lab.CLIENT4, lab.CLIENT4B, lab.CLIENT6, lab.CLIENT6B}
    seen = wire.next(lambda p: p["source"] in ours or p["destination"] in ours, seconds=0.2)
    wire.close()
    lab.expect("packets between the two hosts", seen, None)


@lab.check("no direct path: the relay after 800 ms; one that opens during the call is taken without loss")
def relay_first():
    calls.route(False)
    bob = calls.answer("bob", "--once", "--in", "speech", "--out", "none")
    alice = calls.call("alice", "bob", "--in", "speech", "--out", "none")
    lab.expect("first path", (alice.event("path")["why"], alice.event("path")["now"]), ("engaged", "relay"))
    calls.route(True)
    lab.expect("second path", (alice.event("path", 2)["why"], alice.event("path", 2)["now"]), ("better", "direct"))
    bob.event("path", 2)
    alice.event("status", len([e for e in alice.events if e["event"] == "status"]) + 1)
    alice.interrupt()
    lab.expect("exits", (alice.wait(5), bob.wait(5)), (0, 0))
    talked(alice.record(), bob.record())
    for one in (alice.record(), bob.record()):
        waited = one["changes"][0]["at"] - one["ms"]["answered"]
        assert 795 <= waited < 1000, f"the relay after {waited} ms"


@lab.check("Ctrl-C hangs up at both sides, whoever presses it, and what was heard is a whole file")
def interrupted():
    for who in ("alice", "bob"):
        bob = calls.answer("bob", "--once", "--in", "tone", "--out", calls.path("bob-out.wav"))
        alice = calls.call("alice", "bob", "--in", "tone", "--out", calls.path("alice-out.wav"))
        alice.event("status")
        bob.event("status")
        first, second = (alice, bob) if who == "alice" else (bob, alice)
        first.interrupt()
        lab.expect(f"exit of {who}, who hangs up", first.wait(5), 0)
        lab.expect("exit of the other", second.wait(5), 0)
        lab.expect("why", (first.record()["ended"], second.record()["ended"]), ("by_self", "by_peer"))
        for name in ("alice-out.wav", "bob-out.wav"):
            assert calls.seconds(calls.path(name)) > 0.8, f"{name} holds {calls.seconds(calls.path(name))} s"


@lab.check("a second Ctrl-C ends at once, though neither the peer nor the relay answers any more")
def impatient():
    bob = calls.answer("bob", "--in", "tone", "--out", "none")
    alice = calls.call("alice", "bob", "--in", "tone", "--out", calls.path("alice-out.wav"))
    alice.event("status")
    calls.route(False)
    os.kill(lab.pid("dataplane"), signal.SIGSTOP)
    try:
        alice.interrupt()
        alice.event("ended")
        begin = time.monotonic()
        alice.interrupt()
        lab.expect("exit", alice.wait(2), 0)
        assert time.monotonic() - begin < 1, "it has waited for somebody"
    finally:
        os.kill(lab.pid("dataplane"), signal.SIGCONT)
    assert calls.seconds(calls.path("alice-out.wav")) > 0.8
    bob.interrupt()  # gives its lease back
    lab.expect("bob's exit", bob.wait(10), 0)


@lab.check("--auto off: asked, declined, given up by the caller, and a second caller finds it busy")
def asked():
    bob = calls.answer("bob", "--in", "tone", "--out", "none", ask=True)
    alice = calls.call("alice", "bob", "--in", "tone", "--out", "none")
    bob.event("incoming")
    alice.event("ringing")
    bob.say("n")
    lab.expect("exit of a declined call", alice.wait(10), 4)
    lab.expect("words", "has declined" in alice.errors(), True)
    lab.expect("record", alice.record()["ended"], "declined")
    alice = calls.call("alice", "bob", "--in", "tone", "--out", "none")
    bob.event("incoming", 2)
    alice.event("ringing")
    alice.interrupt()
    lab.expect("exit of a call given up", alice.wait(10), 130)
    lab.expect("why it ended for bob", bob.event("ended", 2)["why"], "cancelled")
    alice = calls.call("alice", "bob", "--in", "tone", "--out", "none")
    bob.event("incoming", 3)
    bob.say("yes")
    alice.event("answered")
    carol = calls.call("carol", "bob", "--in", "tone", "--out", "none")
    lab.expect("exit of a call to somebody who talks", carol.wait(10), 4)
    bob.event("busy")
    lab.expect("the call goes on", alice.event("status")["event"], "status")
    bob.interrupt()
    lab.expect("bob's exit", bob.wait(5), 0)
    lab.expect("alice's exit", alice.wait(5), 0)


@lab.check("two calls in a row, each with its own file and line of statistics, beside `listen` of the same person")
def twice():
    listen = calls.Run("bob", "listen")
    listen.event("registered")
    bob = calls.answer("bob", "--in", "tone", "--out", calls.path("row.wav"))
    for _ in range(2):
        alice = calls.call("alice", "bob", "--in", "tone", "--out", "none", "--duration", "1")
        lab.expect("alice's exit", alice.wait(20), 0)
    bob.event("ended", 2)
    sent = calls.Run("alice", "send", calls.CARDS["bob"], "--text", "hello")
    lab.expect("a line meanwhile", sent.wait(20), 0)
    lab.expect("heard by listen", listen.event("text")["text"], "hello")
    for one in (bob, listen):
        one.interrupt()
        lab.expect("exit", one.wait(5), 0)
    lab.expect("records", [r["ended"] for r in bob.records()], ["by_peer", "by_peer"])
    for name in ("row.wav", "row-2.wav"):
        assert calls.seconds(calls.path(name)) > 0.8, name


@lab.check("nobody there, no relay there, no device: said, with its code")
def absent():
    alice = calls.call("alice", "bob", "--in", "tone", "--out", "none")
    lab.expect("exit", alice.wait(20), 4)
    assert "is not registered at its relay" in alice.errors(), alice.errors()
    lab.expect("record", (alice.record()["ended"], alice.record()["ms"]["answered"]), ("absent", None))
    nowhere = calls.call("alice", "nowhere", "--in", "tone", "--out", "none", "--timeout", "5")
    silent = calls.Run("alice", "call", calls.CARDS["bob"])
    lab.expect("exit without a device", silent.wait(10), 1)
    assert "--in FILE" in silent.errors(), silent.errors()
    lab.expect("exit without a relay", nowhere.wait(20), 3)
    assert "no relay of the contact answers" in nowhere.errors(), nowhere.errors()
    lab.expect("record", nowhere.record()["ended"], "relay_silent")


lab.run_checks()
