// SPDX-License-Identifier: BSD-3-Clause
// Checks that were seen before. Whoever can read the wire can send a copy of a check from anywhere:
// were it taken for the peer, media would follow it there. Between two of ours every check has a
// sequence under its integrity, in a window as of IPsec (RFC 4303 3.4.3), so no copy ever counts. A
// standard agent's checks have only their transaction, repeated when it hears no answer: the last
// ICE_SEEN are remembered with where they came from.
#include "endpoint/agent/core.h"

static bool window_take(struct agent *agent, uint64_t sequence)
{
	if (sequence > agent->highest) {
		// Blocks between are emptied; more than all of them is all of them.
		uint64_t from = agent->highest / 64 + 1, to = sequence / 64;
		for (uint64_t block = from; block <= to && block < from + ICE_WINDOW / 64; block++)
			agent->window[block % (ICE_WINDOW / 64)] = 0;
		agent->highest = sequence;
	} else if (agent->highest / 64 - sequence / 64 >= ICE_WINDOW / 64) {
		return false;
	}
	uint64_t *block = &agent->window[sequence / 64 % (ICE_WINDOW / 64)];
	uint64_t bit = UINT64_C(1) << sequence % 64;
	if (*block & bit)
		return false;
	*block |= bit;
	return true;
}

static enum ice_replay seen_check(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const uint8_t *id)
{
	for (unsigned i = 0; i < agent->seen_count; i++) {
		const struct ice_seen *seen = &agent->seen[i];
		if (memcmp(seen->id, id, sizeof(seen->id)) != 0)
			continue;
		return seen->base == base && ice_transport_equal(&seen->source, source)
			       ? ICE_AGAIN
			       : ICE_REPLAY;
	}
	struct ice_seen *seen = &agent->seen[agent->seen_next];
	agent->seen_next = (agent->seen_next + 1) % ICE_SEEN;
	if (agent->seen_count < ICE_SEEN)
		agent->seen_count++;
	seen->base = base;
	seen->source = *source;
	memcpy(seen->id, id, sizeof(seen->id));
	return ICE_NEW;
}

enum ice_replay ice_replay_check(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m, uint64_t sequence)
{
	if (ice_standard(agent))
		return seen_check(agent, base, source, stun_transaction(m));
	return sequence != 0 && window_take(agent, sequence) ? ICE_NEW : ICE_REPLAY;
}
