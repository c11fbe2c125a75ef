// SPDX-License-Identifier: BSD-3-Clause
// What the files of the contacts book share.
#pragma once

#include "endpoint/relaycall/contacts.h"

// Writes the message and returns result.
int contacts_fail(char error[CONTACTS_ERROR_SIZE], int result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
// Begins like a card.
bool contacts_is_card(const char *word);
// -ENOSPC, -ENOMEM.
int contacts_append(struct contacts *contacts, const char *name,
	const struct endpoint_contact *contact, char error[CONTACTS_ERROR_SIZE]);
// -EEXIST, and what it means that a card names another place than the one that is noted.
int contacts_moved(const struct contacts_entry *entry, char error[CONTACTS_ERROR_SIZE]);
