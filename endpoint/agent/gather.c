// SPDX-License-Identifier: BSD-3-Clause
// Asking STUN servers how they see a base, at once and then each keepalive, which also keeps the
// NAT's mapping. Each try is a transaction of its own, so an answer to an earlier one counts as
// well. Answers have no integrity (nobody has shared a key): they count from the server's address,
// at the base that asked, with a transaction that nobody else has seen, and say nothing but which
// candidate is signalled.
#include "endpoint/agent/core.h"

static bool gather_wanted(const struct agent *agent, unsigned base, unsigned server)
{
	const struct ice_base *found = &agent->bases[base];
	return found->kind == AGENT_SOCKET && !agent->config.relay_only &&
	       agent->config.servers[server].family == found->family;
}

static void gather_begin(struct agent *agent, struct ice_gather *gather)
{
	gather->first = true;
	gather->tries = gather->sent = 0;
	gather->due = agent->now;
	agent->gathering = true;
}

void ice_gather_base(struct agent *agent, unsigned base)
{
	unsigned server = 0;
	// Even without servers AGENT_GATHERED is told, once.
	agent->gathering = true;
	for (unsigned i = 0; i < AGENT_GATHERS_MAX && server < agent->config.server_count; i++) {
		struct ice_gather *gather = &agent->gathers[i];
		if (gather->used)
			continue;
		while (server < agent->config.server_count && !gather_wanted(agent, base, server))
			server++;
		if (server == agent->config.server_count)
			break;
		*gather =
			(struct ice_gather){.used = true, .base = base, .server = (uint8_t)server};
		server++;
		gather_begin(agent, gather);
	}
}

void ice_gather_remove_base(struct agent *agent, unsigned base)
{
	for (unsigned i = 0; i < AGENT_GATHERS_MAX; i++)
		if (agent->gathers[i].base == base)
			agent->gathers[i].used = false;
}

void ice_gather_again(struct agent *agent)
{
	for (unsigned i = 0; i < AGENT_GATHERS_MAX; i++)
		if (agent->gathers[i].used)
			gather_begin(agent, &agent->gathers[i]);
}

static void gather_ask(struct agent *agent, struct ice_gather *gather)
{
	uint8_t message[ICE_MESSAGE_MAX];
	const unsigned ring = sizeof(gather->transactions) / sizeof(gather->transactions[0]);
	struct ice_transaction *transaction = &gather->transactions[gather->next++ % ring];
	*transaction = (struct ice_transaction){.used = true, .sent_at = agent->now};
	ice_random(agent, transaction->id, sizeof(transaction->id));
	struct stun_builder b =
		stun_begin(message, sizeof(message), STUN_BINDING, STUN_REQUEST, transaction->id);
	gather->due = agent->now + ((uint64_t)ICE_GATHER_RTO_MS << gather->tries);
	gather->tries++;
	gather->sent++;
	ice_count(agent, AGENT_COUNTER_server_requests);
	ice_send(agent, gather->base, &agent->config.servers[gather->server], message,
		stun_finish(&b));
}

// The server is silent: what it said before is not believed any more, and it is asked again later.
// One that was never heard is perhaps none, and somebody else's address: it is left alone.
static void gather_give_up(struct agent *agent, struct ice_gather *gather)
{
	static const struct endpoint_transport nothing;
	gather->first = false;
	gather->tries = 0;
	gather->due = gather->known || gather->sent < ICE_GATHER_SILENT
			      ? agent->now + ice_base_keepalive(agent, gather->base)
			      : ENDPOINT_NEVER;
	ice_local_reflexive(agent, gather->base, gather->server, &nothing);
}

void ice_gather_tick(struct agent *agent)
{
	bool waiting = false;
	for (unsigned i = 0; i < AGENT_GATHERS_MAX; i++) {
		struct ice_gather *gather = &agent->gathers[i];
		if (gather->used && gather->due <= agent->now) {
			if (gather->tries < ICE_GATHER_TRIES)
				gather_ask(agent, gather);
			else
				gather_give_up(agent, gather);
		}
		waiting |= gather->used && gather->first;
	}
	if (agent->gathering && !waiting) {
		agent->gathering = false;
		agent->tell_gathered = true;
	}
}

uint64_t ice_gather_deadline(const struct agent *agent)
{
	uint64_t deadline = ENDPOINT_NEVER;
	for (unsigned i = 0; i < AGENT_GATHERS_MAX; i++)
		if (agent->gathers[i].used && agent->gathers[i].due < deadline)
			deadline = agent->gathers[i].due;
	return deadline;
}

static struct ice_gather *gather_of(struct agent *agent, const uint8_t *id)
{
	for (unsigned i = 0; i < AGENT_GATHERS_MAX; i++) {
		struct ice_gather *gather = &agent->gathers[i];
		if (!gather->used)
			continue;
		for (unsigned j = 0; j < 4; j++)
			if (gather->transactions[j].used && memcmp(gather->transactions[j].id, id,
								    STUN_TRANSACTION_LENGTH) == 0)
				return gather;
	}
	return NULL;
}

bool ice_gather_answer(struct agent *agent, unsigned base, const struct endpoint_transport *source,
	const struct stun_message *m)
{
	struct stun_attribute attribute;
	struct net_endpoint mapped;
	struct ice_gather *gather = gather_of(agent, stun_transaction(m));
	if (gather == NULL)
		return false;
	if (gather->base != base ||
		!ice_transport_equal(source, &agent->config.servers[gather->server])) {
		ice_count(agent, AGENT_COUNTER_ignored_source);
		return true;
	}
	// An error, or an answer that says nothing: it is asked again, and given up in time.
	if (m->class != STUN_SUCCESS || !stun_find(m, STUN_XOR_MAPPED_ADDRESS, &attribute) ||
		stun_read_xor_address(m, &attribute, &mapped) < 0) {
		ice_count(agent, AGENT_COUNTER_ignored_error);
		return true;
	}
	ice_count(agent, AGENT_COUNTER_server_answers);
	memset(gather->transactions, 0, sizeof(gather->transactions));
	gather->first = false;
	gather->known = true;
	gather->tries = gather->sent = 0;
	gather->due = agent->now + ice_base_keepalive(agent, base);
	struct endpoint_transport transport = ice_transport_of(&mapped);
	ice_local_reflexive(agent, base, gather->server, &transport);
	return true;
}
