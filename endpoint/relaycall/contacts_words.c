// SPDX-License-Identifier: BSD-3-Clause
// The contacts book and people: what they mean by CONTACT, and what they have to know when a key
// has changed; see contacts.h.
#include "endpoint/relaycall/contacts_inside.h"

#include "lib/crypto/blake3.h"

#include <errno.h>
#include <stdio.h>

const char *contacts_fingerprint(
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], char text[CONTACTS_FINGERPRINT_SIZE])
{
	static const char context[] = "Blindrelay identity fingerprint 1";
	struct blake3 state;
	uint8_t hash[16];
	char *end = text;

	blake3_begin_derive(&state, context, sizeof(context) - 1);
	blake3_add(&state, identity_key, ENDPOINT_KEY_SIZE);
	blake3_finish(&state, hash, sizeof(hash));
	for (unsigned i = 0; i < sizeof(hash); i += 2)
		end += sprintf(end, "%s%02x%02x", i == 0 ? "" : " ", hash[i], hash[i + 1]);
	return text;
}

void contacts_explain(const struct contacts_entry *entry,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], char error[CONTACTS_ERROR_SIZE])
{
	char known[CONTACTS_FINGERPRINT_SIZE], shown[CONTACTS_FINGERPRINT_SIZE];
	const char *name = entry->name;

	contacts_fail(error, 0,
		"%s is somebody else now: the identity is not the one that was noted.\n"
		"  noted  %s\n"
		"  shown  %s\n"
		"Either %s has a new identity, or somebody wants to be taken for %s. Ask %s in "
		"another "
		"way\n"
		"what `relaycall id --fingerprint` says there. If it is what is shown, and only "
		"then:\n"
		"  relaycall contacts accept %s CARD",
		name, contacts_fingerprint(entry->contact.identity_key, known),
		contacts_fingerprint(identity_key, shown), name, name, name, name);
}

int contacts_moved(const struct contacts_entry *entry, char error[CONTACTS_ERROR_SIZE])
{
	return contacts_fail(error, -EEXIST,
		"%s is noted, with the same identity and another place to be reached at. A card "
		"proves "
		"nothing:\nif %s has given you this one, relaycall contacts accept %s CARD",
		entry->name, entry->name, entry->name);
}

int contacts_meant(const struct contacts *contacts, const char *word, struct endpoint_contact *out,
	const char **name, char error[CONTACTS_ERROR_SIZE])
{
	const struct contacts_entry *entry;

	*name = NULL;
	if (!contacts_is_card(word)) {
		entry = contacts_find_name(contacts, word);
		if (entry == NULL)
			return contacts_fail(error, -ENOENT,
				"there is no contact \"%s\": relaycall contacts lists them; a card "
				"begins with %s",
				word, ENDPOINT_CONTACT_SCHEME);
		*out = entry->contact;
		*name = entry->name;
		return 0;
	}
	int result = contacts_card(word, out, error);
	if (result != 0)
		return result;
	switch (contacts_check(contacts, out->identity_key, &out->peer, &entry)) {
	case CONTACTS_CHANGED:
		contacts_explain(entry, out->identity_key, error);
		return -EKEYREJECTED;
	case CONTACTS_MOVED:
		contacts_moved(entry, error);
		return -EKEYREJECTED;
	case CONTACTS_KNOWN:
		*name = entry->name;
		break;
	default:
		break;
	}
	return 0;
}

int contacts_card(const char *word, struct endpoint_contact *out, char error[CONTACTS_ERROR_SIZE])
{
	int result = endpoint_contact_parse(word, out);
	if (result == -EPROTONOSUPPORT)
		return contacts_fail(
			error, result, "the card is of another version than this relaycall knows");
	if (result != 0)
		return contacts_fail(error, -EINVAL,
			"this is no contact card, or not a whole one; `relaycall id` prints one");
	return 0;
}
