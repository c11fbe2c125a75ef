// SPDX-License-Identifier: BSD-3-Clause
// Frames of a call, out and in: sealed once for each path they take, opened wherever they come
// from. Which paths is decided by endpoint/paths; this file does what it says and tells it what
// happened.
#include "endpoint/phone/inside.h"

#include <sodium.h>

#include <errno.h>
#include <string.h>

enum {
	REKEY_MS = 2 * 60 * 1000,
	REKEY_AGAIN_MS = 1000,
	NO_PATH = -1,
};

// ---- out ----

// size: of a whole frame. Sealed and sent on one path.
static void send_frame(
	struct talk *talk, unsigned path, enum frame_kind kind, const uint8_t *plain, size_t size)
{
	struct phone *phone = talk->phone;
	uint8_t sealed[ENVELOPE_OVERHEAD + FRAME_SIZE_MAX];

	if (envelope_seal(&talk->session, plain, size, sealed) != 0)
		return;
	size += ENVELOPE_OVERHEAD;
	if (path >= PHONE_DIRECT)
		pairs_send(talk, path, sealed, size);
	else if (talk->legs[path].state == LEG_OPEN)
		(void)endpoint_send(talk->legs[path].relay->core, talk->legs[path].call, sealed,
			size, phone->now);
	paths_sent(&talk->paths, path, kind, phone->now.monotonic_ms);
	talk->info.path[path].sent++;
}

static void send_control(
	void *context, uint16_t id, uint8_t type, const uint8_t *body, size_t size, bool everywhere)
{
	struct talk *talk = context;
	uint64_t now = talk->phone->now.monotonic_ms;
	uint8_t plain[FRAME_SIZE_MAX];
	unsigned mask = paths_choose_control(&talk->paths, everywhere);

	for (unsigned path = 0; path < PHONE_PATHS; path++)
		if (mask >> path & 1) {
			size_t whole = frame_control(
				paths_header(&talk->paths, path, now), id, type, body, size, plain);
			send_frame(talk, path, FRAME_CONTROL, plain, whole);
		}
	sodium_memzero(plain, sizeof(plain));
}

static void send_probes(struct talk *talk)
{
	uint64_t now = talk->phone->now.monotonic_ms;
	uint8_t plain[FRAME_SIZE_MAX];
	unsigned mask = paths_probes(&talk->paths, now);

	for (unsigned path = 0; path < PHONE_PATHS; path++)
		if (mask >> path & 1) {
			size_t whole = frame_probe(paths_header(&talk->paths, path, now),
				paths_probe_flags(&talk->paths, path),
				paths_probe_token(&talk->paths, now), plain);
			send_frame(talk, path, FRAME_PROBE, plain, whole);
		}
}

static void note_first(struct talk *talk, unsigned mask)
{
	uint64_t now = talk->phone->now.monotonic_ms;

	if (talk->info.direct_ms == 0 && mask >> PHONE_DIRECT != 0)
		talk->info.direct_ms = now;
	if (talk->info.relay_ms == 0 && (mask & (PATHS_MASK(0) | PATHS_MASK(1))) != 0)
		talk->info.relay_ms = now;
}

static int send_voice(struct talk *talk, const uint8_t *data, size_t size)
{
	uint64_t now = talk->phone->now.monotonic_ms;
	uint8_t plain[FRAME_SIZE_MAX];

	if (talk->state != TALK_TALKING)
		return -ENOTCONN;
	if (size < FRAME_VOICE_PREFIX || size > PHONE_VOICE_MAX)
		return -EMSGSIZE;
	uint32_t number = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
			  (uint32_t)data[2] << 8 | data[3];
	unsigned mask = paths_choose(&talk->paths, now);
	if (mask == 0)
		return -ENOTCONN;
	note_first(talk, mask);
	for (unsigned path = 0; path < PHONE_PATHS; path++)
		if (mask >> path & 1) {
			size_t whole = frame_voice(paths_header(&talk->paths, path, now), number,
				data + FRAME_VOICE_PREFIX, size - FRAME_VOICE_PREFIX, plain);
			send_frame(talk, path, FRAME_VOICE, plain, whole);
		}
	sodium_memzero(plain, size + FRAME_HEADER_SIZE);
	return 0;
}

int phone_voice(
	struct phone *phone, uint64_t call, const void *data, size_t size, struct endpoint_time now)
{
	inside_enter(phone, now);
	struct talk *talk = talk_find(phone, call);
	int result = talk == NULL ? -ENOENT : send_voice(talk, data, size);
	if (talk != NULL)
		news_tell(talk);
	inside_leave(phone);
	return result;
}

// ---- in ----

static void opened(struct talk *talk, int path, const uint8_t *plain, size_t size)
{
	struct phone *phone = talk->phone;
	uint64_t now = phone->now.monotonic_ms;
	struct frame frame;
	uint8_t answer[FRAME_SIZE_MAX];

	if (frame_decode(&frame, plain, size) != 0) {
		inside_count(phone, PHONE_COUNTER_ignored_frame);
		return;
	}
	talk->heard_at = now;
	if (!talk->caller)
		setup_wipe(talk); // the caller has our answer
	// What was said before the peer could hear it on this path (its leg was not open yet) is
	// said again as soon as it can.
	if (path != NO_PATH && talk->info.path[path].received++ == 0)
		control_again(&talk->control, now);
	paths_received(&talk->paths, path == NO_PATH ? PATHS_NONE : (unsigned)path, &frame, now);
	switch (frame.header.kind) {
	case FRAME_PROBE:
		if (path != NO_PATH) {
			size_t whole = frame_probe_answer(
				paths_header(&talk->paths, (unsigned)path, now), &frame, answer);
			send_frame(talk, (unsigned)path, FRAME_PROBE_ANSWER, answer, whole);
		}
		break;
	case FRAME_CONTROL:
		control_received(&talk->control, &frame);
		break;
	case FRAME_VOICE:
		// Who talks has answered: the word itself is late or has to be repeated.
		if (talk->caller && talk->state == TALK_RINGING)
			talk_answered(talk);
		if (talk->state == TALK_TALKING)
			inside_tell(phone, &(struct phone_event){
						   .type = PHONE_VOICE,
						   .call = talk->id,
						   .data = plain + FRAME_HEADER_SIZE,
						   .size = size - FRAME_HEADER_SIZE,
						   .path = {.number = frame.header.path},
					   });
		break;
	default:
		break;
	}
	news_tell(talk);
}

static bool refused(struct talk *talk, int result)
{
	if (result == 0)
		return false;
	if (result == -EALREADY) {
		talk->info.replays++;
		inside_count(talk->phone, PHONE_COUNTER_ignored_replay);
	} else {
		talk->info.rejected++;
		inside_count(talk->phone, PHONE_COUNTER_ignored_envelope);
	}
	return true;
}

void media_from_leg(struct talk *talk, unsigned number, const uint8_t *data, size_t size)
{
	uint8_t plain[ENDPOINT_BARE_MAX];

	if (size > 0 && data[0] == FRAGMENT_FIRST_BYTE) {
		setup_fragment(talk->legs[number].relay, data, size);
		return;
	}
	if (!talk->has_session || size > sizeof(plain)) {
		inside_count(talk->phone, PHONE_COUNTER_ignored_envelope);
		return;
	}
	if (refused(talk, envelope_open(&talk->session, data, size, plain)))
		return;
	opened(talk, (int)number, plain, size - ENVELOPE_OVERHEAD);
	sodium_memzero(plain, size);
}

// Which call's it is only its keys can tell: there are few. That a number was seen in one of them
// says nothing about the others.
void media_from_base(struct phone *phone, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	uint8_t plain[ENDPOINT_BARE_MAX];
	struct talk *again = NULL;

	for (unsigned i = 0; i < PHONE_CALLS_MAX && size <= sizeof(plain); i++) {
		struct talk *talk = phone->talks[i];
		if (talk == NULL || !talk->has_session || !direct_wanted(talk))
			continue;
		int result = envelope_open(&talk->session, data, size, plain);
		if (result == 0) {
			int path = pairs_path_of(talk, base, source);
			opened(talk, path, plain, size - ENVELOPE_OVERHEAD);
			sodium_memzero(plain, size);
			return;
		}
		if (result == -EALREADY)
			again = talk;
	}
	if (again != NULL)
		again->info.replays++;
	inside_count(phone,
		again != NULL ? PHONE_COUNTER_ignored_replay : PHONE_COUNTER_ignored_envelope);
}

// ---- the session's life ----

static void on_message(void *context, uint8_t type, const uint8_t *body, size_t size)
{
	words_hear(context, type, body, size);
}

// The peer knows that it is over: no need to linger.
static void on_done(void *context, uint16_t id, uint8_t type, bool arrived)
{
	struct talk *talk = context;
	(void)id;
	(void)arrived;
	if (type == WORD_HANGUP && talk->state == TALK_ENDING)
		talk->give_up_at = talk->phone->now.monotonic_ms;
}

void media_session(struct talk *talk)
{
	const struct phone *phone = talk->phone;
	const struct paths_config config = {
		.relay_after_ms = phone->config.relay_after_ms,
		// A caller tells where it is with its offer, or never: then nothing is waited for.
		.relay_at_once = phone->config.relay_after_ms == 0 || phone->config.relay_only ||
				 (!talk->caller && talk->setup != NULL &&
					 talk->setup->remote.candidate_count == 0),
	};

	paths_start(&talk->paths, &config,
		(struct paths_output){.event = news_event, .context = talk},
		phone->now.monotonic_ms);
	control_start(&talk->control, (struct control_output){
					      .send = send_control,
					      .message = on_message,
					      .done = on_done,
					      .context = talk,
				      });
	talk->heard_at = phone->now.monotonic_ms;
	talk->rekey_at = talk->caller ? phone->now.monotonic_ms + REKEY_MS : ENDPOINT_NEVER;
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if (talk->legs[i].state == LEG_OPEN)
			paths_relay_usable(&talk->paths, i, 0, phone->now.monotonic_ms);
}

void media_answered(struct talk *talk)
{
	paths_answered(&talk->paths, talk->phone->now.monotonic_ms);
}

void media_usable(struct talk *talk, unsigned path, bool usable, unsigned rtt_ms)
{
	uint64_t now = talk->phone->now.monotonic_ms;

	if (!talk->has_session)
		return;
	if (usable)
		paths_relay_usable(&talk->paths, path, rtt_ms, now);
	else
		paths_unusable(&talk->paths, path, now);
	news_tell(talk);
}

void media_tick(struct talk *talk)
{
	struct phone *phone = talk->phone;
	uint64_t now = phone->now.monotonic_ms;

	if (!talk->has_session)
		return;
	paths_tick(&talk->paths, now);
	send_probes(talk);
	control_tick(&talk->control, now);
	if (inside_due(phone, talk->rekey_at)) {
		int result = envelope_rekey(&talk->session);
		talk->rekey_at = now + (result == 0 ? REKEY_MS : REKEY_AGAIN_MS);
	}
	news_tell(talk);
	if (talk->state == TALK_TALKING && inside_due(phone, talk->heard_at + PHONE_LOST_MS))
		talk_end(talk, PHONE_END_LOST);
}

uint64_t media_deadline(const struct talk *talk)
{
	uint64_t at;

	if (!talk->has_session)
		return ENDPOINT_NEVER;
	at = inside_earlier(paths_deadline(&talk->paths, talk->phone->now.monotonic_ms),
		control_deadline(&talk->control));
	at = inside_earlier(at, talk->rekey_at);
	if (talk->state == TALK_TALKING)
		at = inside_earlier(at, talk->heard_at + PHONE_LOST_MS);
	return at;
}

void media_info(const struct talk *talk, struct phone_call_info *out)
{
	uint64_t now = talk->phone->now.monotonic_ms;

	for (unsigned path = 0; talk->has_session && path < PHONE_PATHS; path++) {
		struct paths_status status = paths_status(&talk->paths, path, now);
		out->path[path].usable = status.usable;
		if (status.rtt_ms != 0)
			out->path[path].round_trip_ms = status.rtt_ms;
	}
	pairs_info(talk, out);
}
