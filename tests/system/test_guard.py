#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The guard on a real AF_XDP port: what nobody has asked for is dropped and counted by the XDP program, before a
worker sees it; `relayctl guard` blocks a client's prefix in the middle of a call, and lets it in again without the
call having ended; rules outlive a restart of either daemon.

    client with a live channel -- ChannelData --> relay (XDP guard, worker) --> peer
"""
import ipaddress
import json
import struct

import lab
from lab import check, expect
from turn_client import *  # noqa: F403

lab.enter()
if lab.coturn():
    lab.skip("turnserver has no guard")


def guard(*arguments):
    """`relayctl guard ...`: exit code, stdout and stderr together."""
    done = lab.relayctl("guard", *arguments)
    return done.returncode, done.stdout + done.stderr


def shown():
    return json.loads(lab.relayctl("-j", "guard").stdout)


def drops(reason):
    return shown()["drops"][reason]


def rules():
    return {rule["prefix"]: rule["rule"] for rule in shown()["rules"]}


def grows(reason, where, action, by):
    """The counter goes up by exactly that much; nothing else sends here."""
    before = drops(reason)
    action()
    lab.wait_for(lambda: drops(reason)[where] >= before[where] + by, 5, f"{by} more {reason} in {where}")
    after = drops(reason)
    expect(f"{reason} in {where}", after[where] - before[where], by)
    other = "workers" if where == "xdp" else "xdp"
    expect(f"{reason} in {other}", after[other] - before[other], 0)


@check("datagrams to relayed ports nobody has are dropped by XDP, those to an allocation's port reach it")
def _():
    there, one = lab.udp("peer", lab.PEER4), lab.client()
    expect("Allocate", one.allocate().code, 0)
    relayed = one.relayed[0]
    free = [port for port in range(50000, 50000 + 100) if port != relayed[1]]
    grows("unallocated", "xdp", lambda: [there.sendto(b"hello?", (relayed[0], port)) for port in free], len(free))
    expect("permission", one.permit(lab.endpoint(there)).code, 0)
    there.sendto(b"mark", relayed)
    expect("the allocated port", one.receive(), ("data", lab.endpoint(there), b"mark"))
    # The port is nobody's as soon as the allocation has ended.
    expect("Refresh 0", one.refresh(0).code, 0)
    grows("unallocated", "xdp", lambda: [there.sendto(b"late", relayed) for _ in range(10)], 10)


@check("messages that are none are dropped by XDP, by reason")
def _():
    sock, relay = lab.udp("client", lab.CLIENT4), (lab.RELAY4, 3478)
    request = build(BINDING)
    for reason, data in {"short": b"\1\2", "first_byte": b"\x80" + bytes(40), "stun": request[:-1],
                         "channel_data": struct.pack("!HH", 0x4000, 100) + bytes(40)}.items():
        grows(reason, "xdp", lambda: [sock.sendto(data, relay) for _ in range(20)], 20)
    grows("stun", "xdp", lambda: sock.sendto(b"\1\1" + request[2:], relay), 1)  # a response
    sock.sendto(request, relay)
    expect("Binding", is_stun(lab.receive(sock)[0]), True)


def alive(one, there, text):
    one.send_channel(0x4000, text)
    return lab.receive(there, 1)[0] == text


def silent(one, there, count=5):
    for n in range(count):
        one.send_channel(0x4000, b"%d" % n)
    return lab.receive(there, 0.3)[0] is None


def blocked_and_let_in(one, there, address, wide, narrow):
    before = lab.status()["allocations"]
    expect("alive", alive(one, there, b"before"), True)
    expect("block", guard("block", wide)[0], 0)
    expect("rule", rules().get(wide), "block")
    grows("blocked", "xdp", lambda: expect("silent", silent(one, there), True), 5)
    expect("peers are not concerned", lab.status()["allocations"], before)
    # An exception for this one address, and back.
    expect("allow", guard("allow", address)[0], 0)
    expect("rule", rules().get(narrow), "allow")
    expect("alive through the exception", alive(one, there, b"exception"), True)
    expect("remove", guard("remove", address)[0], 0)
    expect("silent again", silent(one, there), True)
    # Allowing a prefix replaces its block.
    expect("allow the whole", guard("allow", wide)[0], 0)
    expect("alive again", alive(one, there, b"again"), True)
    expect("remove the whole", guard("remove", wide)[0], 0)
    expect("rules", rules(), {})
    expect("the same allocation", one.refresh(600).code, 0)
    expect("allocations", lab.status()["allocations"], before)


@check("a client's IPv4 prefix is blocked in the middle of a call, and let in again")
def _():
    there, one = lab.udp("peer", lab.PEER4), lab.client()
    expect("Allocate", one.allocate().code, 0)
    expect("ChannelBind", one.bind(0x4000, lab.endpoint(there)).code, 0)
    net = ipaddress.ip_network(f"{lab.CLIENT4}/24", strict=False)
    blocked_and_let_in(one, there, lab.CLIENT4, str(net), f"{lab.CLIENT4}/32")


@check("a client's IPv6 prefix is blocked in the middle of a call, and let in again")
def _():
    there, one = lab.udp("peer", lab.PEER4), lab.client(server=lab.RELAY6)
    expect("Allocate", one.allocate().code, 0)
    expect("ChannelBind", one.bind(0x4000, lab.endpoint(there)).code, 0)
    net = ipaddress.ip_network(f"{lab.CLIENT6}/56", strict=False)
    blocked_and_let_in(one, there, lab.CLIENT6, str(net), f"{lab.CLIENT6}/128")


@check("the host itself still answers a blocked prefix")
def _():
    net = str(ipaddress.ip_network(f"{lab.CLIENT4}/24", strict=False))
    expect("block", guard("block", net)[0], 0)
    try:
        expect("ping", lab.run_in("client", "ping", "-c", "2", "-W", "2", lab.RELAY4).returncode, 0)
    finally:
        expect("remove", guard("remove", net)[0], 0)


@check("what is no rule is refused with a reason")
def _():
    for prefix in ("192.0.2.1/24", "192.0.2.0/33", "example.org", "2001:db8::1/32"):
        code, text = guard("block", prefix)
        expect(f"exit code of {prefix}", code, 2)
        assert f'"{prefix}" is no prefix; expected' in text, text
    code, text = guard("remove", "192.0.2.0/24")
    expect("exit code", code, 1)
    assert "there is no rule for 192.0.2.0/24" in text, text


def kill_and_start(name):
    expect(f"end of {name}", lab.shell(f"lab_stop {name} KILL").returncode, 0)
    done = lab.shell(f"lab_{name}_start")
    expect(f"start of {name}", done.returncode, 0)
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 15, "a serving relay")


@check("rules outlive the control plane, and a new dataplane gets them again")
def _():
    expect("block", guard("block", "192.0.2.0/25")[0], 0)
    expect("allow", guard("allow", "2001:db8:77::/48")[0], 0)
    want = {"192.0.2.0/25": "block", "2001:db8:77::/48": "allow"}
    kill_and_start("controlplane")
    lab.wait_for(lambda: rules() == want, 10, "rules after a restart of the control plane")
    kill_and_start("dataplane")
    lab.wait_for(lambda: rules() == want, 10, "rules after a restart of the dataplane")
    for prefix in want:
        expect("remove", guard("remove", prefix)[0], 0)
    expect("rules", rules(), {})


lab.run_checks()
