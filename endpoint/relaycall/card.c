// SPDX-License-Identifier: BSD-3-Clause
// See card.h.
#include "endpoint/relaycall/card.h"

#include "endpoint/relaycall/contacts.h"

#include <jansson.h>
#include <sodium.h>

enum { KEY_TEXT_SIZE = 44, ADDRESS_TEXT_SIZE = ENDPOINT_CONTACT_NAME_MAX + 8 };

static const char *key_text(const uint8_t key[ENDPOINT_KEY_SIZE], char text[KEY_TEXT_SIZE])
{
	return sodium_bin2base64(text, KEY_TEXT_SIZE, key, ENDPOINT_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static json_t *relay_json(const struct endpoint_contact_relay *relay)
{
	char text[ADDRESS_TEXT_SIZE], key[KEY_TEXT_SIZE];
	json_t *addresses = json_array();

	for (size_t i = 0; i < relay->address_count; i++)
		json_array_append_new(
			addresses, json_string(endpoint_contact_address_format(
					   &relay->addresses[i], text, sizeof(text))));
	json_t *object = json_pack("{s:o}", "addresses", addresses);
	if (relay->has_key)
		json_object_set_new(object, "key", json_string(key_text(relay->key, key)));
	return object;
}

struct json_t *card_json(const struct endpoint_contact *contact, const char *text)
{
	char identity_key[KEY_TEXT_SIZE], delivery_key[KEY_TEXT_SIZE];
	char fingerprint[CONTACTS_FINGERPRINT_SIZE];
	json_t *relays = json_array();

	for (size_t i = 0; i < contact->relay_count; i++)
		json_array_append_new(relays, relay_json(&contact->relays[i]));
	return json_pack("{s:s,s:s,s:s,s:s,s:o}", "contact", text, "identity_key",
		key_text(contact->identity_key, identity_key), "fingerprint",
		contacts_fingerprint(contact->identity_key, fingerprint), "delivery_key",
		key_text(contact->peer.delivery_key, delivery_key), "relays", relays);
}

void card_print_relays(const struct endpoint_contact *contact, const char *indent, FILE *out)
{
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < contact->relay_count; i++) {
		const struct endpoint_contact_relay *relay = &contact->relays[i];
		fputs(indent, out);
		for (size_t k = 0; k < relay->address_count; k++)
			fprintf(out, "%s%s", k == 0 ? "" : ", ",
				endpoint_contact_address_format(
					&relay->addresses[k], text, sizeof(text)));
		fputs(relay->has_key ? "\n" : " (its key is not known)\n", out);
	}
}
