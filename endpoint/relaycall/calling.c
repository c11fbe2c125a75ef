// SPDX-License-Identifier: BSD-3-Clause
// See calling.h.
#include "endpoint/relaycall/calling.h"

#include "endpoint/relaycall/purse.h"
#include "endpoint/relaycall/resolve.h"

#include <sodium.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { WITHDRAW_MS = 3500 }; // longer than the phone takes to give up

static const int signal_numbers[] = {SIGINT, SIGTERM, SIGHUP};

// ---- the end ----

static void on_closing(uv_timer_t *timer)
{
	struct calling *c = timer->data;

	phone_driver_close(c->driver, NULL, NULL);
	c->driver = NULL;
	c->phone = NULL;
	for (size_t i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&c->signals[i], NULL);
	uv_close((uv_handle_t *)&c->closing, NULL);
	if (c->ended != NULL)
		c->ended(c);
}

static void close_within(struct calling *c, uint64_t ms)
{
	if (!uv_is_closing((uv_handle_t *)&c->closing))
		uv_timer_start(&c->closing, on_closing, ms, 0);
}

void calling_finish(struct calling *calling, int code)
{
	if (calling->ending)
		return;
	calling->ending = true;
	calling->code = code;
	close_within(calling, phone_withdraw(calling->phone, phone_driver_now()) ? 0 : WITHDRAW_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct calling *c = handle->data;

	(void)number;
	if (c->ending) // asked twice: at once
		close_within(c, 0);
	else if (c->interrupted != NULL)
		c->interrupted(c);
	else
		calling_finish(c, RELAYCALL_INTERRUPTED);
}

static void on_event(void *context, const struct phone_event *event)
{
	struct calling *c = context;

	if (!c->ending)
		c->event(c, event);
	else if (event->type == PHONE_OTHER && event->relay.inner->type == ENDPOINT_WITHDRAWN &&
		 phone_withdraw(c->phone, phone_driver_now()))
		close_within(c, 0);
}

// ---- the beginning ----

int calling_prepare(struct calling *calling, const struct relaycall_options *options)
{
	calling->options = options;
	return relaycall_contacts_load(options, &calling->contacts);
}

static bool resolve(const struct endpoint_contact_relay *relay, struct phone_relay *out,
	char *error, size_t size)
{
	out->has_key = relay->has_key;
	memcpy(out->key, relay->key, sizeof(out->key));
	out->address_count = resolve_relay(relay, out->addresses, error, size);
	return out->address_count > 0;
}

int calling_resolve(const struct endpoint_contact *contact, struct phone_contact *out)
{
	char error[512];

	memset(out, 0, sizeof(*out));
	memcpy(out->identity_key, contact->identity_key, sizeof(out->identity_key));
	out->peer = contact->peer;
	// One of two is enough.
	for (size_t i = 0; i < contact->relay_count; i++)
		if (resolve(&contact->relays[i], &out->relays[out->relay_count], error,
			    sizeof(error)))
			out->relay_count++;
	if (out->relay_count > 0)
		return RELAYCALL_OK;
	return relaycall_fail(RELAYCALL_UNREACHABLE,
		"the address of the contact's relay cannot be found: %s", error);
}

// From the command line, or as noted in the identity.
static int own_relays(
	struct calling *c, const struct identity *identity, struct phone_config *config)
{
	const struct endpoint_contact_relay *given = &c->options->relays[0];
	struct endpoint_contact_relay relays[ENDPOINT_CONTACT_RELAYS_MAX];
	size_t count = identity->relay_count;
	char error[512];

	memcpy(relays, identity->relays, sizeof(relays));
	if (given->address_count > 0) {
		relays[0] = *given;
		count = 1;
	} else if (given->has_key) {
		relays[0].has_key = true;
		memcpy(relays[0].key, given->key, ENDPOINT_KEY_SIZE);
	}
	if (count == 0)
		return relaycall_fail(RELAYCALL_USAGE,
			"no relay is known: relaycall id --relay ADDRESS[:PORT], once");
	for (size_t i = 0; i < count; i++) {
		if (!resolve(&relays[i], &config->relays[c->relay_count], error, sizeof(error)))
			continue;
		endpoint_contact_address_format(&relays[i].addresses[0],
			c->relay_text[c->relay_count], sizeof(c->relay_text[0]));
		c->relay_count++;
	}
	config->relay_count = c->relay_count;
	return c->relay_count > 0 ? RELAYCALL_OK
				  : relaycall_fail(RELAYCALL_UNREACHABLE,
					    "the relay's address cannot be found: %s", error);
}

// What was noted meanwhile counts. A book that cannot be read now changes nothing.
static void read_contacts_again(struct calling *c)
{
	char error[CONTACTS_ERROR_SIZE];
	struct contacts now;

	if (contacts_load(&now, c->contacts.path, error) != 0)
		return;
	contacts_free(&c->contacts);
	c->contacts = now;
}

static enum phone_trust trust(void *context, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer)
{
	struct calling *c = context;
	const struct contacts_entry *entry;
	char error[CONTACTS_ERROR_SIZE];

	read_contacts_again(c);
	switch (contacts_check(&c->contacts, identity_key, peer, &entry)) {
	case CONTACTS_KNOWN:
	case CONTACTS_MOVED: // the identity is what was proven
		return PHONE_KNOWN;
	case CONTACTS_CHANGED:
		contacts_explain(entry, identity_key, error);
		relaycall_fail(0, "a call was refused: %s", error);
		return PHONE_REFUSED;
	default:
		return c->options->known_only ? PHONE_REFUSED : PHONE_STRANGER;
	}
}

void calling_note_place(struct calling *calling, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer)
{
	const struct contacts_entry *entry;
	char error[CONTACTS_ERROR_SIZE];

	if (contacts_check(&calling->contacts, identity_key, peer, &entry) != CONTACTS_MOVED)
		return;
	struct endpoint_contact contact = entry->contact;
	contact.peer = *peer;
	if (contacts_update(calling->contacts.path, &contact, error) == 0)
		relaycall_fail(0, "%s has another delivery key now: noted", entry->name);
	else
		relaycall_fail(0, "%s", error);
}

static int begin(struct calling *c, struct phone_config *config)
{
	int result = uv_loop_init(&c->loop);
	if (result == 0)
		result = phone_driver_create(&c->driver, &c->loop, config, on_event, c);
	if (result == -ENOSYS)
		return relaycall_fail(
			RELAYCALL_FAILED, "this machine's processor has no AES instructions");
	if (result != 0)
		return relaycall_fail(
			RELAYCALL_FAILED, "cannot open a socket: %s", strerror(-result));
	c->phone = phone_driver_phone(c->driver);
	uv_timer_init(&c->loop, &c->closing);
	c->closing.data = c;
	for (size_t i = 0; i < 3; i++) {
		uv_signal_init(&c->loop, &c->signals[i]);
		c->signals[i].data = c;
		uv_signal_start(&c->signals[i], on_signal, signal_numbers[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	return RELAYCALL_OK;
}

int calling_begin(struct calling *calling, bool listening)
{
	const struct relaycall_options *o = calling->options;
	struct phone_config config = {
		.epoch_seconds = o->epoch_seconds,
		.relay_after_ms = o->has_relay_after ? o->relay_after_ms : UINT32_MAX,
		.ring_timeout_ms = o->timeout_s * 1000,
		.relay_only = o->relay_only,
		.trust = trust,
		.trust_context = calling,
	};
	struct identity identity;
	bool made;

	int code = relaycall_identity(o, &identity, &made);
	if (code != RELAYCALL_OK)
		return code;
	memcpy(config.namespace_id, identity.namespace_id, ENDPOINT_KEY_SIZE);
	memcpy(config.identity_seed, identity.identity_seed, ENDPOINT_KEY_SIZE);
	memcpy(config.delivery_seed, identity.delivery_seed, ENDPOINT_KEY_SIZE);
	if (o->tokens != NULL) {
		config.token = purse_take;
		config.token_context = (void *)(uintptr_t)o->tokens;
	}
	if (listening)
		code = own_relays(calling, &identity, &config);
	if (code == RELAYCALL_OK)
		code = begin(calling, &config);
	sodium_memzero(config.identity_seed, sizeof(config.identity_seed));
	sodium_memzero(config.delivery_seed, sizeof(config.delivery_seed));
	identity_wipe(&identity);
	return code;
}

int calling_run(struct calling *calling)
{
	uv_run(&calling->loop, UV_RUN_DEFAULT);
	uv_loop_close(&calling->loop);
	return calling->code;
}

const char *calling_name(const struct calling *calling,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], char text[CALLING_NAME_SIZE])
{
	const struct contacts_entry *entry =
		contacts_find_identity(&calling->contacts, identity_key);
	char fingerprint[CONTACTS_FINGERPRINT_SIZE];

	if (entry != NULL)
		return strcpy(text, entry->name);
	snprintf(text, CALLING_NAME_SIZE, "unknown %.9s",
		contacts_fingerprint(identity_key, fingerprint));
	return text;
}
