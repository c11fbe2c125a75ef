#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Our agent and python3-aioice's where no direct way is, in both roles: through our allocation, through theirs, and through both.

    agent_peer == TURN ==> [ relayed <--> relayed ] <== TURN == aioice
      client                      relay                          peer
"""
# light
import lab

lab.enter()
from agent_peers import Aioice, Ours, meet  # noqa: E402
from lab import check, expect  # noqa: E402

ROLES = (True, False)


@check("through our allocation, of each family, also towards a server of the other")
def _():
    for controlling in ROLES:
        for turn, relayed in (((lab.RELAY4, lab.CLIENT4, 4), lab.RELAY4), ((lab.RELAY6, lab.CLIENT6, 6), lab.RELAY6),
                              ((lab.RELAY4, lab.CLIENT4, 6), lab.RELAY6)):
            pair = meet(Ours("client", controlling, turn=[turn]), Aioice("peer", not controlling, family=turn[2]), ["relay"])
            expect("pair", (pair["base"], pair["local"][0]), ("turn", relayed))


@check("through their allocation")
def _():
    for controlling in ROLES:
        pair = meet(Ours("client", controlling, bind=[lab.CLIENT4]), Aioice("peer", not controlling, relay=lab.RELAY4, only_relay=True))
        expect("pair", (pair["base"], pair["remote"][0]), ("socket", lab.RELAY4))


@check("through both allocations")
def _():
    for controlling in ROLES:
        pair = meet(Ours("client", controlling, turn=[(lab.RELAY4, lab.CLIENT4, 4)]),
                    Aioice("peer", not controlling, relay=lab.RELAY4, only_relay=True))
        expect("pair", (pair["base"], pair["local"][0], pair["remote"][0]), ("turn", lab.RELAY4, lab.RELAY4))


@check("with all addresses and both allocations offered, one of the ways through the relay is found")
def _():
    for controlling in ROLES:
        meet(Ours("client", controlling, bind=[lab.CLIENT4, lab.CLIENT6], turn=[(lab.RELAY4, lab.CLIENT4, 4), (lab.RELAY6, lab.CLIENT6, 6)]),
             Aioice("peer", not controlling, relay=lab.RELAY4))


lab.run_checks()
