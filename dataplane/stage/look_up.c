// SPDX-License-Identifier: BSD-3-Clause
// The sessions of all packets that have one, of both directions at once. Owner worker.
#include "dataplane/stage/pass.h"
#include "dataplane/table/lookup.h"

void stage_look_up(struct pass *pass)
{
	const struct mappings_wanted wanted = {
		.channels = pass->key[PASS_CHANNEL_DATA],
		.channel_sessions = pass->session[PASS_CHANNEL_DATA],
		.channel_count = pass->flow[PASS_CHANNEL_DATA].count,
		.peers = (const struct peer_key *)pass->key[PASS_PEER],
		.peer_sessions = pass->session[PASS_PEER],
		.peer_count = pass->flow[PASS_PEER].count,
	};
	mappings_find(pass->burst.worker->mappings, &wanted);
}
