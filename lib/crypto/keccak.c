// SPDX-License-Identifier: BSD-3-Clause
// See keccak.h: the sponge (FIPS 202, section 4) over keccak_permute.c. Lanes are little-endian.
#include "lib/crypto/keccak.h"

#include <endian.h>
#include <string.h>

static uint64_t load(const uint8_t *bytes)
{
	uint64_t lane;
	memcpy(&lane, bytes, sizeof(lane));
	return le64toh(lane);
}

void keccak_begin(struct keccak *state, unsigned rate)
{
	memset(state, 0, sizeof(*state));
	state->rate = rate;
}

static void add_byte(struct keccak *state, unsigned position, unsigned byte)
{
	state->lanes[position / 8] ^= (uint64_t)byte << 8 * (position % 8);
}

void keccak_add(struct keccak *state, const void *data, size_t size)
{
	const uint8_t *bytes = data;
	while (size > 0) {
		if (state->position % 8 == 0 && size >= 8) {
			state->lanes[state->position / 8] ^= load(bytes);
			state->position += 8;
			bytes += 8;
			size -= 8;
		} else {
			add_byte(state, state->position++, *bytes++);
			size--;
		}
		if (state->position == state->rate) {
			keccak_permute(state->lanes);
			state->position = 0;
		}
	}
}

void keccak_finish(struct keccak *state, unsigned suffix, uint8_t *out, size_t size)
{
	add_byte(state, state->position, suffix);
	add_byte(state, state->rate - 1, 0x80);
	state->position = state->rate;
	for (; size > 0; size--) {
		if (state->position == state->rate) {
			keccak_permute(state->lanes);
			state->position = 0;
		}
		*out++ = (uint8_t)(state->lanes[state->position / 8] >> 8 * (state->position % 8));
		state->position++;
	}
}

void keccak4_add(struct keccak4 *states, unsigned n, const uint8_t *block, size_t size)
{
	unsigned lane = 0;
	for (; size >= 8; block += 8, size -= 8)
		states->lanes[lane++][n] ^= load(block);
	for (unsigned i = 0; i < size; i++)
		states->lanes[lane][n] ^= (uint64_t)block[i] << 8 * i;
}

void keccak4_read(const struct keccak4 *states, unsigned n, uint8_t *block, size_t size)
{
	unsigned lane = 0;
	for (; size >= 8; block += 8, size -= 8) {
		uint64_t bytes = htole64(states->lanes[lane++][n]);
		memcpy(block, &bytes, sizeof(bytes));
	}
	for (unsigned i = 0; i < size; i++)
		block[i] = (uint8_t)(states->lanes[lane][n] >> 8 * i);
}
