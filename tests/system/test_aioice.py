#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two ICE agents (python3-aioice) that may only use relayed candidates talk through the relay.

    agent a == TURN ==> [ relayed a <-> relayed b ] <== TURN == agent b
      client                    relay                    client .4
"""
# light
import asyncio

import lab

lab.enter()

import aioice  # noqa: E402  (only inside the lab)


async def agent(server, controlling):
    connection = aioice.Connection(
        ice_controlling=controlling, transport_policy=aioice.TransportPolicy.RELAY, use_ipv4=":" not in server,
        use_ipv6=":" in server, turn_server=(server, 3478), turn_username=lab.LAB_USER, turn_password=lab.LAB_PASSWORD)
    await connection.gather_candidates()
    return connection


async def talk(server):
    a, b = await agent(server, True), await agent(server, False)
    for one in a, b:
        kinds = [c.type for c in one.local_candidates]
        assert kinds == ["relay"], f"expected one relayed candidate, gathered {kinds}"
        assert one.local_candidates[0].host == server, one.local_candidates[0]
    for one, other in (a, b), (b, a):
        for candidate in one.local_candidates:
            await other.add_remote_candidate(candidate)
        await other.add_remote_candidate(None)
        other.remote_username, other.remote_password = one.local_username, one.local_password
    await asyncio.gather(a.connect(), b.connect())
    for number in range(100):
        for one, other in (a, b), (b, a):
            await one.send(b"voice %d" % number)
            received = await asyncio.wait_for(other.recv(), 3)
            assert received == b"voice %d" % number, received
    await a.close()
    await b.close()
    print(f"{server}: 200 messages there and back over two relayed candidates")


with lab.namespace("client"):
    asyncio.run(asyncio.wait_for(talk(lab.RELAY4), 40))
