# SPDX-License-Identifier: BSD-3-Clause
"""A client for tokens of our own, sharing no code with the relay: VOPRF(ristretto255, SHA-512) of RFC 9497 on
libsodium's curve, BLAKE3 of one block, request and answer files, and a token as a TURN user."""
import base64
import ctypes
import hashlib
import os
import struct

SODIUM = ctypes.CDLL("libsodium.so.23")
if SODIUM.sodium_init() < 0:
    raise OSError("libsodium cannot start")
CONTEXT = b"OPRFV1-\x01-ristretto255-SHA512"


def text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def data(word):
    return base64.urlsafe_b64decode(word + "=" * (-len(word) % 4))


# ---- BLAKE3, section 2.2 of its paper, for inputs of one block ----

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
START, END, ROOT, DERIVE_CONTEXT, DERIVE_MATERIAL = 1, 2, 8, 32, 64


def compress(key, block, flags):
    words = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    state = [*key, *IV[:4], 0, 0, len(block), flags]

    def quarter(a, b, c, d, x, y):
        for word, first, second in (x, 16, 12), (y, 8, 7):
            state[a] = (state[a] + state[b] + word) & 0xFFFFFFFF
            state[d] ^= state[a]
            state[d] = (state[d] >> first | state[d] << (32 - first)) & 0xFFFFFFFF
            state[c] = (state[c] + state[d]) & 0xFFFFFFFF
            state[b] ^= state[c]
            state[b] = (state[b] >> second | state[b] << (32 - second)) & 0xFFFFFFFF

    for _ in range(7):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i, words[2 * i], words[2 * i + 1])
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, words[8 + 2 * i], words[9 + 2 * i])
        words = [words[i] for i in PERMUTATION]
    return [state[i] ^ state[i + 8] for i in range(8)]


def derive(context, material):
    assert len(context) <= 64 and len(material) <= 64
    key = compress(IV, context, START | END | ROOT | DERIVE_CONTEXT)
    return struct.pack("<8I", *compress(key, material, START | END | ROOT | DERIVE_MATERIAL))


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
        assert key_id == int.from_bytes(derive(b"Blindrelay 2026-11 token key id", public)[:4], "big")
        assert len(lines) == 4 + len(self.pending) and len(data(words["proof"])) == 64
        tokens = []
        for (nonce, blind, _), line in zip(self.pending, lines[4:]):
            inverse = ctypes.create_string_buffer(32)
            SODIUM.crypto_core_ristretto255_scalar_invert(inverse, blind)
            element = multiply(inverse.raw, data(line))
            output = hashlib.sha512(struct.pack(">H", 32) + nonce + struct.pack(">H", 32) + element + b"Finalize").digest()
            tokens.append(Token(key_id, nonce, derive(b"Blindrelay 2026-11 token", output)))
        return tokens


class Token:
    def __init__(self, key_id, nonce, key):
        self.key_id = key_id
        self.user = "t." + text(struct.pack(">I", key_id) + nonce)
        self.password = text(key)
