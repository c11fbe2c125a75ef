// SPDX-License-Identifier: BSD-3-Clause
// See noise.h. Names in comments are the specification's.
#include "endpoint/session/noise.h"

#include "endpoint/session/aes256gcm.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

// ---- CipherState ----

// 32 bits of zeros, then the counter, big endian.
static void make_nonce(uint8_t nonce[static AES256GCM_NONCE_SIZE], uint64_t counter)
{
	memset(nonce, 0, AES256GCM_NONCE_SIZE);
	for (unsigned i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> (56 - 8 * i));
}

int noise_encrypt(struct noise_cipher *cipher, const void *aad, size_t aad_size, const void *in,
	size_t size, uint8_t *out)
{
	uint8_t nonce[AES256GCM_NONCE_SIZE];
	struct aes256gcm expanded;

	if (!cipher->keyed) {
		if (size > 0)
			memcpy(out, in, size);
		return 0;
	}
	if (cipher->nonce == UINT64_MAX)
		return -EOVERFLOW;
	int result = aes256gcm_begin(&expanded, cipher->key);
	if (result < 0)
		return result;
	make_nonce(nonce, cipher->nonce++);
	aes256gcm_seal(&expanded, nonce, aad, aad_size, in, size, out);
	aes256gcm_end(&expanded);
	return 0;
}

int noise_decrypt(struct noise_cipher *cipher, const void *aad, size_t aad_size, const uint8_t *in,
	size_t size, uint8_t *out)
{
	uint8_t nonce[AES256GCM_NONCE_SIZE];
	struct aes256gcm expanded;

	if (!cipher->keyed) {
		if (size > 0)
			memcpy(out, in, size);
		return 0;
	}
	if (cipher->nonce == UINT64_MAX)
		return -EOVERFLOW;
	int result = aes256gcm_begin(&expanded, cipher->key);
	if (result < 0)
		return result;
	make_nonce(nonce, cipher->nonce);
	result = aes256gcm_open(&expanded, nonce, aad, aad_size, in, size, out);
	aes256gcm_end(&expanded);
	if (result == 0)
		cipher->nonce++;
	return result;
}

// ---- SymmetricState ----

static size_t hash_size(const struct noise_handshake *h)
{
	return hkdf_hash_size(h->protocol->hash);
}

static void mix_hash(struct noise_handshake *h, const void *data, size_t size)
{
	hkdf_digest(h->protocol->hash, h->transcript, hash_size(h), data, size, h->transcript);
}

// HKDF(chaining_key, input, outputs): all of them, the first of which is the next chaining key.
static void mix_input(struct noise_handshake *h, const uint8_t input[static NOISE_KEY_SIZE],
	unsigned outputs, uint8_t out[static 3 * HKDF_HASH_MAX])
{
	uint8_t key[HKDF_HASH_MAX];
	size_t size = hash_size(h);
	hkdf_extract(h->protocol->hash, h->chain, size, input, NOISE_KEY_SIZE, key);
	hkdf_expand(h->protocol->hash, key, size, NULL, 0, out, outputs * size);
	memcpy(h->chain, out, size);
	sodium_memzero(key, sizeof(key));
}

// InitializeKey, of a hash of which the first 32 bytes are taken.
static void set_key(struct noise_handshake *h, const uint8_t *key)
{
	memcpy(h->cipher.key, key, sizeof(h->cipher.key));
	h->cipher.nonce = 0;
	h->cipher.keyed = true;
}

static void mix_key(struct noise_handshake *h, const uint8_t input[static NOISE_KEY_SIZE])
{
	uint8_t out[3 * HKDF_HASH_MAX];
	mix_input(h, input, 2, out);
	set_key(h, out + hash_size(h));
	sodium_memzero(out, sizeof(out));
}

static void mix_key_and_hash(struct noise_handshake *h)
{
	uint8_t out[3 * HKDF_HASH_MAX];
	mix_input(h, h->pre_shared, 3, out);
	mix_hash(h, out + hash_size(h), hash_size(h));
	set_key(h, out + 2 * hash_size(h));
	sodium_memzero(out, sizeof(out));
}

// What encrypting adds, as things are.
static size_t tag_size(const struct noise_handshake *h)
{
	return h->cipher.keyed ? NOISE_TAG_SIZE : 0;
}

static int encrypt_and_hash(struct noise_handshake *h, const void *in, size_t size, uint8_t *out)
{
	int result = noise_encrypt(&h->cipher, h->transcript, hash_size(h), in, size, out);
	if (result == 0)
		mix_hash(h, out, size + tag_size(h));
	return result;
}

// size: of what comes out.
static int decrypt_and_hash(struct noise_handshake *h, const uint8_t *in, size_t size, uint8_t *out)
{
	size += tag_size(h);
	int result = noise_decrypt(&h->cipher, h->transcript, hash_size(h), in, size, out);
	if (result == 0)
		mix_hash(h, in, size);
	return result;
}

// ---- HandshakeState ----

void noise_begin(struct noise_handshake *handshake, const struct noise_protocol *protocol,
	const struct noise_start *start)
{
	size_t name_size = strlen(protocol->name);

	memset(handshake, 0, sizeof(*handshake));
	handshake->protocol = protocol;
	handshake->initiator = start->initiator;
	if (start->own_static != NULL)
		handshake->own_static = *start->own_static;
	if (start->remote_static != NULL)
		memcpy(handshake->remote_static, start->remote_static, NOISE_KEY_SIZE);
	if (start->pre_shared != NULL)
		memcpy(handshake->pre_shared, start->pre_shared, NOISE_KEY_SIZE);
	for (unsigned m = 0; m < NOISE_MESSAGES_MAX; m++)
		for (unsigned t = 0; t < NOISE_TOKENS_MAX; t++)
			handshake->mixes_ephemerals |= protocol->messages[m][t] == NOISE_PSK;

	if (name_size <= hash_size(handshake))
		memcpy(handshake->transcript, protocol->name, name_size);
	else
		hkdf_digest(
			protocol->hash, protocol->name, name_size, NULL, 0, handshake->transcript);
	memcpy(handshake->chain, handshake->transcript, sizeof(handshake->chain));
	mix_hash(handshake, start->prologue, start->prologue_size);
	for (unsigned initiators = 2; initiators-- > 0;)
		if (initiators ? protocol->initiator_known : protocol->responder_known)
			mix_hash(handshake,
				handshake->initiator == initiators
					? handshake->own_static.public_key
					: handshake->remote_static,
				NOISE_KEY_SIZE);
}

static const uint8_t *tokens(const struct noise_handshake *h)
{
	static const uint8_t none[1] = {NOISE_END};
	return h->next < NOISE_MESSAGES_MAX ? h->protocol->messages[h->next] : none;
}

bool noise_done(const struct noise_handshake *handshake)
{
	return tokens(handshake)[0] == NOISE_END;
}

size_t noise_overhead(const struct noise_handshake *handshake)
{
	size_t size = 0, tag = tag_size(handshake);
	for (const uint8_t *token = tokens(handshake); *token != NOISE_END; token++) {
		switch (*token) {
		case NOISE_E:
			size += NOISE_KEY_SIZE;
			if (handshake->mixes_ephemerals)
				tag = NOISE_TAG_SIZE;
			break;
		case NOISE_S:
			size += NOISE_KEY_SIZE + tag;
			break;
		case NOISE_E1:
			size += MLKEM1024_PUBLIC_SIZE + tag;
			break;
		case NOISE_EKEM1:
			size += MLKEM1024_CIPHERTEXT_SIZE + tag;
			tag = NOISE_TAG_SIZE;
			break;
		default:
			tag = NOISE_TAG_SIZE;
		}
	}
	return size + tag;
}

static void mix_ephemeral(struct noise_handshake *h, const uint8_t key[static NOISE_KEY_SIZE])
{
	mix_hash(h, key, NOISE_KEY_SIZE);
	if (h->mixes_ephemerals)
		mix_key(h, key);
}

// ee, es, se, ss: the first letter is the initiator's key, the second the responder's.
static int mix_exchange(struct noise_handshake *h, enum noise_token token)
{
	bool initiator_ephemeral = token == NOISE_EE || token == NOISE_ES;
	bool responder_ephemeral = token == NOISE_EE || token == NOISE_SE;
	bool own = h->initiator ? initiator_ephemeral : responder_ephemeral;
	bool remote = h->initiator ? responder_ephemeral : initiator_ephemeral;
	uint8_t shared[NOISE_KEY_SIZE];
	int result = -EBADMSG;

	// Noise leaves it open whether zeros are refused. Nobody honest makes them.
	if (crypto_scalarmult(shared, (own ? &h->own_ephemeral : &h->own_static)->secret,
		    remote ? h->remote_ephemeral : h->remote_static) == 0) {
		mix_key(h, shared);
		result = 0;
	}
	sodium_memzero(shared, sizeof(shared));
	return result;
}

// Returns what it wrote, or a negative errno.
static int write_e1(struct noise_handshake *h, const struct noise_fresh *fresh, uint8_t *out)
{
	uint8_t public_key[MLKEM1024_PUBLIC_SIZE];
	int result = mlkem1024_derive(public_key, &h->kem.own, fresh->kem), size;
	if (result < 0)
		return result;
	size = (int)(sizeof(public_key) + tag_size(h));
	result = encrypt_and_hash(h, public_key, sizeof(public_key), out);
	return result < 0 ? result : size;
}

static int write_ekem1(struct noise_handshake *h, const struct noise_fresh *fresh, uint8_t *out)
{
	uint8_t ciphertext[MLKEM1024_CIPHERTEXT_SIZE], shared[MLKEM1024_SHARED_SIZE];
	int size = (int)(sizeof(ciphertext) + tag_size(h));
	int result = mlkem1024_encapsulate_with(ciphertext, shared, h->kem.remote, fresh->kem);
	if (result < 0)
		return result == -EINVAL ? -EBADMSG : result;
	result = encrypt_and_hash(h, ciphertext, sizeof(ciphertext), out);
	mix_key(h, shared);
	sodium_memzero(shared, sizeof(shared));
	return result < 0 ? result : size;
}

static int write_token(struct noise_handshake *h, enum noise_token token,
	const struct noise_fresh *fresh, uint8_t *out)
{
	int result, size;

	switch (token) {
	case NOISE_E:
		memcpy(h->own_ephemeral.secret, fresh->ephemeral, NOISE_KEY_SIZE);
		crypto_scalarmult_base(h->own_ephemeral.public_key, h->own_ephemeral.secret);
		memcpy(out, h->own_ephemeral.public_key, NOISE_KEY_SIZE);
		mix_ephemeral(h, out);
		return NOISE_KEY_SIZE;
	case NOISE_S:
		size = (int)(NOISE_KEY_SIZE + tag_size(h));
		result = encrypt_and_hash(h, h->own_static.public_key, NOISE_KEY_SIZE, out);
		return result < 0 ? result : size;
	case NOISE_E1:
		return write_e1(h, fresh, out);
	case NOISE_EKEM1:
		return write_ekem1(h, fresh, out);
	case NOISE_PSK:
		mix_key_and_hash(h);
		return 0;
	default:
		return mix_exchange(h, token);
	}
}

int noise_write(struct noise_handshake *handshake, const struct noise_fresh *fresh,
	const void *payload, size_t size, uint8_t *out)
{
	size_t overhead = noise_overhead(handshake);

	assert(!noise_done(handshake) && handshake->initiator == (handshake->next % 2 == 0));
	if (size > NOISE_MESSAGE_MAX - overhead)
		return -EMSGSIZE;
	for (const uint8_t *token = tokens(handshake); *token != NOISE_END; token++) {
		int written = write_token(handshake, *token, fresh, out);
		if (written < 0)
			return written;
		out += written;
	}
	handshake->next++;
	return encrypt_and_hash(handshake, payload, size, out);
}

static int read_ekem1(struct noise_handshake *h, const uint8_t *in)
{
	uint8_t ciphertext[MLKEM1024_CIPHERTEXT_SIZE], shared[MLKEM1024_SHARED_SIZE];
	int result = decrypt_and_hash(h, in, sizeof(ciphertext), ciphertext);
	if (result < 0)
		return result;
	result = mlkem1024_decapsulate(shared, &h->kem.own, ciphertext);
	mix_key(h, shared);
	sodium_memzero(shared, sizeof(shared));
	return result;
}

// Returns what it has read, or a negative errno. That so much is there was seen before.
static int read_token(struct noise_handshake *h, enum noise_token token, const uint8_t *in)
{
	int tag = (int)tag_size(h), result;

	switch (token) {
	case NOISE_E:
		memcpy(h->remote_ephemeral, in, NOISE_KEY_SIZE);
		mix_ephemeral(h, in);
		return NOISE_KEY_SIZE;
	case NOISE_S:
		result = decrypt_and_hash(h, in, NOISE_KEY_SIZE, h->remote_static);
		return result < 0 ? result : NOISE_KEY_SIZE + tag;
	case NOISE_E1:
		result = decrypt_and_hash(h, in, MLKEM1024_PUBLIC_SIZE, h->kem.remote);
		return result < 0 ? result : MLKEM1024_PUBLIC_SIZE + tag;
	case NOISE_EKEM1:
		result = read_ekem1(h, in);
		return result < 0 ? result : MLKEM1024_CIPHERTEXT_SIZE + tag;
	case NOISE_PSK:
		mix_key_and_hash(h);
		return 0;
	default:
		return mix_exchange(h, token);
	}
}

int noise_read(struct noise_handshake *handshake, const uint8_t *in, size_t size, uint8_t *payload)
{
	size_t overhead = noise_overhead(handshake);

	assert(!noise_done(handshake) && handshake->initiator == (handshake->next % 2 == 1));
	if (size < overhead || size > NOISE_MESSAGE_MAX)
		return -EBADMSG;
	for (const uint8_t *token = tokens(handshake); *token != NOISE_END; token++) {
		int result = read_token(handshake, *token, in);
		if (result < 0)
			return result;
		in += result;
	}
	handshake->next++;
	return decrypt_and_hash(handshake, in, size - overhead, payload);
}

void noise_split(const struct noise_handshake *handshake, uint8_t initiator_key[static 32],
	uint8_t responder_key[static 32], uint8_t *exporter)
{
	uint8_t key[HKDF_HASH_MAX], out[3 * HKDF_HASH_MAX];
	enum hkdf_hash hash = handshake->protocol->hash;
	size_t size = hkdf_hash_size(hash);

	assert(noise_done(handshake));
	hkdf_extract(hash, handshake->chain, size, NULL, 0, key);
	hkdf_expand(hash, key, size, NULL, 0, out, 3 * size);
	memcpy(initiator_key, out, NOISE_KEY_SIZE);
	memcpy(responder_key, out + size, NOISE_KEY_SIZE);
	if (exporter != NULL)
		memcpy(exporter, out + 2 * size, size);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(out, sizeof(out));
}

void noise_wipe(struct noise_handshake *handshake)
{
	sodium_memzero(handshake, sizeof(*handshake));
}
