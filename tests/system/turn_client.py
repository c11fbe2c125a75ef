#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A small STUN/TURN client for exact tests: RFC 8489, RFC 8656, RFC 5780, standard library only.

It shares no code with the relay, so that a misreading of the RFC on one side shows. Messages can be
built wrong on purpose. `turn_client.py binding ADDRESS [PORT]` asks for one Binding and prints it.
"""
import hashlib
import hmac
import ipaddress
import os
import select
import socket
import struct
import sys
import time
import zlib
from dataclasses import dataclass, field

COOKIE = 0x2112A442
BINDING, ALLOCATE, REFRESH, SEND, DATA, CREATE_PERMISSION, CHANNEL_BIND = 1, 3, 4, 6, 7, 8, 9
REQUEST, INDICATION, SUCCESS, ERROR = 0, 1, 2, 3
METHODS = {1: "Binding", 3: "Allocate", 4: "Refresh", 6: "Send", 7: "Data", 8: "CreatePermission", 9: "ChannelBind"}
CLASSES = {0: "request", 1: "indication", 2: "success", 3: "error"}

MAPPED_ADDRESS = 0x0001
CHANGE_REQUEST = 0x0003
USERNAME = 0x0006
MESSAGE_INTEGRITY = 0x0008
ERROR_CODE = 0x0009
UNKNOWN_ATTRIBUTES = 0x000A
CHANNEL_NUMBER = 0x000C
LIFETIME = 0x000D
XOR_PEER_ADDRESS = 0x0012
DATA_ATTRIBUTE = 0x0013
REALM = 0x0014
NONCE = 0x0015
XOR_RELAYED_ADDRESS = 0x0016
REQUESTED_ADDRESS_FAMILY = 0x0017
EVEN_PORT = 0x0018
REQUESTED_TRANSPORT = 0x0019
DONT_FRAGMENT = 0x001A
MESSAGE_INTEGRITY_SHA256 = 0x001C
PASSWORD_ALGORITHM = 0x001D
USERHASH = 0x001E
XOR_MAPPED_ADDRESS = 0x0020
RESERVATION_TOKEN = 0x0022
PADDING = 0x0026
RESPONSE_PORT = 0x0027
ADDITIONAL_ADDRESS_FAMILY = 0x8000
ADDRESS_ERROR_CODE = 0x8001
PASSWORD_ALGORITHMS = 0x8002
ICMP = 0x8004
SOFTWARE = 0x8022
FINGERPRINT = 0x8028
RESPONSE_ORIGIN = 0x802B
OTHER_ADDRESS = 0x802C
ATTRIBUTES = {v: k for k, v in list(globals().items()) if k.isupper() and isinstance(v, int)
              and k not in METHODS.values() and (v > 9 or k in ("MAPPED_ADDRESS", "CHANGE_REQUEST", "USERNAME",
                                                                 "MESSAGE_INTEGRITY", "ERROR_CODE")) and v != COOKIE}

UDP, TCP = 17, 6
IPV4, IPV6 = 1, 2
MD5, SHA256 = 1, 2  # PASSWORD-ALGORITHM numbers, RFC 8489 section 18.5.1


def attribute_name(kind):
    return ATTRIBUTES.get(kind, f"0x{kind:04x}").replace("_", "-")


# ---- values ----

def u8x4(first):
    return bytes([first, 0, 0, 0])


def u32(value):
    return struct.pack("!I", value)


def transport(protocol=UDP):
    return u8x4(protocol)


def channel_number(number):
    return struct.pack("!HH", number, 0)


def algorithm(number, parameters=b""):
    return struct.pack("!HH", number, len(parameters)) + parameters


def xor_address(endpoint, transaction, cookie=COOKIE):
    address, port = ipaddress.ip_address(endpoint[0]), endpoint[1]
    mask = struct.pack("!I", cookie) + transaction
    packed = bytes(a ^ b for a, b in zip(address.packed, mask))
    return struct.pack("!BBH", 0, IPV4 if address.version == 4 else IPV6, port ^ (cookie >> 16)) + packed


def read_xor_address(value, transaction):
    return read_address(value, struct.pack("!I", COOKIE) + transaction)


def read_address(value, mask=bytes(16)):
    _, family, port = struct.unpack("!BBH", value[:4])
    length = {IPV4: 4, IPV6: 16}[family]
    if len(value) != 4 + length:
        raise ValueError("address of wrong length")
    packed = bytes(a ^ b for a, b in zip(value[4:], mask))
    return str(ipaddress.ip_address(packed)), port ^ int.from_bytes(mask[:2], "big")


# ---- messages ----

@dataclass
class Message:
    method: int
    kind: int
    transaction: bytes
    attributes: list = field(default_factory=list)
    raw: bytes = b""

    def get(self, kind):
        return next((value for a, value in self.attributes if a == kind), None)

    def has(self, kind):
        return self.get(kind) is not None

    @property
    def code(self):
        """The error code, 0 for a success."""
        value = self.get(ERROR_CODE)
        return value[2] * 100 + value[3] if self.kind == ERROR and value else 0

    def address(self, kind=XOR_MAPPED_ADDRESS):
        value = self.get(kind)
        return None if value is None else read_xor_address(value, self.transaction)

    def addresses(self, kind):
        return [read_xor_address(v, self.transaction) for a, v in self.attributes if a == kind]

    def number(self, kind):
        value = self.get(kind)
        return None if value is None else struct.unpack("!I", value[:4])[0]

    def unknown(self):
        value = self.get(UNKNOWN_ATTRIBUTES) or b""
        return list(struct.unpack(f"!{len(value) // 2}H", value[:len(value) // 2 * 2]))

    def names(self):
        return [attribute_name(kind) for kind, _ in self.attributes]

    def __str__(self):
        code = f" {self.code}" if self.kind == ERROR else ""
        return f"{METHODS.get(self.method, self.method)} {CLASSES[self.kind]}{code} [{' '.join(self.names())}]"


def message_type(method, kind):
    return (method & 0xF) | (method & 0x70) << 1 | (method & 0xF80) << 2 | (kind & 1) << 4 | (kind & 2) << 7


def attribute(kind, value, pad=b"\0"):
    return struct.pack("!HH", kind, len(value)) + value + pad * (-len(value) % 4)


def new_transaction():
    return os.urandom(12)


def set_length(raw, extra=0):
    return raw[:2] + struct.pack("!H", len(raw) - 20 + extra) + raw[4:]


def add_integrity(raw, key, sha256=False, truncate=None):
    digest = hmac.new(key, set_length(raw, 4 + (truncate or (32 if sha256 else 20))),
                      hashlib.sha256 if sha256 else hashlib.sha1).digest()[:truncate]
    return set_length(raw + attribute(MESSAGE_INTEGRITY_SHA256 if sha256 else MESSAGE_INTEGRITY, digest))


def add_fingerprint(raw):
    crc = zlib.crc32(set_length(raw, 8)) ^ 0x5354554E
    return set_length(raw + attribute(FINGERPRINT, u32(crc)))


def build(method, kind=REQUEST, attributes=(), transaction=None, key=None, key256=None, fingerprint=False, after=()):
    """One message. `after`: attributes that a third party appended behind the integrity."""
    raw = struct.pack("!HHI", message_type(method, kind), 0, COOKIE) + (transaction or new_transaction())
    for a, value in attributes:
        raw += attribute(a, value)
    raw = set_length(raw)
    if key is not None:
        raw = add_integrity(raw, key)
    if key256 is not None:
        raw = add_integrity(raw, key256, sha256=True)
    for a, value in after:
        raw = set_length(raw + attribute(a, value))
    return add_fingerprint(raw) if fingerprint else raw


def is_stun(data):
    return len(data) >= 20 and data[0] < 4 and struct.unpack("!I", data[4:8])[0] == COOKIE


def parse(data):
    if not is_stun(data):
        raise ValueError("not STUN")
    kind_method, length = struct.unpack("!HH", data[:4])
    if length != len(data) - 20 or length % 4:
        raise ValueError("wrong length")
    method = (kind_method & 0xF) | (kind_method >> 1 & 0x70) | (kind_method >> 2 & 0xF80)
    kind = (kind_method >> 4 & 1) | (kind_method >> 7 & 2)
    message = Message(method, kind, data[8:20], raw=data)
    at = 20
    while at < len(data):
        a, size = struct.unpack("!HH", data[at:at + 4])
        if at + 4 + size > len(data):
            raise ValueError("attribute beyond the message")
        if any(data[at + 4 + size:at + 4 + size + -size % 4]):
            raise ValueError("padding that is not zero")
        message.attributes.append((a, data[at + 4:at + 4 + size]))
        at += 4 + size + -size % 4
    if message.has(FINGERPRINT):
        crc = zlib.crc32(data[:-8]) ^ 0x5354554E
        if message.attributes[-1] != (FINGERPRINT, u32(crc)):
            raise ValueError("wrong FINGERPRINT")
    return message


def integrity_right(message, key, kind=MESSAGE_INTEGRITY):
    """Whether the message carries that integrity attribute, made with this key."""
    at = 20
    for a, value in message.attributes:
        if a == kind:
            sha256 = kind == MESSAGE_INTEGRITY_SHA256
            truncate = len(value) if sha256 else None
            wanted = add_integrity(message.raw[:at], key, sha256, truncate)[at + 4:at + 4 + len(value)]
            return hmac.compare_digest(wanted, value)
        at += 4 + len(value) + -len(value) % 4
    return False


def channel_data(number, data, length=None, pad=False):
    raw = struct.pack("!HH", number, len(data) if length is None else length) + data
    return raw + bytes(-len(data) % 4) if pad else raw


def long_term_key(user, realm, password, number=MD5):
    digest = hashlib.sha256 if number == SHA256 else hashlib.md5
    return digest(f"{user}:{realm}:{password}".encode()).digest()


def userhash(user, realm):
    return hashlib.sha256(f"{user}:{realm}".encode()).digest()


def rest_credentials(secret, name="guest", lifetime=3600, now=None):
    user = f"{int((now or time.time()) + lifetime)}:{name}"
    import base64
    return user, base64.b64encode(hmac.new(secret.encode(), user.encode(), hashlib.sha1).digest()).decode()


# ---- a client on one socket ----

class Silence(Exception):
    """No response, although the request was repeated."""


class Client:
    """One 5-tuple. Credentials: user and password, or None for none."""

    def __init__(self, sock, server, user=None, password=None):
        self.sock, self.server = sock, server
        self.user, self.password = user, password
        self.realm = self.nonce = None
        self.sha256 = False        # MESSAGE-INTEGRITY-SHA256 with a SHA-256 key (RFC 8489 9.2.4)
        self.algorithms = None     # the server's PASSWORD-ALGORITHMS, to be returned as they came
        self.hash_user = False     # USERHASH in the place of USERNAME
        self.inbox = []            # (datagram, source): all that is not a response waited for
        self.relayed = []          # endpoints of the allocation
        sock.setblocking(False)

    def close(self):
        self.sock.close()

    @property
    def key(self):
        return long_term_key(self.user, self.realm, self.password, SHA256 if self.sha256 else MD5)

    def credentials(self):
        if self.realm is None:
            return []
        who = (USERHASH, userhash(self.user, self.realm)) if self.hash_user else (USERNAME, self.user.encode())
        out = [who, (REALM, self.realm.encode()), (NONCE, self.nonce)]
        if self.algorithms is not None:
            out += [(PASSWORD_ALGORITHMS, self.algorithms), (PASSWORD_ALGORITHM, algorithm(SHA256 if self.sha256 else MD5))]
        return out

    def message(self, method, attributes=(), kind=REQUEST, transaction=None, **how):
        """Signed as the current state of authentication says."""
        attributes = list(attributes)
        if kind == REQUEST and self.user is not None and self.realm is not None:
            attributes += self.credentials()
            how.setdefault("key256" if self.sha256 else "key", self.key)
        return build(method, kind, attributes, transaction, **how)

    def send_raw(self, data, server=None):
        self.sock.sendto(data, server or self.server)

    def wait(self, match, seconds, repeat=None, every=0.5):
        """The first datagram for which match(data, source) is not None (its value)."""
        deadline = time.monotonic() + seconds
        again = time.monotonic() + every
        while True:
            now = time.monotonic()
            if repeat is not None and now >= again:
                self.send_raw(repeat)
                every *= 2
                again = now + every
            limit = min(deadline, again) if repeat is not None else deadline
            ready, _, _ = select.select([self.sock], [], [], max(0, limit - now))
            if ready:
                try:
                    data, source = self.sock.recvfrom(65536)
                except ConnectionError:
                    continue
                found = match(data, source)
                if found is not None:
                    return found
                self.inbox.append((data, source))
            elif now >= deadline:
                return None

    def exchange(self, raw, seconds=7, repeat=True):
        """Sends a request and returns the response to it, repeating it as RFC 8489 6.2.1 says."""
        def match(data, _source):
            if is_stun(data) and data[8:20] == raw[8:20]:
                response = parse(data)
                return response if response.kind in (SUCCESS, ERROR) else None
            return None
        self.send_raw(raw)
        response = self.wait(match, seconds, raw if repeat else None)
        if response is None:
            raise Silence(f"no response to {raw[:20].hex()} within {seconds} s")
        return response

    def learn(self, response):
        """Takes realm, nonce and algorithms out of a 401 or 438."""
        self.realm = response.get(REALM).decode()
        self.nonce = response.get(NONCE)
        if self.sha256 and response.has(PASSWORD_ALGORITHMS):
            self.algorithms = response.get(PASSWORD_ALGORITHMS)

    def request(self, method, attributes=(), **how):
        """As a good client does it: learns the nonce, tries again once. Returns the response."""
        how.setdefault("transaction", new_transaction())
        response = self.exchange(self.message(method, attributes, **how))
        if self.user is not None and (response.code == 438 or response.code == 401 and self.realm is None):
            self.learn(response)
            how["transaction"] = new_transaction()
            response = self.exchange(self.message(method, attributes, **how))
        return response

    def binding(self, attributes=(), **how):
        return self.exchange(build(BINDING, REQUEST, attributes, **how))

    def allocate(self, *attributes, protocol=UDP, **how):
        response = self.request(ALLOCATE, [(REQUESTED_TRANSPORT, transport(protocol)), *attributes], **how)
        if response.kind == SUCCESS:
            self.relayed = response.addresses(XOR_RELAYED_ADDRESS)
        return response

    def refresh(self, lifetime=None, *attributes, **how):
        asked = [] if lifetime is None else [(LIFETIME, u32(lifetime))]
        return self.request(REFRESH, asked + list(attributes), **how)

    def peer_attributes(self, transaction, peers):
        return [(XOR_PEER_ADDRESS, xor_address(peer, transaction)) for peer in peers]

    def permit(self, *peers, **how):
        # The nonce has to be known already: a repeated IPv6 address is XORed with the transaction.
        transaction = how.setdefault("transaction", new_transaction())
        response = self.exchange(self.message(CREATE_PERMISSION, self.peer_attributes(transaction, peers), **how))
        if response.code == 438:
            self.learn(response)
            return self.permit(*peers)
        return response

    def bind(self, number, peer, **how):
        transaction = how.setdefault("transaction", new_transaction())
        response = self.exchange(self.message(
            CHANNEL_BIND, [(CHANNEL_NUMBER, channel_number(number)), *self.peer_attributes(transaction, [peer])], **how))
        if response.code == 438:
            self.learn(response)
            return self.bind(number, peer)
        return response

    def send(self, peer, data, *attributes):
        """A Send indication."""
        transaction = new_transaction()
        self.send_raw(build(SEND, INDICATION, [(XOR_PEER_ADDRESS, xor_address(peer, transaction)), *attributes,
                                               (DATA_ATTRIBUTE, data)], transaction))

    def send_channel(self, number, data, **how):
        self.send_raw(channel_data(number, data, **how))

    def receive(self, seconds=3):
        """The next ("channel", number, data), ("data", peer, data) or ("icmp", peer, value); None: nothing came."""
        item = self.take()
        if item is not None:
            return item

        def match(data, source):
            self.inbox.append((data, source))
            return self.take()
        return self.wait(match, seconds)

    def take(self):
        while self.inbox:
            data, _ = self.inbox.pop(0)
            if 0x40 <= data[0] <= 0x4F and len(data) >= 4:
                number, length = struct.unpack("!HH", data[:4])
                return "channel", number, data[4:4 + length]
            if is_stun(data):
                message = parse(data)
                if message.method == DATA and message.kind == INDICATION:
                    peer = message.address(XOR_PEER_ADDRESS)
                    if message.has(ICMP):
                        return "icmp", peer, message.get(ICMP)
                    return "data", peer, message.get(DATA_ATTRIBUTE)
        return None

    def all_so_far(self):
        """What the relay has sent until now, without waiting for nothing: a Binding comes back after it."""
        self.binding()
        out = []
        while (item := self.take()) is not None:
            out.append(item)
        return out


def main(arguments):
    if len(arguments) not in (2, 3) or arguments[0] != "binding":
        print(__doc__, file=sys.stderr)
        return 2
    server = (arguments[1], int(arguments[2]) if len(arguments) > 2 else 3478)
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    client = Client(socket.socket(family, socket.SOCK_DGRAM), server)
    try:
        response = client.exchange(build(BINDING), seconds=1)
    except (Silence, OSError) as reason:
        print(f"turn_client: {server[0]} port {server[1]}: {reason}", file=sys.stderr)
        return 1
    print(f"{response}: seen as {response.address()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
