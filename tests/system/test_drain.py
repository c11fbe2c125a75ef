#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""relayctl drain: new allocations are refused with 508, live ones are served; at the deadline they end. The order to
drain outlives the control plane, and undrain takes it back.

    clients == TURN ==> relay <-- relayctl drain, undrain
"""
# light
# sanitizers
import lab
import short_lifetimes
from lab import check, endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter()
if lab.coturn():
    lab.skip("turnserver has no relayctl")


def live():
    there = lab.udp("peer", lab.PEER4)
    client = lab.client()
    expect("Allocate", client.allocate().code, 0)
    expect("ChannelBind", client.bind(0x4000, endpoint(there)).code, 0)
    return client, there


def served(client, there):
    client.send_channel(0x4000, b"out")
    expect("at the peer", receive(there)[0], b"out")
    there.sendto(b"back", client.relayed[0])
    expect("at the client", client.receive(), ("channel", 0x4000, b"back"))


def verb(*arguments):
    done = lab.relayctl(*arguments)
    expect(f"relayctl {' '.join(arguments)}: {done.stderr}", done.returncode, 0)


@check("drain: no new allocation, the live ones go on with all they need; undrain")
def _():
    client, there = live()
    verb("drain")
    expect("state", lab.status()["state"], "draining")
    expect("new Allocate", lab.client().allocate().code, 508)
    served(client, there)
    expect("Refresh", client.refresh(700).number(LIFETIME), 700)
    expect("another peer", client.permit((lab.PEER4B, 1)).code, 0)
    verb("undrain")
    expect("state", lab.status()["state"], "serving")
    expect("new Allocate", lab.client().allocate().code, 0)


@check("drain: it holds when the control plane is killed and comes back")
def _():
    verb("drain")
    lab.shell("lab_controlplane_stop KILL")
    short_lifetimes.start_control_plane()
    expect("state", lab.status()["state"], "draining")
    expect("new Allocate", lab.client().allocate().code, 508)
    verb("undrain")


@check("drain --deadline: at the deadline the live ones end")
def _():
    client, there = live()
    verb("drain", "--deadline", "2")
    served(client, there)
    lab.wait_for(lambda: lab.status()["allocations"] == 0, 10, "the deadline")
    client.send_channel(0x4000, b"too late")
    there.sendto(b"too late", client.relayed[0])
    expect("Refresh", client.refresh(600).code, 437)
    expect("at the client", client.all_so_far(), [])
    expect("at the peer", receive(there, 0.2)[0], None)
    verb("undrain")
    served(*live())


lab.run_checks()
