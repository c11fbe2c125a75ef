#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Every packet buffer can be received into and sent from: requests to the control plane, whose answers take turns
through the whole pool, are each answered at the first try, and the kernel finds no frame outside the memory that
was registered with it.

    client == 20,000 Refresh, one after the other ==> relay (AF_XDP)
"""
import lab
from lab import expect
from turn_client import *  # noqa: F403

lab.enter()
if lab.coturn():
    lab.skip("turnserver has no packet buffers of its own")
ROUNDS = 20_000

client = lab.client()
expect("Allocate", client.allocate().code, 0)
again = 0
for _ in range(ROUNDS):
    raw = client.message(REFRESH)
    try:
        expect("Refresh", client.exchange(raw, seconds=1, repeat=False).code, 0)
    except Silence:
        again += 1
        if again == 5:
            break
sockets = lab.xdp_statistics(lab.pid("dataplane"))
for one in sockets:
    print(one)
expect("AF_XDP sockets", len(sockets), 2)
for one in sockets:
    expect("frames to send that the kernel refused", one["tx_invalid_descs"], 0)
    expect("frames to fill that the kernel refused", one["rx_invalid_descs"], 0)
    expect("times nothing was there to fill", one["rx_fill_ring_empty"], 0)
print(f"{ROUNDS} requests, {again} without an answer at the first try")
expect("requests without an answer at the first try", again, 0)
