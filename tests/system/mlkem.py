# SPDX-License-Identifier: BSD-3-Clause
"""ML-KEM-1024 (FIPS 203) in plain Python: slow, not constant in time, and sharing nothing with lib/crypto, which is
checked against it. Names are the standard's."""
import hashlib

Q, N, K, ETA, DU, DV = 3329, 256, 4, 2, 11, 5


def bit_reversed(value):
    return int(f"{value:07b}"[::-1], 2)


ZETAS = [pow(17, bit_reversed(n), Q) for n in range(128)]
GAMMAS = [pow(17, 2 * bit_reversed(n) + 1, Q) for n in range(128)]


def g(data):
    out = hashlib.sha3_512(data).digest()
    return out[:32], out[32:]


def h(data):
    return hashlib.sha3_256(data).digest()


def j(data):
    return hashlib.shake_256(data).digest(32)


def byte_encode(d, numbers):
    bits = sum(number << d * n for n, number in enumerate(numbers))
    return bits.to_bytes(32 * d, "little")


def byte_decode(d, data):
    bits, modulus = int.from_bytes(data, "little"), Q if d == 12 else 1 << d
    return [(bits >> d * n & (1 << d) - 1) % modulus for n in range(N)]


def compress(d, numbers):
    return [(2 * (number << d) + Q) // (2 * Q) % (1 << d) for number in numbers]


def decompress(d, numbers):
    return [(2 * number * Q + (1 << d)) >> d + 1 for number in numbers]


def sample_ntt(seed):
    stream, out = hashlib.shake_128(seed).digest(168 * 8), []
    for at in range(0, len(stream), 3):
        a, b, c = stream[at:at + 3]
        out += [number for number in (a + 256 * (b % 16), b // 16 + 16 * c) if number < Q]
    if len(out) < N:
        raise ValueError("no more of the stream was drawn")  # less likely than 2^-100
    return out[:N]


def sample_cbd(data):
    bits = int.from_bytes(data, "little")
    count = [bin(bits >> ETA * n & (1 << ETA) - 1).count("1") for n in range(2 * N)]
    return [(count[2 * n] - count[2 * n + 1]) % Q for n in range(N)]


def ntt(polynomial):
    f, step, length = list(polynomial), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            for n in range(start, start + length):
                t = ZETAS[step] * f[n + length]
                f[n], f[n + length] = (f[n] + t) % Q, (f[n] - t) % Q
            step += 1
        length //= 2
    return f


def inverse_ntt(polynomial):
    f, step, length = list(polynomial), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            for n in range(start, start + length):
                f[n], f[n + length] = (f[n] + f[n + length]) % Q, ZETAS[step] * (f[n + length] - f[n]) % Q
            step -= 1
        length *= 2
    return [number * 3303 % Q for number in f]


def multiply(a, b):
    out = []
    for n, gamma in enumerate(GAMMAS):
        a0, a1, b0, b1 = a[2 * n], a[2 * n + 1], b[2 * n], b[2 * n + 1]
        out += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def add(*polynomials):
    return [sum(numbers) % Q for numbers in zip(*polynomials)]


def dot(row, column):
    return add(*(multiply(a, b) for a, b in zip(row, column)))


def noise(seed, first):
    return [sample_cbd(hashlib.shake_256(seed + bytes([first + n])).digest(64 * ETA)) for n in range(K)]


def matrix(rho):
    return [[sample_ntt(rho + bytes([column, row])) for column in range(K)] for row in range(K)]


def key_gen(d, z):
    """(ek, dk)"""
    rho, sigma = g(d + bytes([K]))
    s, e = [ntt(f) for f in noise(sigma, 0)], [ntt(f) for f in noise(sigma, K)]
    t = [add(dot(row, s), e[n]) for n, row in enumerate(matrix(rho))]
    ek = b"".join(byte_encode(12, f) for f in t) + rho
    return ek, b"".join(byte_encode(12, f) for f in s) + ek + h(ek) + z


def encrypt(ek, m, r):
    t, rho = [byte_decode(12, ek[384 * n:384 * n + 384]) for n in range(K)], ek[384 * K:]
    a, y, e1 = matrix(rho), [ntt(f) for f in noise(r, 0)], noise(r, K)
    e2 = sample_cbd(hashlib.shake_256(r + bytes([2 * K])).digest(64 * ETA))
    u = [add(inverse_ntt(dot([a[row][column] for row in range(K)], y)), e1[column]) for column in range(K)]
    v = add(inverse_ntt(dot(t, y)), e2, decompress(1, byte_decode(1, m)))
    return b"".join(byte_encode(DU, compress(DU, f)) for f in u) + byte_encode(DV, compress(DV, v))


def encapsulate(ek, m):
    """(shared secret, ciphertext)"""
    shared, r = g(m + h(ek))
    return shared, encrypt(ek, m, r)


def decapsulate(dk, c):
    s = [byte_decode(12, dk[384 * n:384 * n + 384]) for n in range(K)]
    ek, z = dk[384 * K:-64], dk[-32:]
    u = [decompress(DU, byte_decode(DU, c[32 * DU * n:32 * DU * (n + 1)])) for n in range(K)]
    v = decompress(DV, byte_decode(DV, c[32 * DU * K:]))
    w = add(v, [-number for number in inverse_ntt(dot(s, [ntt(f) for f in u]))])
    m = byte_encode(1, compress(1, w))
    shared, r = g(m + dk[-64:-32])
    return shared if encrypt(ek, m, r) == c else j(z + c)
