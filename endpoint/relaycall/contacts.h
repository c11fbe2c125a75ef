// SPDX-License-Identifier: BSD-3-Clause
// The contacts book: people by name, and who they were when they were first noted. A text file
// beside the identity, for its owner's eyes only, written whole or not at all; who changes it holds
// its lock and reads it anew first, so that processes at work at once lose nothing of each other.
//
//     NAME = blindrelay:...      a line for each; # begins a comment, which is lost when the book
//     changes
//
// A name is bound to one identity key and that to the name; so is the delivery key. What is noted
// changes only by contacts_accept (a person has decided) and contacts_update (the contact itself
// has said so, and proven its identity).
#pragma once

#include "endpoint/contact.h"

#include <limits.h>

enum {
	CONTACTS_NAME_MAX = 64,     // bytes of UTF-8
	CONTACTS_MAX = 4096,        // in one book
	CONTACTS_ERROR_SIZE = 1024, // of a message, which may have several lines
};

struct contacts_entry {
	char name[CONTACTS_NAME_MAX + 1];
	struct endpoint_contact contact;
};

struct contacts {
	char path[PATH_MAX];
	struct contacts_entry *entries; // in the order in which they were noted
	size_t count;
};

// "contacts" beside an identity file that is called "identity", else its name with ".contacts"
// behind it. -ENAMETOOLONG.
int contacts_path(const char *identity_path, char path[PATH_MAX]);
// Reads the book; where there is no file it is empty. A negative errno and in error what is wrong:
// then there is nothing to free.
int contacts_load(struct contacts *contacts, const char *path, char error[CONTACTS_ERROR_SIZE]);
void contacts_free(struct contacts *contacts);

// NULL: none. Valid until the book is freed. Names are compared without ASCII's case.
const struct contacts_entry *contacts_find_name(const struct contacts *contacts, const char *name);
const struct contacts_entry *contacts_find_identity(
	const struct contacts *contacts, const uint8_t identity_key[ENDPOINT_KEY_SIZE]);
const struct contacts_entry *contacts_find_delivery(
	const struct contacts *contacts, const uint8_t delivery_key[ENDPOINT_KEY_SIZE]);

// What to think of somebody who shows this identity and is reached there.
enum contacts_standing {
	CONTACTS_UNKNOWN, // nobody of the book
	CONTACTS_KNOWN,   // *entry, as noted
	CONTACTS_MOVED,   // *entry's identity, reached elsewhere: contacts_update, if it was proven
	CONTACTS_CHANGED, // reached where *entry is, and another identity: refuse
};
// *entry: NULL with CONTACTS_UNKNOWN.
enum contacts_standing contacts_check(const struct contacts *contacts,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], const struct endpoint_peer *peer,
	const struct contacts_entry **entry);
// What CONTACTS_CHANGED means and what to do about it, in words for a person.
void contacts_explain(const struct contacts_entry *entry,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], char error[CONTACTS_ERROR_SIZE]);

// What somebody means who writes CONTACT: a name of the book or a card. *name is the name that it
// has in the book, or NULL. -ENOENT: no such name; -EINVAL, -EPROTONOSUPPORT: no card, or one of
// another version; -EKEYREJECTED: a card that contradicts the book. error says what and what to do.
int contacts_meant(const struct contacts *contacts, const char *word, struct endpoint_contact *out,
	const char **name, char error[CONTACTS_ERROR_SIZE]);

// A card alone. -EINVAL, -EPROTONOSUPPORT as above.
int contacts_card(const char *word, struct endpoint_contact *out, char error[CONTACTS_ERROR_SIZE]);

// Changes, each on the disk when 0 comes back; else a negative errno, and the reason in error.
// -EINVAL: no name; -ENOENT: not in the book; -EEXIST: the name, the identity or the delivery key
// is there already and is somebody or somewhere else; -ENOSPC: the book, or the disk, is full.
// Notes somebody new. Again with the same card is harmless.
int contacts_add(const char *path, const char *name, const struct endpoint_contact *contact,
	char error[CONTACTS_ERROR_SIZE]);
// Whoever this card is, is NAME from now on.
int contacts_accept(const char *path, const char *name, const struct endpoint_contact *contact,
	char error[CONTACTS_ERROR_SIZE]);
// The contact with this identity key is reached as its card says from now on. Only for what it has
// proven: a card alone proves nothing.
int contacts_update(
	const char *path, const struct endpoint_contact *contact, char error[CONTACTS_ERROR_SIZE]);
int contacts_remove(const char *path, const char *name, char error[CONTACTS_ERROR_SIZE]);

// The book's text there and back. The parser adds to *contacts; it takes anything of `size` bytes
// with a 0 behind them and writes to it. -EINVAL, -ENOSPC, -ENOMEM and error; whatever comes, the
// book is to be freed. The format is malloc'ed, NULL without memory.
int contacts_parse(
	struct contacts *contacts, char *text, size_t size, char error[CONTACTS_ERROR_SIZE]);
char *contacts_format(const struct contacts *contacts, size_t *size);

// Whether the book would take this name: UTF-8 without spaces, controls and "=", not beginning like
// an option, a comment or a card.
bool contacts_name_valid(const char *name);

// An identity key for people to compare: 8 groups of 4 hexadecimal digits of its BLAKE3.
enum { CONTACTS_FINGERPRINT_SIZE = 40 };
const char *contacts_fingerprint(
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], char text[CONTACTS_FINGERPRINT_SIZE]);
