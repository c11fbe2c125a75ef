// SPDX-License-Identifier: BSD-3-Clause
// The relays that the phone is in contact with: our own, and those of whom we call. What comes from
// their cores goes to the call it belongs to, or on to the user. A relay that only a call wanted is
// left when the last of its calls is over.
#include "endpoint/phone/inside.h"

#include "lib/wire/native.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

// ---- out of a core ----

static void send_to_relay(void *context, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size)
{
	struct known_relay *relay = context;
	int base = bases_first(relay->phone, destination->family);
	if (base >= 0)
		relay->phone->output.send(
			relay->phone->output.context, (unsigned)base, destination, data, size);
}

static void deadline_moved(void *context, uint64_t at)
{
	struct known_relay *relay = context;
	(void)at;
	inside_tell_deadline(relay->phone);
}

static void tell(
	struct known_relay *relay, enum phone_event_type type, const struct endpoint_event *inner)
{
	inside_tell(relay->phone, &(struct phone_event){
					  .type = type,
					  .relay = {.number = relay->number, .inner = inner},
				  });
}

static void registered(struct known_relay *relay, const struct endpoint_event *event)
{
	struct endpoint_transport before = relay->observed;
	bool moved = !inside_same_transport(&before, &event->registered.observed);

	relay->registered = true;
	relay->observed = event->registered.observed;
	if (relay->home)
		tell(relay, PHONE_REGISTERED, event);
	if (moved)
		direct_observed(relay->phone, &before);
	setup_registered(relay);
}

static void dispatch(struct known_relay *relay, const struct endpoint_event *event)
{
	struct phone *phone = relay->phone;
	struct talk *talk;
	unsigned number;

	switch (event->type) {
	case ENDPOINT_REGISTERED:
		registered(relay, event);
		return;
	case ENDPOINT_UNREACHABLE:
	case ENDPOINT_REFUSED:
		tell(relay, PHONE_TROUBLE, event);
		setup_trouble(relay, event);
		return;
	case ENDPOINT_WITHDRAWN:
		relay->registered = relay->waiting = false;
		relay->dead = !relay->home;
		if (relay->home || relay->phone->withdrawing)
			tell(relay, PHONE_OTHER, event);
		return;
	case ENDPOINT_MESSAGE:
		if (!event->message.sealed && event->size > 0 &&
			event->data[0] == FRAGMENT_FIRST_BYTE)
			setup_fragment(relay, event->data, event->size);
		else
			tell(relay, PHONE_OTHER, event);
		return;
	case ENDPOINT_INVITE:
		if (event->size == 0 || event->data[0] != PHONE_OFFER_KIND)
			tell(relay, PHONE_OTHER, event);
		else if (relay->home) // elsewhere we only call
			setup_invite(relay, event);
		return;
	default:
		talk = event->call != 0 ? talk_of_leg(phone, relay, event->call, &number) : NULL;
		if (talk != NULL)
			leg_event(talk, number, event);
		else
			tell(relay, PHONE_OTHER, event);
		return;
	}
}

// The user may have called the core himself, so this need not be inside of an entry; what is over
// is freed by the next one, not in here.
static void on_event(void *context, const struct endpoint_event *event)
{
	struct known_relay *relay = context;

	relay->phone->depth++;
	dispatch(relay, event);
	relay->phone->depth--;
}

// ---- making and leaving ----

static bool same_relay(const struct phone_relay *a, const struct phone_relay *b)
{
	if (a->has_key && b->has_key && memcmp(a->key, b->key, sizeof(a->key)) != 0)
		return false;
	for (size_t i = 0; i < a->address_count; i++)
		for (size_t j = 0; j < b->address_count; j++)
			if (inside_same_transport(&a->addresses[i], &b->addresses[j]))
				return true;
	return false;
}

static int relay_make(struct phone *phone, struct known_relay *relay, const struct phone_relay *is)
{
	struct endpoint_config config = {
		.relay_count = is->address_count,
		.relay_key_pinned = is->has_key,
		.epoch_seconds = phone->config.epoch_seconds,
		.lease_seconds = phone->config.lease_seconds,
		.open_timeout_ms = phone->config.ring_timeout_ms,
		.token = phone->config.token,
		.token_context = phone->config.token_context,
		.random = phone->config.random,
		.random_context = phone->config.random_context,
	};
	const struct endpoint_output output = {
		.context = relay,
		.send = send_to_relay,
		.event = on_event,
		.deadline = deadline_moved,
	};

	if (is->address_count == 0 || is->address_count > ENDPOINT_RELAYS_MAX)
		return -EINVAL;
	memcpy(config.namespace_id, phone->config.namespace_id, sizeof(config.namespace_id));
	memcpy(config.delivery_seed, phone->config.delivery_seed, sizeof(config.delivery_seed));
	memcpy(config.relay_key, is->key, sizeof(config.relay_key));
	for (size_t i = 0; i < is->address_count; i++)
		config.relays[i] = is->addresses[i];
	int result = endpoint_create(&relay->core, &config, &output);
	sodium_memzero(config.delivery_seed, sizeof(config.delivery_seed));
	if (result != 0)
		return result;
	relay->phone = phone;
	relay->number = (uint8_t)(relay - phone->relays);
	relay->is = *is;
	return 0;
}

struct known_relay *relays_want(struct phone *phone, const struct phone_relay *is, int *error)
{
	struct known_relay *room = NULL;

	for (unsigned i = 0; i < PHONE_CORES_MAX; i++) {
		struct known_relay *relay = &phone->relays[i];
		if (relay->core == NULL) {
			room = room == NULL ? relay : room;
		} else if (!relay->leaving && same_relay(&relay->is, is)) {
			return relay;
		}
	}
	*error = -EMFILE;
	if (room == NULL)
		return NULL;
	memset(room, 0, sizeof(*room));
	*error = relay_make(phone, room, is);
	return *error == 0 ? room : NULL;
}

void relays_register(struct known_relay *relay)
{
	if (relay->registering)
		return;
	relay->registering = true;
	endpoint_register(relay->core, relay->phone->now);
}

// Says goodbye to a relay. That a lease is not left behind matters: there are few for one identity.
static void leave(struct known_relay *relay)
{
	relay->registering = false;
	relay->leaving = !relay->home;
	relay->waiting = true;
	endpoint_withdraw(relay->core, relay->phone->now);
}

bool relays_left(const struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++) {
		const struct known_relay *relay = &phone->relays[i];
		if (relay->core != NULL && (relay->registering || relay->waiting))
			return false;
	}
	return true;
}

// Outside of all callbacks.
void relays_reap(struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++) {
		struct known_relay *relay = &phone->relays[i];
		if (relay->core == NULL || (relay->home && !phone->withdrawing))
			continue;
		if (!relay->waiting && (relay->registering || !relay->home) && !relay->dead &&
			!talks_use(phone, relay))
			leave(relay);
		if (relay->dead) {
			endpoint_free(relay->core);
			memset(relay, 0, sizeof(*relay));
		}
	}
}

void relays_tick(struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++)
		if (phone->relays[i].core != NULL)
			endpoint_tick(phone->relays[i].core, phone->now);
}

uint64_t relays_deadline(const struct phone *phone)
{
	uint64_t at = ENDPOINT_NEVER;
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++)
		if (phone->relays[i].core != NULL) {
			uint64_t its = endpoint_deadline(phone->relays[i].core);
			at = its < at ? its : at;
		}
	return at;
}

void relays_network_changed(struct phone *phone)
{
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++)
		if (phone->relays[i].core != NULL && !phone->relays[i].leaving)
			endpoint_network_changed(phone->relays[i].core, phone->now);
}

static bool is_at(const struct known_relay *relay, const struct endpoint_transport *source)
{
	for (size_t i = 0; relay->core != NULL && i < relay->is.address_count; i++)
		if (inside_same_transport(&relay->is.addresses[i], source))
			return true;
	return false;
}

bool relays_are_at(const struct phone *phone, const struct endpoint_transport *source)
{
	for (unsigned i = 0; i < PHONE_CORES_MAX; i++)
		if (is_at(&phone->relays[i], source))
			return true;
	return false;
}

// Two cores may be at one relay: one that is leaving it, or that a card names with another key.
// What was not asked by one of them, it ignores; what is by address is for all that have it, so
// once.
bool relays_receive(struct phone *phone, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	bool any = false;

	for (unsigned i = 0; i < PHONE_CORES_MAX; i++) {
		struct known_relay *relay = &phone->relays[i];
		if (!is_at(relay, source) || (any && data[0] == NATIVE_FIRST_ADDRESS))
			continue;
		any = true;
		endpoint_receive(relay->core, source, data, size, phone->now);
	}
	return any;
}
