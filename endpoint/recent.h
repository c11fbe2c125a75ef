// SPDX-License-Identifier: BSD-3-Clause
// The last ids seen (of invitations, of sealed messages), so that what comes twice counts once. The
// oldest is forgotten for the newest; replays older than that are bound to an epoch's address and
// end with it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { RECENT_MAX = 512, RECENT_ID_SIZE = 16 };

struct recent {
	uint8_t ids[RECENT_MAX][RECENT_ID_SIZE];
	unsigned count, next;
};

// Whether the id is one of them.
bool core_recent_has(const struct recent *recent, const uint8_t id[static RECENT_ID_SIZE]);
// Whether the id (16 bytes, random) was seen before; remembers it.
bool core_recent_seen(struct recent *recent, const uint8_t id[static RECENT_ID_SIZE]);
