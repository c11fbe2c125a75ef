// SPDX-License-Identifier: BSD-3-Clause
// See question.h.
#include "endpoint/relaycall/question.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void show_first(const struct questions *q)
{
	if (q->count > 0) {
		fprintf(stderr, "%s Accept? [y/N] ", q->queue[0].text);
		fflush(stderr);
	}
}

static void take_first(struct questions *q)
{
	q->count--;
	memmove(q->queue, q->queue + 1, q->count * sizeof(q->queue[0]));
}

static void answer(struct questions *q, bool yes)
{
	if (q->count == 0)
		return;
	uint64_t call = q->queue[0].call;
	take_first(q);
	q->answered(q->context, call, yes);
	show_first(q);
}

static void end_of_input(struct questions *q)
{
	q->over = true;
	uv_poll_stop(&q->poll);
	while (q->count > 0)
		answer(q, false);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct questions *q = poll->data;
	char bytes[256];

	(void)events;
	ssize_t got = status < 0 ? 0 : read(STDIN_FILENO, bytes, sizeof(bytes));
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		end_of_input(q);
		return;
	}
	for (ssize_t i = 0; i < got; i++) {
		if (bytes[i] == '\n') {
			answer(q, q->length > 0 && (q->line[0] == 'y' || q->line[0] == 'Y'));
			q->length = 0;
		} else if (q->length < sizeof(q->line)) {
			q->line[q->length++] = bytes[i];
		}
	}
}

void questions_begin(struct questions *questions, uv_loop_t *loop,
	void (*answered)(void *context, uint64_t call, bool yes), void *context)
{
	questions->answered = answered;
	questions->context = context;
	// What cannot be polled, a file or nothing, is nobody who could answer.
	questions->over = uv_poll_init(loop, &questions->poll, STDIN_FILENO) != 0;
	questions->open = !questions->over;
	questions->poll.data = questions;
	if (questions->open)
		uv_poll_start(&questions->poll, UV_READABLE | UV_DISCONNECT, on_readable);
}

bool questions_ask(struct questions *questions, uint64_t call, const char *text)
{
	if (questions->over || questions->count == QUESTIONS_MAX)
		return false;
	questions->queue[questions->count].call = call;
	snprintf(questions->queue[questions->count].text, QUESTION_SIZE, "%s", text);
	if (questions->count++ == 0)
		show_first(questions);
	return true;
}

void questions_forget(struct questions *questions, uint64_t call)
{
	for (unsigned i = 0; i < questions->count; i++)
		if (questions->queue[i].call == call) {
			questions->count--;
			memmove(questions->queue + i, questions->queue + i + 1,
				(questions->count - i) * sizeof(questions->queue[0]));
			if (i == 0) {
				fputs("(gone)\n", stderr);
				show_first(questions);
			}
			return;
		}
}

void questions_end(struct questions *questions)
{
	if (questions->open)
		uv_close((uv_handle_t *)&questions->poll, NULL);
	questions->open = false;
}
