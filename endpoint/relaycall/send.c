// SPDX-License-Identifier: BSD-3-Clause
// relaycall send: a line of text or a file to a contact, by a call, or a line by address without
// waiting for anything.
#include "endpoint/relaycall/offer.h"
#include "endpoint/relaycall/session.h"
#include "endpoint/relaycall/transfer.h"

#include <jansson.h>
#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_S = 60, PROGRESS_MS = 250 };

struct sending {
	struct session session;
	struct endpoint_contact contact;
	struct offer offer;
	int fd; // -1: a text
	uint64_t call, opened_ms, progress_ms;
	bool open, progress;
	struct transfer_sender transfer;
};

static bool read_bytes(void *context, uint64_t offset, uint8_t *out, size_t size)
{
	struct sending *s = context;

	if (s->fd < 0) {
		memcpy(out, s->session.options->text + offset, size);
		return true;
	}
	while (size > 0) {
		ssize_t got = pread(s->fd, out, size, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false; // also where it became shorter
		out += got;
		offset += (uint64_t)got;
		size -= (size_t)got;
	}
	return true;
}

static void send_frame(void *context, const uint8_t *data, size_t size)
{
	struct sending *s = context;
	endpoint_send(s->session.core, s->call, data, size, session_now());
}

// ---- what is shown ----

static void show_progress(struct sending *s, uint64_t now, bool last)
{
	if (!s->progress || (!last && now - s->progress_ms < PROGRESS_MS))
		return;
	uint64_t arrived = transfer_sender_arrived(&s->transfer);
	uint64_t ms = now - s->opened_ms > 0 ? now - s->opened_ms : 1;
	s->progress_ms = now;
	fprintf(stderr, "\r%3.0f %%  %.1f of %.1f MB  %.2f MB/s ",
		s->offer.size > 0 ? 100.0 * (double)arrived / (double)s->offer.size : 100.0,
		(double)arrived / 1e6, (double)s->offer.size / 1e6,
		(double)arrived / 1e3 / (double)ms);
	if (last)
		fputc('\n', stderr);
}

static int show_result(struct sending *s)
{
	uint8_t hash[TRANSFER_HASH_SIZE];
	char text[2 * TRANSFER_HASH_SIZE + 1];
	double seconds = (double)(session_now().monotonic_ms - s->opened_ms) / 1000;

	blake3_finish(&s->transfer.hash, hash, sizeof(hash));
	sodium_bin2hex(text, sizeof(text), hash, sizeof(hash));
	if (s->session.options->json)
		session_print_json(json_pack("{s:s,s:I,s:f,s:s,s:I}", "result", "sent", "bytes",
			(json_int_t)s->offer.size, "seconds", seconds, "blake3", text, "repeated",
			(json_int_t)s->transfer.repetitions));
	else
		printf("sent %s%s%s, %llu bytes in %.1f s, BLAKE3 %s\n",
			s->fd < 0 ? "a text" : "\"", s->fd < 0 ? "" : s->offer.name,
			s->fd < 0 ? "" : "\"", (unsigned long long)s->offer.size, seconds, text);
	return RELAYCALL_OK;
}

static int show_failure(struct sending *s, int code, const char *result, const char *text)
{
	if (s->progress && s->open)
		fputc('\n', stderr);
	if (s->session.options->json)
		session_print_json(json_pack("{s:s,s:s}", "result", result, "message", text));
	return relaycall_fail(code, "%s", text);
}

// ---- the transfer ----

static void look_after(struct sending *s)
{
	uint64_t now = session_now().monotonic_ms;
	uint64_t at = transfer_sender_tick(&s->transfer, now);
	int code;

	switch (s->transfer.state) {
	case TRANSFER_RUNNING:
		show_progress(s, now, false);
		session_wake(&s->session, at);
		return;
	case TRANSFER_DONE:
		show_progress(s, now, true);
		code = show_result(s);
		break;
	case TRANSFER_DAMAGED:
		code = show_failure(s, RELAYCALL_FAILED, "damaged",
			"what arrived is not what was sent: did the file change meanwhile?");
		break;
	case TRANSFER_UNKEPT:
		code = show_failure(s, RELAYCALL_FAILED, "unkept",
			"the file could not be read here, or not be written there");
		break;
	default:
		code = show_failure(s, RELAYCALL_PEER, "silent", "the peer has stopped answering");
		break;
	}
	session_finish(&s->session, code);
}

static void opened(struct sending *s)
{
	const struct transfer_output output = {
		.context = s, .send = send_frame, .read = read_bytes};
	s->open = true;
	s->opened_ms = session_now().monotonic_ms;
	transfer_sender_begin(&s->transfer, &output, s->offer.size, s->opened_ms);
	look_after(s);
}

static void ended(struct sending *s, const struct endpoint_event *event)
{
	char text[128];
	const char *result = "failed", *why = text;

	switch (event->ended.why) {
	case ENDPOINT_END_NO_ADDRESS:
		result = "absent";
		why = "the contact is not registered at its relay now: does it listen?";
		break;
	case ENDPOINT_END_NO_ANSWER:
		result = "no answer";
		why = "the contact does not answer";
		break;
	case ENDPOINT_END_DECLINED:
		result = "declined";
		why = "the contact has declined";
		break;
	case ENDPOINT_END_NOT_SEALED:
		result = "forged";
		why = "somebody else than the contact has answered";
		break;
	case ENDPOINT_END_DRAINING:
		why = "the relay is being emptied";
		break;
	case ENDPOINT_END_REFUSED:
		snprintf(text, sizeof(text), "the relay refuses the call (reason %u)",
			event->ended.reason);
		break;
	default:
		result = "broken off";
		snprintf(text, sizeof(text), "the call has ended after %llu of %llu bytes",
			(unsigned long long)transfer_sender_arrived(&s->transfer),
			(unsigned long long)s->offer.size);
		break;
	}
	session_finish(&s->session, show_failure(s, RELAYCALL_PEER, result, why));
}

static int open_call(struct sending *s)
{
	uint8_t offer[OFFER_HEADER + OFFER_NAME_MAX];
	size_t size = offer_build(offer, &s->offer);

	endpoint_register(s->session.core, session_now());
	return endpoint_open(
		s->session.core, &s->contact.peer, offer, size, &s->call, session_now());
}

// ---- a line by address ----

static void send_message(struct sending *s)
{
	uint8_t message[ENDPOINT_MESSAGE_MAX];
	size_t length = strlen(s->session.options->text);

	offer_build(message, &s->offer);
	memcpy(message + OFFER_HEADER, s->session.options->text, length);
	int result = endpoint_send_to_peer(
		s->session.core, &s->contact.peer, message, OFFER_HEADER + length, session_now());
	if (result != 0) {
		session_finish(&s->session,
			relaycall_fail(RELAYCALL_FAILED, "cannot send: %s", strerror(-result)));
		return;
	}
	if (s->session.options->json)
		session_print_json(json_pack("{s:s,s:I,s:b}", "result", "sent", "bytes",
			(json_int_t)length, "confirmed", false));
	else
		printf("sent a text, %zu bytes; nobody confirms what is sent by address\n", length);
	session_finish(&s->session, RELAYCALL_OK);
}

// ---- hooks ----

static void on_event(struct session *session, const struct endpoint_event *event)
{
	struct sending *s = session->context;

	if (session_trouble(session, event, s->open))
		return;
	if (event->type == ENDPOINT_CONNECTED && session->options->by_address)
		send_message(s);
	if (event->call == 0 || event->call != s->call)
		return;
	switch (event->type) {
	case ENDPOINT_OPENED:
		opened(s);
		break;
	case ENDPOINT_DATA:
		transfer_sender_receive(
			&s->transfer, event->data, event->size, session_now().monotonic_ms);
		look_after(s);
		break;
	case ENDPOINT_PATH_CHANGED:
		transfer_sender_path_changed(&s->transfer, session_now().monotonic_ms);
		look_after(s);
		break;
	case ENDPOINT_ENDED:
		ended(s, event);
		break;
	default:
		break;
	}
}

static void on_due(struct session *session)
{
	struct sending *s = session->context;
	struct endpoint_usage usage;

	if (s->open) {
		look_after(s);
		return;
	}
	endpoint_usage(session->core, &usage);
	if (!usage.connected) {
		session_trouble(
			session, &(struct endpoint_event){.type = ENDPOINT_UNREACHABLE}, false);
		return;
	}
	session_finish(session, show_failure(s, RELAYCALL_PEER, "no answer",
					"gave up: nothing came of it in the time given"));
}

static void on_interrupted(struct session *session)
{
	struct sending *s = session->context;
	char text[96];

	snprintf(text, sizeof(text), "interrupted; %llu of %llu bytes had arrived",
		(unsigned long long)transfer_sender_arrived(&s->transfer),
		(unsigned long long)s->offer.size);
	show_failure(s, RELAYCALL_INTERRUPTED, "interrupted", text);
}

// ---- the beginning ----

static int open_file(struct sending *s, const char *path)
{
	struct stat stat;
	char copy[PATH_MAX];

	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &stat) != 0)
		return relaycall_fail(
			RELAYCALL_FAILED, "cannot read %s: %s", path, strerror(errno));
	if (!S_ISREG(stat.st_mode))
		return relaycall_fail(RELAYCALL_FAILED, "%s is not a file", path);
	if ((uint64_t)stat.st_size > TRANSFER_SIZE_MAX)
		return relaycall_fail(RELAYCALL_FAILED, "%s is too large", path);
	s->offer = (struct offer){.kind = OFFER_FILE, .size = (uint64_t)stat.st_size};
	snprintf(copy, sizeof(copy), "%s", path);
	snprintf(s->offer.name, sizeof(s->offer.name), "%s", basename(copy));
	return RELAYCALL_OK;
}

static int prepare(struct sending *s, const struct relaycall_options *options)
{
	int code = relaycall_contact(options, options->operand[0], &s->contact);
	if (code != RELAYCALL_OK)
		return code;
	if (options->text == NULL)
		return open_file(s, options->operand[1]);
	s->offer = (struct offer){.kind = OFFER_TEXT, .size = strlen(options->text)};
	if (s->offer.size > OFFER_TEXT_MAX)
		return relaycall_fail(
			RELAYCALL_USAGE, "a text of more than %u bytes is a file", OFFER_TEXT_MAX);
	if (options->by_address && s->offer.size > ENDPOINT_MESSAGE_MAX - OFFER_HEADER)
		return relaycall_fail(RELAYCALL_USAGE, "more than %u bytes do not go by address",
			ENDPOINT_MESSAGE_MAX - OFFER_HEADER);
	return RELAYCALL_OK;
}

static int run(struct sending *s, const struct relaycall_options *options)
{
	struct identity identity;
	bool made;

	int code = relaycall_identity(options, &identity, &made);
	if (code != RELAYCALL_OK)
		return code;
	s->session.context = s;
	s->session.event = on_event;
	s->session.due = on_due;
	s->session.interrupted = on_interrupted;
	code = session_begin(&s->session, options, &identity, &s->contact.relays[0]);
	identity_wipe(&identity);
	if (code != RELAYCALL_OK)
		return code;
	unsigned timeout = options->timeout_s > 0 ? options->timeout_s : TIMEOUT_S;
	session_wake(&s->session, session_now().monotonic_ms + timeout * UINT64_C(1000));
	int result = 0;
	if (options->by_address)
		endpoint_connect(s->session.core, session_now());
	else
		result = open_call(s);
	if (result != 0)
		session_finish(&s->session,
			relaycall_fail(RELAYCALL_FAILED, "cannot call: %s", strerror(-result)));
	return session_run(&s->session);
}

int relaycall_send(const struct relaycall_options *options)
{
	static struct sending s;

	if (sodium_init() < 0)
		return relaycall_fail(RELAYCALL_FAILED, "there is no randomness");
	s.fd = -1;
	s.progress = !options->json && isatty(STDERR_FILENO);
	int code = prepare(&s, options);
	if (code == RELAYCALL_OK)
		code = run(&s, options);
	transfer_sender_end(&s.transfer);
	if (s.fd >= 0)
		close(s.fd);
	return code;
}
