#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, rows "state per spoofed packet" and "limits": a million REGISTERs from as many forged sources leave nothing
behind, resident memory of both daemons stays flat, and a call goes on. Registrations whose senders do receive there
make the puzzle harder, and it is gone again when they stop.

    attacker (raw frames, sources 12.0.0.0/8) == 1,000,000 REGISTER ==> relay <== call by handle ==> two clients
"""
# limit: 180
import time

import lab
import native_keys
from lab import expect
from native import *  # noqa: F403
from native_lab import *  # noqa: F403
from spoof import Flood, Spoofer

ABOVE = 150
lab.enter(registration_lines=f"admission = pow\npuzzle-above = {ABOVE}")
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")
COUNT, BATCH = 1 << 20, 1 << 10  # of one sendmmsg()
FLAT_KIB = 4096  # 4 bytes a source: no state per source is that small, while allocators breathe by some hundred KiB


def resident(name):
    with open(f"/proc/{lab.pid(name)}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def received():
    return int(lab.run_in("relay", "cat", "/sys/class/net/r0/statistics/rx_packets").stdout)


one, other = registered(), registered("peer")
ours, theirs, _ = call(one, other)
# Answers find a way back, so that the relay does all that it would do.
lab.run_in("relay", "ip", "route", "add", "12.0.0.0/8", "via", lab.CLIENT4)
lab.run_in("client", "ip", "route", "add", "blackhole", "12.0.0.0/8")
one.keepalive(ours)

owner = native_keys.Owner()
key = owner.at(one.registered)
message = build(REGISTER, cookie=bytes(12), lifetime=600, epoch=key.epoch, device=bytes(8), address=key.address, key=key.public, signer=key)
flood = Flood(Spoofer(), (lab.RELAY4, 3478), message)


class Talk:
    """A packet each way, repeated until it arrives; what it takes slows the flood down to what the relay can take."""
    sent = lost = 0
    slowest = 0.0

    def exchange(self):
        for sender, receiver, handle in (one, other, ours), (other, one, theirs):
            payload, begin = os.urandom(100), time.monotonic()
            deadline = begin + 5
            while time.monotonic() < deadline:
                sender.send(handle, payload)
                self.sent += 1
                if arrived(receiver, payload, 0.1):
                    break
                self.lost += 1
            else:
                raise AssertionError("the call has ended")
            self.slowest = max(self.slowest, time.monotonic() - begin)


def flooded(count):
    """So many frames; those that went out."""
    out = done = 0
    while done < count:
        for first in range(0, min(flood.SOURCES, count - done), BATCH):
            out += flood.send(first, BATCH)
            talk.exchange()
        done += flood.SOURCES
        flood.next_sources()
    return out


talk = Talk()
flooded(flood.SOURCES)  # buffers that are made once are made now
names, talk = ["dataplane", "controlplane"], Talk()
before, there, begin = {name: resident(name) for name in names}, received(), time.monotonic()
out = flooded(COUNT)
seconds = time.monotonic() - begin
one.keepalive(ours)
after, there = {name: resident(name) for name in names}, received() - there
events = counted()
print(f"{out} REGISTERs of {out} forged sources in {seconds:.1f} s, {there} received by the relay's interface")
for name in names:
    print(f"{name}: resident {before[name]} KiB before, {after[name]} KiB after")
print(f"meanwhile {talk.sent} packets of the call, {talk.lost} lost and sent again, the slowest took {talk.slowest * 1000:.0f} ms")
assert there > COUNT / 2, "too few packets arrived to prove anything"
assert talk.lost <= talk.sent / 4, "the call broke"
expect("leases and handles", (leases(), handles()), (2, 2))
expect("punted", events["native_punts"], 4)
for name in names:
    assert after[name] - before[name] < FLAT_KIB, f"{name} grew by {after[name] - before[name]} KiB"


# ---- those who do receive at their source ----

def difficulty():
    return registration()["difficulty"]


expect("difficulty without load", difficulty(), 0)
places = [device("client", f"11.0.2.{n + 1}") for n in range(50)]
answers = []


def load():
    """One registration without a solution; what the relay asked of it."""
    newcomer, number = places[len(answers) % len(places)], transaction()
    newcomer.owner = native_keys.Owner()
    asked = newcomer.solicit().difficulty
    newcomer.send_raw(newcomer.register_message(number, newcomer.epoch, 600, admission_kind=0))
    answers.append(kind_of(newcomer.receive(lambda m: m.get("transaction") == number)))
    return asked


hardest, begin = 0, time.monotonic()
while time.monotonic() < begin + 1.5:  # load is counted by the second
    hardest = max(hardest, load())
    places[0].receive(lambda m: False, max(0, begin + len(answers) / (2 * ABOVE) - time.monotonic()))  # twice what is free
print(f"{len(answers)} registrations in {time.monotonic() - begin:.1f} s: {answers.count('REGISTERED')} without a puzzle, "
      f"{answers.count(refused(PUZZLE))} refused; difficulty up to {hardest}")
assert hardest >= 12, hardest
expect("answers", sorted(map(str, set(answers))), sorted(map(str, ["REGISTERED", refused(PUZZLE)])))
assert answers.count("REGISTERED") < 3 * ABOVE, "the load was admitted"

# Under that load: who solves it is served; who has a lease needs not; another's solution does not help.
expect("renewal without a puzzle", kind_of(one.register(admission_kind=0)), "REGISTERED")
newcomer, stranger, tried, begin = device(), device(), 0, time.monotonic()
newcomer.solicit()
address = newcomer.owner.at(newcomer.epoch).address
while native_keys.puzzle_bits(newcomer.cookie, address, tried.to_bytes(8, "big")) < newcomer.challenge.difficulty:
    tried += 1
    if tried % 32 == 0:
        for _ in range(2):
            load()
solution = tried.to_bytes(8, "big")
print(f"{newcomer.challenge.difficulty} bits solved in {time.monotonic() - begin:.1f} s")
assert newcomer.challenge.difficulty >= 12
for _ in range(ABOVE):
    load()
assert stranger.solicit().difficulty >= 12, "the load is gone"
expect("another's solution", kind_of(stranger.register(fresh=False, admission_kind=1, admission=solution)), refused(PUZZLE))
expect("solved", kind_of(newcomer.register(fresh=False, admission_kind=1, admission=solution)), "REGISTERED")
talk.exchange()
lab.wait_for(lambda: difficulty() == 0, 30, "the puzzle to go")
expect("newcomer after the load", kind_of(device().register(admission_kind=0)), "REGISTERED")
expect("difficulty in CHALLENGE", device().solicit().difficulty, 0)
print("the puzzle is gone, newcomers are served as before")
