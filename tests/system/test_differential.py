#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same requests to this relay and to Debian's turnserver, each in a lab of its own: classes, error codes and
attribute sets are compared. Intended differences stand in INTENDED, each with its reason; any other one fails,
and so does an intended one that is no longer seen.

    test_differential == the same requests ==> relay        test_differential == ... ==> turnserver
         client                                                  client
"""
# light
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import lab
from turn_client import *  # noqa: F403

BLIND = "unauthenticated replies carry nothing optional, so that they cannot amplify"
# (requests, difference, reason). "-X": turnserver's answer has X and ours has not; "+X": the other way round;
# "A>B": turnserver answers A, we answer B.
INTENDED = [
    (r".*", "-SOFTWARE", BLIND),
    (r".*", "-FINGERPRINT", "we add it where the request has it; turnserver is told to add it always"),
    (r"binding.*", "-MAPPED-ADDRESS", BLIND + "; RFC 8489 clients read XOR-MAPPED-ADDRESS"),
    (r"binding.*", "-RESPONSE-ORIGIN", BLIND + "; sent when two addresses are configured (RFC 5780)"),
    (r".*", "+PASSWORD-ALGORITHMS", "RFC 8489 9.2.4: offered with every challenge; turnserver speaks RFC 5389"),
    (r"allocate additional family", "+a second XOR-RELAYED-ADDRESS",
     "RFC 8656 number 0x8000; turnserver 4.6.1 knows the draft's 0x8032 only"),
    (r"allocate additional family ipv4", "success>error 400", "RFC 8656 7.2; as above"),
    (r"allocate requested and additional family", "success>error 400", "RFC 8656 7.2; as above"),
    (r"allocate transport 99", "error 400>error 442", "RFC 8656 7.2: any protocol other than UDP is 442"),
    (r"allocate unknown token", "error 404>error 508", "RFC 8656 7.2 item 5 says 508"),
    (r"create permission private|channel bind private", "success>error 403",
     "every special-purpose range is denied unless the operator allows it"),
    (r"channel bind 0x5000", "success>error 400", "RFC 8656 12: 0x4000-0x4FFF; turnserver follows RFC 5766"),
    (r"unknown method", "error 401>silence", "RFC 8489 6.3: a method that is not supported is dropped"),
    (r"allocate twice", "+MESSAGE-INTEGRITY", "RFC 8489 9.2.4: errors of authenticated requests are signed"),
    (r"refresh after end|create permission without allocation|channel bind without allocation", r".*",
     "turnserver keeps an ended session for a moment and answers out of it"),
]


def stream(record):
    """The requests. record(label, response)."""
    def client(**how):
        return lab.client(**how)

    def raw(label, data, one=None):
        one = one or client(user=None)
        try:
            record(label, one.exchange(data, seconds=2, repeat=False))
        except Silence:
            record(label, None)

    udp = (REQUESTED_TRANSPORT, transport())
    peer, peer6 = (lab.PEER4, 7000), (lab.PEER6, 7000)
    raw("binding", build(BINDING))
    raw("binding fingerprint", build(BINDING, fingerprint=True))
    raw("binding v6", build(BINDING), client(server=lab.RELAY6, user=None))
    raw("binding unknown optional attribute", build(BINDING, attributes=[(0xC001, b"x")]))
    raw("binding unknown required attribute", build(BINDING, attributes=[(0x7F01, b"x")]))
    raw("binding indication", build(BINDING, INDICATION))
    raw("binding wrong fingerprint", build(BINDING, attributes=[(FINGERPRINT, bytes(4))]))
    raw("allocate unauthenticated", build(ALLOCATE, attributes=[udp]))
    raw("refresh unauthenticated", build(REFRESH))
    raw("create permission unauthenticated", build(CREATE_PERMISSION))
    raw("channel bind unauthenticated", build(CHANNEL_BIND))
    raw("unknown method", build(0x0FF))
    for label, attributes in (("allocate", []), ("allocate lifetime", [(LIFETIME, u32(1800))]),
                              ("allocate short lifetime", [(LIFETIME, u32(5))]),
                              ("allocate long lifetime", [(LIFETIME, u32(1 << 30))]),
                              ("allocate ipv6", [(REQUESTED_ADDRESS_FAMILY, u8x4(IPV6))]),
                              ("allocate family 9", [(REQUESTED_ADDRESS_FAMILY, u8x4(9))]),
                              ("allocate even port", [(EVEN_PORT, b"\0")]), ("allocate even port pair", [(EVEN_PORT, b"\x80")]),
                              ("allocate dont fragment", [(DONT_FRAGMENT, b"")]),
                              ("allocate unknown token", [(RESERVATION_TOKEN, b"reserved")]),
                              ("allocate token and even port", [(RESERVATION_TOKEN, b"reserved"), (EVEN_PORT, b"\0")]),
                              ("allocate additional family", [(ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6))]),
                              ("allocate additional family ipv4", [(ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV4))]),
                              ("allocate requested and additional family", [(REQUESTED_ADDRESS_FAMILY, u8x4(IPV6)),
                                                                            (ADDITIONAL_ADDRESS_FAMILY, u8x4(IPV6))]),
                              ("allocate unknown required attribute", [(0x7F01, b"")])):
        record(label, client().allocate(*attributes))
    record("allocate transport 99", client().allocate(protocol=99))
    record("allocate without transport", client().request(ALLOCATE))
    record("allocate wrong password", client(user=lab.LAB_USER, password="wrong").allocate())
    record("allocate unknown user", client(user="nobody", password="x").allocate())
    one = client()
    record("allocate once", one.allocate())
    record("allocate twice", one.allocate())
    record("refresh", one.refresh())
    record("refresh lifetime", one.refresh(1800))
    record("refresh wrong family", one.refresh(600, (REQUESTED_ADDRESS_FAMILY, u8x4(IPV6))))
    record("create permission", one.permit(peer))
    record("create permission of three", one.permit(peer, (lab.PEER4B, 1), ("11.0.3.1", 2)))
    record("create permission empty", one.request(CREATE_PERMISSION))
    record("create permission wrong family", one.permit(peer6))
    record("create permission loopback", one.permit(("127.0.0.1", 1)))
    record("create permission of loopback and a good peer", one.permit(peer, ("127.0.0.1", 1)))
    record("create permission private", one.permit(("10.0.0.1", 1)))
    record("channel bind", one.bind(0x4000, peer))
    record("channel bind again", one.bind(0x4000, peer))
    record("channel bind other peer", one.bind(0x4000, (lab.PEER4, 7001)))
    record("channel bind other channel", one.bind(0x4001, peer))
    record("channel bind 0x3fff", one.bind(0x3FFF, (lab.PEER4, 7002)))
    record("channel bind 0x5000", one.bind(0x5000, (lab.PEER4, 7003)))
    record("channel bind loopback", one.bind(0x4002, ("127.0.0.1", 1)))
    record("channel bind private", one.bind(0x4003, ("192.168.0.1", 1)))
    record("channel bind without peer", one.request(CHANNEL_BIND, [(CHANNEL_NUMBER, channel_number(0x4004))]))
    record("channel bind without number", one.request(CHANNEL_BIND))
    one.nonce = b"obMatJos2wAAA" + b"0" * 16
    raw("refresh stale nonce", one.message(REFRESH), one)
    record("refresh after stale nonce", one.refresh(600))
    record("refresh end", one.refresh(0))
    record("refresh after end", one.refresh(600))
    other = client()
    other.learn(other.exchange(build(ALLOCATE, attributes=[udp])))
    record("create permission without allocation", other.permit(peer))
    record("channel bind without allocation", other.bind(0x4000, peer))


def described(response):
    if response is None:
        return {"result": "silence", "attributes": []}
    result = f"error {response.code}" if response.kind == ERROR else CLASSES[response.kind]
    names = [("a second " if name in response.names()[:n] else "") + name for n, name in enumerate(response.names())]
    return {"result": result, "attributes": sorted(names), "lifetime": response.number(LIFETIME)}


def collect(path):
    found = {}

    def record(label, response):
        assert label not in found, label
        found[label] = described(response)
    stream(record)
    pathlib.Path(path).write_text(json.dumps(found))


def differences(theirs, ours):
    if theirs["result"] != ours["result"]:
        return [f"{theirs['result']}>{ours['result']}"]
    out = ["-" + name for name in theirs["attributes"] if name not in ours["attributes"]]
    out += ["+" + name for name in ours["attributes"] if name not in theirs["attributes"]]
    if theirs.get("lifetime") != ours.get("lifetime") and not out:
        out.append(f"LIFETIME {theirs.get('lifetime')}>{ours.get('lifetime')}")
    return out


def main():
    results = []
    for relay in "coturn", os.environ.get("RELAY", "blindrelay"):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            command = [str(lab.ROOT / "scripts/lab"), "with", "/usr/bin/python3", __file__, file.name]
            if subprocess.run(command, env=dict(os.environ, RELAY=relay), check=False).returncode:
                return 1
            results.append(json.loads(pathlib.Path(file.name).read_text()))
    theirs, ours = results
    used, bad, same = set(), 0, 0
    for label in theirs:
        found = differences(theirs[label], ours[label])
        same += not found
        for difference in found:
            reasons = [n for n, (labels, what, _) in enumerate(INTENDED)
                       if re.fullmatch(labels, label) and (what == difference or what == ".*")]
            used.update(reasons)
            if not reasons:
                bad += 1
                print(f"DIFFERS  {label}: {difference}   turnserver {theirs[label]}, this relay {ours[label]}")
    for number, (labels, what, reason) in enumerate(INTENDED):
        if number in used:
            print(f"intended {labels}: {what} ({reason})")
        elif not lab.coturn() and what != ".*":
            bad += 1
            print(f"STALE    {labels}: {what} is listed but not seen")
    print(f"{len(theirs)} requests, {same} answered alike in everything, {bad} differences that are not intended")
    return 1 if bad else 0


if __name__ == "__main__":
    if "LAB_DIR" in os.environ:
        collect(sys.argv[1])
    else:
        sys.exit(main())
