# SPDX-License-Identifier: BSD-3-Clause
"""The native protocol's messages (lib/wire/README.md), each described by one line, and a client of it for exact tests.

Written from that page alone. Messages can be built wrong on purpose: `build` takes any bytes for any field.
"""
import collections
import ipaddress
import os
import select
import struct
import time

import native_keys
from native_keys import Ephemeral, siphash, solve

CONTROL, BY_ADDRESS, BY_HANDLE, DELIVERED = 4, 5, 6, 0x81
VERSION = 1
NO_COOKIE, NO_HANDLE = bytes(12), bytes(8)
(SOLICIT, CHALLENGE, REGISTER, REGISTERED, REFUSED, KEEPALIVE, ALIVE, PATH_CHALLENGE, PATH_RESPONSE, OPEN, INVITE, ACCEPT,
 OPENED, CLOSE, CLOSED, UNSUPPORTED) = range(1, 17)
(MALFORMED, EPOCH, NOT_THE_KEY, SIGNATURE, OLDER, DEVICES, PUZZLE, TOKEN_WANTED, TOKEN_BAD, TOKEN_SPENT, FULL, BUSY, DRAINING,
 NOT_REGISTERED, NO_ADDRESS, DECLINED, TAKEN, TICKET, NOT_SERVED) = range(1, 20)
BY_PEER, BY_YOU, PEER_SILENT, CLOSED_DRAINING, YOU_SILENT = range(1, 6)
NAMES = {number: name for name, number in list(globals().items()) if name in (
    "SOLICIT CHALLENGE REGISTER REGISTERED REFUSED KEEPALIVE ALIVE PATH_CHALLENGE PATH_RESPONSE OPEN INVITE ACCEPT OPENED "
    "CLOSE CLOSED UNSUPPORTED").split()}

# name:size, the page's tables. Size: bytes, or B, H, I for numbers; "n": as many as field n says; "*": what is left.
LAYOUT = {
    SOLICIT: "zero:28",
    CHALLENGE: "cookie:12 difficulty:B admission:B zero:2 epoch:I epoch_seconds:I",
    REGISTER: "cookie:12 lifetime:I epoch:I device:8 address:32 key:32 admission_kind:B zero:3 admission:* signature:64",
    REGISTERED: "lifetime:I cookie:12 observed:20 keepalive:H devices:B zero:1 payload:H zero:2 relay_key:32",
    REFUSED: "reason:B zero:3 detail:I",
    KEEPALIVE: "cookie:12 handle:8 zero:16",
    ALIVE: "cookie:12 observed:20 left:I",
    PATH_CHALLENGE: "handle:8 token:12",
    PATH_RESPONSE: "handle:8 token:12 proof:16",
    OPEN: "cookie:12 open_id:16 caller:32 callee:32 key:32 ephemeral:32 n:H zero:2 sealed:n zero:4 signature:64",
    INVITE: "open_id:16 callee:32 n:H zero:2 ticket:144 sealed:n",
    ACCEPT: "cookie:12 open_id:16 callee:32 key:32 ephemeral:32 decision:B zero:1 n:H ticket:144 sealed:n signature:64",
    OPENED: "open_id:16 handle:8 lifetime:I keepalive:H n:H proof:16 sealed:n",
    CLOSE: "handle:8 proof:16 zero:4",
    CLOSED: "handle:8 reason:B zero:3 proof:16",
    UNSUPPORTED: "lowest:B highest:B zero:2",
}
SIZES = {SOLICIT: {40}, CHALLENGE: {36}, REGISTER: {172, 180, 240}, REGISTERED: {88}, REFUSED: {20}, KEEPALIVE: {48}, ALIVE: {48},
         PATH_CHALLENGE: {32}, PATH_RESPONSE: {48}, CLOSE: {40}, CLOSED: {40}, UNSUPPORTED: {16}}
SIGNED = REGISTER, OPEN, ACCEPT


def transaction():
    return os.urandom(8)


def layout(kind):
    return [field.split(":") for field in LAYOUT[kind].split()]


def build(kind, number=None, version=VERSION, signer=None, **fields):
    """One control message; `signer` signs those that are signed. What is not given is zero."""
    if "sealed" in fields:
        fields.setdefault("n", len(fields["sealed"]))
    raw = struct.pack("!BBBB", CONTROL, version, kind, 0) + (number or transaction())
    for name, size in layout(kind):
        if size in "BHI":
            raw += struct.pack("!" + size, fields.get(name, 0))
        elif name == "signature" and signer is not None:
            raw += signer.sign(raw)
        else:
            raw += fields.get(name, bytes(int(size)) if size.isdigit() else b"")
    return raw


class Message(dict):
    """A message's fields, also as attributes. kind, transaction, raw; for data: kind None, payload."""
    __getattr__ = dict.__getitem__

    def __str__(self):
        fields = (f"{k} {v.hex() if isinstance(v, bytes) else v}" for k, v in self.items() if k not in ("raw", "kind", "source"))
        return f"{NAMES.get(self.kind, 'data')}: {', '.join(fields)}"


def parse(data):
    """A Message, or ValueError for what the page calls malformed."""
    if not data:
        raise ValueError("nothing")
    if data[0] == BY_HANDLE:
        if len(data) < 8 or data[1]:
            raise ValueError("data by handle with a wrong header")
        return Message(kind=None, raw=data, handle=data[:8], payload=data[8:])
    if data[0] == BY_ADDRESS:
        if len(data) < 36 or data[1] != DELIVERED or data[3]:
            raise ValueError("data by address with a wrong header")
        return Message(kind=None, raw=data, hops=data[2], address=data[4:36], payload=data[36:])
    if data[0] != CONTROL or not 12 <= len(data) <= 1232 or data[3]:
        raise ValueError("not control, too short or long, or its zero is not")
    message = Message(kind=data[2], version=data[1], transaction=data[4:12], raw=data)
    if data[1] != VERSION:
        raise ValueError(f"version {data[1]}")
    if data[2] not in LAYOUT or len(data) not in SIZES.get(data[2], {len(data)}):
        raise ValueError(f"type {data[2]} with {len(data)} bytes")
    at = 12
    for name, size in layout(data[2]):
        length = (struct.calcsize(size) if size in "BHI" else message["n"] if size == "n" else
                  len(data) - at - 64 if size == "*" else int(size))
        value = data[at:at + length]
        if len(value) != length or name == "zero" and any(value):
            raise ValueError(f"{NAMES[data[2]]} is cut off or has other bytes than zeros")
        if name != "zero":
            message[name] = struct.unpack("!" + size, value)[0] if size in "BHI" else value
        at += length
    if at != len(data):
        raise ValueError(f"{NAMES[data[2]]} with bytes behind its end")
    return message


def observed(message):
    """(address, port) of a REGISTERED or ALIVE."""
    value = message.observed
    mask = (message.transaction * 3)[:18]
    clear = bytes(a ^ b for a, b in zip(value[2:], mask))
    if value[1] or value[0] not in (4, 6) or value[0] == 4 and any(clear[6:]):
        raise ValueError("observed address of wrong form")
    return str(ipaddress.ip_address(clear[2:6] if value[0] == 4 else clear[2:])), int.from_bytes(clear[:2], "big")


def by_address(cookie, address, payload, hops=8, version=VERSION, zero=0):
    return bytes([BY_ADDRESS, version, hops, zero]) + cookie + address + payload


# ---- a client on one socket ----

class Silence(Exception):
    """No answer, although the request was repeated."""


class Handle:
    """One side of a pair: the 8 bytes that data carries, and the key that proves who holds it."""

    def __init__(self, opened, key):
        self.raw, self.key = opened.handle, key
        self.lifetime, self.keepalive, self.sealed = opened.lifetime, opened.keepalive, opened.sealed

    def data(self, payload):
        return self.raw + payload

    def close(self, number=None):
        number = number or transaction()
        return build(CLOSE, number, handle=self.raw, proof=siphash(self.key, b"C" + number + self.raw))

    def path_response(self, challenge):
        number = transaction()
        return build(PATH_RESPONSE, number, handle=self.raw, token=challenge.token,
                     proof=siphash(self.key, b"P" + number + self.raw + challenge.token))

    def closed(self, message):
        """Whether a CLOSED is the relay's."""
        return message.proof == siphash(self.key, b"D" + message.transaction + self.raw + bytes([message.reason]))


class Client:
    """A device of an owner on one socket. What arrives and was not waited for is in inbox."""

    def __init__(self, sock, server, owner=None):
        self.sock, self.server = sock, server
        self.owner = owner or native_keys.Owner()
        self.devices = collections.defaultdict(lambda: os.urandom(8))  # by epoch: another name in each
        self.cookie, self.challenge, self.registered = NO_COOKIE, None, None
        self.handles = []
        self.inbox = []
        self.sent = []              # every datagram, for tests that replay
        self.answers_paths = True
        self.ephemerals = {}
        sock.setblocking(False)

    def close(self):
        self.sock.close()

    @property
    def key(self):
        """Of the epoch it registered in last, or that the relay is in."""
        return self.owner.at(self.epoch)

    @property
    def address(self):
        return self.key.address

    def send_raw(self, data):
        self.sent.append(data)
        self.sock.sendto(data, self.server)

    def receive(self, match=lambda message: True, seconds=3.0):
        """The first message, in the inbox or new, for which match holds; None after that time. What is no message of the
        protocol raises: a relay sends nothing else."""
        for n, message in enumerate(self.inbox):
            if match(message):
                return self.inbox.pop(n)
        deadline = time.monotonic() + seconds
        while True:
            ready, _, _ = select.select([self.sock], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                return None
            try:
                data, source = self.sock.recvfrom(65536)
            except ConnectionError:
                continue
            message = parse(data)
            message["source"] = source[:2]
            if message.kind == PATH_CHALLENGE and self.answers_paths and self.answer_path(message):
                continue
            if match(message):
                return message
            self.inbox.append(message)

    def answer_path(self, message):
        handle = next((h for h in self.handles if h.raw == message.handle), None)
        if handle:
            self.send_raw(handle.path_response(message))
        return handle is not None

    def exchange(self, make, seconds=5.0, number=None):
        """Sends make(transaction) and returns what answers it, repeating it; a CHALLENGE renews the cookie, after which the
        message is made anew, once."""
        for attempt in range(2):
            number = number or transaction()
            raw = make(number)
            answer, every, deadline = None, 0.25, time.monotonic() + seconds
            while answer is None and time.monotonic() < deadline:
                self.send_raw(raw)
                answer = self.receive(lambda m: m.get("transaction") == number,
                                      min(every, max(0, deadline - time.monotonic())))
                every *= 2
            if answer is None:
                raise Silence(f"no answer to {NAMES.get(raw[2], raw[2])} within {seconds} s")
            if answer.kind != CHALLENGE or raw[2] == SOLICIT or attempt:
                return answer
            self.learn(answer)
            number = None
        return answer

    def learn(self, challenge):
        self.challenge, self.cookie = challenge, challenge.cookie

    def solicit(self):
        challenge = self.exchange(lambda number: build(SOLICIT, number))
        if challenge.kind != CHALLENGE:
            raise ValueError(f"SOLICIT was answered by {challenge}")
        self.learn(challenge)
        return challenge

    @property
    def epoch(self):
        if self.registered is not None:
            return self.registered
        if self.challenge is None:
            self.solicit()
        return self.challenge.epoch

    def register_message(self, number, epoch, lifetime, token=None, signer=None, **fields):
        key = signer or self.owner.at(epoch)
        fields = {"cookie": self.cookie, "device": self.devices[epoch], "address": key.address, "key": key.public, **fields}
        if self.challenge.difficulty and "admission_kind" not in fields:
            fields.update(admission_kind=1, admission=solve(self.cookie, fields["address"], self.challenge.difficulty))
        if token is not None:
            fields.update(admission_kind=2, admission=token.start + bytes(32))
            raw = build(REGISTER, number, lifetime=lifetime, epoch=epoch, **fields)
            fields["admission"] = token.start + token.mac(raw[:-96])
        return build(REGISTER, number, lifetime=lifetime, epoch=epoch, **{"signature": bytes(64), **fields},
                     signer=None if "signature" in fields else key)

    def register(self, lifetime=600, epoch=None, fresh=True, **fields):
        """The answer: REGISTERED, or REFUSED. fresh: with a cookie fetched for it, as order demands; one that was shown before, in the same
        tick of the relay's, would also link two registrations."""
        if fresh or self.challenge is None:
            shown = self.challenge and self.challenge.cookie
            while self.solicit().cookie == shown:
                pass
        if epoch is None:
            epoch = self.challenge.epoch
        answer = self.exchange(lambda number: self.register_message(number, epoch, lifetime, **fields))
        if answer.kind == REGISTERED:
            self.registered, self.lease, self.cookie = epoch, answer, answer.cookie
        return answer

    def withdraw(self, **fields):
        return self.register(lifetime=0, epoch=self.registered, **fields)

    def keepalive(self, handle=None, **how):
        answer = self.exchange(lambda number: build(KEEPALIVE, number, cookie=self.cookie, handle=handle.raw if handle else NO_HANDLE), **how)
        if answer.kind == ALIVE:
            self.cookie = answer.cookie
        return answer

    def send_to(self, address, payload, hops=8):
        """Data by address. Nothing tells that it arrived; a CHALLENGE tells that it did not."""
        self.send_raw(by_address(self.cookie, address, payload, hops))

    def send(self, handle, payload):
        self.send_raw(handle.data(payload))

    # ---- opening ----

    def open_message(self, number, callee, sealed=b"", open_id=None, **fields):
        ephemeral = self.ephemerals.setdefault(open_id, Ephemeral())
        fields = {"cookie": self.cookie, "caller": self.address, "key": self.key.public, "ephemeral": ephemeral.public, **fields}
        return build(OPEN, number, callee=callee, sealed=sealed, open_id=open_id, **{"signature": bytes(64), **fields},
                     signer=None if "signature" in fields else self.key)

    def accept_message(self, number, invite, sealed=b"", decision=1, **fields):
        ephemeral = self.ephemerals.setdefault(invite.ticket, Ephemeral())
        fields = {"cookie": self.cookie, "key": self.key.public, "ephemeral": ephemeral.public, "open_id": invite.open_id,
                  "callee": invite.callee, "ticket": invite.ticket, **fields}
        return build(ACCEPT, number, sealed=sealed, decision=decision, **{"signature": bytes(64), **fields},
                     signer=None if "signature" in fields else self.key)

    def opened(self, message, name, callee):
        """The Handle of an OPENED whose proof is right."""
        ephemeral = self.ephemerals[name]
        key = ephemeral.path_key(self.lease.relay_key, message.open_id, callee)
        proof = siphash(key, b"O" + message.transaction + message.open_id + message.handle + struct.pack("!I", message.lifetime) + message.sealed)
        if proof != message.proof:
            raise ValueError("OPENED with a wrong proof")
        handle = Handle(message, key)
        self.handles.append(handle)
        return handle

    def begin_open(self, callee, sealed=b"", **fields):
        """Sends OPEN; finish_open waits for what comes of it."""
        self.solicit()
        self.opening = os.urandom(16), transaction()
        self.send_raw(self.open_message(self.opening[1], callee, sealed, self.opening[0], **fields))
        return self.opening[0]

    def finish_open(self, seconds=5):
        """A Handle, or the REFUSED."""
        open_id, number = self.opening
        answer = self.receive(lambda m: m.get("transaction") == number, seconds)
        if answer is None:
            raise Silence("nothing came of OPEN")
        return self.opened(answer, open_id, False) if answer.kind == OPENED else answer

    def invited(self, seconds=3):
        invite = self.receive(lambda m: m.kind == INVITE, seconds)
        if invite is None:
            raise Silence("no INVITE")
        return invite

    def accept(self, invite, sealed=b"", **fields):
        """A Handle, or the REFUSED. With a fresh cookie, since the one it has may be old."""
        self.solicit()
        answer = self.exchange(lambda number: self.accept_message(number, invite, sealed, **fields))
        return self.opened(answer, invite.ticket, True) if answer.kind == OPENED else answer


def call(caller, callee, sealed=b"hello", answer=b"hi"):
    """Opens a pair between two registered clients: (caller's Handle, callee's Handle, the INVITE)."""
    caller.begin_open(callee.address, sealed)
    invite = callee.invited()
    theirs = callee.accept(invite, answer)
    ours = caller.finish_open()
    for side in ours, theirs:
        if not isinstance(side, Handle):
            raise ValueError(f"no handle: {side}")
    return ours, theirs, invite
