// SPDX-License-Identifier: BSD-3-Clause
// A stand-in for the system's random numbers, so that an input does the same each time:
// randombytes_set_implementation(&reproducible), and random_state set at the begin of each input.
// Include once per program.
#pragma once

#include <sodium.h>

#include <stdint.h>

static uint64_t random_state;

static uint32_t random_next(void)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(random_state >> 32);
}

static void random_fill(void *buffer, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((uint8_t *)buffer)[i] = (uint8_t)random_next();
}

static const char *random_name(void)
{
	return "reproducible";
}

static randombytes_implementation reproducible = {
	.implementation_name = random_name, .random = random_next, .buf = random_fill};
