// SPDX-License-Identifier: BSD-3-Clause
// See session.h.
#include "endpoint/relaycall/session.h"

#include "endpoint/relaycall/purse.h"
#include "endpoint/relaycall/refusal.h"
#include "endpoint/relaycall/resolve.h"

#include <jansson.h>
#include <sodium.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int signal_numbers[] = {SIGINT, SIGTERM, SIGHUP};

int relaycall_fail(int code, const char *format, ...)
{
	va_list list;
	fputs("relaycall: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	return code;
}

struct endpoint_time session_now(void)
{
	return endpoint_driver_now();
}

const char *session_transport_text(
	const struct endpoint_transport *transport, char *text, size_t size)
{
	const struct endpoint_contact_address address = {.transport = *transport};
	return endpoint_contact_address_format(&address, text, size);
}

void session_print_json(struct json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	json_decref(object);
	fputc('\n', stdout);
	fflush(stdout);
}

// ---- the end ----

static void on_driver_closed(void *context)
{
	struct session *s = context;
	s->driver = NULL;
}

// The second time the loop has nothing left but what is closed here.
static void on_closing(uv_timer_t *timer)
{
	struct session *s = timer->data;

	endpoint_driver_close(s->driver, on_driver_closed, s);
	s->core = NULL;
	for (size_t i = 0; i < 3; i++)
		uv_close((uv_handle_t *)&s->signals[i], NULL);
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_close((uv_handle_t *)&s->closing, NULL);
	if (s->ended != NULL)
		s->ended(s);
}

static void close_soon(struct session *s)
{
	uv_timer_start(&s->closing, on_closing, 0, 0);
}

void session_finish(struct session *session, int code)
{
	if (session->ending)
		return;
	session->ending = true;
	session->code = code;
	uv_timer_stop(&session->timer);
	endpoint_withdraw(session->core, session_now());
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct session *s = handle->data;

	(void)number;
	if (s->ending) { // asked twice: at once
		if (!uv_is_closing((uv_handle_t *)&s->closing))
			close_soon(s);
		return;
	}
	if (s->interrupted != NULL)
		s->interrupted(s);
	session_finish(s, RELAYCALL_INTERRUPTED);
}

// ---- events ----

static void on_event(void *context, const struct endpoint_event *event)
{
	struct session *s = context;

	if (event->type == ENDPOINT_WITHDRAWN && s->ending)
		close_soon(s);
	else if (!s->ending)
		s->event(s, event);
}

bool session_trouble(struct session *session, const struct endpoint_event *event, bool patient)
{
	if (event->type == ENDPOINT_UNREACHABLE) {
		if (patient) {
			relaycall_fail(
				0, "no answer from relay %s; trying on", session->relay_text);
			return false;
		}
		relaycall_fail(0,
			"no answer from relay %s: does it run, and does UDP get there and back?",
			session->relay_text);
		session_finish(session, RELAYCALL_UNREACHABLE);
		return true;
	}
	if (event->type != ENDPOINT_REFUSED)
		return false;
	bool final = refusal_tell(session->relay_text, event);
	// The next epoch's address can wait, and so can whoever is patient, where waiting may help.
	bool hopeless = event->refused.reason > ENDPOINT_REFUSED_LAST;
	if (!final || (patient && !hopeless))
		return false;
	session_finish(session, RELAYCALL_UNREACHABLE);
	return true;
}

static void on_due(uv_timer_t *timer)
{
	struct session *s = timer->data;
	if (!s->ending && s->due != NULL)
		s->due(s);
}

void session_wake(struct session *session, uint64_t at_ms)
{
	uint64_t now = session_now().monotonic_ms;

	if (at_ms == ENDPOINT_NEVER || session->ending) {
		uv_timer_stop(&session->timer);
		return;
	}
	uv_update_time(&session->loop);
	uv_timer_start(&session->timer, on_due, at_ms > now ? at_ms - now : 0, 0);
}

// ---- the beginning ----

int session_begin(struct session *session, const struct relaycall_options *options,
	const struct identity *identity, const struct endpoint_contact_relay *relay)
{
	char error[512];
	struct endpoint_config *config = &session->config;

	session->options = options;
	memcpy(config->namespace_id, identity->namespace_id, ENDPOINT_KEY_SIZE);
	memcpy(config->delivery_seed, identity->delivery_seed, ENDPOINT_KEY_SIZE);
	config->epoch_seconds = options->epoch_seconds;
	config->relay_key_pinned = relay->has_key;
	memcpy(config->relay_key, relay->key, ENDPOINT_KEY_SIZE);
	if (options->tokens != NULL) {
		config->token = purse_take;
		config->token_context = (void *)(uintptr_t)options->tokens;
	}
	config->relay_count = resolve_relay(relay, config->relays, error, sizeof(error));
	if (config->relay_count == 0)
		return relaycall_fail(
			RELAYCALL_UNREACHABLE, "the relay's address cannot be found: %s", error);
	endpoint_contact_address_format(
		&relay->addresses[0], session->relay_text, sizeof(session->relay_text));
	int result = uv_loop_init(&session->loop);
	if (result == 0)
		result = endpoint_driver_create(
			&session->driver, &session->loop, config, on_event, session);
	sodium_memzero(config->delivery_seed, sizeof(config->delivery_seed));
	if (result != 0)
		return relaycall_fail(
			RELAYCALL_FAILED, "cannot open a socket: %s", strerror(-result));
	session->core = endpoint_driver_core(session->driver);
	uv_timer_init(&session->loop, &session->timer);
	uv_timer_init(&session->loop, &session->closing);
	session->timer.data = session->closing.data = session;
	for (size_t i = 0; i < 3; i++) {
		uv_signal_init(&session->loop, &session->signals[i]);
		session->signals[i].data = session;
		uv_signal_start(&session->signals[i], on_signal, signal_numbers[i]);
	}
	signal(SIGPIPE, SIG_IGN);
	return RELAYCALL_OK;
}

int session_run(struct session *session)
{
	uv_run(&session->loop, UV_RUN_DEFAULT);
	uv_loop_close(&session->loop);
	return session->code;
}
