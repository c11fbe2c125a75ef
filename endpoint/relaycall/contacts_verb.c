// SPDX-License-Identifier: BSD-3-Clause
// relaycall contacts: who is in the book, and changes of it.
#include "endpoint/relaycall/card.h"
#include "endpoint/relaycall/contacts.h"
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/session.h"

#include <jansson.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

int relaycall_contacts_load(const struct relaycall_options *options, struct contacts *out)
{
	char path[PATH_MAX], book[PATH_MAX], error[CONTACTS_ERROR_SIZE];

	memset(out, 0, sizeof(*out));
	if (identity_find_path(path, options->identity, error) != 0)
		return relaycall_fail(RELAYCALL_FAILED, "%s", error);
	if (contacts_path(path, book) != 0)
		return relaycall_fail(
			RELAYCALL_FAILED, "the path of the contacts file is too long");
	if (contacts_load(out, book, error) != 0)
		return relaycall_fail(RELAYCALL_FAILED, "%s", error);
	return RELAYCALL_OK;
}

int relaycall_contact(
	const struct relaycall_options *options, const char *word, struct endpoint_contact *out)
{
	char error[CONTACTS_ERROR_SIZE];
	struct contacts book;
	const char *name;

	int code = relaycall_contacts_load(options, &book);
	if (code != RELAYCALL_OK)
		return code;
	int result = contacts_meant(&book, word, out, &name, error);
	contacts_free(&book);
	if (result == 0)
		return RELAYCALL_OK;
	return relaycall_fail(
		result == -EKEYREJECTED ? RELAYCALL_FAILED : RELAYCALL_USAGE, "%s", error);
}

// ---- showing ----

static void print_json(const struct contacts_entry *entry)
{
	char card[ENDPOINT_CONTACT_TEXT_SIZE];

	endpoint_contact_format(&entry->contact, card);
	json_t *object = card_json(&entry->contact, card);
	json_object_set_new(object, "name", json_string(entry->name));
	session_print_json(object);
}

// Columns of UTF-8 on a terminal, as far as characters are one column wide.
static int columns(const char *text)
{
	int count = 0;
	for (; *text != 0; text++)
		count += (*text & 0xc0) != 0x80;
	return count;
}

static int list(const struct contacts *book, bool json)
{
	char fingerprint[CONTACTS_FINGERPRINT_SIZE];
	int widest = 0;

	for (size_t i = 0; i < book->count; i++) {
		int wide = columns(book->entries[i].name);
		widest = wide > widest ? wide : widest;
	}
	for (size_t i = 0; i < book->count; i++) {
		const struct contacts_entry *entry = &book->entries[i];
		if (json)
			print_json(entry);
		else
			printf("%s%*s  %s\n", entry->name, widest - columns(entry->name), "",
				contacts_fingerprint(entry->contact.identity_key, fingerprint));
	}
	if (book->count == 0 && !json)
		fputs("relaycall: no contacts yet: relaycall contacts add NAME CARD\n", stderr);
	return RELAYCALL_OK;
}

static int show(const struct contacts *book, const char *name, bool json)
{
	const struct contacts_entry *entry = contacts_find_name(book, name);
	char text[ENDPOINT_CONTACT_TEXT_SIZE];

	if (entry == NULL)
		return relaycall_fail(RELAYCALL_FAILED,
			"there is no contact \"%s\": relaycall contacts lists them", name);
	if (json) {
		print_json(entry);
		return RELAYCALL_OK;
	}
	printf("name         %s\n", entry->name);
	printf("fingerprint  %s\n", contacts_fingerprint(entry->contact.identity_key, text));
	card_print_relays(&entry->contact, "relay        ", stdout);
	endpoint_contact_format(&entry->contact, text);
	printf("card         %s\n", text);
	return RELAYCALL_OK;
}

// ---- changing ----

static int change(const struct contacts *book, const struct relaycall_options *options,
	int (*make)(const char *path, const char *name, const struct endpoint_contact *contact,
		char *error),
	const char *result)
{
	char error[CONTACTS_ERROR_SIZE], fingerprint[CONTACTS_FINGERPRINT_SIZE];
	const char *name = options->operand[1];
	struct endpoint_contact contact;

	if (contacts_card(options->operand[2], &contact, error) != 0)
		return relaycall_fail(RELAYCALL_USAGE, "%s", error);
	if (make(book->path, name, &contact, error) != 0)
		return relaycall_fail(
			contacts_name_valid(name) ? RELAYCALL_FAILED : RELAYCALL_USAGE, "%s",
			error);
	contacts_fingerprint(contact.identity_key, fingerprint);
	if (options->json)
		session_print_json(json_pack("{s:s,s:s,s:s}", "result", result, "name", name,
			"fingerprint", fingerprint));
	else
		printf("%s %s, fingerprint %s\n", result, name, fingerprint);
	return RELAYCALL_OK;
}

static int drop(const struct contacts *book, const struct relaycall_options *options)
{
	char error[CONTACTS_ERROR_SIZE];
	const char *name = options->operand[1];

	if (contacts_remove(book->path, name, error) != 0)
		return relaycall_fail(RELAYCALL_FAILED, "%s", error);
	if (options->json)
		session_print_json(json_pack("{s:s,s:s}", "result", "removed", "name", name));
	else
		printf("removed %s\n", name);
	return RELAYCALL_OK;
}

// ---- the verb ----

enum action { LIST, SHOW, ADD, ACCEPT, REMOVE };

static const struct {
	const char *word;
	int operands; // behind it
} actions[] = {
	[LIST] = {"list", 0},
	[SHOW] = {"show", 1},
	[ADD] = {"add", 2},
	[ACCEPT] = {"accept", 2},
	[REMOVE] = {"remove", 1},
};

static int find_action(const char *const operand[4])
{
	int given = 0;

	if (operand[0] == NULL)
		return LIST;
	while (given < 3 && operand[given + 1] != NULL)
		given++;
	for (unsigned i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (strcmp(operand[0], actions[i].word) == 0 && given == actions[i].operands)
			return (int)i;
	return -1;
}

int relaycall_contacts(const struct relaycall_options *options)
{
	struct contacts book;

	int action = find_action(options->operand);
	if (action < 0)
		return relaycall_fail(RELAYCALL_USAGE,
			"contacts [list], contacts show NAME, contacts add NAME CARD,\n"
			"           contacts accept NAME CARD, or contacts remove NAME");
	int code = relaycall_contacts_load(options, &book);
	if (code != RELAYCALL_OK)
		return code;
	switch (action) {
	case LIST:
		code = list(&book, options->json);
		break;
	case SHOW:
		code = show(&book, options->operand[1], options->json);
		break;
	case ADD:
		code = change(&book, options, contacts_add, "added");
		break;
	case ACCEPT:
		code = change(&book, options, contacts_accept, "accepted");
		break;
	default:
		code = drop(&book, options);
		break;
	}
	contacts_free(&book);
	return code;
}
