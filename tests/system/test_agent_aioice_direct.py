#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our agent and python3-aioice's in both roles, directly: on public addresses of each family, behind NATs by what the relay has
seen of them, and through the relay where a NAT leaves no other way.

    a, b: public addresses    c: cone    d: other ports (eim)    e: symmetric
    agent_peer behind one of them <--> core, relay (STUN, TURN) <--> aioice behind another one
"""
# light
import pairs

pairs.enter("a=none/v6 b=none/v6 c=cone d=eim e=symmetric")
import lab  # noqa: E402
from agent_peers import Aioice, Ours, meet  # noqa: E402
from lab import check, expect  # noqa: E402

ROLES = (True, False)


def ours(name, controlling, turn=False):
    address = pairs.host(name).address4
    return Ours(name, controlling, bind=[address], servers=[lab.RELAY4], turn=[(lab.RELAY4, address, 4)] if turn else [])


@check("public addresses, IPv4 and IPv6")
def _():
    for controlling in ROLES:
        for family in 4, 6:
            a, b = ((h.address4, h.address6)[family == 6] for h in (pairs.host("a"), pairs.host("b")))
            pair = meet(Ours("a", controlling, bind=[a]), Aioice("b", not controlling, family=family), ["host"])
            expect("pair", (pair["base"], pair["local"][0], pair["remote"][0]), ("socket", a, b))


@check("two that believe to control settle it")
def _():
    for controlling in ROLES:
        meet(Ours("a", controlling, bind=[pairs.host("a").address4]), Aioice("b", controlling))


@check("behind NATs that map endpoint-independently")
def _():
    for controlling in ROLES:
        for one, other in ("c", "d"), ("d", "c"), ("a", "c"), ("c", "b"):
            pair = meet(ours(one, controlling), Aioice(other, not controlling, stun=lab.RELAY4))
            expect("remote", pair["remote"][0], pairs.host(other).outside4)


@check("behind a symmetric NAT towards one that filters by port, through our allocation, theirs, or both")
def _():
    for controlling in ROLES:
        for one, other in ("c", "e"), ("e", "c"):
            pair = meet(ours(one, controlling, turn=True), Aioice(other, not controlling, stun=lab.RELAY4), ["host", "relay", "srflx"])
            expect("pair", pair["base"], "turn")
            if one == "c":  # aioice hears channels only, so at its allocation only whom it was told of
                pair = meet(ours(one, controlling), Aioice(other, not controlling, stun=lab.RELAY4, relay=lab.RELAY4))
                expect("remote", pair["remote"][0], lab.RELAY4)
        meet(ours("e", controlling, turn=True), Aioice("c", not controlling, stun=lab.RELAY4, relay=lab.RELAY4))


@check("with an allocation offered as well, the direct way is taken where we choose")
def _():
    pair = meet(ours("c", True, turn=True), Aioice("d", False, stun=lab.RELAY4, relay=lab.RELAY4))
    expect("pair", (pair["base"], pair["remote"][0]), ("socket", pairs.host("d").outside4))


lab.run_checks()
