#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The handshake and the envelope of a call, written from endpoint/session/*.h, the Noise specification (revision 34) and
its extension for hybrid forward secrecy, sharing no code with endpoint/session. Curves and AES-GCM are
python3-cryptography's, ML-KEM is mlkem.py.

`tests/system/noise_hfs.py >tests/vectors/handshake.h` writes the vectors that tests/unit/test_session_handshake.c holds
endpoint/session to; test_noise_hfs.py sees that they are still what this makes."""
import hashlib
import hmac
import struct

import mlkem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RAW = (Encoding.Raw, PublicFormat.Raw)
IK = ("e es s ss", "e ee se")
IK_HFS = ("e es e1 s ss", "e ee ekem1 se")
NAME = b"Noise_IKhfs_25519+MLKEM1024_AESGCM_SHA512"


def mac(key, data):
    return hmac.digest(key, data, "sha512")


def expand(key, info, size):
    """HKDF-Expand of RFC 5869."""
    out, block, count = b"", b"", 1
    while len(out) < size:
        block = mac(key, block + info + bytes([count]))
        out += block
        count += 1
    return out[:size]


class KeyPair:
    def __init__(self, secret):
        self.secret = X25519PrivateKey.from_private_bytes(secret)
        self.public = self.secret.public_key().public_bytes(*RAW)

    def exchange(self, public):
        return self.secret.exchange(X25519PublicKey.from_public_bytes(public))


class Handshake:
    """Both roles of a pattern in which the responder's static key is known before."""

    def __init__(self, name, pattern, initiator, prologue, static, remote_static=None):
        self.messages = [message.split() for message in pattern]
        self.initiator, self.static, self.remote_static = initiator, static, remote_static
        self.chain = self.transcript = name.ljust(64, b"\0") if len(name) <= 64 else hashlib.sha512(name).digest()
        self.key, self.counter = None, 0
        self.mix_hash(prologue)
        self.mix_hash(remote_static if initiator else static.public)

    def mix_hash(self, data):
        self.transcript = hashlib.sha512(self.transcript + data).digest()

    def outputs(self, data, count):
        out = expand(mac(self.chain, data), b"", 64 * count)
        return [out[64 * n:64 * n + 64] for n in range(count)]

    def mix_key(self, data):
        self.chain, key = self.outputs(data, 2)
        self.key, self.counter = AESGCM(key[:32]), 0

    def nonce(self):
        self.counter += 1
        return struct.pack(">IQ", 0, self.counter - 1)

    def seal(self, data):
        if self.key is not None:
            data = self.key.encrypt(self.nonce(), data, self.transcript)
        self.mix_hash(data)
        return data

    def open(self, data):
        plain = data if self.key is None else self.key.decrypt(self.nonce(), data, self.transcript)
        self.mix_hash(data)
        return plain

    def mix_exchange(self, token):
        own, remote = token if self.initiator else token[::-1]
        pair = self.ephemeral if own == "e" else self.static
        self.mix_key(pair.exchange(self.remote_ephemeral if remote == "e" else self.remote_static))

    def write(self, payload, random):
        """random: 32 bytes for e, then 64 for ML-KEM: d and z, or m."""
        out = b""
        for token in self.messages.pop(0):
            if token == "e":
                self.ephemeral = KeyPair(random[:32])
                self.mix_hash(self.ephemeral.public)
                out += self.ephemeral.public
            elif token == "s":
                out += self.seal(self.static.public)
            elif token == "e1":
                public, self.kem = mlkem.key_gen(random[32:64], random[64:96])
                out += self.seal(public)
            elif token == "ekem1":
                shared, ciphertext = mlkem.encapsulate(self.remote_kem, random[32:64])
                out += self.seal(ciphertext)
                self.mix_key(shared)
            else:
                self.mix_exchange(token)
        return out + self.seal(payload)

    def read(self, message):
        def take(size):
            nonlocal message
            size += 16 if self.key is not None else 0
            part, message = message[:size], message[size:]
            return part

        for token in self.messages.pop(0):
            if token == "e":
                self.remote_ephemeral, message = message[:32], message[32:]
                self.mix_hash(self.remote_ephemeral)
            elif token == "s":
                self.remote_static = self.open(take(32))
            elif token == "e1":
                self.remote_kem = self.open(take(1568))
            elif token == "ekem1":
                self.mix_key(mlkem.decapsulate(self.kem, self.open(take(1568))))
            else:
                self.mix_exchange(token)
        return self.open(message)

    def split(self):
        """Keys of what the initiator sends and receives, and a third output."""
        first, second, third = self.outputs(b"", 3)
        return first[:32], second[:32], third


# ---- a call ----

def convert_public(identity):
    """RFC 7748, section 4.1: u = (1 + y) / (1 - y)."""
    p = 2 ** 255 - 19
    y = int.from_bytes(identity, "little") % 2 ** 255
    return ((1 + y) * pow(1 - y, -1, p) % p).to_bytes(32, "little")


class Identity:
    def __init__(self, seed):
        self.public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes(*RAW)
        self.static = KeyPair(hashlib.sha512(seed).digest()[:32])
        if self.static.public != convert_public(self.public):
            raise ValueError("an identity does not convert to its static key")


class Direction:
    def __init__(self, secret):
        self.salt = expand(secret, b"Blindrelay call salt", 4)
        self.ratchet, self.phase, self.sequence = secret, -1, 0
        self.turn()

    def turn(self):
        out = expand(self.ratchet, b"Blindrelay call phase", 64)
        self.ratchet, self.key, self.phase = out[:32], AESGCM(out[32:]), self.phase + 1

    def seal(self, payload):
        header = struct.pack(">BBQ", 9, self.phase % 256, self.sequence)
        self.sequence += 1
        return header + self.key.encrypt(self.salt + header[2:], payload, header)


def call(caller_seed, callee_seed, prologue, randoms, payloads):
    """One whole call as a row of vectors."""
    caller, callee = Identity(caller_seed), Identity(callee_seed)
    bound = prologue + callee.public
    a = Handshake(NAME, IK_HFS, True, bound, caller.static, convert_public(callee.public))
    b = Handshake(NAME, IK_HFS, False, bound, callee.static)
    offer = a.write(caller.public + payloads[0], randoms[0])
    if b.read(offer) != caller.public + payloads[0] or b.remote_static != convert_public(caller.public):
        raise ValueError("the offer does not open")
    answer = b.write(payloads[1], randoms[1])
    if a.read(answer) != payloads[1] or a.split() != b.split() or a.transcript != b.transcript:
        raise ValueError("the answer does not open")

    forward, backward, third = a.split()
    exporter = mac(third, a.transcript)
    forward, backward = Direction(forward), Direction(backward)
    frames = [forward.seal(b"caller 0"), backward.seal(b"callee 0")]
    forward.turn(), backward.turn()
    frames += [forward.seal(b"caller 1"), backward.seal(b"callee 1")]
    forward.turn(), backward.turn()
    frames += [backward.seal(b""), forward.seal(b"caller 2")]
    return {
        "caller_seed": caller_seed, "caller_identity": caller.public, "callee_seed": callee_seed,
        "callee_identity": callee.public, "prologue": prologue, "caller_random": randoms[0],
        "callee_random": randoms[1], "offer_payload": payloads[0], "offer": offer, "answer_payload": payloads[1],
        "answer": answer, "exported_ice": expand(exporter, b"ice", 96),
        "exported_another": expand(exporter, b"another", 96), "frames": frames,
    }


def vectors():
    def bytes_of(label, size):
        return hashlib.shake_256(b"Blindrelay handshake vectors: " + label).digest(size)

    for name, prologue, sizes in ((b"1", b"", (0, 0)), (b"2", bytes_of(b"prologue", 70), (100, 41))):
        yield call(bytes_of(name + b" caller", 32), bytes_of(name + b" callee", 32), prologue,
                   [bytes_of(name + b" offer", 96), bytes_of(name + b" answer", 96)],
                   [bytes_of(name + b" offer payload", sizes[0]), bytes_of(name + b" answer payload", sizes[1])])


def header():
    def literal(data):
        text = data.hex()
        return "\n".join(f'"{text[at:at + 60]}"' for at in range(0, len(text), 60)) or '""'

    out = ["// SPDX-License-Identifier: BSD-3-Clause",
           "// Calls as another implementation makes them; written by tests/system/noise_hfs.py.", "#pragma once", "",
           "static const struct handshake_vector {",
           "const char *caller_seed, *caller_identity, *callee_seed, *callee_identity, *prologue;",
           "const char *caller_random, *callee_random, *offer_payload, *offer, *answer_payload, *answer;",
           "const char *exported_ice, *exported_another, *frames[6];", "} handshake_vectors[] = {"]
    for vector in vectors():
        out.append("{")
        for name, value in vector.items():
            if name == "frames":
                out.append(".frames = {" + ",\n".join(literal(frame) for frame in value) + "},")
            else:
                out.append(f".{name} = {literal(value)},")
        out.append("},")
    return "\n".join([*out, "};"]) + "\n"


if __name__ == "__main__":
    print(header(), end="")
