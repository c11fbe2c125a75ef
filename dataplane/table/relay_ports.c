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
	ports->first = addresses->relay_first;
	ports->last = addresses->relay_last;
	ports->count = (uint32_t)(addresses->relay_last - addresses->relay_first) + 1;
	ports->addresses = addresses->listen_count;
	ports->words = table_memory_take(
		(size_t)ports->addresses * ports->count, sizeof(*ports->words), -1);
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
		ports->words, (size_t)ports->addresses * ports->count, sizeof(*ports->words));
	table_memory_give(ports, 1, sizeof(*ports));
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
	if (!relay_ports_contains(ports, address, port))
		return;
	uint64_t mine = relay_ports_pack(owner);
	atomic_compare_exchange_strong_explicit(relay_ports_word(ports, address, port), &mine, 0,
		memory_order_release, memory_order_relaxed);
}
