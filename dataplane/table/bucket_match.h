// SPDX-License-Identifier: BSD-3-Clause
// One compare of a signature with the eight of a bucket: bit i of the result is set where
// signatures[i] == signature. SSE2, which every x86-64 has; elsewhere bucket_match_portable.h.
#pragma once

#include "dataplane/table/bucket_match_portable.h"

#ifdef __SSE2__
#include <emmintrin.h>

static inline unsigned bucket_match(const uint16_t signatures[static 8], uint16_t signature)
{
	__m128i have = _mm_load_si128((const __m128i *)(const void *)signatures);
	__m128i equal = _mm_cmpeq_epi16(have, _mm_set1_epi16((short)signature));
	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
}
#else
static inline unsigned bucket_match(const uint16_t signatures[static 8], uint16_t signature)
{
	return bucket_match_portable(signatures, signature);
}
#endif
