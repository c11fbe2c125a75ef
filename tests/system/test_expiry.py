#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Allocations, permissions and channels that nobody refreshes end by the dataplane's clock; ports and quota come back,
also when the control plane was killed in between. short_lifetimes.py makes minutes seconds.

    client == TURN ==> relay <-- UDP --> peer
"""
# light
# sanitizers
import lab
from lab import check, endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter(turn_lines="quota = 4", relay_ports="50000-50015")
if lab.coturn():
    lab.skip("turnserver's lifetimes cannot be shortened")
import short_lifetimes  # noqa: E402

short = short_lifetimes.ShortLifetimes()


def limits(**milliseconds):
    short.limits.update(allocation=None, permission=None, channel=None)
    short.limits.update(milliseconds)


def arrives(client, there, send):
    """Whether what send() sends reaches the peer, told apart by a packet on a permission that lives."""
    send(b"probe")
    return receive(there, 0.5)[0] == b"probe"


@check("a permission that is not refreshed ends, in both directions; refreshed ones go on")
def _():
    mortal, kept = lab.udp("peer", lab.PEER4), lab.udp("peer", lab.PEER4B)
    limits(permission=3000)
    client = lab.client()
    expect("Allocate", client.allocate().code, 0)
    expect("CreatePermission", client.permit(endpoint(mortal), endpoint(kept)).code, 0)
    limits()
    expect("refreshed", client.permit(endpoint(kept)).code, 0)
    client.send(endpoint(mortal), b"alive")
    expect("at first", receive(mortal)[0], b"alive")
    lab.wait_for(lambda: not arrives(client, mortal, lambda d: client.send(endpoint(mortal), d)), 10, "its end")
    mortal.sendto(b"too late", client.relayed[0])
    kept.sendto(b"mark", client.relayed[0])
    expect("at the client", client.receive(), ("data", endpoint(kept), b"mark"))
    client.send(endpoint(kept), b"mark")
    expect("at the kept peer", receive(kept)[0], b"mark")
    expect("permitted again", client.permit(endpoint(mortal)).code, 0)
    assert arrives(client, mortal, lambda d: client.send(endpoint(mortal), d))


@check("a channel that is not refreshed ends; its number may then go to another peer")
def _():
    one, two = lab.udp("peer", lab.PEER4), lab.udp("peer", lab.PEER4)
    client = lab.client()
    expect("Allocate", client.allocate().code, 0)
    limits(channel=3000)
    expect("ChannelBind", client.bind(0x4000, endpoint(one)).code, 0)
    limits()
    expect("while it lives", client.bind(0x4000, endpoint(two)).code, 400)
    lab.wait_for(lambda: not arrives(client, one, lambda d: client.send_channel(0x4000, d)), 10, "its end")
    one.sendto(b"by indication", client.relayed[0])
    expect("the permission lives on", client.receive(), ("data", endpoint(one), b"by indication"))
    expect("another peer", client.bind(0x4000, endpoint(two)).code, 0)
    client.send_channel(0x4000, b"mark")
    expect("at the other peer", receive(two)[0], b"mark")


def end_of_allocations(kill):
    there = lab.udp("peer", lab.PEER4)
    limits(allocation=4000)
    clients = [lab.client() for _ in range(4)]
    for client in clients:
        expect("Allocate", client.allocate().code, 0)
        client.bind(0x4000, endpoint(there))
        client.send_channel(0x4000, b"alive")
        expect("at first", receive(there)[0], b"alive")
    expect("a fifth", lab.client().allocate().code, 486)
    if kill:
        lab.shell("lab_controlplane_stop KILL")
        short_lifetimes.start_control_plane()
    limits()
    for client in clients:
        lab.wait_for(lambda c=client: not arrives(c, there, lambda d: c.send_channel(0x4000, d)), 15, "its end")
        there.sendto(b"too late", client.relayed[0])
        expect("Refresh", client.refresh(600).code, 437)
    fresh = [lab.client() for _ in range(4)]
    lab.wait_for(lambda: fresh[0].allocate().code == 0, 10, "the quota to come back")
    for client in fresh[1:]:
        expect("Allocate", client.allocate().code, 0)
    for client in fresh:
        client.refresh(0)
    lab.wait_for(lambda: (status := lab.status())["allocations"] == 0 and
                 status["relay_ports_free"] == status["relay_ports_total"], 10, "every relayed port to be free")


@check("allocations that are not refreshed end with their channels; port and quota come back")
def _():
    end_of_allocations(kill=False)


@check("the same when the control plane was killed and came back before their end")
def _():
    end_of_allocations(kill=True)


@check("an allocation that is refreshed lives on")
def _():
    there = lab.udp("peer", lab.PEER4)
    limits(allocation=3000)
    client = lab.client()
    expect("Allocate", client.allocate().code, 0)
    limits()
    client.bind(0x4000, endpoint(there))
    expect("Refresh", client.refresh(600).code, 0)
    mortal = lab.client()
    limits(allocation=3000)
    expect("a second one, after it", mortal.allocate().code, 0)
    limits()
    mortal.bind(0x4000, endpoint(there))
    lab.wait_for(lambda: not arrives(mortal, there, lambda d: mortal.send_channel(0x4000, d)), 15, "the end of the second")
    client.send_channel(0x4000, b"mark")
    expect("at the peer", receive(there)[0], b"mark")


lab.run_checks()
