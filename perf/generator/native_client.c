// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/native_client.h"

#include <rte_random.h>
#include <sodium.h>

#include <assert.h>

void native_client_make(struct native_client *client, uint32_t epoch)
{
	static const uint8_t namespace_id[EPOCH_NAMESPACE_SIZE] = "registrations for a benchmark";
	uint8_t seed[BLINDING_SEED_SIZE], public_key[BLINDING_KEY_SIZE];
	struct blinding_secret secret;
	*client = (struct native_client){.epoch = epoch};
	randombytes_buf(seed, sizeof(seed));
	blinding_secret_expand(&secret, seed);
	blinding_secret_public(public_key, &secret);
	epoch_secret_key(&client->secret, client->key, &secret, namespace_id, public_key, epoch);
	epoch_address(client->address, namespace_id, client->key, epoch);
	native_client_renew(client);
}

void native_client_renew(struct native_client *client)
{
	randombytes_buf(client->device, sizeof(client->device));
}

void native_client_prepare(struct native_client *client)
{
	crypto_core_ed25519_scalar_random(client->nonce);
	(void)crypto_scalarmult_ed25519_base_noclamp(client->point, client->nonce);
	client->prepared = true;
}

// RFC 8032 section 5.1.6 from step 4 on: S = r + H(R, A, M) a.
static void sign(
	struct native_client *client, uint8_t *signature, const uint8_t *input, size_t size)
{
	uint8_t hash[crypto_hash_sha512_BYTES], challenge[32];
	crypto_hash_sha512_state state;
	if (!client->prepared) {
		blinding_sign(signature, input, size, &client->secret, client->key);
		return;
	}
	// Two signatures of one nonce would give the key away.
	client->prepared = false;
	memcpy(signature, client->point, 32);
	crypto_hash_sha512_init(&state);
	crypto_hash_sha512_update(&state, client->point, 32);
	crypto_hash_sha512_update(&state, client->key, NATIVE_KEY_SIZE);
	crypto_hash_sha512_update(&state, input, size);
	crypto_hash_sha512_final(&state, hash);
	crypto_core_ed25519_scalar_reduce(challenge, hash);
	crypto_core_ed25519_scalar_mul(challenge, challenge, client->secret.scalar);
	crypto_core_ed25519_scalar_add(signature + 32, challenge, client->nonce);
}

static void begin(struct native_client *client)
{
	uint64_t number = rte_rand();
	static_assert(sizeof(number) == NATIVE_TRANSACTION_SIZE, "a transaction");
	memcpy(client->transaction, &number, sizeof(number));
}

static void finish(struct native_client *client, const struct flow_path *path,
	const struct net_endpoint *from, const struct net_endpoint *to, size_t size)
{
	assert(size > 0);
	flow_write_headers(client->frame, path, from, to, size);
	client->length = (uint16_t)(FLOW_STAMP_PLAIN + size);
}

void native_client_solicit(struct native_client *client, const struct flow_path *path,
	const struct net_endpoint *from, const struct net_endpoint *to)
{
	begin(client);
	const struct native_solicit solicit = {client->transaction};
	size_t size = native_solicit_build(
		client->frame + FLOW_STAMP_PLAIN, NATIVE_CLIENT_FRAME - FLOW_STAMP_PLAIN, &solicit);
	finish(client, path, from, to, size);
}

void native_client_register(struct native_client *client, const struct flow_path *path,
	const struct net_endpoint *from, const struct net_endpoint *to, uint32_t lifetime)
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	uint8_t *message = client->frame + FLOW_STAMP_PLAIN;
	begin(client);
	const struct native_register registration = {.transaction = client->transaction,
		.cookie = client->cookie,
		.lifetime = lifetime,
		.epoch = client->epoch,
		.device = client->device,
		.address = client->address,
		.key = client->key,
		.admission = NATIVE_ADMISSION_OPEN};
	size_t size = native_register_build(
		message, NATIVE_CLIENT_FRAME - FLOW_STAMP_PLAIN, &registration);
	size_t covered = native_signature_input(input, message, size);
	sign(client, message + native_signed(size), input, covered);
	finish(client, path, from, to, size);
}
