# SPDX-License-Identifier: BSD-3-Clause
"""A client for tokens of our own, sharing no code with the relay: VOPRF(ristretto255, SHA-512) of RFC 9497 on
libsodium's curve, request and answer files, and a token as a TURN user and as a REGISTER shows it."""
import base64
import ctypes
import hashlib
import os
import struct

from native_keys import blake3_derive, blake3_keyed

SODIUM = ctypes.CDLL("libsodium.so.23")
if SODIUM.sodium_init() < 0:
    raise OSError("libsodium cannot start")
CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data(word):
    return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))


# ---- RFC 9497 ----

def expand(message, tag, length=64):
    """expand_message_xmd of RFC 9380 5.3.1 with SHA-512, one block of output."""
    tag += bytes([len(tag)])
    first = hashlib.sha512(bytes(128) + message + struct.pack(">H", length) + b"\0" + tag).digest()
    return hashlib.sha512(first + b"\x01" + tag).digest()[:length]


def multiply(scalar, element):
    out = ctypes.create_string_buffer(32)
    if SODIUM.crypto_scalarmult_ristretto255(out, scalar, element):
        raise ValueError("not an element")
    return out.raw


class Request:
    """What goes to the operator is `text`; `take` makes tokens of the answer."""

    def __init__(self, count):
        self.pending = []
        for _ in range(count):
            nonce, blind, element = os.urandom(32), ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
            SODIUM.crypto_core_ristretto255_scalar_random(blind)
            SODIUM.crypto_core_ristretto255_from_hash(element, expand(nonce, b"HashToGroup-" + CONTEXT))
            self.pending.append((nonce, blind.raw, multiply(blind.raw, element.raw)))
        self.text = "".join(["blindrelay-token-request 1\n", *(text(blinded) + "\n" for *_, blinded in self.pending)])

    def take(self, answer):
        lines = answer.splitlines()
        assert lines[0] == "blindrelay-token-answer 1", lines[0]
        words = dict(line.split() for line in lines[1:4])
        key_id, public = int(words["key"], 16), data(words["public"])
        assert key_id == int.from_bytes(blake3_derive("Blindrelay 2026-11 token key id", public)[:4], "big")
        assert len(lines) == 4 + len(self.pending) and len(data(words["proof"])) == 64
        tokens = []
        for (nonce, blind, _), line in zip(self.pending, lines[4:]):
            inverse = ctypes.create_string_buffer(32)
            SODIUM.crypto_core_ristretto255_scalar_invert(inverse, blind)
            element = multiply(inverse.raw, data(line))
            output = hashlib.sha512(struct.pack(">H", 32) + nonce + struct.pack(">H", 32) + element + b"Finalize").digest()
            tokens.append(Token(key_id, nonce, blake3_derive("Blindrelay 2026-11 token", output)))
        return tokens


class Token:
    def __init__(self, key_id, nonce, key):
        self.key_id, self.key = key_id, key
        self.start = struct.pack(">I", key_id) + nonce  # as native.py's REGISTER wants it
        self.user = "t." + text(self.start)
        self.password = text(key)

    def mac(self, covered):
        return blake3_keyed(self.key, covered)
