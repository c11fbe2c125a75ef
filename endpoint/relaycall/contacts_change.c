// SPDX-License-Identifier: BSD-3-Clause
// Changes of the contacts book, each under its lock; see contacts.h.
#include "endpoint/relaycall/contacts_inside.h"
#include "endpoint/relaycall/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct change {
	const char *name;
	const struct endpoint_contact *contact;
	// 1: changed; 0: it is as it should be already.
	int (*make)(struct contacts *book, const struct change *change, char *error);
};

static int save(const struct contacts *book, char error[CONTACTS_ERROR_SIZE])
{
	size_t size;
	char *text = contacts_format(book, &size);

	if (text == NULL)
		return contacts_fail(error, -ENOMEM, "there is no memory");
	int result = file_replace(book->path, text, size, 0600);
	free(text);
	return result == 0 ? 0
			   : contacts_fail(error, result, "cannot write %s: %s", book->path,
				     strerror(-result));
}

static int change_book(
	const char *path, const struct change *change, bool make, char error[CONTACTS_ERROR_SIZE])
{
	struct contacts book;

	if (make)
		file_make_folders(path);
	int lock = file_lock(path, make);
	if (lock == -ENOENT && !make)
		return contacts_fail(error, -ENOENT, "there are no contacts yet");
	if (lock < 0)
		return contacts_fail(error, lock, "cannot change %s: %s", path, strerror(-lock));
	int result = contacts_load(&book, path, error);
	if (result == 0) {
		result = change->make(&book, change, error);
		if (result > 0)
			result = save(&book, error);
		contacts_free(&book);
	}
	file_unlock(lock);
	return result;
}

static int unknown_name(const char *name, char error[CONTACTS_ERROR_SIZE])
{
	return contacts_fail(
		error, -ENOENT, "there is no contact \"%s\": relaycall contacts lists them", name);
}

// ---- add ----

static bool same_card(const struct endpoint_contact *a, const struct endpoint_contact *b)
{
	char text_a[ENDPOINT_CONTACT_TEXT_SIZE], text_b[ENDPOINT_CONTACT_TEXT_SIZE];

	return endpoint_contact_format(a, text_a) == 0 && endpoint_contact_format(b, text_b) == 0 &&
	       strcmp(text_a, text_b) == 0;
}

static int make_add(struct contacts *book, const struct change *change, char *error)
{
	const struct endpoint_contact *contact = change->contact;
	const struct contacts_entry *named = contacts_find_name(book, change->name), *entry;

	enum contacts_standing standing =
		contacts_check(book, contact->identity_key, &contact->peer, &entry);
	if (named != NULL && named == entry && standing != CONTACTS_CHANGED) {
		if (same_card(&named->contact, contact))
			return 0;
		return contacts_moved(named, error);
	}
	if (named != NULL || standing == CONTACTS_CHANGED) {
		contacts_explain(named != NULL ? named : entry, contact->identity_key, error);
		return -EEXIST;
	}
	if (entry != NULL)
		return contacts_fail(error, -EEXIST,
			"this is %s: the identity is noted under that name", entry->name);
	int result = contacts_append(book, change->name, contact, error);
	return result == 0 ? 1 : result;
}

// Names come from a person, cards from wherever.
static int check_new(const char *name, const struct endpoint_contact *contact, char *error)
{
	char text[ENDPOINT_CONTACT_TEXT_SIZE];

	if (!contacts_name_valid(name))
		return contacts_fail(error, -EINVAL,
			"\"%s\" cannot be a name: up to %d bytes without spaces and \"=\", not "
			"beginning with \"-\", \"#\", \".\" or \"%s\"",
			name, CONTACTS_NAME_MAX, ENDPOINT_CONTACT_SCHEME);
	if (endpoint_contact_format(contact, text) != 0)
		return contacts_fail(error, -EINVAL, "the card cannot be written");
	return 0;
}

int contacts_add(const char *path, const char *name, const struct endpoint_contact *contact,
	char error[CONTACTS_ERROR_SIZE])
{
	const struct change change = {.name = name, .contact = contact, .make = make_add};

	int result = check_new(name, contact, error);
	return result == 0 ? change_book(path, &change, true, error) : result;
}

// ---- accept, update, remove ----

// entry becomes what the card says, unless that is somebody else of the book.
static int put_card(struct contacts *book, const struct contacts_entry *entry,
	const struct endpoint_contact *contact, char *error)
{
	const struct contacts_entry *found[] = {
		contacts_find_identity(book, contact->identity_key),
		contacts_find_delivery(book, contact->peer.delivery_key),
	};

	for (unsigned i = 0; i < 2; i++)
		if (found[i] != NULL && found[i] != entry)
			return contacts_fail(error, -EEXIST,
				"this is %s: the card has the same %s; if %s is %s, first: "
				"relaycall contacts remove %s",
				found[i]->name, i == 0 ? "identity" : "delivery key",
				found[i]->name, entry->name, found[i]->name);
	if (same_card(&entry->contact, contact))
		return 0;
	book->entries[entry - book->entries].contact = *contact;
	return 1;
}

static int make_accept(struct contacts *book, const struct change *change, char *error)
{
	const struct contacts_entry *entry = contacts_find_name(book, change->name);
	return entry == NULL ? unknown_name(change->name, error)
			     : put_card(book, entry, change->contact, error);
}

int contacts_accept(const char *path, const char *name, const struct endpoint_contact *contact,
	char error[CONTACTS_ERROR_SIZE])
{
	const struct change change = {.name = name, .contact = contact, .make = make_accept};

	int result = check_new(name, contact, error);
	return result == 0 ? change_book(path, &change, false, error) : result;
}

static int make_update(struct contacts *book, const struct change *change, char *error)
{
	const struct contacts_entry *entry =
		contacts_find_identity(book, change->contact->identity_key);
	return entry == NULL ? contacts_fail(error, -ENOENT, "no contact has this identity")
			     : put_card(book, entry, change->contact, error);
}

int contacts_update(
	const char *path, const struct endpoint_contact *contact, char error[CONTACTS_ERROR_SIZE])
{
	const struct change change = {.contact = contact, .make = make_update};

	int result = check_new("name", contact, error);
	return result == 0 ? change_book(path, &change, false, error) : result;
}

static int make_remove(struct contacts *book, const struct change *change, char *error)
{
	const struct contacts_entry *entry = contacts_find_name(book, change->name);

	if (entry == NULL)
		return unknown_name(change->name, error);
	size_t at = (size_t)(entry - book->entries);
	memmove(&book->entries[at], &book->entries[at + 1],
		(book->count - at - 1) * sizeof(*book->entries));
	book->count--;
	return 1;
}

int contacts_remove(const char *path, const char *name, char error[CONTACTS_ERROR_SIZE])
{
	const struct change change = {.name = name, .make = make_remove};
	return change_book(path, &change, false, error);
}
