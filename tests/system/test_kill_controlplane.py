#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""kill -9 of the control plane while ten clients talk, and its return: no packet is lost in either direction, and
what it has to know it knows again (refreshes, ports, quota, expiry).

    10 clients == numbered ChannelData, 20 ms ==> relay-dataplane --> peer   (both directions, not an echo)
                                                  relay-controlplane killed and started again
"""
# sanitizers
import lab
import short_lifetimes
from lab import expect
from steady_traffic import Traffic
from turn_client import *  # noqa: F403

lab.enter(turn_lines="quota = 12")
if lab.coturn():
    lab.skip("turnserver has no control plane to kill")
CLIENTS = 10


def allocate(number, **how):
    client = lab.client(address=f"11.0.2.{number}", **how)
    return client, client.allocate()


pairs, raws = [], []
for n in range(1, CLIENTS + 1):
    peer = lab.udp("peer", lab.PEER4)
    peer.setblocking(False)
    client, response = allocate(n)
    expect("Allocate", response.code, 0)
    expect("ChannelBind", client.bind(0x4000, lab.endpoint(peer)).code, 0)
    pairs.append((client, peer))

traffic = Traffic(pairs)
lab.wait_for(lambda: traffic.sent > 50, 10, "traffic")
control = lab.pid("controlplane")
lab.shell("lab_controlplane_stop KILL")
killed = traffic.sent
print(f"control plane {control} killed after {killed} rounds")
lab.wait_for(lambda: traffic.sent > killed + 100, 10, "traffic without a control plane")

# What the dataplane answers by itself still works; what it cannot decide is not answered.
lab.client(user=None).binding()
newcomer = lab.client(address="11.0.2.200")
try:
    newcomer.exchange(build(ALLOCATE, attributes=[(REQUESTED_TRANSPORT, transport())]), seconds=0.5, repeat=False)
    raise AssertionError("an Allocate was answered without a control plane")
except Silence:
    pass

short_lifetimes.start_control_plane()
print(f"control plane {lab.pid('controlplane')} serves again after {traffic.sent} rounds")
restarted = traffic.sent
lab.wait_for(lambda: traffic.sent > restarted + 50, 10, "traffic afterwards")
traffic.finish()

# The old ones, by requests that need the control plane. Their nonces were made with keys that are gone.
for number, (client, peer) in enumerate(pairs):
    response = client.refresh(700)
    expect(f"Refresh of client {number}", response.number(LIFETIME), 700)
    expect("CreatePermission", client.permit((lab.PEER4B, 1)).code, 0)
    expect("ChannelBind again", client.bind(0x4000, lab.endpoint(peer)).code, 0)
    expect("other peer on that channel", client.bind(0x4000, (lab.PEER4B, 1)).code, 400)
print("10 old allocations: Refresh, CreatePermission and ChannelBind work")

# Quota 12: ten are live, so two more and no third; one ends, one more.
fresh = [allocate(100 + n) for n in range(3)]
expect("new Allocates", [response.code for _, response in fresh], [0, 0, 486])
ports = [c.relayed[0] for c, _ in pairs] + [c.relayed[0] for c, r in fresh if r.code == 0]
expect("relayed ports given twice", len(ports) - len(set(ports)), 0)
expect("Refresh 0 of an old one", pairs[0][0].refresh(0).code, 0)
expect("in its place", fresh[2][0].allocate().code, 0)
print("quota and ports are right again: 10 old and 2 new, no third; one ended, one more")
peer = lab.udp("peer", lab.PEER4)
fresh[0][0].bind(0x4001, lab.endpoint(peer))
fresh[0][0].send_channel(0x4001, b"new")
expect("new allocation's traffic", lab.receive(peer), (b"new", fresh[0][0].relayed[0]))
