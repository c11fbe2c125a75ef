#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Registrations of one client in two epochs have nothing in common: no four bytes, apart from what is the same for all
clients and from where they come from. Shown on what passes the wire, for relaycall and for the client written for these
tests; epochs of two seconds here.

    relaycall listen (peer) == REGISTER in each epoch ==> relay <== REGISTER in each epoch == native.py (client)
                     each captured where it leaves
"""
# light
import os
import pathlib
import subprocess

import lab
from lab import expect
from native import *  # noqa: F403
from native_lab import *  # noqa: F403
from spoof import Outgoing

EPOCH, EPOCHS = 2, 4
lab.enter(registration_lines=f"epoch = {EPOCH}")
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")
# Bytes of a REGISTER that are the same for everybody: header; lifetime and epoch; admission.
SAME = (0, 4), (24, 32), (104, 108)


def windows(raw):
    """The places of all four bytes in a row that are the client's own."""
    return {raw[at:at + 4]: at for at in range(len(raw) - 3) if not any(first < at + 4 and at < last for first, last in SAME)}


def shared(one, other):
    mine, theirs = windows(one), windows(other)
    return [(four.hex(), mine[four], theirs[four]) for four in mine if four in theirs]


def compare(what, messages):
    """messages: REGISTERs as captured. Each pair of different epochs."""
    epochs, pairs, found = {}, 0, []
    for raw in messages:
        epochs.setdefault(int.from_bytes(raw[28:32], "big"), []).append(raw)
    for first in epochs:
        for second in epochs:
            if first < second:
                for one in epochs[first]:
                    for other in epochs[second]:
                        pairs, found = pairs + 1, found + shared(one, other)
    print(f"{what}: {len(messages)} registrations in {len(epochs)} epochs, {pairs} pairs compared, {len(found)} strings in common")
    assert len(epochs) >= EPOCHS, f"{what}: {len(epochs)} epochs"
    expect(f"{what}: in common", found[:10], [])


def registrations(capture, known):
    known += [raw for raw in capture.take() if raw[0] == CONTROL and raw[2] == REGISTER]
    return len({raw[28:32] for raw in known})


# The comparison is able to see what it looks for.
again = device("client", lab.CLIENT4B)
epoch = again.solicit().epoch
one, other = (again.register_message(transaction(), epoch + n, 600, cookie=os.urandom(12), device=b"the same") for n in (0, 1))
expect("the same device in two epochs", {at for _, at, _ in shared(one, other)} >= {32, 36}, True)

captures = {"native.py": (Outgoing("client", "c0", lab.CLIENT4), []), "relaycall": (Outgoing("peer", "p0", lab.PEER4), [])}
identity = pathlib.Path(lab.LAB_DIR, "listener.id")
relaycall = [os.environ["LAB_BIN"] + "/relaycall", "--identity", str(identity)]
done = lab.run_in("peer", *relaycall, "id", "--relay", lab.RELAY4)
expect(f"relaycall id ({done.stderr})", done.returncode, 0)
listener = subprocess.Popen(["ip", "netns", "exec", lab.NS_PEER, *relaycall, "listen", "--epoch", str(EPOCH)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
try:
    client, done = device("client", lab.CLIENT4), set()

    def enough():
        now = client.solicit().epoch
        for wanted in {now, now + 1} - done:
            if kind_of(client.register(epoch=wanted)) == "REGISTERED":
                done.add(wanted)
        return min([registrations(*one) for one in captures.values()]) >= EPOCHS
    lab.wait_for(enough, 15 * EPOCH, f"registrations in {EPOCHS} epochs")
finally:
    listener.terminate()
    print(listener.communicate()[0])
for what, (_, messages) in captures.items():
    compare(what, messages)
