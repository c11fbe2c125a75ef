// SPDX-License-Identifier: BSD-3-Clause
// Finding the sessions of a whole burst: hash and first bucket, candidate's line (or second
// bucket), compare, each over all packets before the next, so that their cache misses overlap. A
// packet with the key of the one before it (a train) is answered from that one's result.
// Owner worker.
#pragma once

#include "dataplane/table/mappings.h"

// indices[i]: the session of keys[i], or MAPPINGS_NONE. count: at most BURST_MAX. Deadlines are the
// caller's to check.
void mappings_find_channels(
	const struct mappings *m, const struct client_key *keys, unsigned count, uint32_t *indices);
void mappings_find_peers(
	const struct mappings *m, const struct peer_key *keys, unsigned count, uint32_t *indices);
