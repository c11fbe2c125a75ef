// SPDX-License-Identifier: BSD-3-Clause
// bucket_match with SSE2, which every x86-64 has: compare, narrow to bytes, take their top bits.
#pragma once

#include <emmintrin.h>
#include <stdint.h>

static inline unsigned bucket_match_sse2(const uint16_t signatures[static 8], uint16_t signature)
{
	__m128i have = _mm_load_si128((const __m128i *)(const void *)signatures);
	__m128i equal = _mm_cmpeq_epi16(have, _mm_set1_epi16((short)signature));
	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(equal, _mm_setzero_si128()));
}
