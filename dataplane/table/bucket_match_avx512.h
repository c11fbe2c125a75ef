// SPDX-License-Identifier: BSD-3-Clause
// bucket_match with AVX-512 (BW and VL): the compare itself makes the mask.
#pragma once

#include <immintrin.h>
#include <stdint.h>

static inline __attribute__((target("avx512bw,avx512vl"))) unsigned bucket_match_avx512(
	const uint16_t signatures[static 8], uint16_t signature)
{
	__m128i have = _mm_load_si128((const __m128i *)(const void *)signatures);
	return _mm_cmpeq_epi16_mask(have, _mm_set1_epi16((short)signature));
}
