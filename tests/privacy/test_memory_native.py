#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Nothing of the native protocol is remembered: addresses and the keys that own them, devices, transport addresses, path
keys, what was sealed and what was sent are gone from both processes' memory, files, answers and output when leases and
handles have ended: by withdrawal and CLOSE, by their time, and with the control plane killed in between. While they
live the search finds what the dataplane has to know, and nothing of it in the control plane.

    client 185.233.147.211                      relay                      peer 91.199.173.137
           2a0d:9e3b:71c5:d2f7:8a91:...  == leases, calls, data ==       2a0e:83d9:5b17:c9e3:94b5:...
"""
# limit: 240
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "system"))
import lab  # noqa: E402
import short_lifetimes  # noqa: E402
from lab import expect  # noqa: E402
from native import *  # noqa: E402, F403
from native_lab import *  # noqa: E402, F403
from search import Search, until  # noqa: E402

lab.enter()
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")
BEGIN = time.time()
CLIENT4, CLIENT6 = "185.233.147.211", "2a0d:9e3b:71c5:d2f7:8a91:6cb3:e54d:97f1"
PEER4, PEER6 = "91.199.173.137", "2a0e:83d9:5b17:c9e3:94b5:a2d1:7f63:8be7"
REFUSED4, MOVED4 = "185.233.147.151", "185.233.147.197"
ADDRESSES = [CLIENT4, CLIENT6, PEER4, PEER6, REFUSED4, MOVED4]
DAEMONS = ["dataplane", "controlplane"]
LIFETIME_MS, PATIENCE = 6000, 90
DIRECTORIES = [lab.LAB_DIR, "/dev/shm", "/run", "/var/run/dpdk", "/var/lib/blindrelay", "/var/log", "/var/tmp", "/var/crash"]
OTHERS = {}  # what -> bytes

for where, prefixes, via4, via6 in (("client", ("185.233.147.0/24", "2a0d:9e3b:71c5:d2f7::/64"), lab.CLIENT4, lab.CLIENT6),
                                    ("peer", ("91.199.173.0/24", "2a0e:83d9:5b17:c9e3::/64"), lab.PEER4, lab.PEER6)):
    for prefix, via in zip(prefixes, (via4, via6)):
        for arguments in ([where, "ip", "route", "add", "local", prefix, "dev", "lo"], ["relay", "ip", "route", "add", prefix, "via", via]):
            done = lab.run_in(*arguments)
            assert done.returncode == 0, done.stderr
short = short_lifetimes.ShortLifetimes()


def note(what, **named):
    for name, value in named.items():
        OTHERS[f"{name} of {what}"] = value


def note_client(what, client):
    key = client.key
    note(what, **{"address (first half)": key.address[:16], "address (second half)": key.address[16:], "key": key.public,
                  "owner": client.owner.public, "device": client.devices[client.registered], "observed address as sent": client.lease.observed[2:12]})


def traffic():
    """Everything leases and handles see in their lives: pairs of clients with a call each."""
    calls = []
    for number, (one_at, other_at) in enumerate(((CLIENT4, PEER4), (CLIENT6, PEER6), (CLIENT4, PEER6), (CLIENT6, PEER4))):
        one, other = registered("client", one_at), registered("peer", other_at)
        sealed, answer, data = (os.urandom(32) for _ in range(3))
        ours, theirs, invite = call(one, other, sealed, answer)
        note(f"call {number}", **{"path key of the caller": ours.key, "path key of the callee": theirs.key, "sealed": sealed,
                                  "sealed answer": answer, "data": data, "open id": invite.open_id})
        for round_number in range(50):
            one.send(ours, data + bytes([round_number]))
            assert arrived(other, data + bytes([round_number]))
            other.send(theirs, data + bytes([round_number]))
            assert arrived(one, data + bytes([round_number]))
            one.send_to(other.address, data + b"by address")
            assert arrived(other, data + b"by address")
        one.keepalive(ours)
        if number == 0:
            # A client that moves, and back.
            moved = device("client", MOVED4)
            moved.handles, moved.lease = [ours], one.lease
            for here in moved, one:  # a path check in the same millisecond as the last one is too early
                lab.wait_for(lambda h=here: h.send(ours, data) or h.receive(lambda m: m.kind == ALIVE, 0.1), 5, "the move")
        for what, client in ("caller", one), ("callee", other):
            note_client(f"{what} {number}", client)
        calls.append((one, other, ours, theirs))
    # Those who got nothing.
    refused_one = device("client", REFUSED4)
    expect("forged", kind_of(refused_one.register(signature=bytes(64))), refused(SIGNATURE))
    refused_one.begin_open(os.urandom(32))
    refused_one.finish_open()
    for _ in range(20):
        refused_one.send_to(calls[0][1].address, b"x")
        refused_one.send_raw(build(SOLICIT))
    return calls


def end(one, other, handle):
    one.send_raw(handle.close())
    assert one.receive(lambda m: m.kind == CLOSED) and other.receive(lambda m: m.kind == CLOSED)


def leave_alone(calls):
    """Leases and a call of a few seconds, whose clients say nothing any more."""
    short.limits.update(lease=LIFETIME_MS, handle=LIFETIME_MS)
    for number, (one, other, ours, _) in enumerate(calls):
        end(one, other, ours)
        for client in one, other:
            expect("renewal", kind_of(client.register()), "REGISTERED")
        again, back, _ = call(one, other)
        note(f"call {number} left alone", **{"path key of the caller": again.key, "path key of the callee": back.key})
    short.limits.update(lease=None, handle=None)


def background():
    """The relay's ordinary life goes on with other clients: buffers are used again, as they would be."""
    one, other = registered(), registered("peer")
    ours, _, _ = call(one, other)
    for number in range(20):
        one.send(ours, b"%d" % number)
        arrived(other, b"%d" % number)
    end(one, other, ours)
    one.handles.clear()
    other.handles.clear()


def told():
    """What relayctl and the daemons' output tell."""
    out = [path.read_bytes() for path in pathlib.Path(lab.LAB_DIR).glob("*.log") if path.name != "with.log"]
    for verb in "status", "stats", "ports", "workers", "guard":
        done = lab.relayctl("-j", verb)
        expect(f"relayctl {verb}", done.returncode, 0)
        out.append(done.stdout.encode())
    return b"\n".join(out)


SEARCHED = {}


def memory_hits(search):
    SEARCHED.update({name: search.in_memory(lab.pid(name)) for name in DAEMONS})
    return [f"{name}: {hit}" for name in DAEMONS for hit in SEARCHED[name][0]]


before = memory_hits(Search(ADDRESSES))
assert not before, f"found before any traffic: {before}"
calls = traffic()
everything = Search(ADDRESSES, OTHERS)
print(f"searching for {len(everything.names)} byte strings")

# While they live: the dataplane knows where to send, and what proves a move; nobody needs to know more.
found = memory_hits(everything)
for number, (one, other, ours, theirs) in enumerate(calls):
    for name in (f"address (second half) of caller {number}", f"path key of the caller of call {number}", f"device of callee {number}"):
        assert any(hit.startswith(f"dataplane: {name} ") for hit in found), f"the search does not find the {name} although it lives"
for address in CLIENT4, CLIENT6, PEER4, PEER6:
    assert any(hit.startswith(f"dataplane: {address}") for hit in found), f"the search does not find {address} although a lease with it lives"
print(f"while leases and handles live: {len(found)} places in the dataplane and "
      f"{sum(hit.startswith('controlplane') for hit in found)} in the control plane")
owners = [hit for hit in found if "owner of" in hit]
expect("owners' keys, which no message carries", owners, [])
expect("in answers and output while they live", everything.in_text(told(), "answers and output"), [])

# The end: two by their clients, two by the clock, and the control plane is killed in between.
leave_alone(calls[2:])
everything = Search(ADDRESSES, OTHERS)
end(*calls[0][:3])
lab.shell("lab_controlplane_stop KILL")
short_lifetimes.start_control_plane()
end(calls[1][1], calls[1][0], calls[1][3])
for one, other, _, _ in calls[:2]:
    for client in one, other:
        expect("withdrawal", kind_of(client.withdraw()), "REGISTERED")
lab.wait_for(lambda: (leases(), handles()) == (0, 0), 30, "the others to expire")
for one, other, _, _ in calls:
    for client in one, other:
        client.handles.clear()
        client.registered = None
release()
background()
release()

left = []


def clean():
    global left
    left = memory_hits(everything)
    return not left


begin = time.monotonic()
until(clean, PATIENCE)
print(f"afterwards, {time.monotonic() - begin:.0f} s after the last packet:")
for name in DAEMONS:
    _, size, unreadable = SEARCHED[name]
    print(f"  {name}: {size >> 20} MiB searched; cannot be read: {', '.join(unreadable) or 'nothing'}")
hits = list(left)
for name in DAEMONS:
    in_files, count = everything.in_files(lab.pid(name), DIRECTORIES, BEGIN)
    print(f"  {name}: {count} files searched")
    hits += in_files
hits += everything.in_text(told(), "answers and output")
for hit in hits[:60]:
    print("  LEFT", hit)
assert not hits, f"{len(hits)} traces are left"
print("nothing of them is left in memory, files, answers or output")
