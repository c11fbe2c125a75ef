// SPDX-License-Identifier: BSD-3-Clause
// Entering and leaving the core: making and freeing, datagrams to whom they are for, deadlines.
// Every public function that takes the time runs between core_enter and core_leave.
#include "endpoint/core.h"

#include "lib/crypto/epoch.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const counter_names[ENDPOINT_COUNTER_COUNT] = {
#define NAME(name) [ENDPOINT_COUNTER_##name] = #name,
	ENDPOINT_COUNTERS(NAME)
#undef NAME
};

const char *endpoint_counter_name(enum endpoint_counter counter)
{
	return (unsigned)counter < ENDPOINT_COUNTER_COUNT ? counter_names[counter] : NULL;
}

uint64_t endpoint_counter(const struct endpoint *endpoint, enum endpoint_counter counter)
{
	return (unsigned)counter < ENDPOINT_COUNTER_COUNT ? endpoint->counters[counter] : 0;
}

void core_count(struct endpoint *e, enum endpoint_counter counter)
{
	e->counters[counter]++;
}

static bool transport_valid(const struct endpoint_transport *t)
{
	return (t->family == 4 || t->family == 6) && t->port != 0;
}

static bool transport_equal(const struct endpoint_transport *a, const struct endpoint_transport *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(a->address, b->address, a->family == 4 ? 4 : 16) == 0;
}

int endpoint_create(struct endpoint **out, const struct endpoint_config *config,
	const struct endpoint_output *output)
{
	*out = NULL;
	if (sodium_init() < 0)
		return -ENOMEM;
	if (config->relay_count == 0 || config->relay_count > ENDPOINT_RELAYS_MAX ||
		config->epoch_seconds == 1)
		return -EINVAL;
	for (size_t i = 0; i < config->relay_count; i++)
		if (!transport_valid(&config->relays[i]))
			return -EINVAL;
	struct endpoint *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	e->config = *config;
	e->output = *output;
	sodium_memzero(e->config.delivery_seed, sizeof(e->config.delivery_seed));
	if (e->config.epoch_seconds == 0)
		e->config.epoch_seconds = EPOCH_SECONDS;
	if (e->config.lease_seconds == 0)
		e->config.lease_seconds = 600;
	if (e->config.open_timeout_ms == 0)
		e->config.open_timeout_ms = 30000;
	if (e->config.puzzle_bits_max == 0)
		e->config.puzzle_bits_max = 24;
	if (e->config.puzzle_slice == 0)
		e->config.puzzle_slice = 2048;
	blinding_secret_expand(&e->secret, config->delivery_seed);
	seal_identity_make(&e->identity, config->namespace_id, config->delivery_seed);
	e->deadline_told = ENDPOINT_NEVER;
	core_path_stop(e, PATH_IDLE);
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		core_lease_drop(&e->leases[i]);
	e->path.has_relay_key = config->relay_key_pinned;
	memcpy(e->path.relay_key, config->relay_key, sizeof(e->path.relay_key));
	*out = e;
	return 0;
}

void endpoint_free(struct endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	core_calls_reap(endpoint, true);
	sodium_memzero(endpoint, sizeof(*endpoint));
	free(endpoint);
}

void endpoint_self(const struct endpoint *endpoint, struct endpoint_peer *out)
{
	*out = endpoint->identity.public;
}

void core_random(struct endpoint *e, void *out, size_t size)
{
	if (e->config.random != NULL)
		e->config.random(e->config.random_context, out, size);
	else
		randombytes_buf(out, size);
}

uint64_t core_random_below(struct endpoint *e, uint64_t below)
{
	uint64_t number;
	core_random(e, &number, sizeof(number));
	return number % below;
}

uint64_t core_jitter(struct endpoint *e, uint64_t ms)
{
	return ms - ms / 8 + core_random_below(e, ms / 4 + 1);
}

void core_send(struct endpoint *e, const uint8_t *data, size_t size)
{
	core_count(e, ENDPOINT_COUNTER_sent);
	e->output.send(e->output.context, &e->config.relays[e->path.relay], data, size);
}

void core_event(struct endpoint *e, const struct endpoint_event *event)
{
	if (e->output.event != NULL)
		e->output.event(e->output.context, event);
}

void core_enter(struct endpoint *e, struct endpoint_time now)
{
	// Inside a callback the entry's own time goes on to count.
	if (e->depth++ == 0)
		e->now = now;
}

uint64_t endpoint_deadline(const struct endpoint *endpoint)
{
	uint64_t at = core_path_deadline(endpoint);
	at = core_earlier(at, core_leases_deadline(endpoint));
	at = core_earlier(at, core_epochs_deadline(endpoint));
	at = core_earlier(at, core_calls_deadline(endpoint));
	return endpoint->withdrawing ? core_earlier(at, endpoint->withdrawn_at) : at;
}

void core_leave(struct endpoint *e)
{
	if (--e->depth > 0)
		return;
	core_calls_reap(e, false);
	uint64_t at = endpoint_deadline(e);
	if (at == e->deadline_told)
		return;
	e->deadline_told = at;
	if (e->output.deadline != NULL)
		e->output.deadline(e->output.context, at);
}

uint64_t endpoint_tick(struct endpoint *endpoint, struct endpoint_time now)
{
	core_enter(endpoint, now);
	core_epochs_tick(endpoint);
	core_path_tick(endpoint);
	core_leases_tick(endpoint);
	core_calls_tick(endpoint);
	core_withdrawn_check(endpoint);
	core_leave(endpoint);
	return endpoint_deadline(endpoint);
}

// ---- datagrams ----

static bool from_relay(const struct endpoint *e, const struct endpoint_transport *source)
{
	for (size_t i = 0; i < e->config.relay_count; i++)
		if (transport_equal(source, &e->config.relays[i]))
			return true;
	return false;
}

void endpoint_receive(struct endpoint *endpoint, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, struct endpoint_time now)
{
	core_enter(endpoint, now);
	core_count(endpoint, ENDPOINT_COUNTER_received);
	if (!from_relay(endpoint, source))
		core_count(endpoint, ENDPOINT_COUNTER_ignored_source);
	else if (size == 0)
		core_count(endpoint, ENDPOINT_COUNTER_ignored_malformed);
	else if (data[0] == NATIVE_FIRST_HANDLE)
		core_live_data(endpoint, data, size);
	else if (data[0] == NATIVE_FIRST_ADDRESS)
		core_message_receive(endpoint, data, size);
	else if (data[0] == NATIVE_FIRST_CONTROL)
		core_receive_control(endpoint, data, size);
	else
		core_count(endpoint, ENDPOINT_COUNTER_ignored_type);
	core_withdrawn_check(endpoint);
	core_leave(endpoint);
}

// ---- wishes ----

void endpoint_connect(struct endpoint *endpoint, struct endpoint_time now)
{
	core_enter(endpoint, now);
	endpoint->connecting = true;
	endpoint->withdrawing = false;
	core_path_start(endpoint);
	core_leave(endpoint);
}

void endpoint_register(struct endpoint *endpoint, struct endpoint_time now)
{
	core_enter(endpoint, now);
	endpoint->connecting = true;
	endpoint->withdrawing = false;
	core_path_start(endpoint);
	if (!endpoint->registering) {
		endpoint->registering = true;
		core_epochs_begin(endpoint);
	}
	core_epochs_tick(endpoint);
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++) {
		struct lease *lease = &endpoint->leases[i];
		if (lease->state == LEASE_RESTING || lease->state == LEASE_LEAVING)
			core_lease_want(endpoint, lease);
	}
	core_leave(endpoint);
}

void endpoint_withdraw(struct endpoint *endpoint, struct endpoint_time now)
{
	core_enter(endpoint, now);
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++)
		if (endpoint->calls[i] != NULL)
			endpoint_close(endpoint, endpoint->calls[i]->id, now);
	endpoint->registering = false;
	if (!endpoint->withdrawing) {
		endpoint->withdrawing = true;
		endpoint->withdrawn_at = endpoint->now.monotonic_ms + 2000;
	}
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		core_lease_leave(endpoint, &endpoint->leases[i]);
	core_withdrawn_check(endpoint);
	core_leave(endpoint);
}

// Ends a withdrawal once nobody waits for the relay any more, or has for too long.
void core_withdrawn_check(struct endpoint *e)
{
	if (!e->withdrawing)
		return;
	bool waiting = false;
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		waiting = waiting || e->leases[i].state != LEASE_FREE;
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++)
		waiting = waiting || (e->calls[i] != NULL && e->calls[i]->state == CALL_CLOSING);
	if (waiting && !core_due(e, e->withdrawn_at))
		return;
	e->withdrawing = false;
	e->connecting = false;
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		core_lease_drop(&e->leases[i]);
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++)
		if (e->calls[i] != NULL)
			core_call_die(e->calls[i]);
	core_path_stop(e, PATH_IDLE);
	core_event(e, &(struct endpoint_event){.type = ENDPOINT_WITHDRAWN});
}

void endpoint_network_changed(struct endpoint *endpoint, struct endpoint_time now)
{
	core_enter(endpoint, now);
	core_path_changed(endpoint);
	core_calls_path(endpoint);
	core_leave(endpoint);
}

void endpoint_usage(const struct endpoint *endpoint, struct endpoint_usage *out)
{
	*out = (struct endpoint_usage){
		.connected = endpoint->path.has_cookie,
		.relay = endpoint->path.relay,
		.round_trip_ms = endpoint->path.round_trip_ms,
	};
	for (unsigned i = 0; i < CORE_LEASES_MAX; i++)
		out->leases += endpoint->leases[i].state != LEASE_FREE && endpoint->leases[i].held;
	for (unsigned i = 0; i < ENDPOINT_CALLS_MAX; i++) {
		const struct call *call = endpoint->calls[i];
		out->calls += call != NULL && call->state != CALL_DEAD;
		out->open += call != NULL && call->state == CALL_OPEN;
	}
}
