// SPDX-License-Identifier: BSD-3-Clause
// Making, entering and leaving the phone; datagrams to whom they are for.
#include "endpoint/phone/inside.h"
#include "endpoint/seal.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const counter_names[PHONE_COUNTER_COUNT] = {
#define NAME(name) [PHONE_COUNTER_##name] = #name,
	PHONE_COUNTERS(NAME)
#undef NAME
};

const char *phone_counter_name(enum phone_counter counter)
{
	return (unsigned)counter < PHONE_COUNTER_COUNT ? counter_names[counter] : NULL;
}

uint64_t phone_counter(const struct phone *phone, enum phone_counter counter)
{
	return (unsigned)counter < PHONE_COUNTER_COUNT ? phone->counters[counter] : 0;
}

void inside_count(struct phone *phone, enum phone_counter counter)
{
	phone->counters[counter]++;
}

void inside_random(struct phone *phone, void *out, size_t size)
{
	if (phone->config.random != NULL)
		phone->config.random(phone->config.random_context, out, size);
	else
		randombytes_buf(out, size);
}

int phone_create(
	struct phone **out, const struct phone_config *config, const struct phone_output *output)
{
	int result = 0;

	*out = NULL;
	if (sodium_init() < 0)
		return -ENOMEM;
	if (config->relay_count > PHONE_RELAYS_MAX)
		return -EINVAL;
	struct phone *phone = calloc(1, sizeof(*phone));
	if (phone == NULL)
		return -ENOMEM;
	phone->config = *config;
	phone->output = *output;
	sodium_memzero(phone->config.identity_seed, sizeof(phone->config.identity_seed));
	if (config->relay_after_ms == UINT32_MAX)
		phone->config.relay_after_ms = 800;
	if (config->ring_timeout_ms == 0)
		phone->config.ring_timeout_ms = PHONE_RING_MS;
	if (config->second_mapping_ms == 0)
		phone->config.second_mapping_ms = PHONE_SECOND_MAPPING_MS;
	handshake_identity_make(&phone->identity, config->identity_seed);
	struct seal_identity delivery;
	seal_identity_make(&delivery, config->namespace_id, config->delivery_seed);
	phone->self = delivery.public;
	sodium_memzero(&delivery, sizeof(delivery));
	phone->deadline_told = ENDPOINT_NEVER;
	phone->offers = PHONE_OFFERS_BURST;
	for (size_t i = 0; i < config->relay_count && result == 0; i++) {
		struct known_relay *relay = relays_want(phone, &config->relays[i], &result);
		if (relay != NULL) {
			relay->home = true;
			result = 0;
		}
	}
	if (result != 0) {
		phone_free(phone);
		return result;
	}
	*out = phone;
	return 0;
}

void phone_free(struct phone *phone)
{
	if (phone == NULL)
		return;
	talks_reap(phone, true);
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++)
		endpoint_free(phone->relays[i].core);
	handshake_identity_wipe(&phone->identity);
	sodium_memzero(phone, sizeof(*phone));
	free(phone);
}

struct endpoint *phone_core(const struct phone *phone, size_t number)
{
	return number < PHONE_CORES_MAX ? phone->relays[number].core : NULL;
}

// ---- entering and leaving ----

void inside_enter(struct phone *phone, struct endpoint_time now)
{
	// Inside a callback the entry's own time goes on to count.
	if (phone->depth++ == 0)
		phone->now = now;
}

uint64_t phone_deadline(const struct phone *phone)
{
	return inside_earlier(relays_deadline(phone), talks_deadline(phone));
}

void inside_tell_deadline(struct phone *phone)
{
	if (phone->depth > 0)
		return;
	uint64_t at = phone_deadline(phone);
	if (at == phone->deadline_told)
		return;
	phone->deadline_told = at;
	if (phone->output.deadline != NULL)
		phone->output.deadline(phone->output.context, at);
}

void inside_leave(struct phone *phone)
{
	if (phone->depth == 1) {
		talks_reap(phone, false);
		relays_reap(phone);
	}
	phone->depth--;
	inside_tell_deadline(phone);
}

void inside_tell(struct phone *phone, const struct phone_event *event)
{
	if (phone->output.event != NULL)
		phone->output.event(phone->output.context, event);
}

uint64_t phone_tick(struct phone *phone, struct endpoint_time now)
{
	inside_enter(phone, now);
	relays_tick(phone);
	talks_tick(phone);
	inside_leave(phone);
	return phone_deadline(phone);
}

void phone_receive(struct phone *phone, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, struct endpoint_time now)
{
	if (base >= PHONE_BASES_MAX || size == 0)
		return;
	inside_enter(phone, now);
	inside_count(phone, PHONE_COUNTER_received);
	if (data[0] <= 3) {
		if (!direct_receive(phone, base, source, data, size))
			inside_count(phone, PHONE_COUNTER_ignored_source);
	} else if (data[0] == ENVELOPE_FIRST_BYTE) {
		media_from_base(phone, base, source, data, size);
	} else if ((int)base != bases_first(phone, source->family) ||
		   !relays_receive(phone, source, data, size)) {
		inside_count(phone, PHONE_COUNTER_ignored_source);
	}
	inside_leave(phone);
}

void phone_listen(struct phone *phone, struct endpoint_time now)
{
	inside_enter(phone, now);
	phone->withdrawing = false;
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++)
		if (phone->relays[i].core != NULL && phone->relays[i].home) {
			phone->relays[i].registering = true;
			endpoint_register(phone->relays[i].core, phone->now);
		}
	inside_leave(phone);
}

bool phone_withdraw(struct phone *phone, struct endpoint_time now)
{
	inside_enter(phone, now);
	talks_finish(phone);
	// Relays are left when no call needs them any more to say that it is over.
	phone->withdrawing = true;
	inside_leave(phone);
	return talks_none(phone) && relays_left(phone);
}
