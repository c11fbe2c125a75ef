// SPDX-License-Identifier: BSD-3-Clause
// The peer's checks (RFC 8445 7.3). Where the key holds, the check is answered, and goes back at
// once in the other direction; its source is a candidate from then on, whatever was signalled.
//
// Where the key does not hold, nothing is answered. RFC 8489 9.1.3 has 400 and 401 for that, which
// help nobody here: the peer has the key from the session, or from the description that names this
// fragment. Silence gives a stranger no way to find out that somebody listens, and no datagram to
// aim at a third party.
#include "endpoint/agent/core.h"

// RFC 8445 5.1.2 knows no greater one; what is greater is cut.
#define PRIORITY_MAX INT32_MAX

bool ice_request_ours(const struct agent *agent, const struct stun_message *m)
{
	struct stun_attribute name;
	size_t length = strlen(agent->config.local.fragment);
	return stun_find(m, STUN_USERNAME, &name) && name.length > length &&
	       memcmp(name.value, agent->config.local.fragment, length) == 0 &&
	       name.value[length] == ':';
}

// Before the peer's fragment is known (its checks may be faster than its answer) any will do: the
// integrity is under our own password.
static bool from_peer(const struct agent *agent, const struct stun_message *m)
{
	struct stun_attribute name;
	const char *remote = agent->config.remote.fragment;
	size_t ours = strlen(agent->config.local.fragment) + 1, theirs = strlen(remote);
	if (!agent->remote_known)
		return true;
	return stun_find(m, STUN_USERNAME, &name) && name.length == ours + theirs &&
	       memcmp(name.value + ours, remote, theirs) == 0;
}

struct check {
	uint32_t priority;
	bool controlling; // what the peer says it is
	uint64_t tie_breaker;
	uint64_t sequence;
	bool use_candidate;
};

static bool check_read(const struct agent *agent, const struct stun_message *m, struct check *out)
{
	struct stun_attribute attribute;
	*out = (struct check){0};
	if (!stun_find(m, STUN_PRIORITY, &attribute) ||
		stun_read_u32(&attribute, &out->priority) < 0)
		return false;
	if (out->priority == 0)
		out->priority = 1;
	if (out->priority > PRIORITY_MAX)
		out->priority = PRIORITY_MAX;
	out->controlling = ice_message_u64(m, STUN_ICE_CONTROLLING, &out->tie_breaker);
	if (!out->controlling && !ice_message_u64(m, STUN_ICE_CONTROLLED, &out->tie_breaker))
		return false;
	out->use_candidate = stun_find(m, STUN_USE_CANDIDATE, &attribute);
	return ice_standard(agent) || ice_message_u64(m, ICE_ATTRIBUTE_SEQUENCE, &out->sequence);
}

static void answer(struct agent *agent, unsigned base, const struct endpoint_transport *source,
	const uint8_t *message, size_t size)
{
	if (size == 0)
		return;
	ice_count(agent, AGENT_COUNTER_answers);
	ice_send(agent, base, source, message, size);
}

// True: it says something we have to understand and do not, and was told so.
static bool refused_unknown(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m)
{
	static const uint16_t known[] = {STUN_USERNAME, STUN_PRIORITY, STUN_USE_CANDIDATE};
	uint8_t message[ICE_MESSAGE_MAX];
	uint16_t unknown[8];
	size_t count =
		stun_unknown_attributes(m, known, sizeof(known) / sizeof(known[0]), unknown, 8);
	if (count == 0)
		return false;
	ice_count(agent, AGENT_COUNTER_ignored_incomplete);
	answer(agent, base, source, message,
		ice_message_error(agent, m, 420, unknown, count, message));
	return true;
}

// RFC 8445 7.3.1.1. True: the peer is to change its role, and was told so.
static bool refused_role(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m,
	const struct check *check)
{
	uint8_t message[ICE_MESSAGE_MAX];
	if (check->controlling != agent->controlling)
		return false;
	ice_count(agent, AGENT_COUNTER_role_conflicts);
	bool greater = agent->tie_breaker >= check->tie_breaker;
	if (agent->controlling != greater) {
		ice_role_switch(agent, !agent->controlling, false);
		return false;
	}
	answer(agent, base, source, message, ice_message_error(agent, m, 487, NULL, 0, message));
	return true;
}

static void learn(struct agent *agent, unsigned base, const struct endpoint_transport *source,
	const struct check *check)
{
	// Once a pair is chosen, checks on others are answered and no more, unless the peer chooses
	// again.
	if (agent->nominated != 0 && !check->use_candidate)
		return;
	struct ice_remote *remote = ice_remote_find(agent, source);
	if (remote == NULL)
		remote = ice_remote_learn(agent, source, check->priority);
	struct ice_pair *pair = remote == NULL ? NULL : ice_pair_make(agent, base, remote);
	if (pair == NULL) {
		ice_count(agent, AGENT_COUNTER_ignored_full);
		ice_remote_sweep(agent);
		return;
	}
	ice_pair_heard(agent, pair);
	if (check->use_candidate)
		ice_nominate_remote(agent, pair);
}

// What has to hold before anything is answered.
static bool authentic(struct agent *agent, unsigned base, const struct stun_message *m)
{
	if (!from_peer(agent, m)) {
		ice_count(agent, AGENT_COUNTER_ignored_username);
		return false;
	}
	if (stun_verify_integrity(m, &agent->local_key) < 0) {
		ice_count(agent, AGENT_COUNTER_ignored_integrity);
		return false;
	}
	if (!m->has_fingerprint) {
		ice_count(agent, AGENT_COUNTER_ignored_fingerprint);
		return false;
	}
	if (agent->config.relay_only && agent->bases[base].kind != AGENT_TURN) {
		ice_count(agent, AGENT_COUNTER_ignored_relay_only);
		return false;
	}
	return true;
}

static bool place_usable(struct agent *agent, const struct endpoint_transport *source)
{
	if (ice_address_usable(source, agent->config.allow_loopback))
		return true;
	ice_count(agent, AGENT_COUNTER_skipped_address);
	return false;
}

void ice_request_receive(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m)
{
	uint8_t message[ICE_MESSAGE_MAX];
	struct check check;
	if (!authentic(agent, base, m) || !place_usable(agent, source))
		return;
	bool complete = check_read(agent, m, &check);
	if (!complete) {
		ice_count(agent, AGENT_COUNTER_ignored_incomplete);
		return;
	}
	enum ice_replay replay = ice_replay_check(agent, base, source, m, check.sequence);
	if (replay == ICE_REPLAY) {
		ice_count(agent, AGENT_COUNTER_ignored_replay);
		return;
	}
	// Behind all that strangers can do, so that copies take nothing from the peer.
	if (!ice_bucket_take(&agent->answers, agent->now, ICE_ANSWERS, ICE_ANSWERS_REFILL_MS)) {
		ice_count(agent, AGENT_COUNTER_ignored_rate);
		return;
	}
	if (refused_unknown(agent, base, source, m) || refused_role(agent, base, source, m, &check))
		return;
	answer(agent, base, source, message, ice_message_answer(agent, m, source, message));
	if (replay == ICE_NEW)
		learn(agent, base, source, &check);
}

uint32_t agent_heard(
	struct agent *agent, unsigned base, const struct endpoint_transport *source, uint64_t now)
{
	const struct ice_base *found = ice_base_find(agent, base);
	struct endpoint_transport clean = ice_transport_clean(source);
	if (found == NULL || clean.family != found->family ||
		(agent->config.relay_only && found->kind != AGENT_TURN) ||
		!ice_address_usable(&clean, agent->config.allow_loopback))
		return 0;
	ice_enter(agent, now);
	struct check check = {.priority = ice_base_reflexive_priority(agent, base)};
	learn(agent, base, &clean, &check);
	struct ice_pair *pair = ice_pair_find(agent, base, &clean);
	uint32_t id = pair != NULL ? pair->id : 0;
	ice_leave(agent);
	return id;
}
