// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a native datagram. Held, for each control message and for data: what is accepted has
// one type and is accepted as no other; all that it borrows lies inside; built again it is the same
// bytes, so that there is one form of each message; one byte less or more is none, and one byte
// less of room is too little. What is computed over messages takes whatever was accepted.
#include "tests/unit/native_codecs.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_signature(const uint8_t *data, size_t size)
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	require(native_signature_input(input, data, size) ==
		sizeof(NATIVE_SIGNATURE_CONTEXT) + native_signed(size));
	require(native_signed(size) + NATIVE_SIGNATURE_SIZE == size);
}

static void check_computed(
	const uint8_t *data, size_t size, unsigned type, const union native_any *m)
{
	static const uint8_t key[NATIVE_PATH_KEY_SIZE] = {1};
	uint8_t proof[NATIVE_PROOF_SIZE];
	switch (type) {
	case NATIVE_REGISTER:
		if (m->registering.admission == NATIVE_ADMISSION_PUZZLE)
			require(native_puzzle_bits(m->registering.cookie, m->registering.address,
					m->registering.solution) <= 256);
		if (m->registering.admission == NATIVE_ADMISSION_TOKEN)
			require(data + native_token_covered(size) == m->registering.token.mac);
		require(data + native_signed(size) == m->registering.signature);
		check_signature(data, size);
		break;
	case NATIVE_OPEN:
	case NATIVE_ACCEPT:
		check_signature(data, size);
		break;
	case NATIVE_PATH_RESPONSE:
		native_path_response_proof(proof, key, &m->path_response);
		break;
	case NATIVE_OPENED:
		native_opened_proof(proof, key, &m->opened);
		break;
	case NATIVE_CLOSE:
		native_close_proof(proof, key, &m->close);
		break;
	case NATIVE_CLOSED:
		native_closed_proof(proof, key, &m->closed);
		break;
	default:
		break;
	}
}

static void check_control(const uint8_t *data, size_t size)
{
	static uint8_t again[NATIVE_MESSAGE_MAX], longer[NATIVE_MESSAGE_MAX + 1];
	struct native_header header;
	union native_any m;
	int begun = native_header_parse(data, size, &header);
	require(begun == 0 || begun == -EBADMSG || begun == -EPROTONOSUPPORT);
	for (unsigned type = NATIVE_SOLICIT; type <= NATIVE_UNSUPPORTED; type++) {
		const struct native_codec *codec = &native_codecs[type];
		int result = codec->parse(data, size, &m);
		require(result == 0 || result == -EBADMSG);
		if (result != 0)
			continue;
		require(begun == 0 && header.type == type && header.transaction == m.transaction);
		require(codec->build(again, sizeof(again), &m) == size);
		require(memcmp(again, data, size) == 0);
		require(codec->build(again, size - 1, &m) == 0);
		check_computed(data, size, type, &m);
		require(codec->parse(data, size - 1, &m) == -EBADMSG);
		memcpy(longer, data, size);
		longer[size] = 0;
		require(codec->parse(longer, size + 1, &m) == -EBADMSG);
	}
}

static void check_by_address(const uint8_t *data, size_t size, uint8_t *again)
{
	struct native_by_address m;
	int sent = native_by_address_parse(data, size, &m);
	require(sent == 0 || sent == -EBADMSG || sent == -EPROTONOSUPPORT);
	if (sent == 0) {
		require(m.hops >= 1 && m.hops <= NATIVE_HOPS_MAX);
		require(m.payload + m.payload_size == data + size);
		require(native_by_address_build(again, size, &m) == size);
		require(memcmp(again, data, size) == 0);
		require(native_by_address_build(again, size - 1, &m) == 0);
	}
	int received = native_delivered_parse(data, size, &m);
	require(received == 0 || received == -EBADMSG || received == -EPROTONOSUPPORT);
	require(sent != 0 || received != 0);
	if (received == 0) {
		require(m.hops < NATIVE_HOPS_MAX && m.cookie == NULL);
		require(m.payload + m.payload_size == data + size);
		require(native_delivered_build(again, size, &m) == size);
		require(memcmp(again, data, size) == 0);
		require(native_delivered_build(again, size - 1, &m) == 0);
	}
}

static void check_by_handle(const uint8_t *data, size_t size, uint8_t *again)
{
	struct native_by_handle m;
	int result = native_by_handle_parse(data, size, &m);
	require(result == 0 || result == -EBADMSG);
	if (result != 0)
		return;
	require(m.payload + m.payload_size == data + size);
	require(native_by_handle_build(again, size, &m) == size);
	require(memcmp(again, data, size) == 0);
	require(native_by_handle_build(again, size - 1, &m) == 0);
}

static void check(const uint8_t *data, size_t size)
{
	uint8_t *again = malloc(size ? size : 1);
	check_control(data, size);
	check_by_address(data, size, again);
	check_by_handle(data, size, again);
	free(again);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return sodium_init() < 0;
}

// Mutations rarely keep a sealed part's length right: it is put right in a copy, and the message is
// tried again.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		size_t length_at, size;
	} sealed[NATIVE_UNSUPPORTED + 1] = {
		[NATIVE_OPEN] = {168, 240},
		[NATIVE_INVITE] = {60, 208},
		[NATIVE_ACCEPT] = {138, 348},
		[NATIVE_OPENED] = {42, 60},
	};
	check(data, size);
	if (size < NATIVE_HEADER_SIZE || data[2] > NATIVE_UNSUPPORTED || !sealed[data[2]].size ||
		size < sealed[data[2]].size)
		return 0;
	uint8_t *copy = malloc(size);
	memcpy(copy, data, size);
	size_t length = size - sealed[data[2]].size;
	copy[sealed[data[2]].length_at] = (uint8_t)(length >> 8);
	copy[sealed[data[2]].length_at + 1] = (uint8_t)length;
	check(copy, size);
	free(copy);
	return 0;
}
