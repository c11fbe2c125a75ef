// SPDX-License-Identifier: BSD-3-Clause
// bucket_match for machines without SSE2, and the reference that tests compare it with.
#pragma once

#include <stdint.h>

static inline unsigned bucket_match_portable(
	const uint16_t signatures[static 8], uint16_t signature)
{
	unsigned mask = 0;
	for (unsigned i = 0; i < 8; i++)
		mask |= (unsigned)(signatures[i] == signature) << i;
	return mask;
}
