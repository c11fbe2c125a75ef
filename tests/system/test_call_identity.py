#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# light
"""Who calls: contacts by name, strangers, somebody in a contact's place, a contact who is reached elsewhere, and a card
of somebody else under bob's roof. What is refused is refused before anybody talks.

    alice, carol (client) 11.0.0.2 == 11.0.0.1 relay 11.0.1.1 == 11.0.1.2 bob (peer)
"""
import os
import pathlib
import re
import subprocess

import calls
import lab

lab.enter()
calls.begin()
# Nobody calls these two, and they have keys of other people.
calls.PLACES["mallory"] = "client"
calls.PLACES["impostor"] = "peer"


def contacts(who, *arguments):
    done = subprocess.run([lab.LAB_BIN + "/relaycall", "-j", "--identity", calls.path(who + ".id"), "contacts", *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    return done.stdout


def seeds_of(name, identity, delivery):
    """An identity file with the identity of one and the delivery key of another."""
    files = {part: pathlib.Path(calls.path(who + ".id")).read_text() for part, who in (("identity", identity), ("delivery", delivery))}
    line = re.search("^delivery-seed = .*$", files["delivery"], re.M).group()
    text = re.sub("^delivery-seed = .*$", line, files["identity"], flags=re.M)
    file = pathlib.Path(calls.path(name + ".id"))
    file.touch(mode=0o600)
    file.write_text(re.sub("^namespace = .*$", re.search("^namespace = .*$", files["delivery"], re.M).group(), text, flags=re.M))
    run = calls.Run(name, "id")
    lab.expect(f"exit of {name}'s id", run.wait(10), 0)
    calls.CARDS[name] = run.events[0]["contact"]


def talk(caller, whom, *arguments):
    """A call of a second that ends well."""
    run = calls.Run(caller, "call", whom, "--in", "tone", "--out", "none", "--duration", "1", *arguments)
    lab.expect(f"exit of {caller}'s call", run.wait(20), 0)
    return run


@lab.check("by name, and shown by name; a stranger is shown by its fingerprint")
def by_name():
    contacts("alice", "add", "Bob", calls.CARDS["bob"])
    contacts("bob", "add", "alice", calls.CARDS["alice"])
    bob = calls.answer("bob", "--in", "tone", "--out", "none")
    alice = talk("alice", "bob")
    lab.expect("who was called", alice.record()["peer"]["name"], "Bob")
    lab.expect("who calls", (bob.event("incoming")["name"], bob.event("incoming")["known"]), ("alice", True))
    talk("carol", calls.CARDS["bob"])
    stranger = bob.event("incoming", 2)
    print = subprocess.run([lab.LAB_BIN + "/relaycall", "--identity", calls.path("carol.id"), "id", "--fingerprint"], capture_output=True, text=True).stdout
    lab.expect("who calls", (stranger["name"], stranger["known"]), ("unknown " + print[:9], False))
    bob.event("ended", 2)
    bob.interrupt()
    lab.expect("bob's exit", bob.wait(10), 0)


@lab.check("--known: a stranger is declined, and nothing rings; noted meanwhile, it is answered")
def known_only():
    bob = calls.answer("bob", "--known", "--in", "tone", "--out", "none")
    carol = calls.Run("carol", "call", calls.CARDS["bob"], "--in", "tone", "--out", "none")
    lab.expect("exit of carol's call", carol.wait(20), 4)
    contacts("bob", "add", "carol", calls.CARDS["carol"])
    talk("carol", calls.CARDS["bob"])
    lab.expect("who rang first", bob.event("incoming")["name"], "carol")
    bob.event("ended")
    contacts("bob", "remove", "carol")
    bob.interrupt()
    lab.expect("bob's exit", bob.wait(10), 0)


@lab.check("another identity where a contact is reached: refused, and said why")
def changed():
    seeds_of("mallory", "carol", "alice")
    book = contacts("bob", "list")
    bob = calls.answer("bob", "--in", "tone", "--out", "none")
    mallory = calls.Run("mallory", "call", calls.CARDS["bob"], "--in", "tone", "--out", "none")
    lab.expect("exit of mallory's call", mallory.wait(20), 4)
    talk("alice", "bob")
    lab.expect("who rang first", bob.event("incoming")["name"], "alice")
    bob.event("ended")
    bob.interrupt()
    lab.expect("bob's exit", bob.wait(10), 0)
    for words in ("a call was refused: alice is somebody else now", "relaycall contacts accept alice CARD"):
        assert words in bob.errors(), bob.errors()
    lab.expect("bob's book", contacts("bob", "list"), book)


@lab.check("a card with bob's relay and delivery key and another identity: nobody talks")
def not_bob():
    seeds_of("impostor", "nowhere", "bob")
    # With bob's relay: the other identity names one that is not there.
    relay = calls.Run("impostor", "id", "--relay", lab.RELAY4)
    lab.expect("exit of id", relay.wait(10), 0)
    bob = calls.answer("bob", "--in", "tone", "--out", "none")
    # Carol has not noted bob, so only the call itself can show it.
    carol = calls.Run("carol", "call", relay.events[0]["contact"], "--in", "tone", "--out", "none", "--timeout", "5")
    lab.expect("exit of carol's call", carol.wait(30), 4)
    lab.expect("what carol is told", carol.record()["ended"], "refused")
    alice = calls.Run("alice", "call", relay.events[0]["contact"], "--in", "tone", "--out", "none")
    lab.expect("exit of alice's call", alice.wait(10), 1)
    assert "Bob is somebody else now" in alice.errors(), alice.errors()
    bob.interrupt()
    lab.expect("bob's exit", bob.wait(10), 0)
    lab.expect("calls that rang", [e for e in bob.events if e.get("event") == "incoming"], [])


@lab.check("a contact who is reached elsewhere now: known, and noted when it has talked")
def moved():
    seeds_of("alice", "alice", "carol")
    assert calls.CARDS["alice"] not in contacts("bob", "list")
    bob = calls.answer("bob", "--in", "tone", "--out", "none")
    talk("alice", "bob")
    lab.expect("who calls", (bob.event("incoming")["name"], bob.event("incoming")["known"]), ("alice", True))
    bob.event("ended")
    bob.interrupt()
    lab.expect("bob's exit", bob.wait(10), 0)
    assert "alice has another delivery key now: noted" in bob.errors(), bob.errors()
    assert calls.CARDS["alice"] in contacts("bob", "list"), contacts("bob", "list")
    lab.expect("files beside bob's identity", sorted(name for name in os.listdir(lab.LAB_DIR) if name.startswith("bob.id")), ["bob.id", "bob.id.contacts"])


lab.run_checks()
