// SPDX-License-Identifier: BSD-3-Clause
// Which sequences of a session have come: a window against replays as in RFC 6479, one bit a
// sequence in a ring of blocks that are cleared when the window moves over them. What is older than
// the window counts as seen. Ask, authenticate, then mark: what is not authentic moves nothing.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_WINDOW_SIZE = 2048 }; // sequences that may arrive late

// All zeros is an empty one.
struct replay_window {
	uint64_t highest;                             // marked, plus one
	uint64_t blocks[REPLAY_WINDOW_SIZE / 64 + 1]; // bits of a block are right once it is in use
};

// UINT64_MAX counts as seen: it has no place.
bool replay_window_seen(const struct replay_window *window, uint64_t sequence);
// sequence was not seen.
void replay_window_mark(struct replay_window *window, uint64_t sequence);
