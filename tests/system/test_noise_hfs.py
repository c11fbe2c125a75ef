#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# light
"""The second implementation of a call's handshake stands where the first is checked against it: its ML-KEM against
NIST's vectors, its Noise against cacophony's (both where they lie beside the project), and what it makes is what is kept
in tests/vectors."""
import gzip
import json
import pathlib
import sys

try:
    import noise_hfs
except ImportError as error:
    print(f"python3-cryptography is not installed: {error}")
    sys.exit(77)
import mlkem

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / "tests" / "vectors" / "handshake.h"
SHARED = ROOT.parent / "shared" / "vectors"
failed = False


def check(good, what):
    global failed
    failed |= not good
    print(f"{'pass' if good else 'FAIL'}  {what}")


def groups(folder, kind):
    """NIST's tests of ML-KEM-1024 with their expected results, by group."""
    def load(part):
        with gzip.open(folder / f"{kind}-{part}.json.gz") as file:
            return json.load(file)["testGroups"]

    for asked, expected in zip(load("prompt"), load("expectedResults")):
        if asked.get("parameterSet") == "ML-KEM-1024":
            yield asked, [({**asked, **test}, result) for test, result in zip(asked["tests"], expected["tests"])]


def test_mlkem(folder):
    for _, tests in groups(folder, "keyGen"):
        good = all(mlkem.key_gen(bytes.fromhex(test["d"]), bytes.fromhex(test["z"])) ==
                   (bytes.fromhex(result["ek"]), bytes.fromhex(result["dk"])) for test, result in tests[:5])
        check(good, "ML-KEM-1024: keys")
    for group, tests in groups(folder, "encapDecap"):
        if group["function"] == "encapsulation":
            good = all(mlkem.encapsulate(bytes.fromhex(test["ek"]), bytes.fromhex(test["m"])) ==
                       (bytes.fromhex(result["k"]), bytes.fromhex(result["c"])) for test, result in tests[:5])
            check(good, "ML-KEM-1024: encapsulation")
        elif group["function"] == "decapsulation":
            good = all(mlkem.decapsulate(bytes.fromhex(test["dk"]), bytes.fromhex(test["c"])) ==
                       bytes.fromhex(result["k"]) for test, result in tests)
            check(good, "ML-KEM-1024: decapsulation, also of what is rejected")


def test_noise(file):
    name = "Noise_IK_25519_AESGCM_SHA512"
    vector = next(v for v in json.loads(file.read_text())["vectors"] if v["protocol_name"] == name)

    def field(key):
        return bytes.fromhex(vector[key])

    a = noise_hfs.Handshake(name.encode(), noise_hfs.IK, True, field("init_prologue"),
                            noise_hfs.KeyPair(field("init_static")), field("init_remote_static"))
    b = noise_hfs.Handshake(name.encode(), noise_hfs.IK, False, field("resp_prologue"),
                            noise_hfs.KeyPair(field("resp_static")))
    for message, (writer, reader, random) in zip(vector["messages"], ((a, b, "init_ephemeral"), (b, a, "resp_ephemeral"))):
        payload, sealed = bytes.fromhex(message["payload"]), bytes.fromhex(message["ciphertext"])
        check(writer.write(payload, field(random)) == sealed and reader.read(sealed) == payload, f"{name}: a message")
    check(a.transcript == b.transcript == field("handshake_hash") and a.split() == b.split(), f"{name}: the end")


def main():
    if (SHARED / "mlkem").is_dir():
        test_mlkem(SHARED / "mlkem")
        test_noise(SHARED / "noise" / "cacophony.txt")
    else:
        print(f"{SHARED} is not here: only the kept vectors are looked at")
    # But for how it is laid out.
    kept, made = ("".join(text.split()) for text in (KEPT.read_text(), noise_hfs.header()))
    check(kept == made, f"{KEPT.name} is what noise_hfs.py makes")
    return failed


if __name__ == "__main__":
    sys.exit(main())
