# SPDX-License-Identifier: BSD-3-Clause
"""What a client of the native protocol computes: BLAKE3, blinded keys, addresses, signatures, proofs, puzzles.

Written from lib/crypto/epoch.h and lib/wire/README.md and sharing no code with the relay, so that a misreading on
one side shows. Curve arithmetic, SHA-512 and SipHash are libsodium's; BLAKE3 is plain Python, for inputs of one
chunk (1,024 bytes), which all of the protocol's are but the messages that tokens sign.
"""
import ctypes
import functools
import os
import struct

SODIUM = ctypes.CDLL("libsodium.so.23")
if SODIUM.sodium_init() < 0:
    raise RuntimeError("libsodium does not start")
SIGNATURE_CONTEXT = b"Blindrelay native 1\0"


def sodium(function, size, *arguments):
    """Calls a function whose first argument is its output of `size` bytes; None where it fails."""
    out = ctypes.create_string_buffer(size)
    return None if getattr(SODIUM, function)(out, *arguments) else out.raw


# ---- BLAKE3 ----

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
KEYED, DERIVE_CONTEXT, DERIVE_MATERIAL = 16, 32, 64
MIXES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
MASK = 0xFFFFFFFF


def compress(chain, block, counter, flags):
    """The first half of the output: a chaining value, or 32 bytes of hash."""
    words = struct.unpack("<16I", block.ljust(64, b"\0"))
    v = [*chain, *IV[:4], counter & MASK, counter >> 32, len(block), flags]
    for _ in range(7):
        for n, (a, b, c, d) in enumerate(MIXES):
            for word, first, second in ((words[2 * n], 16, 12), (words[2 * n + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & MASK
                x = v[d] ^ v[a]
                v[d] = x >> first | x << (32 - first) & MASK
                v[c] = (v[c] + v[d]) & MASK
                x = v[b] ^ v[c]
                v[b] = x >> second | x << (32 - second) & MASK
        words = [words[n] for n in PERMUTATION]
    return [v[n] ^ v[n + 8] for n in range(8)]


def blake3_words(key, data, mode):
    """One chunk, or two: no input here is longer."""
    if len(data) > 2048:
        raise ValueError("longer than two chunks")
    chunks = [data[at:at + 1024] for at in range(0, len(data), 1024)] or [b""]
    chains = []
    for counter, chunk in enumerate(chunks):
        chain, blocks = key, [chunk[at:at + 64] for at in range(0, len(chunk), 64)] or [b""]
        for n, block in enumerate(blocks):
            flags = mode | CHUNK_START * (n == 0) | CHUNK_END * (n == len(blocks) - 1)
            chain = compress(chain, block, counter, flags | ROOT * (len(chunks) == 1 and flags & CHUNK_END > 0))
        chains.append(chain)
    if len(chains) == 1:
        return chains[0]
    return compress(key, struct.pack("<16I", *chains[0], *chains[1]), 0, mode | PARENT | ROOT)


def blake3(data):
    return struct.pack("<8I", *blake3_words(IV, data, 0))


def blake3_keyed(key, data):
    return struct.pack("<8I", *blake3_words(struct.unpack("<8I", key), data, KEYED))


@functools.lru_cache
def context_key(context):
    return tuple(blake3_words(IV, context.encode(), DERIVE_CONTEXT))


def blake3_derive(context, *material):
    return struct.pack("<8I", *blake3_words(context_key(context), b"".join(material), DERIVE_MATERIAL))


# ---- keys and addresses ----

def clamp(scalar):
    return bytes([scalar[0] & 248]) + scalar[1:31] + bytes([scalar[31] & 63 | 64])


def sha512(*parts):
    data = b"".join(parts)
    return sodium("crypto_hash_sha512", 64, data, ctypes.c_ulonglong(len(data)))


def reduced(wide):
    """A scalar of 64 bytes modulo the group's order."""
    out = ctypes.create_string_buffer(32)
    SODIUM.crypto_core_ed25519_scalar_reduce(out, wide)
    return out.raw


def scalar_op(name, one, other):
    out = ctypes.create_string_buffer(32)
    getattr(SODIUM, "crypto_core_ed25519_scalar_" + name)(out, one, other)
    return out.raw


class Key:
    """An Ed25519 key pair in expanded form: scalar and the prefix that nonces are made from."""

    def __init__(self, scalar, prefix):
        self.scalar, self.prefix = scalar, prefix
        self.public = sodium("crypto_scalarmult_ed25519_base_noclamp", 32, scalar)

    def sign(self, message):
        """RFC 8032, over the native protocol's context and the message."""
        message = SIGNATURE_CONTEXT + message
        nonce = reduced(sha512(self.prefix, message))
        point = sodium("crypto_scalarmult_ed25519_base_noclamp", 32, nonce)
        challenge = reduced(sha512(point, self.public, message))
        return point + scalar_op("add", scalar_op("mul", challenge, self.scalar), nonce)


class EpochKey(Key):
    """An owner's key of one epoch, and the address that goes with it."""

    def __init__(self, owner, epoch):
        number = struct.pack("<I", epoch)
        factor = clamp(blake3_derive("Blindrelay 2026-11 epoch key blinding", owner.namespace, owner.public, number))
        blinded = sha512(b"Derive temporary signing key hash input", owner.prefix)[:32]
        super().__init__(scalar_op("mul", owner.scalar, factor), blinded)
        self.prefix = blake3_derive("Blindrelay 2026-11 epoch nonce prefix", blinded, self.public)
        self.epoch = epoch
        self.address = blake3(owner.namespace + self.public + number)[:16] + blake3(self.public)[:16]
        if self.public != sodium("crypto_scalarmult_ed25519_noclamp", 32, factor, owner.public):
            raise ValueError("secret and public blinding differ")


class Owner(Key):
    """A delivery key P in a namespace; at(epoch) is its key of that epoch."""

    def __init__(self, seed=None, namespace=bytes(32)):
        self.seed, self.namespace = seed or os.urandom(32), namespace
        wide = sha512(self.seed)
        super().__init__(clamp(wide[:32]), wide[32:])
        self.epochs = {}

    def at(self, epoch):
        if epoch not in self.epochs:
            self.epochs[epoch] = EpochKey(self, epoch)
        return self.epochs[epoch]


# ---- what is computed over messages ----

def siphash(key, data):
    return sodium("crypto_shorthash_siphashx24", 16, data, ctypes.c_ulonglong(len(data)), key)


class Ephemeral:
    """An X25519 pair for one OPEN or ACCEPT."""

    def __init__(self):
        self.secret = os.urandom(32)
        self.public = sodium("crypto_scalarmult_base", 32, self.secret)

    def path_key(self, relay_key, open_id, callee):
        shared = sodium("crypto_scalarmult", 32, self.secret, relay_key)
        return blake3_derive("Blindrelay 2026-11 path key", shared, self.public, relay_key, open_id, bytes([callee]))[:16]


def puzzle_bits(cookie, address, solution):
    number = int.from_bytes(blake3_derive("Blindrelay 2026-11 puzzle", cookie, address, solution), "big")
    return 256 - number.bit_length()


def solve(cookie, address, difficulty):
    tried = 0
    while puzzle_bits(cookie, address, tried.to_bytes(8, "big")) < difficulty:
        tried += 1
    return tried.to_bytes(8, "big")
