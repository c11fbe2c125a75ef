// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of rss_plan.h.
#include "dataplane/steering/rss_plan.h"

#include <assert.h>
#include <string.h>

static unsigned log2_of(unsigned power)
{
	return (unsigned)__builtin_ctz(power);
}

static unsigned log2_at_least(unsigned value)
{
	return value <= 1 ? 0 : 32u - (unsigned)__builtin_clz(value - 1);
}

unsigned rss_class(unsigned class_bits, uint16_t port)
{
	unsigned class = 0, bits = port;
	for (unsigned t = 0; t < class_bits; t++)
		class |= ((bits >> (15 - t) ^ bits >> (class_bits - t)) & 1u) << t;
	return class;
}

static unsigned classes_of(unsigned class_bits, const uint16_t *listen, unsigned count)
{
	unsigned distinct = 0;
	for (unsigned i = 0; i < count; i++) {
		bool seen = false;
		for (unsigned j = 0; j < i; j++)
			seen |= rss_class(class_bits, listen[i]) ==
				rss_class(class_bits, listen[j]);
		distinct += !seen;
	}
	return distinct;
}

unsigned rss_class_bits(
	unsigned table, unsigned workers, const uint16_t *listen, unsigned listen_count)
{
	if (table < 4 || table > RSS_TABLE_MAX || (table & (table - 1)) || workers < 2)
		return 0;
	unsigned bits = log2_of(table), least = log2_at_least(workers);
	unsigned spread = least + 1 > bits / 2 ? least + 1 : bits / 2;
	for (; spread >= least; spread--) {
		unsigned class_bits = spread < bits ? bits - spread : 0;
		if (class_bits == 0 || class_bits > RSS_CLASS_BITS_MAX)
			continue;
		if ((1u << class_bits) >= workers + classes_of(class_bits, listen, listen_count))
			return class_bits;
	}
	return 0;
}

static void key_set(uint8_t *key, unsigned bit)
{
	key[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

void rss_plan_make(struct rss_plan *plan, enum net_family family, unsigned table,
	unsigned class_bits, unsigned workers, const uint16_t *listen, unsigned listen_count)
{
	unsigned bits = log2_of(table), port_bit = family == NET_IPV4 ? 80 : 272;
	assert(class_bits > 0 && class_bits < bits && class_bits <= RSS_CLASS_BITS_MAX);
	memset(plan, 0, sizeof(*plan));
	plan->family = family;
	plan->workers = workers;
	plan->class_bits = class_bits;
	plan->spread_bits = bits - class_bits;
	key_set(plan->key, port_bit + 31 - plan->spread_bits);
	key_set(plan->key, port_bit + 46 - bits);
	for (unsigned i = 0; i < listen_count; i++)
		plan->home[rss_class(class_bits, listen[i])] = RSS_NOBODY;
	unsigned next = 0;
	for (unsigned class = 0; class < 1u << class_bits; class ++)
		if (plan->home[class] != RSS_NOBODY)
			plan->home[class] = (uint8_t)(next++ % workers);
}

unsigned rss_plan_entry(const struct rss_plan *plan, unsigned index)
{
	uint8_t home = plan->home[index >> plan->spread_bits];
	unsigned spread = index & ((1u << plan->spread_bits) - 1);
	return home == RSS_NOBODY ? spread % plan->workers : home;
}
