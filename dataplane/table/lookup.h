// SPDX-License-Identifier: BSD-3-Clause
// Finding the sessions of a whole burst: hash and first bucket, candidate's line (or second
// bucket), compare, each over all packets before the next, so that their cache misses overlap;
// those of both directions with each other, too. A packet with the key of the one before it (a
// train) is answered from that one's result. Owner worker.
#pragma once

#include "dataplane/table/mappings.h"

// The keys of a burst, BURST_MAX at most in all, and what becomes of them: the index of the session
// of each, or MAPPINGS_NONE. Deadlines are the caller's to check.
struct mappings_wanted {
	const struct client_key *channels;
	uint32_t *channel_sessions;
	unsigned channel_count;
	const struct peer_key *peers;
	uint32_t *peer_sessions;
	unsigned peer_count;
};

void mappings_find(const struct mappings *m, const struct mappings_wanted *wanted);
