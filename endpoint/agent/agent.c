// SPDX-License-Identifier: BSD-3-Clause
// Entering and leaving the agent: its life, its clock, its deadline, credentials, and what it
// shows.
#include "endpoint/agent/core.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>

enum {
	FRAGMENT_MIN = 4, // RFC 8839 5.4
	PASSWORD_MIN = 22,
	PACE_NATIVE_MS = 5,
	PACE_STANDARD_MS = 50,
	RTO_NATIVE_MS = 50,
	RTO_STANDARD_MS = 500,
	KEEPALIVE_MS = 15 * 1000, // RFC 8445 11
};

static bool ice_characters(const char *text, size_t least)
{
	size_t length = strnlen(text, AGENT_CREDENTIAL_MAX + 1);
	if (length < least || length > AGENT_CREDENTIAL_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/')
			return false;
	}
	return true;
}

static bool credentials_good(const struct agent_credentials *credentials)
{
	return ice_characters(credentials->fragment, FRAGMENT_MIN) &&
	       ice_characters(credentials->password, PASSWORD_MIN);
}

static int key_make(const struct agent_credentials *credentials, struct stun_key *key)
{
	const char *password = credentials->password;
	return stun_key_short_term(password, strlen(password), key);
}

void agent_credentials_make(struct agent_credentials *out, const uint8_t secret[static 32])
{
	enum { FRAGMENT_BYTES = 6, PASSWORD_BYTES = 24 }; // no padding: RFC 8839's characters only
	memset(out, 0, sizeof(*out));
	sodium_bin2base64(out->fragment, sizeof(out->fragment), secret, FRAGMENT_BYTES,
		sodium_base64_VARIANT_ORIGINAL);
	sodium_bin2base64(out->password, sizeof(out->password), secret + FRAGMENT_BYTES,
		PASSWORD_BYTES, sodium_base64_VARIANT_ORIGINAL);
}

static int config_check(const struct agent_config *config)
{
	if (config->server_count > AGENT_SERVERS_MAX || !credentials_good(&config->local))
		return -EINVAL;
	if (config->remote.fragment[0] != 0 && !credentials_good(&config->remote))
		return -EINVAL;
	for (size_t i = 0; i < config->server_count; i++) {
		const struct endpoint_transport *server = &config->servers[i];
		if ((server->family != NET_IPV4 && server->family != NET_IPV6) || server->port == 0)
			return -EINVAL;
	}
	return 0;
}

static int agent_fill(struct agent *agent, const struct agent_config *config)
{
	bool standard = config->selection == AGENT_STANDARD;
	agent->config = *config;
	for (size_t i = 0; i < config->server_count; i++)
		agent->config.servers[i] = ice_transport_clean(&config->servers[i]);
	// A lite peer never controls (RFC 8445 6.1.1).
	agent->controlling = config->controlling || config->remote_lite;
	agent->pace_ms = standard ? PACE_STANDARD_MS : PACE_NATIVE_MS;
	if (config->pace_ms != 0)
		agent->pace_ms = config->pace_ms;
	agent->first_rto_ms = standard ? RTO_STANDARD_MS : RTO_NATIVE_MS;
	if (config->first_rto_ms != 0)
		agent->first_rto_ms = config->first_rto_ms;
	agent->keepalive_ms = config->keepalive_ms ? config->keepalive_ms : KEEPALIVE_MS;
	agent->deadline = ENDPOINT_NEVER;
	agent->first_live_at = ENDPOINT_NEVER;
	ice_random(agent, &agent->tie_breaker, sizeof(agent->tie_breaker));
	ice_budget_begin(agent);
	agent->remote_known = config->remote.fragment[0] != 0;
	int result = key_make(&config->local, &agent->local_key);
	if (result == 0 && agent->remote_known)
		result = key_make(&config->remote, &agent->remote_key);
	return result;
}

int agent_create(
	struct agent **out, const struct agent_config *config, const struct agent_output *output)
{
	*out = NULL;
	if (sodium_init() < 0 || config_check(config) < 0)
		return -EINVAL;
	struct agent *agent = calloc(1, sizeof(*agent));
	if (agent == NULL)
		return -ENOMEM;
	agent->output = *output;
	int result = agent_fill(agent, config);
	if (result < 0) {
		agent_free(agent);
		return result;
	}
	*out = agent;
	return 0;
}

void agent_free(struct agent *agent)
{
	if (agent == NULL)
		return;
	sodium_memzero(agent, sizeof(*agent));
	free(agent);
}

int agent_remote_credentials(
	struct agent *agent, const struct agent_credentials *remote, uint64_t now)
{
	if (!credentials_good(remote))
		return -EINVAL;
	if (agent->remote_known) {
		const struct agent_credentials *known = &agent->config.remote;
		bool same = strcmp(known->fragment, remote->fragment) == 0 &&
			    strcmp(known->password, remote->password) == 0;
		return same ? 0 : -EALREADY;
	}
	int result = key_make(remote, &agent->remote_key);
	if (result < 0)
		return result;
	ice_enter(agent, now);
	agent->config.remote = *remote;
	agent->remote_known = true;
	ice_leave(agent);
	return 0;
}

void ice_random(struct agent *agent, void *out, size_t size)
{
	if (agent->config.random != NULL)
		agent->config.random(agent->config.random_context, out, size);
	else
		randombytes_buf(out, size);
}

uint64_t ice_random_between(struct agent *agent, uint64_t low, uint64_t high)
{
	uint32_t value;
	ice_random(agent, &value, sizeof(value));
	return low + value % (high - low + 1);
}

void ice_enter(struct agent *agent, uint64_t now)
{
	if (agent->depth++ == 0 && now > agent->now)
		agent->now = now;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t ice_deadline(const struct agent *agent)
{
	uint64_t deadline = earlier(ice_check_deadline(agent), ice_gather_deadline(agent));
	return earlier(deadline, ice_nominate_deadline(agent));
}

void ice_leave(struct agent *agent)
{
	if (agent->depth > 1) {
		agent->depth--;
		return;
	}
	// What is due at once goes out at once: a new pair is not left for the next tick.
	ice_nominate_tick(agent);
	ice_gather_tick(agent);
	ice_check_tick(agent);
	ice_tell(agent);
	agent->depth--;
	uint64_t deadline = ice_deadline(agent);
	if (deadline == agent->deadline)
		return;
	agent->deadline = deadline;
	if (agent->output.deadline != NULL)
		agent->output.deadline(agent->output.context, deadline);
}

uint64_t agent_tick(struct agent *agent, uint64_t now)
{
	ice_enter(agent, now);
	ice_leave(agent);
	return agent->deadline;
}

uint64_t agent_deadline(const struct agent *agent)
{
	return agent->deadline;
}

void ice_send(struct agent *agent, unsigned base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	agent->output.send(agent->output.context, base, destination, data, size);
}

void agent_usage(const struct agent *agent, struct agent_usage *out)
{
	*out = (struct agent_usage){
		.gathered = !agent->gathering,
		.controlling = agent->controlling,
		.exhausted = agent->exhausted,
		.nominated = agent->nominated,
	};
	for (unsigned i = 0; i < AGENT_BASES_MAX; i++)
		out->bases += agent->bases[i].used;
	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++)
		out->local += agent->locals[i].used;
	for (unsigned i = 0; i < ICE_REMOTES; i++)
		out->remote += agent->remotes[i].used;
	for (unsigned i = 0; i < AGENT_PAIRS_MAX; i++) {
		const struct ice_pair *pair = &agent->pairs[i];
		if (pair->state == ICE_PAIR_FREE || pair->state == ICE_PAIR_GONE)
			continue;
		out->pairs++;
		out->valid += pair->valid;
		out->confirmed += pair->state == ICE_PAIR_LIVE;
	}
}

const char *agent_counter_name(enum agent_counter counter)
{
#define NAME(name) #name,
	static const char *const names[] = {AGENT_COUNTERS(NAME)};
#undef NAME
	return (unsigned)counter < AGENT_COUNTER_COUNT ? names[counter] : NULL;
}

uint64_t agent_counter(const struct agent *agent, enum agent_counter counter)
{
	return (unsigned)counter < AGENT_COUNTER_COUNT ? agent->counters[counter] : 0;
}
