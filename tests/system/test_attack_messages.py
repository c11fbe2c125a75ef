#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Attacks, rows "attributes after MESSAGE-INTEGRITY", "duplicate attributes, unknown comprehension-required, bad
lengths, padding leak", "learning from data", "stale fast-path entry", "nonce" and "parsers".

    attacker -- crafted messages --> relay     what is served beside it goes on
     client
"""
# light
# sanitizers
import random
import struct

import lab
from lab import check, endpoint, expect, receive
from turn_client import *  # noqa: F403

lab.enter(turn_lines="quota = 0\nprefix-quota = 0")
UDP_TRANSPORT = (REQUESTED_TRANSPORT, transport())


def allocated(*attributes, **how):
    client = lab.client(**how)
    expect("Allocate", client.allocate(*attributes).code, 0)
    return client


# ---- attributes after MESSAGE-INTEGRITY ----

@check("after integrity: LIFETIME 0 that a third party appended to Refresh does not delete", coturn="honours what was appended")
def _():
    client = allocated()
    for fingerprint in False, True:
        raw = client.message(REFRESH, [(LIFETIME, u32(900))], after=[(LIFETIME, u32(0))], fingerprint=fingerprint)
        expect("LIFETIME", client.exchange(raw).number(LIFETIME), 900)
    raw = client.message(REFRESH, after=[(LIFETIME, u32(0))])
    expect("LIFETIME", client.exchange(raw).number(LIFETIME), 600)


@check("after integrity: an appended XOR-PEER-ADDRESS gets no permission", coturn="honours what was appended")
def _():
    mine, foreign = lab.udp("peer", lab.PEER4), lab.udp("peer", lab.PEER4B)
    client = allocated()
    transaction = new_transaction()
    raw = client.message(CREATE_PERMISSION, [(XOR_PEER_ADDRESS, xor_address(endpoint(mine), transaction))],
                         transaction=transaction, after=[(XOR_PEER_ADDRESS, xor_address(endpoint(foreign), transaction))])
    expect("code", client.exchange(raw).code, 0)
    foreign.sendto(b"foreign", client.relayed[0])
    mine.sendto(b"mine", client.relayed[0])
    expect("at the client", client.receive(), ("data", endpoint(mine), b"mine"))


@check("after integrity: what stands there cannot make a request valid, nor can a second integrity",
       coturn="honours what was appended")
def _():
    client = allocated()
    expect("transport after integrity", client.exchange(client.message(ALLOCATE, after=[UDP_TRANSPORT])).code, {400, 437})
    other = lab.client(user=lab.LAB_USER, password="wrong")
    other.realm, other.nonce = client.realm, client.nonce
    raw = add_integrity(other.message(ALLOCATE, [UDP_TRANSPORT]), client.key)
    expect("right integrity behind a wrong one", other.exchange(raw).code, {401, 438})


# ---- duplicates, lengths, padding ----

@check("duplicates: the first LIFETIME counts, the first DATA, the first CHANNEL-NUMBER", coturn="lets the last LIFETIME win")
def _():
    there = lab.udp("peer", lab.PEER4)
    client = allocated()
    response = client.request(REFRESH, [(LIFETIME, u32(700)), (LIFETIME, u32(0))])
    expect("LIFETIME", response.number(LIFETIME), 700)
    transaction = new_transaction()
    where = (XOR_PEER_ADDRESS, xor_address(endpoint(there), transaction))
    numbers = [(CHANNEL_NUMBER, channel_number(n)) for n in (0x4001, 0x4002)]
    expect("ChannelBind", client.request(CHANNEL_BIND, [*numbers, where], transaction=transaction).code, 0)
    client.send_channel(0x4002, b"second")
    client.send_channel(0x4001, b"first")
    expect("at the peer", receive(there)[0], b"first")
    transaction = new_transaction()
    where = (XOR_PEER_ADDRESS, xor_address(endpoint(there), transaction))
    client.send_raw(build(SEND, INDICATION, [where, (DATA_ATTRIBUTE, b"one"), (DATA_ATTRIBUTE, b"two")], transaction))
    expect("at the peer", receive(there)[0], b"one")


@check("lengths: attributes of a wrong size are 400, or dropped in an indication, never read beyond",
       coturn="takes an empty peer address")
def _():
    client = allocated()
    for method, wrong in ((REFRESH, (LIFETIME, b"\0\0\1")), (REFRESH, (LIFETIME, b"")),
                          (CREATE_PERMISSION, (XOR_PEER_ADDRESS, b"")), (CREATE_PERMISSION, (XOR_PEER_ADDRESS, b"\0\1\0\0")),
                          (CREATE_PERMISSION, (XOR_PEER_ADDRESS, b"\0\2\0\0" + bytes(4))),
                          (CREATE_PERMISSION, (XOR_PEER_ADDRESS, b"\0\3\0\0" + bytes(4))),
                          (CHANNEL_BIND, (CHANNEL_NUMBER, b"\x40"))):
        response = client.request(method, [wrong])
        expect(f"{METHODS[method]} {attribute_name(wrong[0])} {wrong[1].hex()}", response.code, {400, 443})


@check("padding: what the relay sends is padded with zeros")
def _():
    # parse() refuses any other padding; realm and nonce of a 401 and a Data of every length need some.
    there = lab.udp("peer", lab.PEER4)
    client = allocated()
    client.permit(endpoint(there))
    for length in range(1, 9):
        there.sendto(b"\xff" * length, client.relayed[0])
        expect("data", client.receive()[2], b"\xff" * length)
    lab.client().exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT]))


# ---- learning from data, stale entries ----

@check("learning from data: neither a peer's nor a client's address follows the packets that come")
def _():
    there, moved = lab.udp("peer", lab.PEER4), lab.udp("peer", lab.PEER4)
    client = allocated()
    client.bind(0x4000, endpoint(there))
    moved.sendto(b"I moved", client.relayed[0])
    expect("the other port is no channel", client.receive(), ("data", endpoint(moved), b"I moved"))
    client.send_channel(0x4000, b"still")
    expect("at the bound peer", receive(there)[0], b"still")
    thief = lab.client(address=lab.CLIENT4B, user=None)
    thief.send_channel(0x4000, b"mine now")
    thief.send(endpoint(there), b"mine now")
    expect("at the thief", thief.all_so_far(), [])
    there.sendto(b"to whom?", client.relayed[0])
    expect("at the client", client.receive(), ("channel", 0x4000, b"to whom?"))


@check("stale entry: an allocation on the 5-tuple of a dead one inherits no channel and no permission, many times",
       coturn="frees after a while")
def _():
    there = lab.udp("peer", lab.PEER4)
    client = allocated()
    for turn in range(20):
        client.bind(0x4000 + turn, endpoint(there))
        old = client.relayed[0]
        expect("Refresh 0", client.refresh(0).code, 0)
        expect("Allocate", client.allocate().code, 0)
        client.send_channel(0x4000 + turn, b"stale")
        client.send(endpoint(there), b"stale")
        if client.relayed[0] != old:
            there.sendto(b"stale", old)
        there.sendto(b"stale", client.relayed[0])
        expect("at the client", client.all_so_far(), [])
        client.permit(endpoint(there))
        client.send(endpoint(there), b"%d" % turn)
        expect("at the peer", receive(there)[0], b"%d" % turn)


# ---- nonce ----

@check("nonce: bound to the source address and port; two in a row differ", coturn="binds it to its own sessions")
def _():
    here, there = lab.client(), lab.client(address="11.0.2.7")
    nonces = []
    for one in here, there, lab.client():
        one.learn(one.exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT])))
        nonces.append(one.nonce)
    expect("different nonces for three sources", len(set(nonces)), 3)
    there.nonce = here.nonce
    expect("from another address", there.exchange(there.message(ALLOCATE, [UDP_TRANSPORT])).code, 438)
    expect("from its own", here.exchange(here.message(ALLOCATE, [UDP_TRANSPORT])).code, 0)


@check("nonce: every bit counts", coturn="keeps it in the session")
def _():
    client = lab.client()
    client.learn(client.exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT])))
    right = client.nonce
    for at in range(len(right)):
        client.nonce = right[:at] + bytes([right[at] ^ 1]) + right[at + 1:]
        expect(f"byte {at} changed", client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT])).code, {438, 400})
    for wrong in b"", right[:-1], right + b"0", right * 8:
        client.nonce = wrong
        expect(f"{len(wrong)} bytes", client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT])).code, {438, 400})
    client.nonce = right
    expect("unchanged", client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT])).code, 0)


# ---- parsers, through the network ----

@check("parsers: truncation at every offset, every first byte, every length field, random bytes: served on")
def _():
    dice = random.Random(4711)
    there = lab.udp("peer", lab.PEER4)
    client = allocated()
    client.bind(0x4000, endpoint(there))
    transaction = new_transaction()
    where = (XOR_PEER_ADDRESS, xor_address(endpoint(there), transaction))
    samples = [client.message(REFRESH, [(LIFETIME, u32(600))], fingerprint=True),
               client.message(CHANNEL_BIND, [(CHANNEL_NUMBER, channel_number(0x4000)), where], transaction=transaction),
               build(SEND, INDICATION, [where, (DATA_ATTRIBUTE, b"x" * 7)], transaction), channel_data(0x4000, b"x" * 9),
               build(BINDING, attributes=[(CHANGE_REQUEST, u32(6)), (PADDING, bytes(40))], fingerprint=True)]
    stranger = lab.client(user=None)
    sent = 0

    def offer(raw):
        nonlocal sent
        for one in client, stranger:
            one.send_raw(raw)
        sent += 1
        if sent % 64 == 0:  # keep below what sockets hold
            client.send_channel(0x4000, b"alive")
            lab.wait_for(lambda: receive(there, 1)[0] == b"alive", 5, "traffic beside it")

    for raw in samples:
        for cut in range(len(raw)):
            offer(raw[:cut])
    for first in range(256):
        for raw in samples[0], samples[3], bytes(24):
            offer(bytes([first]) + raw[1:])
    for raw in samples[:3]:
        for at in range(20, len(raw) - 3, 4):
            for value in 0, 1, 0x7FFF, 0xFFFC, 0xFFFF:
                offer(raw[:at + 2] + struct.pack("!H", value) + raw[at + 4:])
    for _ in range(1500):
        raw = bytearray(dice.choice(samples))
        for _ in range(dice.randrange(1, 8)):
            raw[dice.randrange(len(raw))] = dice.randrange(256)
        offer(bytes(raw[:dice.randrange(len(raw) + 1)] if dice.random() < .3 else raw))
    for length in range(0, 1400, 37):
        offer(os.urandom(length))
    client.inbox.clear()
    # Random Refresh with right integrity cannot come out of this, so the allocation still stands.
    code = client.refresh(600).code
    expect("Refresh afterwards", code, 0)
    client.bind(0x4000, endpoint(there))
    client.send_channel(0x4000, b"mark")
    lab.wait_for(lambda: receive(there, 1)[0] == b"mark", 5, "the channel afterwards")
    print(f"        {2 * sent} damaged messages")


lab.run_checks()
