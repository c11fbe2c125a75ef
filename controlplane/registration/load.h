// SPDX-License-Identifier: BSD-3-Clause
// How many registrations a second come that have to be admitted, and how hard the puzzle is for
// that: nothing below the threshold, then 12 bits and one more for each doubling, at most 24. It
// rises within the second in which the load does, and comes down by halves.
//
// What clients are told takes time to reach them, and solving takes time: a solution counts as long
// as it has what was asked for at any time within the life of a cookie. The seconds in which
// nothing was asked for do not count: otherwise a flood would be free for its first half minute.
#pragma once

#include <stdint.h>

enum {
	REGISTRATION_PUZZLE_LEAST = 12,
	REGISTRATION_PUZZLE_MOST = 24,
	REGISTRATION_LOAD_SECONDS = 36, // a cookie's life, and 5 s for workers to be told
};

struct registration_load {
	uint64_t second; // of the clock, which `count` is about
	uint32_t count;
	uint32_t load; // a second
	uint8_t difficulty;
	// Lowest difficulty but 0 of each of the last seconds; 0: none.
	uint8_t lowest[REGISTRATION_LOAD_SECONDS];
};

// threshold: registrations a second, not 0.
void registration_load_advance(struct registration_load *load, uint32_t threshold, uint64_t now_ms);
// One more has come; advance first.
void registration_load_count(struct registration_load *load, uint32_t threshold);
// Zero bits that a solution shown now must have.
uint8_t registration_load_wanted(const struct registration_load *load);
