#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Error codes and authentication: one check for each rule of RFC 8489 and RFC 8656, exact messages.

    test_errors -- requests, right and wrong --> relay
      client                                        (peer 11.0.1.2 is only named)
"""
# light
# sanitizers
import os

import lab
from lab import check, expect
from turn_client import *  # noqa: F403  (its constants are the vocabulary of these tests)

lab.enter(turn_lines="user = bob:builder", coturn_lines="user=bob:builder")
PEER, PEER6 = (lab.PEER4, 7000), (lab.PEER6, 7000)
UDP_TRANSPORT = (REQUESTED_TRANSPORT, transport())
COOKIE_BYTES = b"obMatJos2"


def challenged(**how):
    """A client that has its nonce already."""
    client = lab.client(**how)
    response = client.exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT]))
    expect("first answer", response.code, 401)
    client.learn(response)
    return client


def allocated(*attributes, **how):
    client = lab.client(**how)
    response = client.allocate(*attributes)
    expect("Allocate", response.code, 0)
    return client


def signed(client, response, kind=MESSAGE_INTEGRITY):
    assert integrity_right(response, client.key, kind), f"{response} is not signed with the client's key"


# ---- RFC 8489: messages ----

@check("8489 6.3.1: Binding tells the client's address")
def _():
    for client in lab.client(user=None), lab.client(lab.CLIENT6, user=None):
        response = client.binding()
        expect("class", response.kind, SUCCESS)
        expect("XOR-MAPPED-ADDRESS", response.address(), lab.endpoint(client.sock))


@check("8489 14.7: a request with FINGERPRINT gets a response with FINGERPRINT",
       coturn="adds it always")
def _():
    client = lab.client(user=None)
    assert client.binding(fingerprint=True).has(FINGERPRINT)
    assert not client.binding().has(FINGERPRINT)


@check("8489 14.7: a wrong FINGERPRINT is no STUN for us")
def _():
    client = lab.client(user=None)
    raw = bytearray(build(BINDING, fingerprint=True))
    raw[-1] ^= 1
    client.send_raw(bytes(raw))
    client.binding()
    expect("answers to it", len(client.inbox), 0)


@check("8489 6.3.1: unknown comprehension-required attributes of a Binding: 420 with their list",
       coturn="lists them twice or stops at a limit")
def _():
    response = lab.client(user=None).binding([(0x7F01, b"abcd"), (0x7F02, b""), (0x7F01, b"")])
    expect("code", response.code, 420)
    expect("UNKNOWN-ATTRIBUTES", response.unknown(), [0x7F01, 0x7F02])


@check("8489 6.3.1: unknown comprehension-optional attributes are ignored")
def _():
    expect("code", lab.client(user=None).binding([(0xC001, b"abcd"), (SOFTWARE, b"test")]).code, 0)


@check("8489 6.3.1: 420 comes after authentication", coturn="looks at attributes first")
def _():
    client = challenged()
    expect("unauthenticated", client.exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT, (0x7F01, b"")])).code, 401)
    response = client.request(ALLOCATE, [UDP_TRANSPORT, (0x7F01, b"")])
    expect("authenticated", response.code, 420)
    expect("UNKNOWN-ATTRIBUTES", response.unknown(), [0x7F01])
    signed(client, response)


@check("8489 6.3: indications and responses are never answered")
def _():
    client = lab.client(user=None)
    for kind in INDICATION, SUCCESS, ERROR:
        client.send_raw(build(BINDING, kind))
        client.send_raw(build(ALLOCATE, kind, [UDP_TRANSPORT]))
    client.binding()
    expect("answers", len(client.inbox), 0)


@check("8489 6.3: a method nobody knows is dropped", coturn="answers some")
def _():
    client = challenged()
    client.send_raw(client.message(0x0FF))
    client.send_raw(client.message(DATA))
    client.binding()
    expect("answers", len(client.inbox), 0)


@check("8489 5: damaged headers are dropped: cookie, length, attribute beyond the message",
       coturn="answers one of them")
def _():
    client = lab.client(user=None)
    good = build(BINDING, attributes=[(SOFTWARE, b"abcdefgh")])
    for raw in (good[:4] + b"\0\0\0\0" + good[8:], good[:2] + b"\0\x08" + good[4:], good[:2] + b"\xff\xfc" + good[4:],
                good[:22] + b"\0\x40" + good[24:], good[:-4], good[:19], good[:1], good[:2] + b"\0\x0d" + good[4:]):
        client.send_raw(raw)
    client.send_raw(b"")
    client.binding()
    expect("answers", len([d for d, _ in client.inbox if is_stun(d)]), 0)


# ---- RFC 8489 section 9.2: long-term credentials ----

@check("8489 9.2.4: no MESSAGE-INTEGRITY: 401 with REALM and NONCE")
def _():
    client = lab.client()
    for method in ALLOCATE, REFRESH, CREATE_PERMISSION, CHANNEL_BIND:
        response = client.exchange(build(method, attributes=[UDP_TRANSPORT]))
        expect(METHODS[method], response.code, 401)
        expect("REALM", response.get(REALM), lab.LAB_REALM.encode())
        assert response.get(NONCE), "no NONCE"
        assert not response.has(MESSAGE_INTEGRITY)


@check("8489 9.2.1: the nonce starts with the nonce cookie and says that password algorithms are offered",
       coturn="knows RFC 5389 only")
def _():
    response = lab.client().exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT]))
    nonce = response.get(NONCE)
    expect("cookie", nonce[:9], COOKIE_BYTES)
    import base64
    bits = int.from_bytes(base64.b64decode(nonce[9:13]), "big")
    assert bits & 0x800000, f"bit 0 (password algorithms) is not set in {bits:06x}"
    assert bits & 0x400000, f"bit 1 (username anonymity) is not set in {bits:06x}"
    algorithms = response.get(PASSWORD_ALGORITHMS)
    numbers = [int.from_bytes(algorithms[n:n + 2], "big") for n in range(0, len(algorithms), 4)]
    expect("algorithms", sorted(numbers), [MD5, SHA256])


@check("8489 9.2.4: integrity without USERNAME, REALM or NONCE: 400")
def _():
    client = challenged()
    everything = client.credentials()
    for missing in range(3):
        left = [a for n, a in enumerate(everything) if n != missing]
        response = client.exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT, *left], key=client.key))
        expect(f"without {attribute_name(everything[missing][0])}", response.code, 400)


@check("8489 9.2.4: an unknown user: 401 with a new challenge")
def _():
    client = challenged(user="nobody", password="x")
    response = client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT]))
    expect("code", response.code, 401)
    assert response.has(REALM) and response.has(NONCE)


@check("8489 9.2.4: a wrong password: 401 with a new challenge")
def _():
    client = challenged(user=lab.LAB_USER, password="wrong")
    response = client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT]))
    expect("code", response.code, 401)
    assert response.has(REALM) and response.has(NONCE)


@check("8489 14.5: one bit of a signed request changed: 401")
def _():
    client = challenged()
    raw = bytearray(client.message(ALLOCATE, [UDP_TRANSPORT, (LIFETIME, u32(600))]))
    raw[35] ^= 1  # the last bit of LIFETIME
    expect("code", client.exchange(bytes(raw)).code, 401)


@check("8489 9.2.4: a nonce that is not ours: 438 with a new nonce, which then works")
def _():
    client = challenged()
    client.nonce = COOKIE_BYTES + b"wAAA" + b"0" * 16
    response = client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT]))
    expect("code", response.code, 438)
    assert response.has(REALM) and response.has(NONCE)
    client.learn(response)
    expect("with the new nonce", client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT])).code, 0)


@check("8489 9.2.4: success and later errors are signed; 401 and 438 are not")
def _():
    client = challenged()
    signed(client, client.allocate())
    signed(client, client.request(CHANNEL_BIND))  # 400
    client.nonce = b"x" * 20
    response = client.exchange(client.message(REFRESH))
    expect("code", response.code, 438)
    assert not response.has(MESSAGE_INTEGRITY)


def with_sha256(**how):
    client = lab.client(**how)
    client.sha256 = True
    response = client.exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT]))
    client.learn(response)
    return client


@check("8489 9.2.3: PASSWORD-ALGORITHM SHA-256 and MESSAGE-INTEGRITY-SHA256; the response is signed alike",
       coturn="knows RFC 5389 only")
def _():
    client = with_sha256()
    response = client.allocate()
    expect("Allocate", response.code, 0)
    signed(client, response, MESSAGE_INTEGRITY_SHA256)
    assert not response.has(MESSAGE_INTEGRITY)
    signed(client, client.refresh(600), MESSAGE_INTEGRITY_SHA256)


@check("8489 9.2.4: MESSAGE-INTEGRITY-SHA256 with the MD5 key of a client that named MD5",
       coturn="knows RFC 5389 only")
def _():
    client = with_sha256()
    client.sha256 = False
    response = client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT], key=None, key256=client.key))
    expect("Allocate", response.code, 0)
    signed(client, response, MESSAGE_INTEGRITY_SHA256)


@check("8489 9.2.4: USERHASH in the place of USERNAME", coturn="knows RFC 5389 only")
def _():
    client = with_sha256()
    client.hash_user = True
    expect("SHA-256", client.allocate().code, 0)
    client = challenged()
    client.hash_user = True
    expect("MD5", client.allocate().code, 0)
    client = challenged(user="nobody", password="x")
    client.hash_user = True
    expect("a hash nobody has", client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT])).code, 401)


@check("8489 9.2.4: PASSWORD-ALGORITHMS changed on the way (bid down): 400", coturn="knows RFC 5389 only")
def _():
    client = with_sha256()
    client.sha256, client.algorithms = False, algorithm(MD5)
    expect("list without SHA-256", client.exchange(client.message(ALLOCATE, [UDP_TRANSPORT])).code, 400)


@check("8489 9.2.4: only one of PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS, or one not offered: 400",
       coturn="knows RFC 5389 only")
def _():
    client = with_sha256()
    everything = client.credentials()
    for left, what in ((everything[:3] + everything[3:4], "list only"), (everything[:3] + everything[4:], "choice only"),
                       (everything[:4] + [(PASSWORD_ALGORITHM, algorithm(77))], "one that was not offered")):
        response = client.exchange(build(ALLOCATE, attributes=[UDP_TRANSPORT, *left], key256=client.key))
        expect(what, response.code, 400)


@check("8489 14.6: truncated MESSAGE-INTEGRITY-SHA256: at least 16 bytes, a multiple of 4", coturn="knows RFC 5389 only")
def _():
    client = with_sha256()
    for length, wanted in ((16, {0}), (12, {400, 401}), (18, {400, 401})):
        raw = build(ALLOCATE, attributes=[UDP_TRANSPORT, *client.credentials()])
        code = client.exchange(add_integrity(raw, client.key, sha256=True, truncate=length)).code
        expect(f"{length} bytes", code, wanted)


# ---- RFC 8656 section 7: Allocate ----

@check("8656 7.2: success carries relayed and mapped address and the lifetime")
def _():
    client = lab.client()
    response = client.allocate()
    expect("XOR-MAPPED-ADDRESS", response.address(), lab.endpoint(client.sock))
    expect("LIFETIME", response.number(LIFETIME), 600)
    (address, port), = client.relayed
    expect("relayed address", address, lab.RELAY4)
    assert 49152 <= port <= 65535, port


@check("8656 7.2: no REQUESTED-TRANSPORT: 400")
def _():
    expect("code", lab.client().request(ALLOCATE).code, 400)


@check("8656 7.2: REQUESTED-TRANSPORT other than UDP: 442", coturn="offers TCP, which is another RFC; 99 gets 442")
def _():
    client = challenged()
    expect("99", client.allocate(protocol=99).code, 442)
    expect("TCP", client.allocate(protocol=TCP).code, 442)


@check("8656 7.2: REQUESTED-TRANSPORT of a wrong length: 400", coturn="reads on")
def _():
    expect("code", lab.client().request(ALLOCATE, [(REQUESTED_TRANSPORT, b"\x11\0")]).code, 400)


@check("8656 7.2: a second Allocate on the 5-tuple: 437")
def _():
    client = allocated()
    expect("code", client.allocate().code, 437)


@check("8656 7.2: a retransmitted Allocate gets the same success", coturn="answers 437 once it forgot")
def _():
    client = challenged()
    raw = client.message(ALLOCATE, [UDP_TRANSPORT])
    first, second = client.exchange(raw), client.exchange(raw)
    expect("first", first.code, 0)
    expect("second", second.code, 0)
    expect("relayed address", second.address(XOR_RELAYED_ADDRESS), first.address(XOR_RELAYED_ADDRESS))
    expect("attributes", second.names(), first.names())


@check("8656 7.2: requested lifetimes: no less than the default, no more than the maximum")
def _():
    for asked, wanted in ((None, {600}), (1, {600}), (700, {700}), (3600, {3600}), (99999999, {3600})):
        client = lab.client()
        response = client.allocate(*([] if asked is None else [(LIFETIME, u32(asked))]))
        expect(f"asked for {asked}", response.number(LIFETIME), wanted)
        client.refresh(0)


@check("8656 7.2: REQUESTED-ADDRESS-FAMILY: IPv6 is given, the family's address comes")
def _():
    for value, address in ((IPV4, lab.RELAY4), (IPV6, lab.RELAY6)):
        client = allocated((REQUESTED_ADDRESS_FAMILY, u8x4(value)))
        expect("relayed address", [a for a, _ in client.relayed], [address])
        client.refresh(0)


@check("8656 7.2: without REQUESTED-ADDRESS-FAMILY the relayed address is IPv4, whatever the client is",
       coturn="follows the client's family unless told otherwise")
def _():
    expect("relayed address", [a for a, _ in allocated(server=lab.RELAY6).relayed], [lab.RELAY4])


@check("8656 7.2: a family nobody has: 440")
def _():
    expect("code", lab.client().allocate((REQUESTED_ADDRESS_FAMILY, u8x4(7))).code, 440)


@check("8656 7.2: ADDITIONAL-ADDRESS-FAMILY gives both",
       coturn="uses the number of a draft, 0x8032")
def _():
    client = allocated((ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6)))
    expect("relayed addresses", sorted(a for a, _ in client.relayed), sorted([lab.RELAY4, lab.RELAY6]))


@check("8656 7.2: ADDITIONAL-ADDRESS-FAMILY by its draft number 0x8032, as coturn's clients send it")
def _():
    client = allocated((0x8032, u8x4(IPV6)))
    expect("relayed addresses", sorted(a for a, _ in client.relayed), sorted([lab.RELAY4, lab.RELAY6]))


@check("8656 7.2: ADDITIONAL-ADDRESS-FAMILY of IPv4: 400", coturn="uses the number of a draft, 0x8032")
def _():
    expect("code", lab.client().allocate((ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV4))).code, 400)


@check("8656 7.2: REQUESTED- together with ADDITIONAL-ADDRESS-FAMILY: 400",
       coturn="uses the number of a draft, 0x8032")
def _():
    code = lab.client().allocate((REQUESTED_ADDRESS_FAMILY, u8x4(IPV6)), (ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6))).code
    expect("code", code, 400)


@check("8656 7.2: ADDITIONAL-ADDRESS-FAMILY with EVEN-PORT and its R bit: 400", coturn="other code")
def _():
    expect("R", lab.client().allocate((ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6)), (EVEN_PORT, b"\x80")).code, 400)


@check("8656 7.2: EVEN-PORT: an even port; with R the next one is reserved for the token",
       coturn="other code for a token that is used up")
def _():
    client = allocated((EVEN_PORT, b"\0"))
    expect("port modulo 2", client.relayed[0][1] % 2, 0)
    client.refresh(0)
    first = lab.client()
    response = first.allocate((EVEN_PORT, b"\x80"))
    token = response.get(RESERVATION_TOKEN)
    expect("token length", len(token), 8)
    expect("port modulo 2", first.relayed[0][1] % 2, 0)
    second = lab.client()
    expect("with the token", second.allocate((RESERVATION_TOKEN, token)).code, 0)
    expect("sibling", second.relayed[0][1], first.relayed[0][1] + 1)
    expect("the token again", lab.client().allocate((RESERVATION_TOKEN, token)).code, 508)


@check("8656 7.2: RESERVATION-TOKEN that was never given: 508",
       coturn="other code")
def _():
    expect("code", lab.client().allocate((RESERVATION_TOKEN, os.urandom(8))).code, 508)


@check("8656 7.2: RESERVATION-TOKEN with EVEN-PORT or REQUESTED-ADDRESS-FAMILY: 400", coturn="other code with a family")
def _():
    token = (RESERVATION_TOKEN, bytes(8))
    expect("EVEN-PORT", lab.client().allocate(token, (EVEN_PORT, b"\x80")).code, 400)
    expect("REQUESTED-ADDRESS-FAMILY", lab.client().allocate(token, (REQUESTED_ADDRESS_FAMILY, u8x4(IPV4))).code, 400)
    expect("ADDITIONAL-ADDRESS-FAMILY", lab.client().allocate(token, (ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6))).code, 400)


@check("8656 7.2: DONT-FRAGMENT is understood")
def _():
    expect("code", lab.client().allocate((DONT_FRAGMENT, b"")).code, 0)


# ---- sections 8 to 12 ----

@check("8656 8.2: Refresh: lifetime as asked within bounds, 0 deletes, then 437",
       coturn="keeps what was deleted for a moment")
def _():
    client = allocated()
    for asked, wanted in ((700, 700), (None, 600), (1, 600), (99999999, 3600)):
        expect(f"Refresh {asked}", client.refresh(asked).number(LIFETIME), wanted)
    expect("Refresh 0", client.refresh(0).number(LIFETIME), 0)
    expect("afterwards", client.refresh(600).code, 437)


@check("8656 8.2: Refresh of a family the allocation has not: 443", coturn="other code")
def _():
    client = allocated()
    expect("IPv6", client.refresh(600, (REQUESTED_ADDRESS_FAMILY, u8x4(IPV6))).code, 443)
    expect("IPv4", client.refresh(600, (REQUESTED_ADDRESS_FAMILY, u8x4(IPV4))).code, 0)


@check("8656 8.2: a family of a dual allocation is deleted alone", coturn="refuses with 443")
def _():
    client = allocated((ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6)))
    expect("delete IPv6", client.refresh(0, (REQUESTED_ADDRESS_FAMILY, u8x4(IPV6))).code, 0)
    expect("IPv4 peer", client.permit(PEER).code, 0)
    expect("IPv6 peer", client.permit(PEER6).code, 443)


@check("8656 5: no allocation: 437 for Refresh, CreatePermission and ChannelBind",
       coturn="answers 400 to CreatePermission")
def _():
    client = challenged()
    expect("Refresh", client.refresh(600).code, 437)
    expect("CreatePermission", client.permit(PEER).code, 437)
    expect("ChannelBind", client.bind(0x4000, PEER).code, 437)


@check("8656 5: another user's credentials on the allocation: 441")
def _():
    client = allocated()
    client.user, client.password = "bob", "builder"
    expect("Refresh", client.refresh(600).code, 441)
    expect("CreatePermission", client.permit(PEER).code, 441)
    expect("ChannelBind", client.bind(0x4000, PEER).code, 441)


@check("8656 10.2: CreatePermission with several peers; none: 400; one of the other family: 443 and none installed",
       coturn="installs what came before the wrong one")
def _():
    client = allocated()
    expect("three", client.permit(PEER, (lab.PEER4B, 1), ("11.0.3.9", 0)).code, 0)
    expect("none", client.request(CREATE_PERMISSION).code, 400)
    expect("one IPv6", client.permit(("11.0.3.77", 0), PEER6).code, 443)
    peer = lab.udp("peer", "11.0.3.77")
    peer.sendto(b"not permitted", client.relayed[0])
    peer2 = lab.udp("peer", lab.PEER4)
    peer2.sendto(b"permitted", client.relayed[0])
    expect("what arrives", client.receive(), ("data", lab.endpoint(peer2), b"permitted"))


@check("8656 10.2: a peer that is not to be reached: 403",
       coturn="installs what it may")
def _():
    client = allocated()
    expect("CreatePermission", client.permit(("127.0.0.1", 1)).code, 403)
    expect("ChannelBind", client.bind(0x4000, ("127.0.0.1", 1)).code, 403)
    expect("one of several", client.permit(PEER, ("169.254.169.254", 80)).code, 403)


@check("8656 12.2: ChannelBind without number or peer, or with a number outside 0x4000-0x4FFF: 400",
       coturn="takes up to 0x7FFF, as RFC 5766")
def _():
    client = allocated()
    where = (XOR_PEER_ADDRESS, xor_address(PEER, bytes(12)))
    expect("no number", client.request(CHANNEL_BIND, [where]).code, 400)
    expect("no peer", client.request(CHANNEL_BIND, [(CHANNEL_NUMBER, channel_number(0x4000))]).code, 400)
    for number in 0x3FFF, 0x5000, 0x7FFF, 0x8000, 0xFFFF, 0:
        expect(f"{number:04x}", client.bind(number, PEER).code, 400)
    for number, port in (0x4000, 1), (0x4FFF, 2):
        expect(f"{number:04x}", client.bind(number, (lab.PEER4, port)).code, 0)


@check("8656 12.2: channel of another peer, or peer of another channel: 400; the same pair refreshes")
def _():
    client = allocated()
    expect("bind", client.bind(0x4000, PEER).code, 0)
    expect("again", client.bind(0x4000, PEER).code, 0)
    expect("other peer", client.bind(0x4000, (lab.PEER4, 7001)).code, 400)
    expect("other channel", client.bind(0x4001, PEER).code, 400)


@check("8656 12.2: ChannelBind to a peer of the other family: 443")
def _():
    expect("code", allocated().bind(0x4000, PEER6).code, 443)


@check("8656 5: the server address is part of the 5-tuple: no allocation over the other family")
def _():
    client = allocated()
    other = lab.client(lab.CLIENT6, port=lab.endpoint(client.sock)[1])
    expect("Refresh", other.refresh(600).code, 437)


@check("8656 7.2: open requests of all methods survive a nonce of another client: 438")
def _():
    client, other = allocated(), challenged(address="11.0.2.9")
    client.nonce = other.nonce
    expect("Refresh", client.exchange(client.message(REFRESH)).code, 438)


lab.run_checks()
