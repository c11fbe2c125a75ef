// SPDX-License-Identifier: BSD-3-Clause
// One run of relaycall with a phone (endpoint/phone): loop, driver, signals, the book of contacts,
// and an end in good order. As session.h is for lines and files.
#pragma once

#include "endpoint/phone/phone_driver.h"
#include "endpoint/relaycall/contacts.h"
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/relaycall.h"

#include <uv.h>

struct calling {
	const struct relaycall_options *options;
	uv_loop_t loop;
	uv_signal_t signals[3];
	uv_timer_t closing; // the loop's end, outside of all callbacks
	struct phone_driver *driver;
	struct phone *phone;
	struct contacts contacts;
	size_t relay_count;                                               // our own
	char relay_text[PHONE_RELAYS_MAX][ENDPOINT_CONTACT_NAME_MAX + 8]; // of these, for messages
	unsigned withdrawing; // relays that have not confirmed yet
	int code;
	bool ending;

	void *context;
	void (*event)(struct calling *calling, const struct phone_event *event);
	void (*interrupted)(struct calling *calling); // calling_finish, at once or later
	void (*ended)(struct calling *calling);       // close what is left of the verb's handles
};

// Reads the contacts, to be freed by the caller. An exit code other than RELAYCALL_OK: said why.
int calling_prepare(struct calling *calling, const struct relaycall_options *options);
// Reads the identity, resolves the names of our own relays, makes loop and phone. listening: to be
// registered there. The same results.
int calling_begin(struct calling *calling, bool listening);
// Runs until calling_finish, and returns its code.
int calling_run(struct calling *calling);
// Hangs up, gives leases back, and ends the run. Again is harmless; the first code counts.
void calling_finish(struct calling *calling, int code);

// A contact's relays with their names looked up. An exit code other than RELAYCALL_OK: said why.
int calling_resolve(const struct endpoint_contact *contact, struct phone_contact *out);

// Whoever has proven this identity is reached there: noted, where it is a contact and this is news.
void calling_note_place(struct calling *calling, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer);

// The name in the book, else "unknown" and the first digits of the identity's fingerprint.
enum { CALLING_NAME_SIZE = CONTACTS_NAME_MAX + 1 };
const char *calling_name(const struct calling *calling,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], char text[CALLING_NAME_SIZE]);
