#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, row "reflection", with RFC 5780: OTHER-ADDRESS and RESPONSE-ORIGIN make a reply longer than 1.4 times a
bare request. A few such replies are what NAT discovery needs; in sum a prefix stays at 1.4 times what it sent.

    attacker == bare Binding, CHANGE-REQUEST ==> relay A:3478 A:3479 B:3478 B:3479 -- replies --> victim
"""
import time

import lab
from lab import check, expect
from turn_client import *  # noqa: F403

lab.enter(second=1)
EXCESS, BURST = 128, 512  # bytes above 1.4 times per second and prefix


@check("reflection: the sum of Binding replies stays at 1.4 times the requests but for a small burst",
       coturn="has no budget")
def _():
    for server, header in (lab.RELAY4, 28), (lab.RELAY6, 48):
        for what, attributes in (("bare", []), ("CHANGE-REQUEST", [(CHANGE_REQUEST, u32(6))]),
                                 ("RESPONSE-PORT", [(RESPONSE_PORT, bytes([0, 9, 0, 0]))])):
            frames = lab.Frames("client", "c0")
            client = lab.client(server=server, user=None)
            begin = time.monotonic()
            for _ in range(200):
                client.send_raw(build(BINDING, attributes=attributes))
            sent = 200 * (header + len(build(BINDING, attributes=attributes)))
            client.binding()
            seconds = time.monotonic() - begin
            replied = replies = 0
            while (packet := frames.next(lambda p: not p["outgoing"], 0.2)) is not None:
                replied += packet["ip_length"]
                replies += 1
            frames.close()
            sent += header + 20
            allowed = 1.4 * sent + BURST + EXCESS * (seconds + 1)
            print(f"        {server} {what}: {sent} bytes sent, {replies} replies, {replied} bytes, {replied / sent:.2f}")
            assert replied <= allowed, f"{server} {what}: {replied} bytes for {sent}"


@check("RFC 5780 7.2: what a bare Binding gets when asked for seldom: OTHER-ADDRESS and RESPONSE-ORIGIN")
def _():
    for server, other in (lab.RELAY4, lab.RELAY4B), (lab.RELAY6, lab.RELAY6B):
        # Another prefix than the check before used up.
        source = "2a00:b10c:3::5" if ":" in server else "11.0.2.5"
        response = lab.client(address=source, server=server, user=None).binding()
        expect("OTHER-ADDRESS", read_address(response.get(OTHER_ADDRESS)), (other, 3479))
        expect("RESPONSE-ORIGIN", read_address(response.get(RESPONSE_ORIGIN)), (server, 3478))


lab.run_checks()
