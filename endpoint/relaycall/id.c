// SPDX-License-Identifier: BSD-3-Clause
// relaycall id: who we are, as a contact string for others. Makes the identity at first use and
// notes the relays that it is given.
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/session.h"

#include <jansson.h>
#include <sodium.h>

#include <stdio.h>
#include <string.h>

static void note_relays(struct identity *identity, const struct relaycall_options *options)
{
	for (size_t i = 0; i < ENDPOINT_CONTACT_RELAYS_MAX; i++) {
		const struct endpoint_contact_relay *given = &options->relays[i];
		struct endpoint_contact_relay *noted = &identity->relays[i];
		if (given->address_count > 0) {
			*noted = *given; // the noted key was the other relay's
		} else if (given->has_key) {
			noted->has_key = true;
			memcpy(noted->key, given->key, ENDPOINT_KEY_SIZE);
		}
		if (noted->address_count > 0 && identity->relay_count <= i)
			identity->relay_count = i + 1;
	}
}

static bool given(const struct relaycall_options *options)
{
	for (size_t i = 0; i < ENDPOINT_CONTACT_RELAYS_MAX; i++)
		if (options->relays[i].address_count > 0 || options->relays[i].has_key)
			return true;
	return false;
}

static const char *key_text(const uint8_t key[ENDPOINT_KEY_SIZE], char text[48])
{
	return sodium_bin2base64(
		text, 48, key, ENDPOINT_KEY_SIZE, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static json_t *relay_json(const struct endpoint_contact_relay *relay)
{
	char text[ENDPOINT_CONTACT_NAME_MAX + 8];
	json_t *addresses = json_array();

	for (size_t i = 0; i < relay->address_count; i++)
		json_array_append_new(
			addresses, json_string(endpoint_contact_address_format(
					   &relay->addresses[i], text, sizeof(text))));
	json_t *object = json_pack("{s:o}", "addresses", addresses);
	if (relay->has_key)
		json_object_set_new(object, "key", json_string(key_text(relay->key, text)));
	return object;
}

static void print_json(const struct identity *identity, const struct endpoint_contact *contact,
	const char *text, bool made)
{
	char identity_key[48], delivery_key[48];
	json_t *relays = json_array();

	for (size_t i = 0; i < contact->relay_count; i++)
		json_array_append_new(relays, relay_json(&contact->relays[i]));
	session_print_json(json_pack("{s:s,s:s,s:s,s:s,s:b,s:o}", "contact", text, "identity_key",
		key_text(contact->identity_key, identity_key), "delivery_key",
		key_text(contact->peer.delivery_key, delivery_key), "identity", identity->path,
		"made", made, "relays", relays));
}

static int show(const struct identity *identity, bool json, bool made)
{
	struct endpoint_contact contact;
	char text[ENDPOINT_CONTACT_TEXT_SIZE];

	if (identity->relay_count == 0)
		return relaycall_fail(RELAYCALL_FAILED,
			"%s names no relay yet: relaycall id --relay ADDRESS[:PORT]",
			identity->path);
	identity_contact(identity, &contact);
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
	if (given(options)) {
		note_relays(&identity, options);
		if (identity_save(&identity, error) != 0)
			code = relaycall_fail(RELAYCALL_FAILED, "%s", error);
	}
	if (code == RELAYCALL_OK)
		code = show(&identity, options->json, made);
	identity_wipe(&identity);
	return code;
}
