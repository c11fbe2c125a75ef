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

static int mac_sha1(const uint8_t *data, size_t offset, size_t end, const struct stun_key *key,
	uint8_t out[SHA1_LENGTH])
{
	uint8_t header[STUN_HEADER_LENGTH];
	gnutls_hmac_hd_t hmac;
	if (key->length == 0 ||
		gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA1, key->bytes, key->length) < 0)
		return -EACCES;
	header_ending_at(data, end, header);
	int failed = gnutls_hmac(hmac, header, sizeof(header)) < 0;
	failed |= gnutls_hmac(hmac, data + STUN_HEADER_LENGTH, offset - STUN_HEADER_LENGTH) < 0;
	gnutls_hmac_deinit(hmac, out);
	return failed ? -EACCES : 0;
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
