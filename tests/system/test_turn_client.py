#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""libendpoint's TURN client with our relay: what any server gives (turn_client_checks.py), and what is ours: SHA-256, blind
tokens, quotas, a control plane that restarts, lifetimes that end."""
# light
import subprocess

import lab

lab.enter(auth="static token", turn_lines="quota = 4")
if lab.coturn():
    lab.skip("test_turn_client_coturn.py has it")
import token_client  # noqa: E402
from lab import check, expect  # noqa: E402
from turn_client_checks import QUOTA, allocated, echo  # noqa: E402


def tokens(count):
    request = token_client.Request(count)
    done = subprocess.run([lab.LAB_BIN + "/relayctl", "-s", lab.LAB_CONTROL, "token", "issue"], input=request.text,
                          text=True, capture_output=True, check=False, timeout=20)
    expect("token issue", (done.returncode, done.stderr), (0, ""))
    return request.take(done.stdout)


@check("a token buys one allocation, and no second one")
def _():
    token, = tokens(1)
    program, event = allocated(user=token.user, password=token.password)
    expect("event", event["event"], "allocated")
    sock = lab.udp("peer", lab.PEER4)
    echo(program, sock, list(lab.endpoint(sock)), event["relayed"], ["paid"])
    _, event = allocated(user=token.user, password=token.password)
    expect("the second", (event["event"], event["why"], event["code"]), ("failed", QUOTA, 486))
    program.ask("release", "released")


@check("a quota that is reached is told as such, and what was given back can be had again")
def _():
    programs = [allocated()[0] for _ in range(4)]
    _, event = allocated()
    expect("the fifth", (event["event"], event.get("why")), ("failed", QUOTA))
    programs[0].ask("release", "released")
    _, event = allocated()
    expect("the fifth again", event["event"], "allocated")
    for program in programs[1:]:
        program.ask("release", "released")


@check("a restart of the control plane costs nothing, the stale nonce included")
def _():
    program, event = allocated()
    sock = lab.udp("peer", lab.PEER4)
    peer = list(lab.endpoint(sock))
    program.ask("bind", "bound", peer=peer)
    lab.shell("lab_controlplane_stop KILL")
    echo(program, sock, peer, event["relayed"], ["without"])
    lab.shell("lab_controlplane_start")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 10, "the control plane")
    echo(program, sock, peer, event["relayed"], ["with"])
    other = lab.udp("peer", lab.PEER4B)
    echo(program, other, list(lab.endpoint(other)), event["relayed"], ["somebody new"])
    counters = program.ask("usage", "usage")["counters"]
    expect("allocations", counters["allocations"], 1)
    expect("stale nonces", counters["stale_nonces"], 1)
    program.ask("release", "released")


@check("a relay that was restarted is found out when asked, and everything is made anew")
def _():
    program, _ = allocated()
    sock = lab.udp("peer", lab.PEER4)
    peer = list(lab.endpoint(sock))
    program.ask("bind", "bound", peer=peer)
    lab.shell("lab_controlplane_stop TERM; lab_stop dataplane TERM; lab_dataplane_start; lab_controlplane_start")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 20, "the relay")
    since = program.since()
    program.wish("check")
    event = program.wait("allocated", "failed", since=since)
    expect("anew", (event["event"], event["anew"]), ("allocated", True))
    program.wait("bound", since=since)
    echo(program, sock, peer, event["relayed"], [f"again {n}" for n in range(20)])
    program.ask("release", "released")


lab.run_checks()
