// SPDX-License-Identifier: BSD-3-Clause
// See conversation.h.
#include "endpoint/relaycall/conversation.h"

#include "endpoint/phone/phone_driver.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	SEND_AT_ONCE = 5,   // frames after a late timer; older ones are not said any more
	PLAY_AT_ONCE = 100, // and 2 s of what is heard
	DRAIN_MS = 1000,    // of the buffer, at the end
	LOOK_MS = 1000,     // how it goes
	TAIL_MS = 500,      // --hangup-at-end: for the last words to arrive
};

static uint64_t now_ms(void)
{
	return phone_driver_now().monotonic_ms;
}

void conversation_begin(struct conversation *conversation, const struct relaycall_options *options,
	uv_loop_t *loop, struct phone *phone, struct call_view *view, void (*over)(void *context),
	void *context)
{
	memset(conversation, 0, sizeof(*conversation));
	conversation->options = options;
	conversation->loop = loop;
	conversation->phone = phone;
	conversation->view = view;
	conversation->over = over;
	conversation->context = context;
	uv_timer_init(loop, &conversation->timer);
	conversation->timer.data = conversation;
}

void conversation_close(struct conversation *conversation)
{
	uv_close((uv_handle_t *)&conversation->timer, NULL);
}

// ---- sound ----

static int open_source(struct conversation *c, char error[AUDIO_ERROR_SIZE])
{
	static const struct {
		const char *name;
		enum audio_signal signal;
	} signals[] = {{"silence", AUDIO_SILENCE}, {"tone", AUDIO_TONE}, {"speech", AUDIO_SPEECH}};
	const char *in = c->options->in;

	c->live = in == NULL;
	if (in == NULL)
		return audio_source_open_device(&c->source, c->loop, c->options->device, error);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (strcmp(in, signals[i].name) == 0)
			return audio_source_open_signal(&c->source, signals[i].signal, error);
	return audio_source_open_wav(&c->source, in, error);
}

// "b.wav" of the second call is "b-2.wav".
static void numbered(const char *path, unsigned number, char *out, size_t size)
{
	const char *slash = strrchr(path, '/');
	const char *dot = strrchr(slash != NULL ? slash : path, '.');
	int stem = (int)(dot != NULL ? (size_t)(dot - path) : strlen(path));

	if (number <= 1)
		snprintf(out, size, "%s", path);
	else
		snprintf(out, size, "%.*s-%u%s", stem, path, number, dot != NULL ? dot : "");
}

static int open_sink(struct conversation *c, unsigned number, char error[AUDIO_ERROR_SIZE])
{
	const char *out = c->options->out;
	char path[4096];

	if (out == NULL)
		return audio_sink_open_device(&c->sink, c->loop, c->options->device, error);
	if (strcmp(out, "none") == 0)
		return audio_sink_open_nothing(&c->sink, error);
	numbered(out, number, path, sizeof(path));
	return audio_sink_open_wav(&c->sink, path, error);
}

static void close_sound(struct conversation *c)
{
	audio_source_close(c->source);
	c->source = NULL;
	int result = audio_sink_close(c->sink);
	if (result != 0 && !c->sink_failed)
		relaycall_fail(0, "not all of what was heard was written: %s", strerror(-result));
	c->sink = NULL;
	voice_sender_free(c->sender);
	voice_receiver_free(c->receiver);
	c->sender = NULL;
	c->receiver = NULL;
}

bool conversation_open(struct conversation *conversation, unsigned number)
{
	struct conversation *c = conversation;
	const struct voice_sender_config sending = {0};
	const struct voice_receiver_config receiving = {0};
	char error[AUDIO_ERROR_SIZE];

	close_sound(c);
	c->source_over = c->sink_failed = false;
	int result = open_source(c, error);
	if (result != 0) {
		c->source = NULL;
		relaycall_fail(0, "%s", error);
		return false;
	}
	result = open_sink(c, number, error);
	if (result != 0) {
		c->sink = NULL;
		relaycall_fail(0, "%s", error);
		close_sound(c);
		return false;
	}
	result = voice_sender_create(&c->sender, &sending);
	if (result == 0)
		result = voice_receiver_create(&c->receiver, &receiving);
	if (result == 0)
		return true;
	relaycall_fail(0, "no memory for a call");
	close_sound(c);
	return false;
}

bool conversation_check(struct conversation *conversation)
{
	if (!conversation_open(conversation, 1))
		return false;
	close_sound(conversation);
	return true;
}

// ---- every 20 ms ----

static void set_timer(struct conversation *c);

// Once a call has ended there is nothing to be asked any more.
static void refresh(struct conversation *c)
{
	struct phone_call_info info;

	if (phone_call_info(c->phone, c->call, &info) == 0)
		c->record.info = info;
	voice_receiver_statistics(c->receiver, &c->record.voice);
}

static void send_frame(struct conversation *c, uint64_t now)
{
	int16_t pcm[VOICE_FRAME_SAMPLES];
	uint8_t payload[VOICE_PAYLOAD_MAX];

	if (!c->has_path && !c->live)
		return;
	if (!audio_source_read(c->source, pcm) && !c->source_over) {
		c->source_over = true;
		if (c->options->hangup_at_end && now + TAIL_MS < c->end_at)
			c->end_at = now + TAIL_MS;
	}
	if (!c->has_path)
		return;
	size_t size = voice_sender_encode(c->sender, pcm, payload);
	if (phone_voice(c->phone, c->call, payload, size, phone_driver_now()) == 0)
		c->record.sent++;
	else
		c->record.unsent++;
}

static void send_due(struct conversation *c, uint64_t now)
{
	unsigned due = beat_due(&c->sending, now, SEND_AT_ONCE);

	while (due-- > 0 && c->call != 0)
		send_frame(c, now);
}

static void play_frame(struct conversation *c, uint64_t now)
{
	int16_t pcm[VOICE_FRAME_SAMPLES];

	voice_receiver_play(c->receiver, pcm, now);
	int result = audio_sink_write(c->sink, pcm);
	if (result != 0 && !c->sink_failed) {
		c->sink_failed = true;
		call_view_clear(c->view);
		relaycall_fail(0, "what is heard cannot be written: %s", strerror(-result));
	}
}

static void play_due(struct conversation *c, uint64_t now)
{
	unsigned due = beat_due(&c->playing, now, PLAY_AT_ONCE);

	while (due-- > 0)
		play_frame(c, now);
}

// An event in between may end the conversation: each step looks whether it still goes on.
static void on_timer(uv_timer_t *timer)
{
	struct conversation *c = timer->data;
	uint64_t now = now_ms();

	send_due(c, now);
	if (c->call != 0) {
		play_due(c, now);
		refresh(c);
	}
	if (c->call != 0 && now >= c->look_at) {
		c->look_at = now + LOOK_MS;
		(void)phone_report_loss(
			c->phone, c->call, c->record.voice.loss_percent, phone_driver_now());
		call_view_status(c->view, &c->record, now);
	}
	if (c->call != 0 && now >= c->end_at)
		c->over(c->context);
	set_timer(c);
}

static void set_timer(struct conversation *c)
{
	uint64_t at =
		c->sending.next_ms < c->playing.next_ms ? c->sending.next_ms : c->playing.next_ms;

	if (c->call == 0)
		return;
	uv_update_time(c->loop);
	uint64_t now = uv_now(c->loop);
	uv_timer_start(&c->timer, on_timer, at > now ? at - now : 1, 0);
}

// ---- what happens ----

void conversation_record(struct conversation *conversation, bool incoming,
	const uint8_t identity_key[ENDPOINT_KEY_SIZE], const char *name, bool known)
{
	struct call_record *r = &conversation->record;
	struct timespec wall;

	memset(r, 0, sizeof(*r));
	clock_gettime(CLOCK_REALTIME, &wall);
	r->start_wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
	r->start_ms = now_ms();
	r->incoming = incoming;
	r->known = known;
	memcpy(r->identity_key, identity_key, sizeof(r->identity_key));
	snprintf(r->name, sizeof(r->name), "%s", name);
	conversation->has_path = false;
}

void conversation_start(struct conversation *conversation, uint64_t call)
{
	struct conversation *c = conversation;
	uint64_t now = now_ms();

	c->call = call;
	// The phone's own time, from which the relay's 800 ms count; this may run a little later.
	if (phone_call_info(c->phone, call, &c->record.info) == 0)
		c->record.answered_ms = c->record.info.answered_ms;
	else
		c->record.answered_ms = now;
	// Who answers at once does so in the moment in which it rings.
	if (c->record.answered_ms < c->record.ringing_ms)
		c->record.ringing_ms = c->record.answered_ms;
	if (c->record.start_ms > c->record.answered_ms)
		c->record.start_ms = c->record.answered_ms;
	c->sending = c->playing = (struct beat){.next_ms = now, .period_ms = VOICE_FRAME_MS};
	c->look_at = now + LOOK_MS;
	c->end_at = c->options->duration_ms > 0 ? now + c->options->duration_ms : UINT64_MAX;
	set_timer(c);
}

void conversation_path(struct conversation *conversation, const struct phone_event *event)
{
	struct conversation *c = conversation;
	uint64_t now = now_ms();

	call_record_change(&c->record, now, event->path.before, event->path.now, event->path.why);
	phone_call_info(c->phone, event->call, &c->record.info);
	call_view_change(c->view, &c->record);
	if (c->has_path || event->path.now == 0)
		return;
	c->has_path = true;
	if (c->call == 0)
		return;
	// Not at the next beat of a clock that began at the answer.
	c->sending.next_ms = now;
	send_due(c, now);
	set_timer(c);
}

void conversation_loss(struct conversation *c, const struct phone_event *event)
{
	if (c->sender != NULL)
		voice_sender_expect_loss(c->sender, event->loss.percent);
}

void conversation_voice(struct conversation *conversation, const struct phone_event *event)
{
	struct conversation *c = conversation;
	uint64_t now = now_ms();

	uint64_t *first =
		event->path.number < 2 ? &c->record.heard_relay_ms : &c->record.heard_direct_ms;
	if (*first == 0)
		*first = now;
	if (c->call != 0)
		voice_receiver_receive(c->receiver, event->data, event->size, now);
}

// What lies in the buffer was said before the other side has hung up.
static void drain(struct conversation *c)
{
	uint64_t at = c->playing.next_ms, end = at + DRAIN_MS;

	for (; at < end; at += VOICE_FRAME_MS) {
		voice_receiver_statistics(c->receiver, &c->record.voice);
		if (c->record.voice.buffered == 0)
			return;
		play_frame(c, at);
	}
}

void conversation_end(struct conversation *conversation, const char *word, const char *text)
{
	struct conversation *c = conversation;

	uv_timer_stop(&c->timer);
	if (c->call != 0) {
		refresh(c);
		drain(c);
	}
	c->call = 0;
	close_sound(c);
	for (unsigned i = 0; i < PHONE_COUNTER_COUNT; i++)
		c->record.counters[i] = phone_counter(c->phone, (enum phone_counter)i);
	c->record.ended_ms = now_ms();
	c->record.ended = word;
	call_view_end(c->view, &c->record, text);
	if (c->options->stats == NULL)
		return;
	int result = call_record_append(&c->record, c->options->verbose, c->options->stats);
	if (result != 0)
		relaycall_fail(0, "cannot write into %s: %s", c->options->stats, strerror(-result));
}
