// SPDX-License-Identifier: BSD-3-Clause
// The two integrity attributes. Both are an HMAC over the message up to the attribute, computed as
// if the message ended right behind it: the header's length field is replaced in a copy, the
// message itself is never changed for a check. Fails closed: an empty key or a refused MAC verifies
// nothing and builds nothing. Any thread.
#include "lib/wire/stun_integrity.h"

#include <gnutls/crypto.h>
#include <sodium.h>

#include <errno.h>
#include <string.h>

enum {
	ATTRIBUTE_HEADER_LENGTH = 4,
	SHA1_LENGTH = 20,
	SHA1_BLOCK = 64,
	SHA256_LENGTH = 32,
	SHA256_LENGTH_MINIMUM = 16,
};

// The header with the length field of a message that ends at `end`.
static void header_ending_at(const uint8_t *data, size_t end, uint8_t header[STUN_HEADER_LENGTH])
{
	size_t body = end - STUN_HEADER_LENGTH;
	memcpy(header, data, STUN_HEADER_LENGTH);
	header[2] = (uint8_t)(body >> 8);
	header[3] = (uint8_t)body;
}

// HMAC is made of two plain hashes here (RFC 2104), on a handle that stays: a keyed handle of
// GnuTLS costs more to make and to free than a STUN message costs to hash. What the handle keeps of
// its last use is padding behind the inner digest. Lives as long as its thread.
static gnutls_hash_hd_t sha1_handle(void)
{
	static _Thread_local gnutls_hash_hd_t handle;
	if (handle == NULL && gnutls_hash_init(&handle, GNUTLS_DIG_SHA1) < 0)
		handle = NULL;
	return handle;
}

// sha1 is empty: gnutls_hash_output leaves it so.
static int sha1_block_and(gnutls_hash_hd_t sha1, const uint8_t block[static SHA1_BLOCK],
	const struct stun_span *parts, unsigned count, uint8_t out[SHA1_LENGTH])
{
	int failed = gnutls_hash(sha1, block, SHA1_BLOCK) < 0;
	for (unsigned i = 0; i < count; i++)
		failed |= gnutls_hash(sha1, parts[i].data, parts[i].length) < 0;
	gnutls_hash_output(sha1, out);
	return failed;
}

int stun_hmac_sha1(const void *key, size_t key_length, const struct stun_span *parts,
	unsigned count, uint8_t out[static 20])
{
	gnutls_hash_hd_t sha1 = sha1_handle();
	uint8_t inner[SHA1_BLOCK] = {0}, outer[SHA1_BLOCK];
	if (sha1 == NULL)
		return -EACCES;
	int failed = 0;
	if (key_length > sizeof(inner)) {
		failed = gnutls_hash(sha1, key, key_length) < 0;
		gnutls_hash_output(sha1, inner);
	} else {
		memcpy(inner, key, key_length);
	}
	for (unsigned i = 0; i < SHA1_BLOCK; i++) {
		outer[i] = inner[i] ^ 0x5C;
		inner[i] ^= 0x36;
	}
	failed |= sha1_block_and(sha1, inner, parts, count, out);
	const struct stun_span digest = {out, SHA1_LENGTH};
	failed |= sha1_block_and(sha1, outer, &digest, 1, out);
	sodium_memzero(inner, sizeof(inner));
	sodium_memzero(outer, sizeof(outer));
	return failed ? -EACCES : 0;
}

static int mac_sha1(const uint8_t *data, size_t offset, size_t end, const struct stun_key *key,
	uint8_t out[SHA1_LENGTH])
{
	uint8_t header[STUN_HEADER_LENGTH];
	if (key->length == 0)
		return -EACCES;
	header_ending_at(data, end, header);
	const struct stun_span parts[] = {
		{header, sizeof(header)}, {data + STUN_HEADER_LENGTH, offset - STUN_HEADER_LENGTH}};
	return stun_hmac_sha1(key->bytes, key->length, parts, 2, out);
}

static int mac_sha256(const uint8_t *data, size_t offset, size_t end, const struct stun_key *key,
	uint8_t out[SHA256_LENGTH])
{
	uint8_t header[STUN_HEADER_LENGTH];
	crypto_auth_hmacsha256_state state;
	if (key->length == 0)
		return -EACCES;
	header_ending_at(data, end, header);
	crypto_auth_hmacsha256_init(&state, key->bytes, key->length);
	crypto_auth_hmacsha256_update(&state, header, sizeof(header));
	crypto_auth_hmacsha256_update(
		&state, data + STUN_HEADER_LENGTH, offset - STUN_HEADER_LENGTH);
	crypto_auth_hmacsha256_final(&state, out);
	sodium_memzero(&state, sizeof(state));
	return 0;
}

// stun_parse has proven that the attribute at offset lies inside the message.
static size_t value_length(const struct stun_message *m, size_t offset)
{
	return (size_t)(m->data[offset + 2] << 8 | m->data[offset + 3]);
}

int stun_verify_integrity(const struct stun_message *m, const struct stun_key *key)
{
	uint8_t mac[SHA1_LENGTH];
	size_t offset = m->integrity_offset;
	size_t value = offset + ATTRIBUTE_HEADER_LENGTH;
	if (offset == 0)
		return -ENOENT;
	if (value_length(m, offset) != SHA1_LENGTH)
		return -EBADMSG;
	if (mac_sha1(m->data, offset, value + SHA1_LENGTH, key, mac) < 0)
		return -EACCES;
	return sodium_memcmp(mac, m->data + value, SHA1_LENGTH) == 0 ? 0 : -EACCES;
}

int stun_verify_integrity_sha256(const struct stun_message *m, const struct stun_key *key)
{
	uint8_t mac[SHA256_LENGTH];
	size_t offset = m->integrity_sha256_offset;
	size_t value = offset + ATTRIBUTE_HEADER_LENGTH;
	if (offset == 0)
		return -ENOENT;
	size_t length = value_length(m, offset);
	if (length < SHA256_LENGTH_MINIMUM || length > SHA256_LENGTH || length % 4)
		return -EBADMSG;
	if (mac_sha256(m->data, offset, value + length, key, mac) < 0)
		return -EACCES;
	return sodium_memcmp(mac, m->data + value, length) == 0 ? 0 : -EACCES;
}

void stun_add_integrity(struct stun_builder *b, const struct stun_key *key)
{
	uint8_t mac[SHA1_LENGTH];
	if (b->failed || mac_sha1(b->data, b->length,
				 b->length + ATTRIBUTE_HEADER_LENGTH + sizeof(mac), key, mac) < 0) {
		b->failed = true;
		return;
	}
	stun_add(b, STUN_MESSAGE_INTEGRITY, mac, sizeof(mac));
}

void stun_add_integrity_sha256(struct stun_builder *b, const struct stun_key *key)
{
	uint8_t mac[SHA256_LENGTH];
	if (b->failed || mac_sha256(b->data, b->length,
				 b->length + ATTRIBUTE_HEADER_LENGTH + sizeof(mac), key, mac) < 0) {
		b->failed = true;
		return;
	}
	stun_add(b, STUN_MESSAGE_INTEGRITY_SHA256, mac, sizeof(mac));
}
