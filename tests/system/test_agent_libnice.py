#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our agent and libnice's in both roles and with both ways to nominate: on public addresses, behind NATs, and through allocations of
ours, theirs and both.

    a, b: public addresses    c: cone    d: other ports (eim)    e: symmetric
    agent_peer behind one of them <--> core, relay (STUN, TURN) <--> nice_peer behind another one
"""
# light
import pairs

pairs.enter("a=none/v6 b=none/v6 c=cone d=eim e=symmetric")
import lab  # noqa: E402
from agent_peers import Nice, Ours, meet  # noqa: E402
from lab import check, expect  # noqa: E402

if not (lab.ROOT / "build/tests/nice_peer").exists():
    lab.skip("build/tests/nice_peer is missing: make test-programs with libnice-dev")
ROLES = (True, False)


def ours(name, controlling, turn=False, only=False):
    address = pairs.host(name).address4
    return Ours(name, controlling, bind=[] if only else [address], servers=[lab.RELAY4], turn=[(lab.RELAY4, address, 4)] if turn else [])


# libnice asks for reflexive addresses in RFC 3489's form, which the relay drops. It takes them from its allocation as well.
def nice(name, controlling, **more):
    return Nice(name, controlling, bind=[pairs.host(name).address4], relay=lab.RELAY4, **more)


@check("public addresses, IPv4 and IPv6, nominated at once or after a while")
def _():
    for controlling in ROLES:
        for family in 4, 6:
            for regular in True, False:
                a, b = ((h.address4, h.address6)[family == 6] for h in (pairs.host("a"), pairs.host("b")))
                pair = meet(Ours("a", controlling, bind=[a]), Nice("b", not controlling, bind=[b], regular=regular), ["host"])
                expect("pair", (pair["base"], pair["local"][0], pair["remote"][0]), ("socket", a, b))


@check("two that believe to control settle it, and two that do not")
def _():
    for controlling in ROLES:
        meet(ours("a", controlling), nice("b", controlling))


@check("behind NATs that map endpoint-independently, directly")
def _():
    for controlling, one, other in (True, "c", "d"), (False, "d", "c"):
        pair = meet(ours(one, controlling), nice(other, not controlling))
        expect("pair", (pair["base"], pair["remote"][0]), ("socket", pairs.host(other).outside4))


@check("behind a symmetric NAT towards one that filters by port, with their allocation, or both")
def _():
    for controlling, one, other, turn in (True, "c", "e", False), (False, "e", "c", False), (True, "e", "c", True), (False, "c", "e", True):
        meet(ours(one, controlling, turn=turn), nice(other, not controlling))


@check("through our allocation alone, theirs alone, and both")
def _():
    for controlling in ROLES:
        pair = meet(ours("c", controlling, turn=True, only=True),
                    Nice("b", not controlling, bind=[pairs.host("b").address4]), ["relay"])
        expect("pair", (pair["base"], pair["local"][0], pair["remote"][0]), ("turn", lab.RELAY4, pairs.host("b").address4))
        pair = meet(ours("a", controlling), nice("d", not controlling, only_relay=True))
        expect("pair", (pair["base"], pair["remote"][0]), ("socket", lab.RELAY4))
        pair = meet(ours("c", controlling, turn=True, only=True), nice("d", not controlling, only_relay=True), ["relay"])
        expect("pair", (pair["base"], pair["local"][0], pair["remote"][0]), ("turn", lab.RELAY4, lab.RELAY4))


lab.run_checks()
