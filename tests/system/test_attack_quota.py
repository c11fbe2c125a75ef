#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, row "port and quota leaks": quotas per credential and per source prefix hold (486) and return.

    clients of 11.0.2.0/24 and 11.0.0.0/24 == Allocate as alice, bob ==> relay (quota 4, prefix quota 6)
"""
# light
# sanitizers
import lab
from lab import check, expect
from turn_client import *  # noqa: F403

lab.enter(turn_lines="quota = 4\nprefix-quota = 6\nuser = bob:builder\nuser = carol:singer",
          coturn_lines="user=bob:builder\nuser=carol:singer\nuser-quota=4")


def fill(user, password, address, wanted):
    """Allocates until refused with 486; expects so many."""
    out = []
    while len(out) <= wanted:
        one = lab.client(address=address, user=user, password=password)
        code = one.allocate().code
        if code:
            expect("code", code, 486)
            break
        out.append(one)
    expect(f"allocations of {user} from {address}", len(out), wanted)
    return out


def end(clients):
    for one in clients:
        one.refresh(0)


@check("quota: a credential has four, and four again when they have ended; in any prefix", coturn="frees after a while")
def _():
    for address in "11.0.2.1", "11.0.2.2", lab.CLIENT4:
        end(fill("alice", "wonderland", address, 4))


@check("quota: failed, repeated and refused requests take nothing from it", coturn="frees after a while")
def _():
    first = lab.client(address="11.0.2.1")
    first.allocate()
    for _ in range(8):
        expect("second Allocate", first.allocate().code, 437)
        expect("wrong family", lab.client(address="11.0.2.1").allocate((REQUESTED_ADDRESS_FAMILY, u8x4(9))).code, 440)
        expect("wrong transport", lab.client(address="11.0.2.1").allocate(protocol=99).code, {442, 400})
        expect("wrong token", lab.client(address="11.0.2.1").allocate((RESERVATION_TOKEN, b"12345678")).code, {508, 404})
        expect("wrong password", lab.client(address="11.0.2.1", user="alice", password="x").allocate().code, 401)
    end([first, *fill("alice", "wonderland", "11.0.2.1", 3)])


@check("quota: a source prefix has six whoever asks; another prefix has its own", coturn="has none for prefixes")
def _():
    alice = fill("alice", "wonderland", "11.0.2.1", 4)
    bob = fill("bob", "builder", "11.0.2.99", 2)
    carol = fill("carol", "singer", lab.CLIENT4, 4)
    end(alice[:1])
    expect("one ended, one more", len(fill("bob", "builder", "11.0.2.50", 1)), 1)
    end(alice[1:] + bob + carol)


@check("quota: a dual allocation counts once", coturn="uses the number of a draft, 0x8032")
def _():
    clients = [lab.client() for _ in range(4)]
    for one in clients:
        expect("dual", one.allocate((ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6))).code, 0)
        expect("both", len(one.relayed), 2)
    expect("one more", lab.client().allocate().code, 486)
    end(clients)


@check("quota: IPv6 sources count by /56", coturn="has none for prefixes")
def _():
    alice = [lab.client(address=f"2a00:b10c:3::{n}") for n in range(1, 5)]
    bob = [lab.client(address=f"2a00:b10c:3:0:ffff::{n}", user="bob", password="builder") for n in range(1, 4)]
    codes = [one.allocate().code for one in alice + bob]
    expect("codes", codes, [0] * 6 + [486])
    end(alice + bob[:2])


lab.run_checks()
