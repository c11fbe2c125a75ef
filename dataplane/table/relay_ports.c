// SPDX-License-Identifier: BSD-3-Clause
// Claiming and releasing relayed ports, see relay_ports.h. The owner worker; create and free: main
// lcore while no worker runs.
#include "dataplane/table/relay_ports.h"

#include "dataplane/table/memory.h"

#include <errno.h>

struct relay_ports *relay_ports_create(const struct node_addresses *addresses)
{
	struct relay_ports *ports = table_memory_take(1, sizeof(*ports), -1);
	if (ports == NULL)
		return NULL;
	struct relay_range range = {addresses->relay_first, addresses->relay_last};
	relay_ports_set(ports, &range, &range);
	ports->addresses = addresses->listen_count;
	ports->words = table_memory_take(
		(size_t)ports->addresses * RELAY_PORTS_EACH, sizeof(*ports->words), -1);
	if (ports->words == NULL) {
		table_memory_give(ports, 1, sizeof(*ports));
		return NULL;
	}
	return ports;
}

void relay_ports_free(struct relay_ports *ports)
{
	if (ports == NULL)
		return;
	table_memory_give(
		ports->words, (size_t)ports->addresses * RELAY_PORTS_EACH, sizeof(*ports->words));
	table_memory_give(ports, 1, sizeof(*ports));
}

static uint64_t pack_range(const struct relay_range *range)
{
	return range->first | (uint64_t)(uint16_t)(range->last - range->first) << 16;
}

static struct relay_range unpack_range(uint64_t word)
{
	return (struct relay_range){(uint16_t)word, (uint16_t)(word + (word >> 16))};
}

void relay_ports_set(
	struct relay_ports *ports, const struct relay_range *now, const struct relay_range *earlier)
{
	atomic_store_explicit(
		&ports->ranges, pack_range(now) | pack_range(earlier) << 32, memory_order_relaxed);
}

void relay_ports_ranges(
	const struct relay_ports *ports, struct relay_range *now, struct relay_range *earlier)
{
	uint64_t word = atomic_load_explicit(&ports->ranges, memory_order_relaxed);
	*now = unpack_range(word);
	*earlier = unpack_range(word >> 32);
}

bool relay_ports_owned(const struct relay_ports *ports, const struct relay_range *range,
	const struct relay_range *but)
{
	for (unsigned a = 0; a < ports->addresses; a++)
		for (unsigned p = range->first; p <= range->last; p++)
			if ((p < but->first || p > but->last) &&
				atomic_load_explicit(relay_ports_word(ports, a, (uint16_t)p),
					memory_order_relaxed) != 0)
				return true;
	return false;
}

int relay_ports_claim(struct relay_ports *ports, unsigned address, uint16_t port,
	const struct relay_port_owner *owner)
{
	if (!relay_ports_contains(ports, address, port))
		return -EINVAL;
	uint64_t empty = 0;
	// Release: who reads the word also reads what this worker wrote before, though other
	// workers never look into the allocation.
	bool won = atomic_compare_exchange_strong_explicit(relay_ports_word(ports, address, port),
		&empty, relay_ports_pack(owner), memory_order_release, memory_order_relaxed);
	return won ? 0 : -EADDRINUSE;
}

void relay_ports_release(struct relay_ports *ports, unsigned address, uint16_t port,
	const struct relay_port_owner *owner)
{
	if (address >= ports->addresses)
		return;
	uint64_t mine = relay_ports_pack(owner);
	atomic_compare_exchange_strong_explicit(relay_ports_word(ports, address, port), &mine, 0,
		memory_order_release, memory_order_relaxed);
}
