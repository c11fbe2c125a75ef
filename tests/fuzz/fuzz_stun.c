// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a STUN message. Held: what is visible lies inside the message and in order; readers
// and integrity checks stay inside (the sanitizers see to that); the visible attributes rebuilt by
// the builder parse to the same attributes; rebuilding once more changes no byte.
#include "lib/wire/stun_integrity.h"

#include <zlib.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint16_t known[] = {STUN_USERNAME, STUN_REALM, STUN_NONCE, STUN_XOR_PEER_ADDRESS};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void read_values(const struct stun_message *m, const struct stun_attribute *a)
{
	struct net_endpoint endpoint = {0}, plain = {0};
	uint32_t value;
	unsigned code;
	bool xored = stun_read_xor_address(m, a, &endpoint) == 0;
	require(xored == (stun_read_address(a, &plain) == 0));
	if (xored) {
		unsigned family = endpoint.address.family;
		require(family == NET_IPV4 || family == NET_IPV6);
		require(a->length == (family == NET_IPV4 ? 8 : 20));
		require(plain.port == (endpoint.port ^ 0x2112));
	}
	require((stun_read_u32(a, &value) == 0) == (a->length == 4));
	if (stun_read_error(a, &code) == 0)
		require(a->length >= 4 && code >= 300 && code <= 699);
}

static void check_visible(const struct stun_message *m)
{
	const uint8_t *previous = m->data + STUN_HEADER_LENGTH;
	const uint8_t *end = m->data + m->length;
	struct stun_attribute a, found;
	for (size_t offset = 0; stun_next(m, &offset, &a);) {
		require(a.value >= previous + 4 && a.length <= (size_t)(end - a.value));
		require(offset % 4 == 0 && offset <= m->length);
		require(stun_find(m, a.type, &found) && found.value <= a.value);
		previous = a.value + a.length;
		read_values(m, &a);
	}
}

static void check_unknown(const struct stun_message *m)
{
	uint16_t some[2], all[64];
	size_t n = stun_unknown_attributes(m, known, 4, some, 2);
	size_t more = stun_unknown_attributes(m, known, 4, all, 64);
	struct stun_attribute a;
	require(n <= 2 && more <= 64 && n <= more);
	for (size_t i = 0; i < more; i++) {
		require(all[i] < 0x8000 && stun_find(m, all[i], &a));
		for (size_t j = 0; j < i; j++)
			require(all[i] != all[j]);
	}
}

static void check_integrity(const struct stun_message *m)
{
	static const struct stun_key key = {.bytes = {1, 2, 3}, .length = 16};
	int sha1 = stun_verify_integrity(m, &key), sha256 = stun_verify_integrity_sha256(m, &key);
	require((sha1 == -ENOENT) == (m->integrity_offset == 0));
	require((sha256 == -ENOENT) == (m->integrity_sha256_offset == 0));
}

// The visible attributes again; FINGERPRINT is computed, as its value depends on what was hidden.
static size_t rebuild(const struct stun_message *m, void *buffer, size_t capacity)
{
	struct stun_builder b = stun_begin(
		buffer, capacity, m->method, (enum stun_class)m->class, stun_transaction(m));
	struct stun_attribute a;
	for (size_t offset = 0; stun_next(m, &offset, &a);) {
		if (a.type == STUN_FINGERPRINT)
			stun_add_fingerprint(&b);
		else
			stun_add(&b, a.type, a.value, a.length);
	}
	return stun_finish(&b);
}

static void check_same(const struct stun_message *m, const struct stun_message *again)
{
	struct stun_attribute a, b;
	size_t i = 0, j = 0;
	while (stun_next(m, &i, &a)) {
		require(stun_next(again, &j, &b));
		require(a.type == b.type && a.length == b.length);
		if (a.type != STUN_FINGERPRINT)
			require(memcmp(a.value, b.value, a.length) == 0);
	}
	require(!stun_next(again, &j, &b));
	require(m->has_fingerprint == again->has_fingerprint);
	require(!m->integrity_offset == !again->integrity_offset);
	require(!m->integrity_sha256_offset == !again->integrity_sha256_offset);
}

static int check_message(const uint8_t *data, size_t size)
{
	static uint8_t first[65536], second[65536];
	struct stun_message m, again;
	int result = stun_parse(data, size, &m);
	if (result < 0)
		return result;
	require(m.length == size && m.data == data && m.class <= STUN_ERROR && m.method <= 0xFFF);
	require(m.attributes_end <= m.length);
	check_visible(&m);
	check_unknown(&m);
	check_integrity(&m);

	size_t length = rebuild(&m, first, sizeof(first));
	require(length && length <= size);
	require(stun_parse(first, length, &again) == 0);
	check_same(&m, &again);
	require(rebuild(&again, second, sizeof(second)) == length);
	require(memcmp(first, second, length) == 0);
	// One byte less, and it must not fit.
	require(rebuild(&again, second, length - 1) == 0);
	return 0;
}

// Mutations rarely hit a right length and never a right CRC: both are put right in a copy of its
// exact size, and the message is tried again.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_message(data, size);
	if (size < STUN_HEADER_LENGTH || size > UINT16_MAX)
		return 0;
	uint8_t *copy = malloc(size);
	memcpy(copy, data, size);
	copy[2] = (uint8_t)((size - STUN_HEADER_LENGTH) >> 8);
	copy[3] = (uint8_t)(size - STUN_HEADER_LENGTH);
	int result = check_message(copy, size);
	if (result == -EILSEQ) {
		size_t covered = size - STUN_FINGERPRINT_LENGTH;
		uint32_t crc = (uint32_t)crc32(0, copy, (uInt)covered) ^ STUN_FINGERPRINT_XOR;
		for (unsigned i = 0; i < 4; i++)
			copy[size - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
		require(check_message(copy, size) == 0);
	}
	free(copy);
	return 0;
}
