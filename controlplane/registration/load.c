// SPDX-License-Identifier: BSD-3-Clause
// The measure of load.h: one count a second.
#include "controlplane/registration/load.h"

static uint8_t difficulty_of(uint32_t load, uint32_t threshold)
{
	if (load < threshold)
		return 0;
	uint8_t bits = REGISTRATION_PUZZLE_LEAST;
	while (bits < REGISTRATION_PUZZLE_MOST && load / 2 >= threshold) {
		load /= 2;
		bits++;
	}
	return bits;
}

static void set_difficulty(struct registration_load *load, uint32_t threshold)
{
	load->difficulty = difficulty_of(load->load, threshold);
	uint8_t *lowest = &load->lowest[load->second % REGISTRATION_LOAD_SECONDS];
	if (load->difficulty > 0 && (*lowest == 0 || load->difficulty < *lowest))
		*lowest = load->difficulty;
}

void registration_load_advance(struct registration_load *load, uint32_t threshold, uint64_t now_ms)
{
	uint64_t second = now_ms / 1000;
	if (second > load->second + REGISTRATION_LOAD_SECONDS) {
		*load = (struct registration_load){.second = second};
		return;
	}
	while (load->second < second) {
		uint32_t mean = (uint32_t)(((uint64_t)load->load + load->count) / 2);
		load->load = load->count > mean ? load->count : mean;
		load->count = 0;
		load->second++;
		load->lowest[load->second % REGISTRATION_LOAD_SECONDS] = 0;
		set_difficulty(load, threshold);
	}
	// The threshold may have been set anew.
	set_difficulty(load, threshold);
}

void registration_load_count(struct registration_load *load, uint32_t threshold)
{
	if (load->count < UINT32_MAX)
		load->count++;
	if (load->count > load->load) {
		load->load = load->count;
		set_difficulty(load, threshold);
	}
}

uint8_t registration_load_wanted(const struct registration_load *load)
{
	uint8_t wanted = load->difficulty;
	for (unsigned i = 0; wanted > 0 && i < REGISTRATION_LOAD_SECONDS; i++)
		if (load->lowest[i] > 0 && load->lowest[i] < wanted)
			wanted = load->lowest[i];
	return wanted;
}
