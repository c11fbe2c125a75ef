#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""libendpoint's TURN client with a server that others wrote, coturn's: the checks of turn_client_checks.py, and nonces that
go stale each second, and agents that meet through it."""
# light
import os
import shutil
import time

import lab

if shutil.which("turnserver") is None:
    lab.skip("coturn is not installed")
os.environ["RELAY"] = "coturn"
lab.enter(coturn_lines="stale-nonce=1")
from agent_peers import Aioice, Ours, meet  # noqa: E402
from lab import check, expect  # noqa: E402
from turn_client_checks import allocated, echo  # noqa: E402


@check("nonces that go stale are replaced, and nothing is lost over it")
def _():
    program, event = allocated()
    socks = [lab.udp("peer", lab.PEER4), lab.udp("peer", lab.PEER4B)]
    echo(program, socks[0], list(lab.endpoint(socks[0])), event["relayed"], ["first"])
    begin = time.monotonic()
    lab.wait_for(lambda: time.monotonic() - begin > 2.2, what="the nonce to be old")
    echo(program, socks[1], list(lab.endpoint(socks[1])), event["relayed"], ["second"])
    counters = program.ask("usage", "usage")["counters"]
    if counters["stale_nonces"] < 1:
        raise AssertionError("no nonce was stale, so nothing was shown")
    expect("allocations", counters["allocations"], 1)
    program.ask("release", "released")


@check("our agent and aioice's through allocations of ours, theirs and both")
def _():
    ours = {"turn": [(lab.RELAY4, lab.CLIENT4, 4)]}
    theirs = {"relay": lab.RELAY4, "only_relay": True}
    for controlling in True, False:
        pair = meet(Ours("client", controlling, **ours), Aioice("peer", not controlling))
        expect("pair", (pair["base"], pair["local"][0]), ("turn", lab.RELAY4))
        pair = meet(Ours("client", controlling, bind=[lab.CLIENT4]), Aioice("peer", not controlling, **theirs))
        expect("pair", (pair["base"], pair["remote"][0]), ("socket", lab.RELAY4))
        pair = meet(Ours("client", controlling, **ours), Aioice("peer", not controlling, **theirs))
        expect("pair", (pair["base"], pair["local"][0], pair["remote"][0]), ("turn", lab.RELAY4, lab.RELAY4))


lab.run_checks()
