#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two clients behind symmetric NATs talk through one port of the relay, by handle and by address, while the control plane
is killed and comes back, the hour turns (every two seconds here), and the NATs forget and map anew. No packet is
lost, save for what was on its way between a NAT's forgetting and the end of the path check.

    alice 192.168.1.2 == NAT (client) 11.0.0.2 == relay 11.0.0.1:3478 == 11.0.1.2 NAT (peer) == bob 192.168.2.2
"""
import subprocess
import time

import lab
import native_traffic
from lab import expect
from native import *  # noqa: F403
from native_lab import *  # noqa: F403

EPOCH = 2
lab.enter(registration_lines=f"epoch = {EPOCH}")
if lab.coturn():
    lab.skip("turnserver knows nothing of the native protocol")

# Symmetric, ports at random; nothing comes in that was not asked for, not even to the router itself.
RULES = """
table ip nat {{
 chain post {{ type nat hook postrouting priority srcnat; policy accept;
  oifname "{wan}" masquerade fully-random
 }}
}}
table inet fw {{
 chain input_f {{ type filter hook input priority filter; policy accept;
  iifname "{wan}" ct state new drop
 }}
 chain forward_f {{ type filter hook forward priority filter; policy accept;
  iifname "{wan}" ct state new drop
 }}
}}
"""


def run(*command, **how):
    done = subprocess.run(command, text=True, capture_output=True, check=False, **how)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def behind(router, name, wan, network):
    """A host of its own namespace behind that namespace, which becomes a NAT."""
    inside, outside = f"{lab.LAB_NAME}-{name}", f"{lab.LAB_NAME}-{router}"
    run("ip", "netns", "add", inside)
    run("ip", "-n", outside, "link", "add", "lan", "type", "veth", "peer", "name", "n0", "netns", inside)
    run("ip", "-n", outside, "address", "add", f"{network}.1/24", "dev", "lan")
    run("ip", "-n", outside, "link", "set", "lan", "up")
    for link in "lo", "n0":
        run("ip", "-n", inside, "link", "set", link, "up")
    run("ip", "-n", inside, "address", "add", f"{network}.2/24", "dev", "n0")
    run("ip", "-n", inside, "route", "add", "default", "via", f"{network}.1")
    run("ip", "netns", "exec", outside, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    run("ip", "netns", "exec", outside, "nft", "-f", "-", input=RULES.format(wan=wan))
    return registered(name, f"{network}.2", server=lab.RELAY4)


def forget(router):
    """All bindings of a NAT; the next packet out gets another port."""
    at = time.monotonic()
    run("ip", "netns", "exec", f"{lab.LAB_NAME}-{router}", "conntrack", "-F")
    return at


alice = behind("client", "alice", "c0", "192.168.1")
bob = behind("peer", "bob", "p0", "192.168.2")
for name, one, outside in ("alice", alice, lab.CLIENT4), ("bob", bob, lab.PEER4):
    seen = observed(one.lease)
    print(f"{name} {lab.endpoint(one.sock)} is seen from {seen}")
    expect(f"{name} is seen from", seen[0], outside)
    # Symmetric: from the same socket another destination sees another port.
    probe = registered(name, lab.endpoint(one.sock)[0], server=lab.RELAY4)
    assert observed(probe.lease)[1] != lab.endpoint(probe.sock)[1], "the NAT kept the port"

ours, theirs, _ = call(alice, bob)
traffic = native_traffic.Call(alice, bob, (ours, theirs))
first_epoch = traffic.sides[0].epoch_now()


def pass_rounds(count, what):
    wanted = traffic.rounds + count
    lab.wait_for(lambda: traffic.rounds >= wanted or traffic.error, 5 + count * native_traffic.INTERVAL * 4, what)


pass_rounds(30, "a quiet beginning")
lab.shell("lab_controlplane_stop KILL")
print(f"round {traffic.rounds}: control plane killed")
pass_rounds(50, "traffic without a control plane")
lab.shell("lab_controlplane_start")
lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the control plane")
print(f"round {traffic.rounds}: control plane serves again")
pass_rounds(20, "traffic afterwards")

turned = traffic.sides[0].epoch_now()
lab.wait_for(lambda: traffic.sides[0].epoch_now() >= turned + 2, 3 * EPOCH, "the hour to turn twice")
pass_rounds(20, "traffic in the new hour")
print(f"round {traffic.rounds}: the hour has turned {traffic.sides[0].epoch_now() - first_epoch} times")

flushed = []
for routers in ("client",), ("peer",), ("client", "peer"):
    moves = [len(side.moves) for side in traffic.sides]
    begin = [forget(router) for router in routers][0]
    moved = [n for n, router in enumerate(("client", "peer")) if router in routers]
    lab.wait_for(lambda m=moves: all(len(traffic.sides[n].moves) > m[n] for n in moved) or traffic.error, 5, "path check and leases")
    pass_rounds(30, "traffic on the new path")
    flushed.append((begin, [traffic.sides[n].moves[-1] for n in moved]))
    print(f"round {traffic.rounds}: NAT of {' and '.join(routers)} had forgotten; " + ", ".join(
        f"path check done after {(path - begin) * 1000:.0f} ms, leases moved after {(lease - begin) * 1000:.0f} ms"
        for path, lease in flushed[-1][1]))
traffic.finish()


def excused(kind, at):
    """On its way while a NAT had forgotten and the client was not yet known at its new place."""
    return any(begin - 0.05 <= at <= max(path if kind == "handle" else lease for path, lease in moves)
               for begin, moves in flushed)


failed = 0
for side, who in zip(traffic.sides, ("alice to bob", "bob to alice")):
    for kind in "handle", "address":
        lost = side.lost(kind)
        bad = sorted(number for number, at in lost.items() if not excused(kind, at))
        failed += len(bad)
        print(f"{who} by {kind}: {len(side.sent[kind])} sent, {len(side.peer.received[kind])} arrived, "
              f"{len(lost)} while a NAT had forgotten{f', LOST: {bad}' if bad else ''}")
        assert len(lost) - len(bad) <= 4 * len(flushed), f"{len(lost)} lost at {len(flushed)} rebindings"
expect("packets lost besides", failed, 0)
