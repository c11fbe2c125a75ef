#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, rows "open proxy, SSRF", "address forms" and "ACL on one path only": what a relay must not reach, in
every spelling of an address and on every path that could install or use a permission.

    attacker == CreatePermission, ChannelBind, Send ==> relay -/-> itself, private nets, metadata services
     client                                                   --> only peers of the public Internet, and
                                                                  other clients' relayed addresses
"""
# light
import ipaddress

import lab
from lab import check, endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter()

DENIED4 = """0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.0.1 169.254.169.254
    169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.168.0.1 192.168.255.255 198.18.0.1
    198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255""".split()
ALLOWED4 = """11.0.1.2 1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255
    169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
    223.255.255.255""".split()
DENIED6 = """:: ::1 ::2 100::1 2001::1 2001:2::1 2001:db8::1 3fff::1 5f00::1 fc00::1 fd00::1 fdff:ffff::1 fe80::1 febf::1 fec0::1
    ff02::1 ff0e::1""".split()
ALLOWED6 = "2a00:b10c:2::2 2606:4700::1111 2400:cb00::1 2003::1".split()


def embeddings(address):
    """The IPv6 addresses in which a packet for this IPv4 address can hide."""
    number = int(ipaddress.IPv4Address(address))
    yield "mapped", (0xFFFF << 32) | number
    yield "compatible", number
    yield "NAT64", (0x64FF9B << 96) | number
    yield "6to4", (0x2002 << 112) | number << 80 | 1
    yield "Teredo", (0x20010000 << 96) | (0x08080808 << 64) | (number ^ 0xFFFFFFFF)
    yield "ISATAP", (0x2A00B10C000200000000 << 48 | 0x5EFE << 32 | number)
    yield "ISATAP, global bit", (0x2A00B10C00020000 << 64) | 0x02005EFE << 32 | number


def allocated(*attributes, **how):
    client = lab.client(**how)
    expect("Allocate", client.allocate(*attributes).code, 0)
    return client


def six():
    return allocated((REQUESTED_ADDRESS_FAMILY, u8x4(IPV6)))


class Fresh:
    """Channels of one allocation run out of numbers and peers: a new one now and then."""

    def __init__(self, make):
        self.make, self.client, self.used = make, None, 0

    def codes(self, address):
        if self.used % 24 == 0:
            self.client = self.make()
        self.used += 1
        return (self.client.permit((address, 80)).code, self.client.bind(0x4000 + self.used, (address, 80)).code)


@check("open proxy: every special-purpose IPv4 range is denied to CreatePermission and to ChannelBind",
       coturn="denies 127/8 and 0/8 by default")
def _():
    fresh = Fresh(allocated)
    for address in DENIED4:
        expect(address, fresh.codes(address), (403, 403))


@check("open proxy: their neighbours, which are global, are not")
def _():
    fresh = Fresh(allocated)
    for address in ALLOWED4:
        expect(address, fresh.codes(address), (0, 0))


@check("open proxy: every special-purpose IPv6 range is denied", coturn="denies ::1 by default")
def _():
    fresh = Fresh(six)
    for address in DENIED6:
        expect(address, fresh.codes(address), (403, 403))


@check("open proxy: global IPv6 addresses are not")
def _():
    fresh = Fresh(six)
    for address in ALLOWED6:
        expect(address, fresh.codes(address), (0, 0))


@check("address forms: a denied IPv4 address stays denied inside every IPv6 address that carries it",
       coturn="compares without unwrapping")
def _():
    fresh = Fresh(six)
    for address in DENIED4:
        for form, number in embeddings(address):
            spelled = str(ipaddress.IPv6Address(number))
            expect(f"{address} as {form} {spelled}", fresh.codes(spelled), (403, 403))


@check("address forms: an IPv4-mapped peer does not slip past the family check either", coturn="takes it")
def _():
    client = allocated()
    transaction = new_transaction()
    value = xor_address(("::ffff:127.0.0.1", 80), transaction)
    code = client.request(CREATE_PERMISSION, [(XOR_PEER_ADDRESS, value)], transaction=transaction).code
    expect("code", code, {403, 443})


@check("open proxy: the relay's own addresses other than relayed ones", coturn="denies nothing of this")
def _():
    expect("its address towards the peers", Fresh(allocated).codes("11.0.1.1"), (403, 403))
    expect("the same, IPv6", Fresh(six).codes("2a00:b10c:2::1"), (403, 403))


@check("open proxy: at a listen address only relayed ports can be reached, neither a service nor the relay itself",
       coturn="reaches every port")
def _():
    services = [lab.udp("relay", lab.RELAY4, port) for port in (53, 9999, 40000)]
    a, b = allocated(), allocated()
    expect("permission for a relayed address", a.permit(b.relayed[0]).code, 0)
    b.permit(a.relayed[0])
    for service in services:
        a.send(endpoint(service), b"for the kernel")
    inside = build(BINDING)
    a.send((lab.RELAY4, 3478), inside)
    a.send(b.relayed[0], b"mark")
    expect("at the other client", b.receive(), ("data", a.relayed[0], b"mark"))
    expect("the relay's answer to itself", a.all_so_far(), [])
    for service in services:
        expect(f"port {endpoint(service)[1]}", receive(service, 0.2)[0], None)
        service.close()


@check("ACL on one path: Send and ChannelData to a denied peer pass nothing, as no permission can exist",
       coturn="other defaults")
def _():
    inside = lab.udp("relay", "11.0.1.1", 7777)
    there = lab.udp("peer", lab.PEER4)
    client = allocated()
    expect("CreatePermission", client.permit(endpoint(inside)).code, 403)
    expect("ChannelBind", client.bind(0x4000, endpoint(inside)).code, 403)
    client.send(endpoint(inside), b"by Send")
    client.send_channel(0x4000, b"by channel")
    client.permit(endpoint(there))
    client.send(endpoint(there), b"mark")
    expect("at the peer", receive(there)[0], b"mark")
    expect("at the relay's own address", receive(inside, 0.2)[0], None)
    inside.close()


@check("ACL on one path: one denied peer among permitted ones denies the whole CreatePermission",
       coturn="installs what it may")
def _():
    there = lab.udp("peer", lab.PEER4)
    client = allocated()
    expect("code", client.permit(endpoint(there), ("10.0.0.1", 1)).code, 403)
    client.send(endpoint(there), b"not permitted")
    client.permit(endpoint(there))
    client.send(endpoint(there), b"mark")
    expect("at the peer", receive(there)[0], b"mark")


lab.run_checks()
