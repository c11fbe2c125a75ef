// SPDX-License-Identifier: BSD-3-Clause
// Internet checksum arithmetic. Sums are kept as 32- or 64-bit unfolded one's complement sums of
// big-endian-in-memory 16-bit words (that is: words are read natively, so results may be stored
// natively; RFC 1071 section 2(B)).
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Adding a word to itself rotated by half leaves the folded sum, carry included, in the upper half.
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);
	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

static inline uint64_t checksum_sum4(const void *data)
{
	uint32_t word;
	memcpy(&word, data, 4);
	return word;
}

static inline uint64_t checksum_sum16(const void *data)
{
	uint64_t words[2];
	memcpy(words, data, 16);
	return (words[0] >> 32) + (uint32_t)words[0] + (words[1] >> 32) + (uint32_t)words[1];
}

// Unfolded sum of `length` bytes starting at an even offset of the checksummed data (an odd last
// byte is padded with zero).
static inline uint64_t checksum_sum(const void *data, size_t length)
{
	const uint8_t *p = data;
	uint64_t sum = 0;
	while (length >= 4) {
		uint32_t word;
		memcpy(&word, p, 4);
		sum += word;
		p += 4;
		length -= 4;
	}
	if (length >= 2) {
		uint16_t word;
		memcpy(&word, p, 2);
		sum += word;
		p += 2;
		length -= 2;
	}
	if (length) {
		uint16_t word = 0;
		memcpy(&word, p, 1);
		sum += word;
	}
	return sum;
}

// RFC 1624 (eqn. 3): HC' = ~(~HC + ~m + m'). old_sum, new_sum: unfolded sums of what goes and what
// comes; checksum and result as stored in the packet. A UDP result of 0 must be sent as 0xFFFF (RFC
// 768).
static inline uint16_t checksum_update(uint16_t checksum, uint64_t old_sum, uint64_t new_sum)
{
	// A multiple of 65535 above any sum of a packet: taking from it is one's complement.
	const uint64_t zero = 0xFFFFull << 32;
	return (uint16_t)~checksum_fold((uint16_t)~checksum + (zero - old_sum) + new_sum);
}
