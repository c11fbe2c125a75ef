// SPDX-License-Identifier: BSD-3-Clause
// The peer's candidates. Signalled ones come as whole lists with a generation, the newest of which
// counts, or one by one; peer-reflexive ones are where a check under the peer's key came from. What
// is in no list any more stays only as long as a valid pair leads there. The two kinds have places
// of their own, so that neither list nor checks can push the other out.
#include "endpoint/agent/core.h"

#include <errno.h>

struct ice_remote *ice_remote_find(struct agent *agent, const struct endpoint_transport *transport)
{
	for (unsigned i = 0; i < ICE_REMOTES; i++) {
		struct ice_remote *remote = &agent->remotes[i];
		if (remote->used && ice_transport_equal(&remote->candidate.transport, transport))
			return remote;
	}
	return NULL;
}

static bool remote_valid(const struct agent *agent, const struct ice_remote *remote)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		if (agent->pairs[i].remote == remote && agent->pairs[i].valid)
			return true;
	return false;
}

static void remote_end(struct agent *agent, struct ice_remote *remote)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair->state != ICE_PAIR_FREE && pair->remote == remote)
			ice_pair_end(agent, pair, AGENT_LOST_CAP);
	}
	remote->used = false;
}

void ice_remote_sweep(struct agent *agent)
{
	bool paired[ICE_REMOTES] = {false};
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		const struct ice_pair *pair = &agent->pairs[i];
		if (pair->state != ICE_PAIR_FREE && pair->state != ICE_PAIR_GONE)
			paired[pair->remote - agent->remotes] = true;
	}
	for (unsigned i = 0; i < ICE_REMOTES; i++)
		if (!agent->remotes[i].signalled && !paired[i])
			agent->remotes[i].used = false;
}

static struct ice_remote *remote_free(struct agent *agent)
{
	for (unsigned i = 0; i < ICE_REMOTES; i++)
		if (!agent->remotes[i].used)
			return &agent->remotes[i];
	return NULL;
}

// The unsignalled one without a valid pair that is worth least.
static struct ice_remote *remote_worst(struct agent *agent)
{
	struct ice_remote *worst = NULL;
	for (unsigned i = 0; i < ICE_REMOTES; i++) {
		struct ice_remote *remote = &agent->remotes[i];
		if (!remote->used || remote->signalled || remote_valid(agent, remote))
			continue;
		if (worst == NULL || remote->candidate.priority < worst->candidate.priority)
			worst = remote;
	}
	return worst;
}

static unsigned count_of(const struct agent *agent, bool signalled)
{
	unsigned count = 0;
	for (unsigned i = 0; i < ICE_REMOTES; i++)
		count += agent->remotes[i].used && agent->remotes[i].signalled == signalled;
	return count;
}

static struct ice_remote *remote_place(struct agent *agent)
{
	struct ice_remote *free = remote_free(agent);
	if (free != NULL)
		return free;
	free = remote_worst(agent);
	if (free != NULL)
		remote_end(agent, free);
	return free;
}

struct ice_remote *ice_remote_learn(
	struct agent *agent, const struct endpoint_transport *transport, uint32_t priority)
{
	struct ice_remote *remote;
	if (count_of(agent, false) >= AGENT_REFLEXIVE_MAX) {
		remote = remote_worst(agent);
		if (remote != NULL)
			remote_end(agent, remote);
	} else {
		remote = remote_place(agent);
	}
	if (remote == NULL)
		return NULL;
	*remote = (struct ice_remote){
		.used = true,
		.candidate = {.type = AGENT_PEER_REFLEXIVE,
			.transport = *transport,
			.priority = priority},
	};
	return remote;
}

static bool candidate_usable(const struct agent *agent, const struct agent_candidate *candidate)
{
	const struct endpoint_transport *transport = &candidate->transport;
	if (!ice_address_usable(transport, agent->config.allow_loopback))
		return false;
	if (!ice_address_link_local(transport))
		return true;
	// 169.254.0.0/16 is somebody else on each link (and a service of the host in clouds).
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++)
		if (agent->locals[i].used &&
			ice_address_link_local(&agent->locals[i].candidate.transport))
			return true;
	return false;
}

// Failed pairs to it are searched again: the peer would not name it if it had no hope.
static void remote_again(struct agent *agent, const struct ice_remote *remote)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair->remote == remote && pair->state == ICE_PAIR_FAILED)
			ice_pair_restart(agent, pair);
	}
}

static int remote_signal(struct agent *agent, const struct agent_candidate *candidate)
{
	if (!candidate_usable(agent, candidate)) {
		ice_count(agent, AGENT_COUNTER_skipped_address);
		return -EINVAL;
	}
	struct endpoint_transport clean = ice_transport_clean(&candidate->transport);
	struct ice_remote *remote = ice_remote_find(agent, &clean);
	if (remote != NULL && remote->signalled)
		return 0;
	if (count_of(agent, true) >= AGENT_REMOTE_MAX) {
		ice_count(agent, AGENT_COUNTER_skipped_cap);
		return -ENOSPC;
	}
	bool known = remote != NULL;
	if (!known)
		remote = remote_place(agent);
	// With fewer signalled ones than may be, and no more others than may be, there is a place,
	// but for old ones that valid pairs hold.
	if (remote == NULL) {
		ice_count(agent, AGENT_COUNTER_skipped_cap);
		return -ENOSPC;
	}
	*remote = (struct ice_remote){.used = true, .signalled = true, .candidate = *candidate};
	remote->candidate.transport = clean;
	if (remote->candidate.priority == 0)
		remote->candidate.priority = 1;
	if (known)
		remote_again(agent, remote);
	return 0;
}

// Takes the place of the older list: what was in it and is not any more stays only where it works.
static void remote_forget_old(struct agent *agent, const bool old[ICE_REMOTES])
{
	for (unsigned i = 0; i < ICE_REMOTES; i++) {
		struct ice_remote *remote = &agent->remotes[i];
		if (!old[i] || remote->signalled || !remote->used)
			continue;
		for (unsigned j = 0; j < AGENT_PAIRS_MAX; j++) {
			struct ice_pair *pair = &agent->pairs[j];
			bool there =
				pair->state == ICE_PAIR_SEARCHING || pair->state == ICE_PAIR_FAILED;
			if (there && pair->remote == remote && !pair->valid)
				ice_pair_end(agent, pair, AGENT_LOST_CAP);
		}
	}
	ice_remote_sweep(agent);
}

// Indices of the best AGENT_REMOTE_MAX of a list, best first. Returns how many.
static size_t best_of(const struct agent_candidate *candidates, size_t count,
	size_t best[static AGENT_REMOTE_MAX])
{
	size_t taken = 0;
	for (size_t i = 0; i < count; i++) {
		size_t at = taken;
		while (at > 0 && candidates[best[at - 1]].priority < candidates[i].priority)
			at--;
		if (at == AGENT_REMOTE_MAX)
			continue;
		if (taken < AGENT_REMOTE_MAX)
			taken++;
		memmove(&best[at + 1], &best[at], (taken - at - 1) * sizeof(best[0]));
		best[at] = i;
	}
	return taken;
}

int agent_remote_set(struct agent *agent, uint32_t generation,
	const struct agent_candidate *candidates, size_t count, uint64_t now)
{
	if (agent->remote_listed && generation <= agent->remote_generation)
		return -EALREADY;
	bool old[ICE_REMOTES];
	size_t best[AGENT_REMOTE_MAX];
	ice_enter(agent, now);
	agent->remote_listed = true;
	agent->remote_generation = generation;
	for (unsigned i = 0; i < ICE_REMOTES; i++) {
		old[i] = agent->remotes[i].used && agent->remotes[i].signalled;
		if (old[i])
			agent->remotes[i].signalled = false;
	}
	size_t taken = best_of(candidates, count, best);
	agent->counters[AGENT_COUNTER_skipped_cap] += count - taken;
	for (size_t i = 0; i < taken; i++)
		remote_signal(agent, &candidates[best[i]]);
	remote_forget_old(agent, old);
	ice_pair_form(agent);
	ice_pair_priorities(agent);
	ice_leave(agent);
	return 0;
}

int agent_remote_add(struct agent *agent, const struct agent_candidate *candidate, uint64_t now)
{
	ice_enter(agent, now);
	int result = remote_signal(agent, candidate);
	ice_pair_form(agent);
	ice_pair_priorities(agent);
	ice_leave(agent);
	return result;
}
