// SPDX-License-Identifier: BSD-3-Clause
// One compare of a signature with the eight of a bucket: bit i of the result is set where
// signatures[i] == signature. The best variant that the build's instruction set has (make MARCH=).
#pragma once

#include "dataplane/table/bucket_match_portable.h"

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#include "dataplane/table/bucket_match_avx512.h"
#endif
#ifdef __SSE2__
#include "dataplane/table/bucket_match_sse2.h"
#endif

static inline unsigned bucket_match(const uint16_t signatures[static 8], uint16_t signature)
{
#if defined(__AVX512BW__) && defined(__AVX512VL__)
	return bucket_match_avx512(signatures, signature);
#elif defined(__SSE2__)
	return bucket_match_sse2(signatures, signature);
#else
	return bucket_match_portable(signatures, signature);
#endif
}
