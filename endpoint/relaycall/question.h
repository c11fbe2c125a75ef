// SPDX-License-Identifier: BSD-3-Clause
// Asks on the terminal, one question after the other, whether a call is to be accepted. A line that
// begins with y is a yes; the end of input is a no to everything.
#pragma once

#include <uv.h>

#include <stdbool.h>
#include <stdint.h>

enum { QUESTIONS_MAX = 16, QUESTION_SIZE = 512 };

struct questions {
	uv_poll_t poll;
	bool open; // poll is in use
	bool over; // no more input
	unsigned count;
	struct {
		uint64_t call;
		char text[QUESTION_SIZE];
	} queue[QUESTIONS_MAX];
	char line[64];
	unsigned length;
	void (*answered)(void *context, uint64_t call, bool yes);
	void *context;
};

void questions_begin(struct questions *questions, uv_loop_t *loop,
	void (*answered)(void *context, uint64_t call, bool yes), void *context);
// False: too many wait, or nobody can answer; it is a no then.
bool questions_ask(struct questions *questions, uint64_t call, const char *text);
// The call has ended by itself.
void questions_forget(struct questions *questions, uint64_t call);
void questions_end(struct questions *questions);
