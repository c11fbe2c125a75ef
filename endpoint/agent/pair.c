// SPDX-License-Identifier: BSD-3-Clause
// The table of pairs, each a base and a remote address, and what the owner may ask about them. When
// it is full, a better pair takes the place of the worst that is not valid. No pair is ever
// "frozen" (RFC 8445 6.1.2.6): that spares checks of further components, and here is one.
#include "endpoint/agent/core.h"

#include <errno.h>

static bool pair_used(const struct ice_pair *pair)
{
	return pair->state != ICE_PAIR_FREE && pair->state != ICE_PAIR_GONE;
}

struct ice_pair *ice_pair_by_id(struct agent *agent, uint32_t id)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++)
		if (pair_used(&agent->pairs[i]) && agent->pairs[i].id == id)
			return &agent->pairs[i];
	return NULL;
}

struct ice_pair *ice_pair_find(
	struct agent *agent, unsigned base, const struct endpoint_transport *remote)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair_used(pair) && pair->base == base &&
			ice_transport_equal(&pair->remote->candidate.transport, remote))
			return pair;
	}
	return NULL;
}

// RFC 8445 6.1.2.3: 2^32 * min(G, D) + 2 * max(G, D) + (G > D), G the controlling side's.
static uint64_t pair_priority(
	const struct agent *agent, unsigned base, const struct ice_remote *remote)
{
	uint64_t own = ice_base_priority(agent, base), other = remote->candidate.priority;
	uint64_t low = own < other ? own : other, high = own < other ? other : own;
	bool greater = agent->controlling ? own > other : other > own;
	return (low << 32) + 2 * high + greater;
}

void ice_pair_priorities(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair_used(pair))
			pair->priority = pair_priority(agent, pair->base, pair->remote);
	}
}

void ice_pair_number(struct agent *agent, struct ice_pair *pair)
{
	// Zero is no pair. 2^32 pairs are not made within a call.
	pair->id = ++agent->last_pair;
}

static struct ice_pair *pair_place(struct agent *agent, uint64_t priority)
{
	struct ice_pair *worst = NULL;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		struct ice_pair *pair = &agent->pairs[i];
		if (pair->state == ICE_PAIR_FREE)
			return pair;
		if (pair->state == ICE_PAIR_GONE || pair->valid || pair->lost_id != 0)
			continue;
		if (worst == NULL || pair->priority < worst->priority)
			worst = pair;
	}
	if (worst == NULL || worst->priority >= priority)
		return NULL;
	ice_pair_end(agent, worst, AGENT_LOST_CAP);
	return worst;
}

struct ice_pair *ice_pair_make(struct agent *agent, unsigned base, struct ice_remote *remote)
{
	struct ice_pair *pair = ice_pair_find(agent, base, &remote->candidate.transport);
	if (pair != NULL)
		return pair;
	uint64_t priority = pair_priority(agent, base, remote);
	pair = pair_place(agent, priority);
	if (pair == NULL)
		return NULL;
	*pair = (struct ice_pair){.base = base, .remote = remote, .priority = priority};
	ice_pair_number(agent, pair);
	ice_pair_restart(agent, pair);
	return pair;
}

void ice_pair_form(struct agent *agent)
{
	for (unsigned base = 0; base < AGENT_BASES_MAX; base++) {
		const struct ice_base *found = ice_base_find(agent, base);
		if (found == NULL || !ice_base_searches(agent, found))
			continue;
		for (unsigned i = 0; i < ICE_REMOTES; i++) {
			struct ice_remote *remote = &agent->remotes[i];
			if (remote->used && remote->signalled &&
				remote->candidate.transport.family == found->family)
				ice_pair_make(agent, base, remote);
		}
	}
}

static void pair_show(
	const struct agent *agent, const struct ice_pair *pair, struct agent_pair_info *out)
{
	*out = (struct agent_pair_info){
		.pair = pair->id,
		.base = pair->base,
		.base_kind = agent->bases[pair->base].kind,
		.local_type = ice_local_type(agent, pair->base, &pair->mapped),
		.remote_type = pair->remote->candidate.type,
		.local = pair->mapped,
		.remote = pair->remote->candidate.transport,
		.priority = pair->priority,
		.rtt_ms = pair->rtt_ms,
		.answered_at = pair->answered_at,
		.valid = pair->valid,
		.confirmed = pair->state == ICE_PAIR_LIVE,
		.nominated = pair->id == agent->nominated,
	};
}

int agent_pair_info(const struct agent *agent, uint32_t pair, struct agent_pair_info *out)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		if (!pair_used(&agent->pairs[i]) || agent->pairs[i].id != pair)
			continue;
		pair_show(agent, &agent->pairs[i], out);
		return 0;
	}
	return -ENOENT;
}

size_t agent_pairs(const struct agent *agent, uint32_t *out, size_t max)
{
	uint64_t above = UINT64_MAX;
	size_t count = 0;
	// A selection by priority; equal ones in the order of the table.
	while (count < max) {
		uint64_t best = 0;
		for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
			const struct ice_pair *pair = &agent->pairs[i];
			if (pair_used(pair) && pair->valid && pair->priority < above &&
				pair->priority > best)
				best = pair->priority;
		}
		if (best == 0)
			return count;
		for (unsigned i = 0; i < AGENT_PAIRS_MAX && count < max; i++) {
			const struct ice_pair *pair = &agent->pairs[i];
			if (pair_used(pair) && pair->valid && pair->priority == best)
				out[count++] = pair->id;
		}
		above = best;
	}
	return count;
}

uint32_t agent_pair_of(
	const struct agent *agent, unsigned base, const struct endpoint_transport *source)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		const struct ice_pair *pair = &agent->pairs[i];
		if (pair_used(pair) && pair->valid && pair->base == base &&
			ice_transport_equal(&pair->remote->candidate.transport, source))
			return pair->id;
	}
	return 0;
}

int agent_pair_send(struct agent *agent, uint32_t pair, const void *data, size_t size, uint64_t now)
{
	struct ice_pair *found = ice_pair_by_id(agent, pair);
	if (found == NULL || !found->valid || now >= found->valid_until)
		return -ENOENT;
	if (found->state != ICE_PAIR_LIVE) {
		if (found->allowance == 0)
			return -EAGAIN;
		found->allowance--;
	}
	ice_send(agent, found->base, &found->remote->candidate.transport, data, size);
	return 0;
}

int agent_pair_check(struct agent *agent, uint32_t pair, uint64_t now)
{
	struct ice_pair *found = ice_pair_by_id(agent, pair);
	if (found == NULL || !found->valid)
		return -ENOENT;
	ice_enter(agent, now);
	uint64_t at = agent->now;
	if (found->ever_checked && found->checked_at + ICE_TRIGGER_MS > at)
		at = found->checked_at + ICE_TRIGGER_MS;
	if (at < found->due)
		found->due = at;
	ice_leave(agent);
	return 0;
}
