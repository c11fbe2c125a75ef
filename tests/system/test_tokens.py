#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Blind tokens: a client has some issued (relayctl token issue), and each buys one allocation or one lease, once.

    client: blinded request --> relayctl token issue --> answer --> tokens
    aioice, turnutils_uclient and a client of our own, each with a token ==> relay --> peer
"""
# light
# sanitizers
import asyncio
import json
import pathlib
import subprocess

import lab
import token_client
from lab import check, expect
from native_lab import device, kind_of
from turn_client import *  # noqa: F403

lab.enter(auth="token", turn_lines="channels = rfc5766", registration_lines="admission = token")
if lab.coturn():
    lab.skip("turnserver has no tokens")
import aioice  # noqa: E402  (only inside the lab)


def issue(count):
    request = token_client.Request(count)
    done = subprocess.run([lab.LAB_BIN + "/relayctl", "-s", lab.LAB_CONTROL, "token", "issue"], input=request.text,
                          text=True, capture_output=True, check=False, timeout=20)
    expect("token issue", (done.returncode, done.stderr), (0, ""))
    return request.take(done.stdout)


def keys():
    return json.loads(lab.relayctl("-j", "token", "keys").stdout)


def client(token, **how):
    return lab.client(user=token.user, password=token.password, **how)


def restart(signal):
    lab.shell(f"lab_controlplane_stop {signal}")
    lab.shell("lab_controlplane_start")
    lab.wait_for(lambda: lab.relayctl("status").returncode == 0, 10, "the control plane")


async def agent(token, controlling):
    connection = aioice.Connection(
        ice_controlling=controlling, transport_policy=aioice.TransportPolicy.RELAY, use_ipv4=True, use_ipv6=False,
        turn_server=(lab.RELAY4, 3478), turn_username=token.user, turn_password=token.password)
    await connection.gather_candidates()
    return connection


async def talk(tokens):
    a, b = await agent(tokens[0], True), await agent(tokens[1], False)
    for one, other in (a, b), (b, a):
        for candidate in one.local_candidates:
            await other.add_remote_candidate(candidate)
        await other.add_remote_candidate(None)
        other.remote_username, other.remote_password = one.local_username, one.local_password
    await asyncio.gather(a.connect(), b.connect())
    for number in range(20):
        for one, other in (a, b), (b, a):
            await one.send(b"voice %d" % number)
            expect("message", await asyncio.wait_for(other.recv(), 3), b"voice %d" % number)
    await a.close()
    await b.close()


@check("two agents of aioice talk over two allocations that two tokens bought")
def _():
    tokens = issue(2)
    with lab.namespace("client"):
        asyncio.run(asyncio.wait_for(talk(tokens), 40))
    expect("spent", keys()[0]["spent"], 2)


@check("turnutils_uclient, which tries its credentials on an allocation before the one it uses, gets one and a 486")
def _():
    token, before = issue(1)[0], keys()[0]["spent"]
    run = lab.run_in("client", "timeout", "--foreground", "30", "turnutils_uclient", "-u", token.user, "-w", token.password,
                     "-c", "-n", "5", "-m", "1", "-e", lab.PEER4, lab.RELAY4)
    assert "error 486" in run.stdout and "tot_recv_msgs" not in run.stdout, run.stdout
    expect("spent", keys()[0]["spent"], before + 1)


@check("one token, one allocation: while it lives, after it has ended, and after the control plane was killed")
def _():
    token = issue(1)[0]
    peer = lab.udp("peer", lab.PEER4)
    first = client(token)
    expect("Allocate", first.allocate().code, 0)
    expect("another with it", client(token).allocate().code, 486)
    for _ in range(3):
        expect("Refresh", first.refresh().code, 0)
    expect("ChannelBind", first.bind(0x4000, lab.endpoint(peer)).code, 0)
    restart("KILL")
    expect("another with it after kill -9", client(token).allocate().code, 486)
    expect("Refresh after kill -9", first.refresh().code, 0)
    first.send_channel(0x4000, b"still there")
    expect("data", lab.receive(peer)[0], b"still there")
    expect("its end", first.refresh(0).code, 0)
    expect("another with it afterwards", client(token).allocate().code, 486)


@check("a wrong password, somebody else's key and garbage draw a 401 and spend nothing")
def _():
    one, other = issue(2)
    spent = keys()[0]["spent"]
    expect("password", lab.client(user=one.user, password=other.password).allocate().code, 401)
    expect("user", lab.client(user="t.AAAA", password=other.password).allocate().code, 401)
    unknown = token_client.Token(one.key_id ^ 1, bytes(32), bytes(32))
    expect("key", client(unknown).allocate().code, 401)
    expect("spent", keys()[0]["spent"], spent)
    expect("the token itself", client(one).allocate().code, 0)


@check("rotation: the old key's tokens go on until it is retired, and what they bought goes on after that")
def _():
    old = issue(3)
    bought = client(old[0])
    expect("Allocate", bought.allocate().code, 0)
    expect("rotate", lab.relayctl("token", "rotate").returncode, 0)
    new = issue(1)[0]
    assert new.key_id != old[0].key_id
    expect("an old token", client(old[1]).allocate().code, 0)
    expect("a new token", client(new).allocate().code, 0)
    retired = f"{old[0].key_id:08x}"
    expect("retire", lab.relayctl("token", "rotate", "--retire", retired).returncode, 0)
    expect("state", [key["state"] for key in keys()], ["retired", "issuing"])
    expect("an old token", client(old[2]).allocate().code, 401)
    expect("what an old token bought", bought.refresh().code, 0)
    expect("the issuing key", lab.relayctl("token", "rotate", "--retire", f"{new.key_id:08x}").returncode, 1)


@check("registration: a token buys a lease, renewals need none, another lease does; and nothing buys twice")
def _():
    tokens = issue(3)
    one, other = device("client", lab.CLIENT4), device("peer", lab.PEER4)
    expect("admission", one.solicit().admission, 2)
    expect("without a token", one.register().reason, 8)
    expect("with one", kind_of(one.register(token=tokens[0])), "REGISTERED")
    expect("renewal", kind_of(one.register()), "REGISTERED")
    expect("somebody else with it", other.register(token=tokens[0]).reason, 10)
    expect("an allocation with it", client(tokens[0]).allocate().code, 486)
    restart("KILL")
    expect("renewal after kill -9", kind_of(one.register()), "REGISTERED")
    expect("somebody else with it after kill -9", other.register(token=tokens[0]).reason, 10)
    forged = token_client.Token(tokens[1].key_id, bytes(32), bytes(32))
    expect("a forged one", other.register(token=forged).reason, 9)
    # One that has bought an allocation buys no lease.
    expect("Allocate", client(tokens[1]).allocate().code, 0)
    expect("a lease with it", other.register(token=tokens[1]).reason, 10)
    expect("with another", kind_of(other.register(token=tokens[2])), "REGISTERED")


@check("counters tell of tokens, and nothing of them is in the log or in the store")
def _():
    tokens = issue(5)
    for one in tokens:
        expect("Allocate", client(one).allocate().code, 0)
    counters = json.loads(lab.relayctl("-j", "stats").stdout)["tokens"]
    assert counters["spent"] >= 5 and counters["issued"] >= 5, counters
    store = pathlib.Path(lab.LAB_DIR, "state/tokens/data.mdb").read_bytes()
    log = pathlib.Path(lab.LAB_DIR, "controlplane.log").read_text()
    for one in tokens:
        nonce = token_client.data(one.user[2:])[4:]
        assert nonce[:8] not in store and token_client.data(one.password)[:8] not in store
        assert one.user not in log


lab.run_checks()
