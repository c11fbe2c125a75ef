// SPDX-License-Identifier: BSD-3-Clause
// relaycall id: who we are, as a card for others, in text or as a code. Makes the identity at first
// use and notes the relays that it is given.
#include "endpoint/relaycall/card.h"
#include "endpoint/relaycall/contacts.h"
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/qr.h"
#include "endpoint/relaycall/session.h"

#include <jansson.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// ---- noting relays ----

static bool gives_relays(const struct relaycall_options *options)
{
	const struct endpoint_contact_relay *r = options->relays;
	return r[0].address_count > 0 || r[0].has_key || r[1].address_count > 0 || r[1].has_key ||
	       options->no_second_relay;
}

static void note_relays(struct identity *identity, const void *context)
{
	const struct relaycall_options *options = context;

	for (size_t i = 0; i < ENDPOINT_CONTACT_RELAYS_MAX; i++) {
		const struct endpoint_contact_relay *given = &options->relays[i];
		struct endpoint_contact_relay *noted = &identity->relays[i];
		if (given->address_count > 0) {
			*noted = *given; // the noted key was the other relay's
		} else if (given->has_key) {
			noted->has_key = true;
			memcpy(noted->key, given->key, ENDPOINT_KEY_SIZE);
		}
	}
	if (options->no_second_relay)
		memset(&identity->relays[1], 0, sizeof(identity->relays[1]));
	identity->relay_count = identity->relays[0].address_count == 0   ? 0
				: identity->relays[1].address_count == 0 ? 1
									 : 2;
}

// Whether what is given goes together with what is noted.
static int check_relays(const struct identity *identity, const struct relaycall_options *options)
{
	static const char *const option[] = {"--relay", "--second-relay"};
	bool there[ENDPOINT_CONTACT_RELAYS_MAX];

	for (size_t i = 0; i < ENDPOINT_CONTACT_RELAYS_MAX; i++) {
		there[i] = identity->relays[i].address_count > 0 ||
			   options->relays[i].address_count > 0;
		if (options->relays[i].has_key && !there[i])
			return relaycall_fail(RELAYCALL_USAGE,
				"%s-key is the key of a relay that is not known yet: %s, too",
				option[i], option[i]);
	}
	if (there[1] && !there[0])
		return relaycall_fail(RELAYCALL_USAGE,
			"there is no first relay yet: --relay before --second-relay");
	return RELAYCALL_OK;
}

// ---- showing ----

static int fail_code(int result, const char *what)
{
	if (result == -EFBIG)
		return relaycall_fail(RELAYCALL_FAILED,
			"the card is longer than a QR code may be: fewer or shorter relay names");
	return relaycall_fail(RELAYCALL_FAILED, "cannot write %s: %s", what, strerror(-result));
}

static int show_code(const char *text)
{
	struct winsize window;
	unsigned columns;

	bool terminal = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0;
	int result = qr_print(text, stdout, terminal, &columns);
	if (result != 0)
		return fail_code(result, "the code");
	if (terminal && window.ws_col > 0 && window.ws_col < columns)
		relaycall_fail(0,
			"the code is %u columns wide and the terminal %u: make it wider, or write "
			"a "
			"picture with --qr-file FILE.svg",
			columns, window.ws_col);
	return RELAYCALL_OK;
}

static int show(const struct identity *identity, const struct relaycall_options *options, bool made)
{
	struct endpoint_contact contact;
	char text[ENDPOINT_CONTACT_TEXT_SIZE], fingerprint[CONTACTS_FINGERPRINT_SIZE];

	identity_contact(identity, &contact);
	if (options->fingerprint && !options->json) { // no relay is needed for it
		puts(contacts_fingerprint(contact.identity_key, fingerprint));
		return RELAYCALL_OK;
	}
	if (identity->relay_count == 0)
		return relaycall_fail(RELAYCALL_FAILED,
			"%s names no relay yet: relaycall id --relay ADDRESS[:PORT]",
			identity->path);
	if (endpoint_contact_format(&contact, text) != 0)
		return relaycall_fail(
			RELAYCALL_FAILED, "%s: its relays do not fit into a card", identity->path);
	int result = options->qr_file == NULL
			     ? 0
			     : qr_write(text, options->qr_file, qr_format_of(options->qr_file));
	if (result != 0)
		return fail_code(result, options->qr_file);
	if (options->json) {
		json_t *object = card_json(&contact, text);
		json_object_set_new(object, "identity", json_string(identity->path));
		json_object_set_new(object, "made", json_boolean(made));
		session_print_json(object);
		return RELAYCALL_OK;
	}
	int code = options->qr ? show_code(text) : RELAYCALL_OK;
	if (code == RELAYCALL_OK)
		puts(text);
	return code;
}

int relaycall_identity(
	const struct relaycall_options *options, struct identity *identity, bool *made)
{
	char error[IDENTITY_ERROR_SIZE];

	if (identity_load(identity, options->identity, made, error) != 0)
		return relaycall_fail(RELAYCALL_FAILED, "%s", error);
	if (*made && !options->json)
		relaycall_fail(0, "made %s", identity->path);
	if (identity->upgraded)
		relaycall_fail(0,
			"%s has an identity key of its own now: whoever has your old card needs "
			"the one "
			"that relaycall id prints",
			identity->path);
	return RELAYCALL_OK;
}

int relaycall_id(const struct relaycall_options *options)
{
	char error[IDENTITY_ERROR_SIZE];
	struct identity identity;
	bool made;

	int code = relaycall_identity(options, &identity, &made);
	if (code != RELAYCALL_OK)
		return code;
	if (gives_relays(options)) {
		code = check_relays(&identity, options);
		if (code == RELAYCALL_OK &&
			identity_change(&identity, note_relays, options, error) != 0)
			code = relaycall_fail(RELAYCALL_FAILED, "%s", error);
	}
	if (code == RELAYCALL_OK)
		code = show(&identity, options, made);
	identity_wipe(&identity);
	return code;
}
