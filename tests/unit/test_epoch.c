// SPDX-License-Identifier: BSD-3-Clause
// Epoch keys and addresses: golden bytes, computed by an implementation that shares no code with
// this one; the owner and whoever knows (namespace, P) agree; epochs have nothing in common.
#include "lib/crypto/epoch.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

static const char message[] = "register";
enum { MESSAGE_SIZE = sizeof(message) - 1 };

// The seed 0, 1, ..., 31 in the namespace 0x40, 0x41, ..., 0x5f.
static const char golden_public[] =
	"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";
static const struct golden {
	uint32_t epoch;
	const char *factor, *blinded, *address, *signature;
} golden[] = {
	{0, "9bee84376a18e21f9f6cbb3636640c9b0d189dc3a620aefb1a555d3dc3fdd8a2",
		"ce3bd85a0f11dfefc8e5193183bef480c9dbad2f83f0584597399f1e077d493b",
		"d2977ecac92cbb62b9a672f6333e5b4519fc6282f84a925efebf8ea1870243b5",
		"78772f3fdd64d0035510555821d15925fc5faa5c23d62a64e8a17a2864a26feb"
		"28171094ba07ce49a9e54ad006840024e76a755cd76f0f105aa470b229f8d00d"},
	{492000, "6ac04113206f4bca07fe9a75abcb37b597bf5ad53be3f01672044dc65c7edc10",
		"1ccaf24f8bf554ed99bf80db6e6f398330f3c40ebcbd5a99bd27e99bf357555c",
		"d223a95299a8efca3b2a827edb199f31cad8a72a0fe0bf5f14b02085438bae14",
		"7c956dda4d6d86fe7dcbccfede37c2833fa76e7cfc6aba0b2fdc71584eab35f6"
		"9eadf3f201d60d71f8912fda5733e66b063192ffd92a88c8fe669722cee12002"},
	{UINT32_MAX, "2fd1e74ec188b6f6ee54a1439eae1fd10c04baecb069561c086ec7c984d1f026",
		"eafb71a2382f347f8ea051f3af3515a6fb699f13e9f1676541ff24891cdfaf08",
		"f5e1448d3b92f3c5fc7d126ead38f18c9a14b5e21bf8b9efec3866e4cfc3ba34",
		"abc4e942ee8ddeb0116e78e902cd90edd229a97aa114a07bcacc30825e35809c"
		"d171b70037a9bc371e4a9a1280852ea899e3ecb9720e3da9d7fda4e59559fb01"},
};

struct client {
	uint8_t namespace_id[EPOCH_NAMESPACE_SIZE], public_key[32];
	struct blinding_secret secret;
};

// What one epoch makes of a client, seen by the relay and by who captures.
struct seen {
	uint8_t blinded[32], address[EPOCH_ADDRESS_SIZE], signature[64];
};

static void assert_hex(const uint8_t *have, const char *hex)
{
	uint8_t want[64];
	size_t length;
	assert_int_equal(
		sodium_hex2bin(want, sizeof(want), hex, strlen(hex), NULL, &length, NULL), 0);
	assert_memory_equal(have, want, length);
}

static void client_make(struct client *client, const uint8_t seed[static 32])
{
	blinding_secret_expand(&client->secret, seed);
	blinding_secret_public(client->public_key, &client->secret);
}

static void client_random(struct client *client)
{
	uint8_t seed[32];
	randombytes_buf(seed, sizeof(seed));
	randombytes_buf(client->namespace_id, sizeof(client->namespace_id));
	client_make(client, seed);
}

static void client_golden(struct client *client)
{
	uint8_t seed[32];
	for (uint8_t i = 0; i < 32; i++) {
		seed[i] = i;
		client->namespace_id[i] = (uint8_t)(0x40 + i);
	}
	client_make(client, seed);
}

static void client_in_epoch(struct seen *seen, const struct client *client, uint32_t epoch)
{
	struct blinding_secret secret;
	epoch_secret_key(&secret, seen->blinded, &client->secret, client->namespace_id,
		client->public_key, epoch);
	epoch_address(seen->address, client->namespace_id, seen->blinded, epoch);
	blinding_sign(
		seen->signature, (const uint8_t *)message, MESSAGE_SIZE, &secret, seen->blinded);
}

static void epochs_of_times(void **unused)
{
	(void)unused;
	assert_int_equal(epoch_at(0, EPOCH_SECONDS), 0);
	assert_int_equal(epoch_at(3599, EPOCH_SECONDS), 0);
	assert_int_equal(epoch_at(3600, EPOCH_SECONDS), 1);
	assert_int_equal(epoch_at(1771200000, EPOCH_SECONDS), 492000);
	assert_int_equal(epoch_at(1771200000 - 1, EPOCH_SECONDS), 491999);
	assert_int_equal(epoch_at(1771200007, 5), 354240001);
	assert_int_equal(epoch_at((uint64_t)UINT32_MAX * 3600 + 3599, EPOCH_SECONDS), UINT32_MAX);
}

static void golden_bytes(void **unused)
{
	(void)unused;
	struct client client;
	client_golden(&client);
	assert_hex(client.public_key, golden_public);
	for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
		struct seen seen;
		uint8_t factor[32];
		epoch_factor(factor, client.namespace_id, client.public_key, golden[i].epoch);
		assert_hex(factor, golden[i].factor);
		client_in_epoch(&seen, &client, golden[i].epoch);
		assert_hex(seen.blinded, golden[i].blinded);
		assert_hex(seen.address, golden[i].address);
		assert_hex(seen.signature, golden[i].signature);
	}
}

static void a_contact_computes_the_same(void **unused)
{
	(void)unused;
	for (uint32_t i = 0; i < 16; i++) {
		struct client client;
		struct seen seen;
		uint8_t blinded[32], address[EPOCH_ADDRESS_SIZE];
		client_random(&client);
		client_in_epoch(&seen, &client, i << 28);
		assert_int_equal(
			epoch_public_key(blinded, client.namespace_id, client.public_key, i << 28),
			0);
		assert_memory_equal(blinded, seen.blinded, sizeof(blinded));
		epoch_address(address, client.namespace_id, blinded, i << 28);
		assert_memory_equal(address, seen.address, sizeof(address));
		// And the relay, which knows neither: the signature, and that the key fits.
		assert_true(epoch_address_owned_by(seen.address, seen.blinded));
		assert_true(blinding_verify(
			seen.signature, (const uint8_t *)message, MESSAGE_SIZE, seen.blinded));
		assert_false(blinding_verify(
			seen.signature, (const uint8_t *)message, MESSAGE_SIZE, client.public_key));
	}
}

static void nobody_else_owns_an_address(void **unused)
{
	(void)unused;
	struct client client, other;
	struct seen seen, stranger, later;
	client_random(&client);
	client_random(&other);
	memcpy(other.namespace_id, client.namespace_id, sizeof(other.namespace_id));
	client_in_epoch(&seen, &client, 9);
	client_in_epoch(&stranger, &other, 9);
	client_in_epoch(&later, &client, 10);
	assert_false(epoch_address_owned_by(seen.address, stranger.blinded));
	assert_false(epoch_address_owned_by(seen.address, later.blinded));
	assert_false(epoch_address_owned_by(seen.address, client.public_key));
	for (unsigned bit = 0; bit < EPOCH_ADDRESS_SIZE * 8; bit++) {
		seen.address[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(epoch_address_owned_by(seen.address, seen.blinded), bit < 128);
		seen.address[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (unsigned bit = 0; bit < 32 * 8; bit++) {
		seen.blinded[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(epoch_address_owned_by(seen.address, seen.blinded));
		seen.blinded[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void assert_nothing_shared(const struct seen *one, const struct seen *two)
{
	const uint8_t *a = (const uint8_t *)one, *b = (const uint8_t *)two;
	for (size_t i = 0; i + 4 <= sizeof(*one); i++)
		for (size_t j = 0; j + 4 <= sizeof(*two); j++)
			assert_true(memcmp(a + i, b + j, 4) != 0);
}

// By chance one pair in 2^18 shares four bytes somewhere, so the client is a fixed one.
static void epochs_share_nothing(void **unused)
{
	(void)unused;
	struct client client, elsewhere;
	struct seen seen[8], there;
	client_golden(&client);
	elsewhere = client;
	elsewhere.namespace_id[31] ^= 1;
	for (uint32_t e = 0; e < 8; e++) {
		client_in_epoch(&seen[e], &client, 492000 + e);
		for (uint32_t before = 0; before < e; before++)
			assert_nothing_shared(&seen[e], &seen[before]);
		// Nor do two namespaces in the same epoch.
		client_in_epoch(&there, &elsewhere, 492000 + e);
		assert_nothing_shared(&seen[e], &there);
	}
}

// Plain blinding would sign one message with one R in all epochs. From two such signatures, whoever
// knows the factors has a = (S1 - S2) / (k1 f1 - k2 f2).
static void nonces_differ_by_epoch(void **unused)
{
	(void)unused;
	struct client client;
	struct blinding_secret plain[2], epoch[2];
	uint8_t factor[32], blinded[32];
	client_golden(&client);
	for (uint32_t e = 0; e < 2; e++) {
		epoch_factor(factor, client.namespace_id, client.public_key, e);
		blinding_secret_key(&plain[e], &client.secret, factor);
		epoch_secret_key(&epoch[e], blinded, &client.secret, client.namespace_id,
			client.public_key, e);
		assert_memory_equal(plain[e].scalar, epoch[e].scalar, 32);
	}
	assert_memory_equal(plain[0].prefix, plain[1].prefix, 32);
	assert_memory_not_equal(epoch[0].prefix, epoch[1].prefix, 32);
}

static void bad_keys(void **unused)
{
	(void)unused;
	static const uint8_t namespace_id[32], identity[32] = {1}, zero[32];
	static const uint8_t off_curve[32] = {2};
	uint8_t blinded[32];
	assert_int_equal(epoch_public_key(blinded, namespace_id, identity, 1), -EINVAL);
	assert_memory_equal(blinded, zero, 32);
	assert_int_equal(epoch_public_key(blinded, namespace_id, off_curve, 1), -EINVAL);
}

static int setup(void **unused)
{
	(void)unused;
	return sodium_init() < 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(epochs_of_times),
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(a_contact_computes_the_same),
		cmocka_unit_test(nobody_else_owns_an_address),
		cmocka_unit_test(epochs_share_nothing),
		cmocka_unit_test(nonces_differ_by_epoch),
		cmocka_unit_test(bad_keys),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
