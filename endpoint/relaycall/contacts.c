// SPDX-License-Identifier: BSD-3-Clause
// The contacts book in memory: read, looked up, written as text; see contacts.h.
#include "endpoint/relaycall/contacts.h"

#include "endpoint/relaycall/contacts_inside.h"
#include "endpoint/relaycall/file.h"
#include "endpoint/relaycall/lines.h"
#include "endpoint/relaycall/offer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_TEXT_MAX = CONTACTS_NAME_MAX + ENDPOINT_CONTACT_TEXT_SIZE + 4 };

static const char opening[] =
	"# The contacts of relaycall(1): name = card. To change it: relaycall contacts\n";

int contacts_fail(char error[CONTACTS_ERROR_SIZE], int result, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(error, CONTACTS_ERROR_SIZE, format, list);
	va_end(list);
	return result;
}

int contacts_path(const char *identity_path, char path[PATH_MAX])
{
	static const char usual[] = "identity";
	size_t length = strlen(identity_path), cut = sizeof(usual) - 1;

	bool is_usual = length >= cut && strcmp(identity_path + length - cut, usual) == 0 &&
			(length == cut || identity_path[length - cut - 1] == '/');
	int written = is_usual ? snprintf(path, PATH_MAX, "%.*scontacts", (int)(length - cut),
					 identity_path)
			       : snprintf(path, PATH_MAX, "%s.contacts", identity_path);
	return written >= 0 && written < PATH_MAX ? 0 : -ENAMETOOLONG;
}

bool contacts_name_valid(const char *name)
{
	char shown[CONTACTS_NAME_MAX + 1];
	size_t length = strnlen(name, CONTACTS_NAME_MAX + 1);

	if (length == 0 || length > CONTACTS_NAME_MAX || strpbrk(name, " =") != NULL ||
		strchr("-#.", name[0]) != NULL || contacts_is_card(name))
		return false;
	memcpy(shown, name, length + 1);
	offer_printable(shown, false);
	return strcmp(shown, name) == 0;
}

bool contacts_is_card(const char *word)
{
	return strncmp(word, ENDPOINT_CONTACT_SCHEME, sizeof(ENDPOINT_CONTACT_SCHEME) - 1) == 0;
}

// ---- looking up ----

const struct contacts_entry *contacts_find_name(const struct contacts *contacts, const char *name)
{
	for (size_t i = 0; i < contacts->count; i++)
		if (strcasecmp(contacts->entries[i].name, name) == 0)
			return &contacts->entries[i];
	return NULL;
}

const struct contacts_entry *contacts_find_identity(
	const struct contacts *contacts, const uint8_t identity_key[ENDPOINT_KEY_SIZE])
{
	for (size_t i = 0; i < contacts->count; i++)
		if (memcmp(contacts->entries[i].contact.identity_key, identity_key,
			    ENDPOINT_KEY_SIZE) == 0)
			return &contacts->entries[i];
	return NULL;
}

const struct contacts_entry *contacts_find_delivery(
	const struct contacts *contacts, const uint8_t delivery_key[ENDPOINT_KEY_SIZE])
{
	for (size_t i = 0; i < contacts->count; i++)
		if (memcmp(contacts->entries[i].contact.peer.delivery_key, delivery_key,
			    ENDPOINT_KEY_SIZE) == 0)
			return &contacts->entries[i];
	return NULL;
}

enum contacts_standing contacts_check(const struct contacts *contacts,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], const struct endpoint_peer *peer,
	const struct contacts_entry **entry)
{
	const struct contacts_entry *there = contacts_find_delivery(contacts, peer->delivery_key);

	*entry = contacts_find_identity(contacts, identity_key);
	if (there != NULL && there != *entry) {
		*entry = there;
		return CONTACTS_CHANGED;
	}
	if (*entry == NULL)
		return CONTACTS_UNKNOWN;
	return there != NULL && memcmp(there->contact.peer.namespace_id, peer->namespace_id,
					ENDPOINT_KEY_SIZE) == 0
		       ? CONTACTS_KNOWN
		       : CONTACTS_MOVED;
}

// ---- reading ----

int contacts_append(struct contacts *contacts, const char *name,
	const struct endpoint_contact *contact, char error[CONTACTS_ERROR_SIZE])
{
	size_t count = contacts->count;

	if (count == CONTACTS_MAX)
		return contacts_fail(error, -ENOSPC, "%s is full: there are %d contacts in it",
			contacts->path, CONTACTS_MAX);
	if ((count & (count - 1)) == 0) { // 0, 1, 2, 4, 8: the room is used up
		size_t room = count == 0 ? 1 : 2 * count;
		void *more = realloc(contacts->entries, room * sizeof(*contacts->entries));
		if (more == NULL)
			return contacts_fail(error, -ENOMEM, "there is no memory");
		contacts->entries = more;
	}
	struct contacts_entry *entry = &contacts->entries[count];
	memset(entry, 0, sizeof(*entry));
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	entry->contact = *contact;
	contacts->count++;
	return 0;
}

int contacts_parse(
	struct contacts *contacts, char *text, size_t size, char error[CONTACTS_ERROR_SIZE])
{
	struct lines lines = lines_make(text, size);
	struct endpoint_contact contact;
	char *name, *card;
	int more;

	while ((more = lines_next(&lines, &name, &card)) > 0) {
		int result = contacts_name_valid(name) ? endpoint_contact_parse(card, &contact)
						       : -EINVAL;
		if (result == -EPROTONOSUPPORT)
			return contacts_fail(error, -EINVAL,
				"%s, line %u: a card of another version than this relaycall knows",
				contacts->path, lines.number);
		if (result != 0)
			break;
		if (contacts_find_name(contacts, name) != NULL ||
			contacts_find_identity(contacts, contact.identity_key) != NULL ||
			contacts_find_delivery(contacts, contact.peer.delivery_key) != NULL)
			return contacts_fail(error, -EINVAL,
				"%s, line %u: the name or a key of the card is in a line above, "
				"too",
				contacts->path, lines.number);
		result = contacts_append(contacts, name, &contact, error);
		if (result != 0)
			return result;
	}
	return more == 0
		       ? 0
		       : contacts_fail(error, -EINVAL, "%s, line %u: not understood (NAME = CARD)",
				 contacts->path, lines.number);
}

int contacts_load(struct contacts *contacts, const char *path, char error[CONTACTS_ERROR_SIZE])
{
	char *text;
	size_t size;

	memset(contacts, 0, sizeof(*contacts));
	if (snprintf(contacts->path, sizeof(contacts->path), "%s", path) >= PATH_MAX)
		return contacts_fail(
			error, -ENAMETOOLONG, "the path of the contacts file is too long");
	int result = file_private_read(path, (size_t)CONTACTS_MAX * ENTRY_TEXT_MAX, &text, &size);
	if (result == -ENOENT)
		return 0;
	if (result != 0) {
		file_private_explain(path, result, error, CONTACTS_ERROR_SIZE);
		return result;
	}
	result = contacts_parse(contacts, text, size, error);
	file_private_free(text, size);
	if (result != 0)
		contacts_free(contacts);
	return result;
}

void contacts_free(struct contacts *contacts)
{
	free(contacts->entries);
	contacts->entries = NULL;
	contacts->count = 0;
}

// ---- writing ----

char *contacts_format(const struct contacts *contacts, size_t *size)
{
	char card[ENDPOINT_CONTACT_TEXT_SIZE];
	size_t room = sizeof(opening) + contacts->count * ENTRY_TEXT_MAX;
	char *text = malloc(room);

	if (text == NULL)
		return NULL;
	*size = (size_t)snprintf(text, room, "%s", opening);
	for (size_t i = 0; i < contacts->count; i++) {
		// What was parsed can be formatted.
		if (endpoint_contact_format(&contacts->entries[i].contact, card) != 0)
			continue;
		*size += (size_t)snprintf(
			text + *size, room - *size, "%s = %s\n", contacts->entries[i].name, card);
	}
	return text;
}
