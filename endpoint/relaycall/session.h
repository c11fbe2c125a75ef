// SPDX-License-Identifier: BSD-3-Clause
// One run of relaycall with a relay: loop, driver, signals, and an end in good order. A verb gives
// its hooks and gets events; whatever ends it goes through session_finish, which withdraws what the
// relay holds and waits for the confirmation, shortly.
#pragma once

#include "endpoint/driver.h"
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/relaycall.h"

#include <uv.h>

struct session {
	const struct relaycall_options *options;
	uv_loop_t loop;
	uv_signal_t signals[3];
	uv_timer_t timer;   // of the verb
	uv_timer_t closing; // the loop's end, outside of all callbacks
	struct endpoint_driver *driver;
	struct endpoint *core;
	struct endpoint_config config;
	char relay_text[ENDPOINT_CONTACT_NAME_MAX + 8]; // for messages
	int code;
	bool ending;

	void *context;
	void (*event)(struct session *session, const struct endpoint_event *event);
	void (*due)(struct session *session);         // session_wake's time has come
	void (*interrupted)(struct session *session); // tell; session_finish follows
	void (*ended)(struct session *session);       // close what is left of the verb's handles
};

// Resolves the relay's names and makes loop and driver. An exit code other than RELAYCALL_OK: said
// why, nothing to clean up.
int session_begin(struct session *session, const struct relaycall_options *options,
	const struct identity *identity, const struct endpoint_contact_relay *relay);
// Runs until session_finish, and returns its code.
int session_run(struct session *session);
// Ends the run in order. Again is harmless; the first code counts.
void session_finish(struct session *session, int code);

struct endpoint_time session_now(void);
// `due` is called at this time (monotonic ms); ENDPOINT_NEVER: not.
void session_wake(struct session *session, uint64_t at_ms);

// What the events that concern the relay mean, in words on stderr: true when the verb cannot go on
// (and session_finish was called).
bool session_trouble(struct session *session, const struct endpoint_event *event, bool patient);
// A transport address as text.
const char *session_transport_text(
	const struct endpoint_transport *transport, char *text, size_t size);
// A line of JSON to stdout at once; takes the reference.
struct json_t;
void session_print_json(struct json_t *object);
