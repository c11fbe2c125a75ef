// SPDX-License-Identifier: BSD-3-Clause
// Chance from a seed: streams of numbers that repeat exactly (xoshiro256**, seeded by SplitMix64),
// one for each who throws, so that one more throw here changes nothing there. Not for secrets: what
// libsodium gives the relay in a simulation is as well known as everything else in it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
	uint64_t state[4];
};

// Streams of one seed are independent of each other.
void dice_seed(struct dice *dice, uint64_t seed, uint64_t stream);
uint64_t dice_throw(struct dice *dice);
// 0 to below - 1; below is not 0.
uint64_t dice_below(struct dice *dice, uint64_t below);
// From low to high, both included.
uint64_t dice_between(struct dice *dice, uint64_t low, uint64_t high);
bool dice_chance(struct dice *dice, uint32_t of_a_million);
// Waiting time of something that comes once in `mean` on the average; at most eight times that.
uint64_t dice_wait(struct dice *dice, uint64_t mean);
void dice_fill(struct dice *dice, void *out, size_t size);

// From now on libsodium's random bytes are a stream of the seed. Before sodium_init.
void dice_replace_libsodium(uint64_t seed);
