// SPDX-License-Identifier: BSD-3-Clause
// See replay_window.h.
#include "endpoint/session/replay_window.h"

enum { BLOCKS = REPLAY_WINDOW_SIZE / 64 + 1 };

bool replay_window_seen(const struct replay_window *window, uint64_t sequence)
{
	if (sequence == UINT64_MAX)
		return true;
	if (sequence >= window->highest)
		return false;
	if (window->highest - sequence > REPLAY_WINDOW_SIZE)
		return true;
	return window->blocks[sequence / 64 % BLOCKS] >> sequence % 64 & 1;
}

void replay_window_mark(struct replay_window *window, uint64_t sequence)
{
	if (sequence >= window->highest) {
		uint64_t from = window->highest == 0 ? 0 : (window->highest - 1) / 64 + 1;
		uint64_t to = sequence / 64;
		if (to >= from + BLOCKS)
			from = to - BLOCKS + 1;
		for (uint64_t block = from; block <= to; block++)
			window->blocks[block % BLOCKS] = 0;
		window->highest = sequence + 1;
	}
	window->blocks[sequence / 64 % BLOCKS] |= UINT64_C(1) << sequence % 64;
}
