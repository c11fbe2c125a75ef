// SPDX-License-Identifier: BSD-3-Clause
// The table of guard_rules.h. Prefixes nest or are disjoint, so a walk over them in the order of
// their first addresses (the shorter first) with a stack of those that are open cuts the address
// space into ranges in one pass: each prefix begins one, and the end of a prefix begins another
// with the rule of the prefix around it. A range is known by its first address; the last one that
// begins at or below an address is the one that holds it. With n rules there are at most 2n + 1
// ranges: 4096 rules are 13 comparisons. Create and free: main lcore; the rest: any.
#include "dataplane/guard_table.h"

#include "dataplane/guard_rules.h"

#include <stdlib.h>
#include <string.h>

// IPv4 addresses are numbers in its lowest 32 bits.
typedef unsigned __int128 wide;

struct range {
	wide first;
	bool blocked;
};

struct guard_table {
	struct guard_table *next;
	unsigned count[2]; // [0] IPv4, [1] IPv6
	struct range *ranges[2];
	size_t size; // of all of it
	struct range storage[];
};

// An open prefix.
struct open {
	wide last;
	bool blocked;
};

static wide number_of(const uint8_t *bytes, unsigned family)
{
	wide number = 0;
	for (unsigned i = 0; i < (family == NET_IPV4 ? 4 : 16); i++)
		number = number << 8 | bytes[i];
	return number;
}

static wide last_of(const struct net_prefix *prefix)
{
	bool v4 = prefix->address.family == NET_IPV4;
	unsigned behind = (v4 ? 32u : 128u) - prefix->length;
	wide first = number_of(prefix->address.bytes, prefix->address.family);
	wide mask = behind == 128 ? ~(wide)0 : ((wide)1 << behind) - 1;
	return first | mask;
}

static int compare(const void *a, const void *b)
{
	const struct net_prefix *p = &((const struct api_guard_rule *)a)->prefix;
	const struct net_prefix *q = &((const struct api_guard_rule *)b)->prefix;
	int order = net_address_compare(&p->address, &q->address);
	return order ? order : (int)p->length - (int)q->length;
}

// A range that begins where the last one does replaces it; one that is like the last one is none.
static void emit(struct guard_table *table, unsigned v6, wide first, bool blocked)
{
	struct range *ranges = table->ranges[v6];
	unsigned *count = &table->count[v6];
	if (*count && ranges[*count - 1].first == first)
		--*count;
	if (*count ? ranges[*count - 1].blocked == blocked : !blocked)
		return;
	ranges[(*count)++] = (struct range){first, blocked};
}

// sorted: of one family.
static void cut(
	struct guard_table *table, unsigned v6, const struct api_guard_rule *sorted, unsigned count)
{
	struct open stack[129] = {0};
	unsigned depth = 0;
	const wide end = v6 ? ~(wide)0 : UINT32_MAX;
	for (unsigned i = 0; i <= count; i++) {
		const struct net_prefix *p = i < count ? &sorted[i].prefix : NULL;
		wide first = p ? number_of(p->address.bytes, p->address.family) : 0;
		while (depth && (!p || stack[depth - 1].last < first)) {
			wide last = stack[--depth].last;
			if (last != end)
				emit(table, v6, last + 1, depth && stack[depth - 1].blocked);
		}
		if (!p)
			return;
		bool blocked = sorted[i].action == API_GUARD_BLOCK;
		stack[depth++] = (struct open){last_of(p), blocked};
		emit(table, v6, first, blocked);
	}
}

struct guard_table *guard_table_create(const struct api_guard_rule *rules, unsigned count)
{
	size_t size = sizeof(struct guard_table) + (2 * (size_t)count + 2) * sizeof(struct range);
	struct guard_table *table = calloc(1, size);
	struct api_guard_rule *sorted = calloc(count ? count : 1, sizeof(*sorted));
	if (table == NULL || sorted == NULL) {
		free(table);
		free(sorted);
		return NULL;
	}
	table->size = size;
	memcpy(sorted, rules, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare);
	unsigned v4 = 0;
	while (v4 < count && sorted[v4].prefix.address.family == NET_IPV4)
		v4++;
	table->ranges[0] = table->storage;
	cut(table, 0, sorted, v4);
	table->ranges[1] = table->storage + 2 * (size_t)v4 + 1;
	cut(table, 1, sorted + v4, count - v4);
	explicit_bzero(sorted, count * sizeof(*sorted));
	free(sorted);
	return table;
}

void guard_table_free(struct guard_table *table)
{
	while (table) {
		struct guard_table *next = table->next;
		explicit_bzero(table, table->size);
		free(table);
		table = next;
	}
}

struct guard_table **guard_table_next(struct guard_table *table)
{
	return &table->next;
}

bool guard_table_blocks(const struct guard_table *table, const uint8_t *source, unsigned family)
{
	unsigned v6 = family != NET_IPV4;
	const struct range *ranges = table->ranges[v6];
	unsigned count = table->count[v6];
	if (count == 0)
		return false;
	wide address = number_of(source, family);
	// ranges[0..low) begin at or below it.
	unsigned low = 0;
	while (count > 0) {
		unsigned half = count / 2;
		if (ranges[low + half].first <= address) {
			low += half + 1;
			count -= half + 1;
		} else {
			count = half;
		}
	}
	return low && ranges[low - 1].blocked;
}
