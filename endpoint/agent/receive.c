// SPDX-License-Identifier: BSD-3-Clause
// Datagrams: whether they are STUN for this agent, the peer's checks to request.c, and the answers
// to our own. An answer counts under the peer's key, to a transaction of a pair that waits for it,
// from where the check was sent to and at the base it was sent from (RFC 8445 7.2.5.2.1): an answer
// from elsewhere says that a path is not the same in both directions, so it is none for us.
#include "endpoint/agent/core.h"

static bool stun_like(const uint8_t *data, size_t size)
{
	static const uint8_t cookie[] = {0x21, 0x12, 0xA4, 0x42};
	return size >= STUN_HEADER_LENGTH && (data[0] & 0xC0) == 0 &&
	       memcmp(data + 4, cookie, sizeof(cookie)) == 0;
}

static bool method_binding(const uint8_t *data)
{
	// Without the two bits of the class.
	return ((data[0] << 8 | data[1]) & ~0x0110) == STUN_BINDING;
}

static struct ice_transaction *transaction_of(
	struct agent *agent, const uint8_t *id, struct ice_pair **pair)
{
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		*pair = &agent->pairs[i];
		if ((*pair)->state == ICE_PAIR_FREE || (*pair)->state == ICE_PAIR_GONE)
			continue;
		for (unsigned j = 0; j < ICE_TRANSACTIONS; j++) {
			struct ice_transaction *transaction = &(*pair)->transactions[j];
			if (transaction->used &&
				memcmp(transaction->id, id, sizeof(transaction->id)) == 0)
				return transaction;
		}
	}
	return NULL;
}

static void answer_success(struct agent *agent, struct ice_pair *pair,
	struct ice_transaction *transaction, const struct stun_message *m)
{
	struct stun_attribute attribute;
	struct net_endpoint mapped;
	if (!stun_find(m, STUN_XOR_MAPPED_ADDRESS, &attribute) ||
		stun_read_xor_address(m, &attribute, &mapped) < 0) {
		ice_count(agent, AGENT_COUNTER_ignored_incomplete);
		return;
	}
	bool nominating = transaction->nominating;
	struct endpoint_transport transport = ice_transport_of(&mapped);
	transaction->used = false;
	ice_count(agent, AGENT_COUNTER_answered);
	ice_pair_answered(agent, pair, transaction->sent_at, &transport);
	ice_nominate_answered(agent, pair, nominating);
}

static void answer_error(struct agent *agent, struct ice_pair *pair,
	struct ice_transaction *transaction, const struct stun_message *m)
{
	struct stun_attribute attribute;
	unsigned code;
	if (!stun_find(m, STUN_ERROR_CODE, &attribute) || stun_read_error(&attribute, &code) < 0 ||
		code != 487) {
		ice_count(agent, AGENT_COUNTER_ignored_error);
		return;
	}
	transaction->used = false;
	ice_count(agent, AGENT_COUNTER_role_conflicts);
	// A check that was sent before an earlier switch says nothing about the role of now.
	if (transaction->controlling == agent->controlling && !agent->config.remote_lite)
		ice_role_switch(agent, !agent->controlling, true);
	if (pair->state == ICE_PAIR_SEARCHING) {
		pair->triggered = true;
		pair->due = pair->checked_at + ICE_TRIGGER_MS;
	}
}

static bool answer_receive(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m)
{
	struct ice_pair *pair;
	struct ice_transaction *transaction = transaction_of(agent, stun_transaction(m), &pair);
	if (transaction == NULL) {
		if (ice_gather_answer(agent, base, source, m))
			return true;
		ice_count(agent, AGENT_COUNTER_ignored_transaction);
		return false;
	}
	if (stun_verify_integrity(m, &agent->remote_key) < 0)
		ice_count(agent, AGENT_COUNTER_ignored_integrity);
	else if (!m->has_fingerprint && !ice_standard(agent))
		ice_count(agent, AGENT_COUNTER_ignored_fingerprint);
	else if (pair->base != base ||
		 !ice_transport_equal(source, &pair->remote->candidate.transport))
		ice_count(agent, AGENT_COUNTER_ignored_source);
	else if (m->class == STUN_SUCCESS)
		answer_success(agent, pair, transaction, m);
	else
		answer_error(agent, pair, transaction, m);
	return true;
}

static bool message_receive(struct agent *agent, unsigned base,
	const struct endpoint_transport *source, const struct stun_message *m)
{
	switch (m->class) {
	case STUN_REQUEST:
		if (!ice_request_ours(agent, m))
			return false;
		ice_request_receive(agent, base, source, m);
		return true;
	case STUN_INDICATION: // a keepalive (RFC 8445 11): nothing is to be done
		return ice_pair_find(agent, base, source) != NULL;
	default:
		return answer_receive(agent, base, source, m);
	}
}

bool agent_receive(struct agent *agent, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, uint64_t now)
{
	const struct ice_base *found = ice_base_find(agent, base);
	struct stun_message m;
	if (found == NULL || source->family != found->family || !stun_like(data, size))
		return false;
	if (!method_binding(data))
		return false;
	if (stun_parse(data, size, &m) < 0) {
		ice_count(agent, AGENT_COUNTER_ignored_malformed);
		return true;
	}
	struct endpoint_transport clean = ice_transport_clean(source);
	ice_enter(agent, now);
	bool ours = message_receive(agent, base, &clean, &m);
	ice_leave(agent);
	return ours;
}
