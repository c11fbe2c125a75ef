// SPDX-License-Identifier: BSD-3-Clause
// Any public key to encapsulate for, any ciphertext to decapsulate, any secret to do it with. The
// first byte chooses; what follows is added, bit by bit, to a good one, so that short inputs reach
// far. Held: keys are refused exactly when the standard's checks, written down here once more, say
// so; an altered ciphertext gives the hash that it must; every build for a processor agrees.
// wrap: cpu_has_avx2
// wrap: cpu_has_avx512
#include "lib/crypto/cpu.h"
#include "lib/crypto/keccak.h"
#include "lib/crypto/mlkem1024.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	PUBLIC = MLKEM1024_PUBLIC_SIZE,
	SECRET = MLKEM1024_SECRET_SIZE,
	CIPHERTEXT = MLKEM1024_CIPHERTEXT_SIZE,
	SHARED = MLKEM1024_SHARED_SIZE,
	COEFFICIENTS = PUBLIC - 32, // bytes of them
	Z = SECRET - 32,
	BUILDS = 3,
};

static const uint8_t zero[CIPHERTEXT], message[MLKEM1024_MESSAGE_SIZE] = {1, 2, 3};

static struct {
	bool made;
	uint8_t public_key[PUBLIC], ciphertext[CIPHERTEXT], shared[SHARED];
	struct mlkem1024_secret secret;
} world;

// 0 is the build for any processor, 1 AVX2, 2 AVX-512.
static unsigned build;

bool __real_cpu_has_avx2(void);
bool __wrap_cpu_has_avx2(void);
bool __real_cpu_has_avx512(void);
bool __wrap_cpu_has_avx512(void);

bool __wrap_cpu_has_avx2(void)
{
	return build >= 1 && __real_cpu_has_avx2();
}

bool __wrap_cpu_has_avx512(void)
{
	return build >= 2 && __real_cpu_has_avx512();
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void make_world(void)
{
	static const uint8_t seed[MLKEM1024_SEED_SIZE] = {7, 7, 7};
	require(sodium_init() >= 0);
	require(mlkem1024_derive(world.public_key, &world.secret, seed) == 0);
	require(mlkem1024_encapsulate_with(
			world.ciphertext, world.shared, world.public_key, message) == 0);
	world.made = true;
}

// Whether anything is altered.
static bool alter(
	uint8_t *out, const uint8_t *good, size_t good_size, const uint8_t *data, size_t size)
{
	memcpy(out, good, good_size);
	for (size_t i = 0; i < size && i < good_size; i++)
		out[i] ^= data[i];
	return memcmp(out, good, good_size) != 0;
}

static bool below_q(const uint8_t public_key[static PUBLIC])
{
	for (unsigned i = 0; i < COEFFICIENTS; i += 3) {
		unsigned three = public_key[i] | (unsigned)public_key[i + 1] << 8 |
				 (unsigned)public_key[i + 2] << 16;
		if (three % 4096 >= 3329 || three / 4096 >= 3329)
			return false;
	}
	return true;
}

static void check_public_key(const uint8_t *data, size_t size)
{
	uint8_t key[PUBLIC], ciphertext[BUILDS][CIPHERTEXT], shared[BUILDS][SHARED];
	bool altered = alter(key, world.public_key, PUBLIC, data, size), good = below_q(key);
	for (build = 0; build < BUILDS; build++) {
		int result =
			mlkem1024_encapsulate_with(ciphertext[build], shared[build], key, message);
		require(result == (good ? 0 : -EINVAL));
		require((memcmp(ciphertext[build], zero, CIPHERTEXT) == 0) == !good);
		require((memcmp(shared[build], zero, SHARED) == 0) == !good);
		require(memcmp(ciphertext[build], ciphertext[0], CIPHERTEXT) == 0);
		require(memcmp(shared[build], shared[0], SHARED) == 0);
	}
	// The shared secret depends on the whole key.
	require((memcmp(shared[0], world.shared, SHARED) != 0) == altered);
}

static void check_ciphertext(const uint8_t *data, size_t size)
{
	uint8_t ciphertext[CIPHERTEXT], shared[SHARED], want[SHARED];
	struct keccak state;
	bool altered = alter(ciphertext, world.ciphertext, CIPHERTEXT, data, size);
	keccak_begin(&state, SHAKE256_RATE);
	keccak_add(&state, world.secret.bytes + Z, 32);
	keccak_add(&state, ciphertext, CIPHERTEXT);
	keccak_finish(&state, SHAKE_SUFFIX, want, SHARED);
	for (build = 0; build < BUILDS; build++) {
		require(mlkem1024_decapsulate(shared, &world.secret, ciphertext) == 0);
		require(memcmp(shared, altered ? want : world.shared, SHARED) == 0);
	}
}

static void check_secret(const uint8_t *data, size_t size)
{
	struct mlkem1024_secret secret;
	uint8_t shared[BUILDS][SHARED], hash[SHA3_256_SIZE];
	struct keccak state;
	alter(secret.bytes, world.secret.bytes, SECRET, data, size);
	keccak_begin(&state, SHA3_256_RATE);
	keccak_add(&state, secret.bytes + Z - 32 - PUBLIC, PUBLIC);
	keccak_finish(&state, SHA3_SUFFIX, hash, sizeof(hash));
	bool good = memcmp(hash, secret.bytes + Z - 32, sizeof(hash)) == 0;
	for (build = 0; build < BUILDS; build++) {
		int result = mlkem1024_decapsulate(shared[build], &secret, world.ciphertext);
#ifdef PACKAGED_MLKEM
		good &= result == 0; // checks more
#endif
		require(result == (good ? 0 : -EINVAL));
		require((memcmp(shared[build], zero, SHARED) == 0) == !good);
		require(memcmp(shared[build], shared[0], SHARED) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const checks[])(const uint8_t *, size_t) = {
		check_public_key, check_ciphertext, check_secret};
	if (!world.made)
		make_world();
	if (size > 0 && data[0] < sizeof(checks) / sizeof(checks[0]))
		checks[data[0]](data + 1, size - 1);
	return 0;
}
