// SPDX-License-Identifier: BSD-3-Clause
// Checks and their answers as STUN messages (RFC 8445 7.1, 7.2.2, 7.3). All carry MESSAGE-INTEGRITY
// under the password of the side that answers, and FINGERPRINT.
#include "endpoint/agent/core.h"

#include <stdio.h>

static void put_u64(struct stun_builder *b, uint16_t type, uint64_t value)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
	stun_add(b, type, bytes, sizeof(bytes));
}

bool ice_message_u64(const struct stun_message *m, uint16_t type, uint64_t *out)
{
	struct stun_attribute attribute;
	if (!stun_find(m, type, &attribute) || attribute.length != 8)
		return false;
	*out = 0;
	for (unsigned i = 0; i < 8; i++)
		*out = *out << 8 | attribute.value[i];
	return true;
}

static void put_username(struct stun_builder *b, const struct agent *agent)
{
	char name[2 * AGENT_CREDENTIAL_MAX + 2];
	int length = snprintf(name, sizeof(name), "%s:%s", agent->config.remote.fragment,
		agent->config.local.fragment);
	stun_add(b, STUN_USERNAME, name, (size_t)length);
}

static size_t seal(struct stun_builder *b, const struct stun_key *key)
{
	stun_add_integrity(b, key);
	stun_add_fingerprint(b);
	return stun_finish(b);
}

size_t ice_message_check(struct agent *agent, struct ice_pair *pair, uint8_t out[ICE_MESSAGE_MAX])
{
	struct ice_transaction *transaction = &pair->transactions[pair->next++ % ICE_TRANSACTIONS];
	*transaction = (struct ice_transaction){
		.used = true,
		.controlling = agent->controlling,
		.nominating = agent->controlling && pair->nominating,
		.sent_at = agent->now,
	};
	ice_random(agent, transaction->id, sizeof(transaction->id));
	struct stun_builder b =
		stun_begin(out, ICE_MESSAGE_MAX, STUN_BINDING, STUN_REQUEST, transaction->id);
	put_username(&b, agent);
	stun_add_u32(&b, STUN_PRIORITY, ice_base_reflexive_priority(agent, pair->base));
	put_u64(&b, agent->controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED,
		agent->tie_breaker);
	if (transaction->nominating)
		stun_add(&b, STUN_USE_CANDIDATE, NULL, 0);
	if (!ice_standard(agent))
		put_u64(&b, ICE_ATTRIBUTE_SEQUENCE, ++agent->sequence);
	return seal(&b, &agent->remote_key);
}

size_t ice_message_answer(struct agent *agent, const struct stun_message *request,
	const struct endpoint_transport *source, uint8_t out[ICE_MESSAGE_MAX])
{
	struct net_endpoint seen = ice_transport_net(source);
	struct stun_builder b = stun_begin(
		out, ICE_MESSAGE_MAX, STUN_BINDING, STUN_SUCCESS, stun_transaction(request));
	stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &seen);
	return seal(&b, &agent->local_key);
}

size_t ice_message_error(struct agent *agent, const struct stun_message *request, unsigned code,
	const uint16_t *unknown, size_t count, uint8_t out[ICE_MESSAGE_MAX])
{
	struct stun_builder b = stun_begin(
		out, ICE_MESSAGE_MAX, STUN_BINDING, STUN_ERROR, stun_transaction(request));
	stun_add_error(&b, code, NULL);
	if (count > 0) {
		uint8_t types[32];
		size_t size = 0;
		for (size_t i = 0; i < count && size + 2 <= sizeof(types); i++) {
			types[size++] = (uint8_t)(unknown[i] >> 8);
			types[size++] = (uint8_t)unknown[i];
		}
		stun_add(&b, STUN_UNKNOWN_ATTRIBUTES, types, size);
	}
	return seal(&b, &agent->local_key);
}
