// SPDX-License-Identifier: BSD-3-Clause
// The search for direct paths: what the agent is given (sockets, addresses, what relays see, the
// peer's list, datagrams, the time), and what it tells.
#include "endpoint/phone/inside.h"

#include <sodium.h>

#include <string.h>

enum {
	// Behind some pairs of NATs only a second check gets in, the first one opens the way for
	// it.
	FIRST_RTO_MS = 25,
	RETRY_FIRST_MS = 2000, // after the search has found nothing; then twice as long each time
	RETRY_LONGEST_MS = 60 * 1000,
};

static const enum agent_class classes[] = {
	[PHONE_HOST_NORMAL] = AGENT_NORMAL,
	[PHONE_HOST_METERED] = AGENT_METERED,
	[PHONE_HOST_VPN] = AGENT_VPN,
	[PHONE_HOST_VIRTUAL] = AGENT_VIRTUAL,
};

// ---- out of the agent ----

static void agent_send(void *context, unsigned base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct phone *phone = ((struct talk *)context)->phone;
	phone->output.send(phone->output.context, base, destination, data, size);
}

static void tell_candidates(struct talk *talk)
{
	struct agent_candidate candidates[AGENT_LOCAL_MAX];
	uint8_t list[AGENT_CANDIDATES_SIZE];
	uint32_t generation;

	size_t count = agent_local(talk->agent, candidates, &generation);
	if (generation == talk->told_generation)
		return;
	int size = agent_candidates_write(generation, candidates, count, list, sizeof(list));
	if (size < 0)
		return;
	talk->told_generation = generation;
	words_say(talk, WORD_CANDIDATES, list, (size_t)size);
}

// The network may be another one later: a call that needs the relay goes on searching, ever more
// seldom.
static void search_again(struct talk *talk)
{
	uint64_t wait = (uint64_t)RETRY_FIRST_MS << (talk->searches < 5 ? talk->searches : 5);

	talk->searches++;
	talk->search_at =
		talk->phone->now.monotonic_ms + (wait < RETRY_LONGEST_MS ? wait : RETRY_LONGEST_MS);
}

static void on_event(void *context, const struct agent_event *event)
{
	struct talk *talk = context;

	switch (event->type) {
	case AGENT_LOCAL_CHANGED:
		if (talk->disclosed && talk->has_session)
			tell_candidates(talk);
		break;
	case AGENT_PAIR_VALID:
		if (talk->has_session)
			pairs_consider(talk, event->pair);
		break;
	case AGENT_PAIR_CONFIRMED:
		if (talk->has_session)
			pairs_confirmed(talk, event->pair);
		break;
	case AGENT_PAIR_LOST:
		pairs_lost(talk, event->pair);
		break;
	case AGENT_EXHAUSTED:
		search_again(talk);
		break;
	default:
		break;
	}
}

static void fill_random(void *context, void *out, size_t size)
{
	inside_random(context, out, size);
}

// ---- into the agent ----

static void add_hosts(struct talk *talk)
{
	const struct phone *phone = talk->phone;

	for (size_t i = 0; i < phone->host_count; i++) {
		struct endpoint_transport at = phone->hosts[i].transport;
		int base = bases_first(phone, at.family);
		if (base < 0 || phone->bases[base].port == 0)
			continue;
		at.port = phone->bases[base].port;
		// What finds no room is no failure: the best are there.
		(void)agent_candidate_add(talk->agent, (unsigned)base, AGENT_HOST,
			classes[phone->hosts[i].kind], &at, phone->now.monotonic_ms);
	}
}

static void add_observed(struct talk *talk)
{
	struct phone *phone = talk->phone;

	for (unsigned i = 0; i < PHONE_CORES_MAX; i++) {
		const struct known_relay *relay = &phone->relays[i];
		if (relay->core == NULL || relay->observed.family == 0)
			continue;
		int base = bases_first(phone, relay->observed.family);
		if (base >= 0)
			(void)agent_candidate_add(talk->agent, (unsigned)base,
				AGENT_SERVER_REFLEXIVE, AGENT_NORMAL, &relay->observed,
				phone->now.monotonic_ms);
	}
}

static void choose_servers(const struct talk *talk, struct agent_config *config)
{
	for (unsigned i = 0; i < PHONE_LEGS; i++) {
		const struct known_relay *relay = talk->legs[i].relay;
		for (size_t j = 0; relay != NULL && j < relay->is.address_count; j++)
			if (config->server_count < AGENT_SERVERS_MAX)
				config->servers[config->server_count++] = relay->is.addresses[j];
	}
}

int direct_begin(struct talk *talk)
{
	struct phone *phone = talk->phone;
	uint64_t now = phone->now.monotonic_ms;
	uint8_t secret[32];
	struct agent_config config = {
		.selection = AGENT_NATIVE,
		.controlling = talk->caller,
		.first_rto_ms = FIRST_RTO_MS,
		.allow_loopback = phone->config.allow_loopback,
		.random = fill_random,
		.random_context = phone,
	};
	const struct agent_output output = {.context = talk, .send = agent_send, .event = on_event};

	if (phone->config.relay_only || talk->agent != NULL)
		return 0;
	inside_random(phone, secret, sizeof(secret));
	agent_credentials_make(&talk->credentials, secret);
	sodium_memzero(secret, sizeof(secret));
	config.local = talk->credentials;
	choose_servers(talk, &config);
	int result = agent_create(&talk->agent, &config, &output);
	sodium_memzero(&config, sizeof(config));
	if (result != 0)
		return result;
	for (unsigned i = 0; i < PHONE_BASES_MAX; i++)
		if (phone->bases[i].up && !phone->bases[i].ours)
			(void)agent_base_add(
				talk->agent, i, phone->bases[i].family, AGENT_SOCKET, now);
	add_hosts(talk);
	add_observed(talk);
	return 0;
}

void direct_remote(struct talk *talk, const struct payload *payload)
{
	uint64_t now = talk->phone->now.monotonic_ms;

	if (talk->agent == NULL || payload->credentials.fragment[0] == 0)
		return; // one of us wants the relay only
	if (!talk->disclosed) {
		// A check would tell a stranger where we are.
		if (&talk->held != payload)
			talk->held = *payload;
		return;
	}
	if (payload->has_candidates)
		(void)agent_remote_set(talk->agent, payload->generation, payload->candidates,
			payload->candidate_count, now);
	(void)agent_remote_credentials(talk->agent, &payload->credentials, now);
	tell_candidates(talk); // what has changed since our list was written
}

void direct_candidates(struct talk *talk, const uint8_t *data, size_t size)
{
	struct agent_candidate candidates[AGENT_REMOTE_MAX];
	uint32_t generation;
	int count = agent_candidates_read(data, size, candidates, &generation);

	if (count < 0)
		inside_count(talk->phone, PHONE_COUNTER_ignored_frame);
	else if (talk->agent != NULL)
		(void)agent_remote_set(talk->agent, generation, candidates, (size_t)count,
			talk->phone->now.monotonic_ms);
}

void direct_disclose(struct talk *talk)
{
	if (talk->agent == NULL || talk->disclosed)
		return;
	talk->disclosed = true;
	direct_remote(talk, &talk->held);
	tell_candidates(talk);
	sodium_memzero(&talk->held, sizeof(talk->held));
}

// Unless it is an address of this host, or servers see us there, too: then they say so again.
static void forget_observed(struct talk *talk, const struct endpoint_transport *old)
{
	struct agent_candidate candidates[AGENT_LOCAL_MAX];
	uint32_t generation;

	size_t count = agent_local(talk->agent, candidates, &generation);
	int base = bases_first(talk->phone, old->family);
	for (size_t i = 0; i < count && base >= 0; i++)
		if (candidates[i].type == AGENT_SERVER_REFLEXIVE &&
			inside_same_transport(&candidates[i].transport, old))
			(void)agent_candidate_remove(
				talk->agent, (unsigned)base, old, talk->phone->now.monotonic_ms);
}

void direct_observed(struct phone *phone, const struct endpoint_transport *old)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		if (phone->talks[i] != NULL && phone->talks[i]->agent != NULL) {
			forget_observed(phone->talks[i], old);
			add_observed(phone->talks[i]);
		}
}

// Addresses that are gone are taken back, new ones added; the agent asks its servers anew, checks
// what it has at once, and what comes of it is told to the peer.
void direct_hosts(struct talk *talk)
{
	struct agent_candidate candidates[AGENT_LOCAL_MAX];
	struct phone *phone = talk->phone;
	uint32_t generation;

	size_t count = agent_local(talk->agent, candidates, &generation);
	for (size_t i = 0; i < count; i++) {
		int base = bases_first(phone, candidates[i].transport.family);
		if (candidates[i].type == AGENT_HOST && base >= 0)
			(void)agent_candidate_remove(talk->agent, (unsigned)base,
				&candidates[i].transport, phone->now.monotonic_ms);
	}
	add_hosts(talk);
	agent_network_changed(talk->agent, phone->now.monotonic_ms);
}

// ---- datagrams ----

bool direct_receive(struct phone *phone, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	bool from_relay = relays_are_at(phone, source);

	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
		struct talk *talk = phone->talks[i];
		if (talk != NULL && talk->agent != NULL && (from_relay || direct_wanted(talk)) &&
			agent_receive(
				talk->agent, base, source, data, size, phone->now.monotonic_ms))
			return true;
	}
	return false;
}

// Whoever may not know where we are could guess, and is not told that the guess is right.
bool direct_wanted(const struct talk *talk)
{
	return talk->agent != NULL && talk->disclosed;
}

// ---- time ----

// Carriers' NATs forget a mapping after a time whatever flows. A second one, from another socket,
// is there before.
static void open_second_base(struct talk *talk)
{
	struct phone *phone = talk->phone;
	struct agent_pair_info info;

	talk->second_base_at = ENDPOINT_NEVER;
	if (talk->state != TALK_TALKING || phone->output.base_open == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		if (talk->direct[i] == 0 ||
			agent_pair_info(talk->agent, talk->direct[i], &info) != 0)
			continue;
		int base = phone->output.base_open(phone->output.context, info.remote.family);
		if (base < 0 || base >= PHONE_BASES_MAX)
			return;
		phone->bases[base] = (struct base){
			.up = true,
			.ours = true,
			.family = info.remote.family,
		};
		talk->second_base = base;
		(void)agent_base_add(talk->agent, (unsigned)base, info.remote.family, AGENT_SOCKET,
			phone->now.monotonic_ms);
		return;
	}
	// Not direct now; perhaps later.
	talk->second_base_at = phone->now.monotonic_ms + phone->config.second_mapping_ms;
}

void direct_tick(struct talk *talk)
{
	if (talk->agent == NULL) {
		talk->second_base_at = talk->search_at = ENDPOINT_NEVER;
		return;
	}
	if (inside_due(talk->phone, talk->search_at)) {
		talk->search_at = ENDPOINT_NEVER;
		if (talk->direct[0] == 0 && talk->direct[1] == 0)
			agent_search_again(talk->agent, talk->phone->now.monotonic_ms);
	}
	agent_tick(talk->agent, talk->phone->now.monotonic_ms);
	if (inside_due(talk->phone, talk->second_base_at))
		open_second_base(talk);
}

void direct_end(struct talk *talk)
{
	struct phone *phone = talk->phone;

	agent_free(talk->agent);
	talk->agent = NULL;
	sodium_memzero(&talk->held, sizeof(talk->held));
	sodium_memzero(&talk->credentials, sizeof(talk->credentials));
	talk->direct[0] = talk->direct[1] = 0;
	if (talk->second_base < 0)
		return;
	phone->bases[talk->second_base] = (struct base){0};
	if (phone->output.base_close != NULL)
		phone->output.base_close(phone->output.context, (unsigned)talk->second_base);
	talk->second_base = -1;
}
