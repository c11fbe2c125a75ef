// SPDX-License-Identifier: BSD-3-Clause
// Covering a range of ports by blocks, and blocks by classes; see port_rules.h.
#include "dataplane/steering/port_rules.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct cover {
	struct port_rule *out;
	unsigned count;
	const struct steering_homes *homes;
	uint32_t first, last;
	const uint16_t *listen;
	unsigned listen_count;
};

void port_rules_homes(struct steering_homes *homes, unsigned workers)
{
	assert(workers > 0);
	unsigned classes = 1;
	while (classes < workers)
		classes *= 2;
	if (classes != workers)
		classes *= 2;
	homes->known = true;
	for (unsigned pair = 0; pair < STEERING_PAIRS; pair++)
		homes->worker[pair] = (uint8_t)(pair % classes % workers);
}

// How few low bits of port / 2 tell the homes of a block's ports; -1: more than we look at.
static int class_bits(const struct cover *cover, uint32_t base, uint32_t size)
{
	uint32_t pairs = size / 2, start = base / 2;
	for (unsigned bits = 0; bits <= PORT_RULES_CLASS_BITS_MAX; bits++) {
		uint32_t period = 1u << bits, i;
		if (period >= pairs)
			return (int)bits;
		for (i = period; i < pairs; i++)
			if (cover->homes->worker[start + i] !=
				cover->homes->worker[start + i % period])
				break;
		if (i == pairs)
			return (int)bits;
	}
	return -1;
}

static bool holds_listen(const struct cover *cover, uint32_t base, uint32_t size)
{
	for (unsigned i = 0; i < cover->listen_count; i++)
		if (cover->listen[i] >= base && cover->listen[i] < base + size)
			return true;
	return false;
}

static bool emit(struct cover *cover, uint32_t base, uint32_t size, unsigned bits)
{
	for (uint32_t class = 0; class < 1u << bits && class * 2 < size; class ++) {
		uint8_t worker = cover->homes->worker[base / 2 + class];
		if (worker == STEERING_NOBODY)
			continue;
		if (cover->count == PORT_RULES_MAX)
			return false;
		cover->out[cover->count++] = (struct port_rule){
			.value = (uint16_t)(base | class << 1),
			.mask = (uint16_t)(~(size - 1) | ((1u << bits) - 1) << 1),
			.worker = worker,
		};
	}
	return true;
}

// base is a multiple of size, a power of two of at least 2.
static bool cover_block(struct cover *cover, uint32_t base, uint32_t size)
{
	if (base > cover->last || base + size <= cover->first)
		return true;
	int bits = holds_listen(cover, base, size) ? -1 : class_bits(cover, base, size);
	if (bits >= 0)
		return emit(cover, base, size, (unsigned)bits);
	// A pair with a listen port beside a relayed one is left to chance.
	if (size == 2)
		return true;
	return cover_block(cover, base, size / 2) && cover_block(cover, base + size / 2, size / 2);
}

int port_rules_make(struct port_rule out[static PORT_RULES_MAX], const struct steering_homes *homes,
	uint16_t first, uint16_t last, const uint16_t *listen, unsigned listen_count)
{
	struct cover cover = {.out = out,
		.homes = homes,
		.first = first,
		.last = last,
		.listen = listen,
		.listen_count = listen_count};
	return cover_block(&cover, 0, 65536) ? (int)cover.count : -E2BIG;
}
