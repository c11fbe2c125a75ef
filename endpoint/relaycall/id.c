// SPDX-License-Identifier: BSD-3-Clause
// relaycall id: who we are, as a contact string for others. Makes the identity at first use and
// notes the relay that it is given.
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/session.h"

#include "lib/crypto/blinding.h"

#include <jansson.h>
#include <sodium.h>

#include <stdio.h>
#include <string.h>

static void note_relay(struct identity *identity, const struct relaycall_options *options)
{
	if (options->relay_count > 0) {
		memcpy(identity->relays, options->relays, sizeof(identity->relays));
		identity->relay_count = options->relay_count;
		identity->has_relay_key = false; // it was the other relay's
	}
	if (options->has_relay_key) {
		identity->has_relay_key = true;
		memcpy(identity->relay_key, options->relay_key, ENDPOINT_KEY_SIZE);
	}
}

static void print_json(const struct identity *identity, const struct endpoint_contact *contact,
	const char *text, bool made)
{
	char key[64], relay[ENDPOINT_CONTACT_NAME_MAX + 8];
	json_t *relays = json_array();

	for (size_t i = 0; i < contact->relay_count; i++)
		json_array_append_new(relays, json_string(endpoint_contact_relay_format(
						      &contact->relays[i], relay, sizeof(relay))));
	sodium_bin2base64(key, sizeof(key), contact->peer.delivery_key, ENDPOINT_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	session_print_json(json_pack("{s:s,s:s,s:s,s:b,s:b,s:o}", "contact", text, "delivery_key",
		key, "identity", identity->path, "made", made, "relay_key_known",
		contact->has_relay_key, "relays", relays));
}

static int show(const struct identity *identity, bool json, bool made)
{
	struct endpoint_contact contact = {
		.has_relay_key = identity->has_relay_key,
		.relay_count = identity->relay_count,
	};
	struct blinding_secret secret;
	char text[ENDPOINT_CONTACT_TEXT_SIZE];

	memcpy(contact.peer.namespace_id, identity->namespace_id, ENDPOINT_KEY_SIZE);
	blinding_secret_expand(&secret, identity->seed);
	blinding_secret_public(contact.peer.delivery_key, &secret);
	sodium_memzero(&secret, sizeof(secret));
	memcpy(contact.relay_key, identity->relay_key, ENDPOINT_KEY_SIZE);
	memcpy(contact.relays, identity->relays, sizeof(contact.relays));
	if (identity->relay_count == 0)
		return relaycall_fail(RELAYCALL_FAILED,
			"%s names no relay yet: relaycall id --relay ADDRESS[:PORT]",
			identity->path);
	if (endpoint_contact_format(&contact, text) != 0)
		return relaycall_fail(RELAYCALL_FAILED, "%s: its relays do not fit into a contact",
			identity->path);
	if (json)
		print_json(identity, &contact, text, made);
	else
		puts(text);
	return RELAYCALL_OK;
}

int relaycall_id(const struct relaycall_options *options)
{
	char error[IDENTITY_ERROR_SIZE];
	struct identity identity;
	bool made;

	if (identity_load(&identity, options->identity, &made, error) != 0)
		return relaycall_fail(RELAYCALL_FAILED, "%s", error);
	if (made && !options->json)
		fprintf(stderr, "relaycall: made %s\n", identity.path);
	int code = RELAYCALL_OK;
	if (options->relay_count > 0 || options->has_relay_key) {
		note_relay(&identity, options);
		if (identity_save(&identity, error) != 0)
			code = relaycall_fail(RELAYCALL_FAILED, "%s", error);
	}
	if (code == RELAYCALL_OK)
		code = show(&identity, options->json, made);
	identity_wipe(&identity);
	return code;
}
