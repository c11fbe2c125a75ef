// SPDX-License-Identifier: BSD-3-Clause
// See recent.h.
#include "endpoint/recent.h"

#include <string.h>

bool core_recent_has(const struct recent *recent, const uint8_t id[static RECENT_ID_SIZE])
{
	for (unsigned i = 0; i < recent->count; i++)
		if (memcmp(recent->ids[i], id, RECENT_ID_SIZE) == 0)
			return true;
	return false;
}

bool core_recent_seen(struct recent *recent, const uint8_t id[static RECENT_ID_SIZE])
{
	if (core_recent_has(recent, id))
		return true;
	memcpy(recent->ids[recent->next], id, RECENT_ID_SIZE);
	recent->next = (recent->next + 1) % RECENT_MAX;
	if (recent->count < RECENT_MAX)
		recent->count++;
	return false;
}
