// SPDX-License-Identifier: BSD-3-Clause
// Claiming and releasing relayed ports, see relay_ports.h. The owner worker; create and free: main
// lcore while no worker runs.
#include "dataplane/table/relay_ports.h"

#include "dataplane/table/memory.h"
#include "ebpf/guard_maps.h"

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

// Slow path: once per allocation's port. Neighbouring ports share words, so these are atomic
// read-modify-writes; the XDP programs read them as plain words.
static void guards_tell(struct relay_ports *ports, unsigned address, uint16_t port, bool owned)
{
	uint64_t bit = steer_guard_port_bit(port);
	for (unsigned i = 0; i < ports->guard_count; i++) {
		_Atomic uint64_t *word = steer_guard_port_word(ports->guards[i], address, port);
		if (owned)
			atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
		else
			atomic_fetch_and_explicit(word, ~bit, memory_order_relaxed);
	}
}

int relay_ports_claim(struct relay_ports *ports, unsigned address, uint16_t port,
	const struct relay_port_owner *owner)
{
	if (!relay_ports_contains(ports, address, port))
		return -EINVAL;
	uint64_t empty = 0;
	// Release: who reads the word also reads what this worker wrote before, though other
	// workers never look into the allocation. Acquire: the last owner has cleared the guards'
	// bit before it gave the word back.
	bool won = atomic_compare_exchange_strong_explicit(relay_ports_word(ports, address, port),
		&empty, relay_ports_pack(owner), memory_order_acq_rel, memory_order_relaxed);
	if (won)
		guards_tell(ports, address, port, true);
	return won ? 0 : -EADDRINUSE;
}

void relay_ports_release(struct relay_ports *ports, unsigned address, uint16_t port,
	const struct relay_port_owner *owner)
{
	if (address >= ports->addresses)
		return;
	_Atomic uint64_t *word = relay_ports_word(ports, address, port);
	if (atomic_load_explicit(word, memory_order_relaxed) != relay_ports_pack(owner))
		return;
	// Only its owner changes a word that is owned. The bit first: behind the word it could be
	// the next owner's that is cleared.
	guards_tell(ports, address, port, false);
	atomic_store_explicit(word, 0, memory_order_release);
}
