// SPDX-License-Identifier: BSD-3-Clause
// See dice.h.
#include "tests/sim/dice.h"

#include <sodium.h>

#include <string.h>

static uint64_t split_mix(uint64_t *state)
{
	uint64_t z = *state += 0x9E3779B97F4A7C15u;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

void dice_seed(struct dice *dice, uint64_t seed, uint64_t stream)
{
	uint64_t state = seed;
	state = split_mix(&state) ^ stream;
	for (unsigned i = 0; i < 4; i++)
		dice->state[i] = split_mix(&state);
}

static uint64_t rotated(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

uint64_t dice_throw(struct dice *dice)
{
	uint64_t *s = dice->state, result = rotated(s[1] * 5, 7) * 9, t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotated(s[3], 45);
	return result;
}

uint64_t dice_below(struct dice *dice, uint64_t below)
{
	return dice_throw(dice) % below;
}

uint64_t dice_between(struct dice *dice, uint64_t low, uint64_t high)
{
	return low + dice_below(dice, high - low + 1);
}

bool dice_chance(struct dice *dice, uint32_t of_a_million)
{
	return dice_below(dice, 1000000) < of_a_million;
}

// A geometric one: halvings until a bit is 0, and something even within the last one. Integers
// only, so that no library's rounding is part of a seed.
uint64_t dice_wait(struct dice *dice, uint64_t mean)
{
	uint64_t bits = dice_throw(dice), halvings = 0;
	while (halvings < 8 && (bits >> halvings & 1))
		halvings++;
	// Half-lives are 0.69 of the mean.
	uint64_t half = mean * 69 / 100 + 1;
	return halvings * half + dice_below(dice, half) + 1;
}

void dice_fill(struct dice *dice, void *out, size_t size)
{
	uint8_t *p = out;
	for (size_t done = 0; done < size; done += 8) {
		uint64_t word = dice_throw(dice);
		memcpy(p + done, &word, size - done < 8 ? size - done : 8);
	}
}

// ---- libsodium ----

static struct dice sodium_dice;

static const char *sodium_name(void)
{
	return "simulation";
}

static uint32_t sodium_random(void)
{
	return (uint32_t)dice_throw(&sodium_dice);
}

static void sodium_buf(void *const out, const size_t size)
{
	dice_fill(&sodium_dice, out, size);
}

static struct randombytes_implementation sodium_from_seed = {
	.implementation_name = sodium_name,
	.random = sodium_random,
	.buf = sodium_buf,
};

void dice_replace_libsodium(uint64_t seed)
{
	dice_seed(&sodium_dice, seed, 0x50D1);
	randombytes_set_implementation(&sodium_from_seed);
}
