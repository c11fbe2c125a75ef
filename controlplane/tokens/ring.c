// SPDX-License-Identifier: BSD-3-Clause
// The issuer's keys in memory; see inside.h.
#include "controlplane/tokens/inside.h"

#include "lib/crypto/blake3.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const char tag_context[] = "Blindrelay 2026-11 token spent";

static int load_key(struct token_ring_key *key, const struct token_store_key *stored)
{
	if (voprf_key_load(&key->key, stored->secret) != 0 ||
		token_key_id(key->key.public_key) != stored->id)
		return -EPROTO;
	key->id = stored->id;
	key->state = stored->state;
	key->slot = stored->slot;
	key->created_s = stored->created_s;
	key->issued = stored->issued;
	struct blake3 state;
	blake3_begin_derive(&state, tag_context, strlen(tag_context));
	blake3_add(&state, stored->secret, sizeof(stored->secret));
	blake3_finish(&state, key->tag_key, sizeof(key->tag_key));
	blake3_wipe(&state);
	return 0;
}

int token_ring_load(struct token_ring *ring, struct token_store *store)
{
	struct token_store_key stored[TOKEN_STORE_KEYS_MAX];
	int count = token_store_keys(store, stored);
	int rc = count < 0 ? count : 0;
	if (rc == 0)
		sodium_memzero(ring, sizeof(*ring));
	for (int i = 0; rc == 0 && i < count; i++) {
		rc = load_key(&ring->keys[i], &stored[i]);
		ring->count = (unsigned)i + 1;
	}
	sodium_memzero(stored, sizeof(stored));
	return rc;
}

const struct token_ring_key *token_ring_find(const struct token_ring *ring, uint32_t id)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (ring->keys[i].id == id)
			return &ring->keys[i];
	return NULL;
}

const struct token_ring_key *token_ring_issuing(const struct token_ring *ring)
{
	for (unsigned i = 0; i < ring->count; i++)
		if (ring->keys[i].state == TOKEN_KEY_ISSUING)
			return &ring->keys[i];
	return NULL;
}

void token_ring_tag(const struct token_ring_key *key, const uint8_t nonce[static TOKEN_NONCE_SIZE],
	uint8_t tag[static TOKEN_STORE_TAG_SIZE])
{
	struct blake3 state;
	blake3_begin_keyed(&state, key->tag_key);
	blake3_add(&state, nonce, TOKEN_NONCE_SIZE);
	blake3_finish(&state, tag, TOKEN_STORE_TAG_SIZE);
	blake3_wipe(&state);
}

// The slot of none of the keys but the one that is to go.
static uint8_t free_slot(const struct token_ring *ring, const struct token_ring_key *going)
{
	for (uint8_t slot = 0;; slot++) {
		bool used = false;
		for (unsigned i = 0; i < ring->count; i++)
			used = used || (&ring->keys[i] != going && ring->keys[i].slot == slot);
		if (!used)
			return slot;
	}
}

size_t token_ring_rotation(const struct token_ring *ring, uint64_t now_s,
	struct token_store_change *out, struct token_store_key *made)
{
	size_t count = 0;
	const struct token_ring_key *going = NULL;
	for (unsigned i = 0; i < ring->count; i++) {
		const struct token_ring_key *key = &ring->keys[i];
		if (key->state == TOKEN_KEY_RETIRED)
			continue;
		out[count++] = (struct token_store_change){.kind = TOKEN_STORE_KEY_STATE,
			.key_id = key->id,
			.state = key->state == TOKEN_KEY_ISSUING ? TOKEN_KEY_ACCEPTING
								 : TOKEN_KEY_RETIRED};
	}
	// At most two keys are not retired. By state, not by age: clocks are set back.
	if (ring->count == TOKEN_STORE_KEYS_MAX) {
		for (going = ring->keys; going->state != TOKEN_KEY_RETIRED;)
			going++;
		out[count++] = (struct token_store_change){
			.kind = TOKEN_STORE_KEY_REMOVE, .key_id = going->id};
	}
	struct voprf_key key;
	*made = (struct token_store_key){
		.state = TOKEN_KEY_ISSUING, .slot = free_slot(ring, going), .created_s = now_s};
	do {
		voprf_key_generate(&key);
		made->id = token_key_id(key.public_key);
	} while (made->id == 0 || token_ring_find(ring, made->id) != NULL);
	memcpy(made->secret, key.secret, sizeof(made->secret));
	sodium_memzero(&key, sizeof(key));
	out[count++] = (struct token_store_change){.kind = TOKEN_STORE_KEY_ADD, .key = made};
	return count;
}
