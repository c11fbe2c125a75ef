// SPDX-License-Identifier: BSD-3-Clause
// Leases from inside, main's side: what leases.c, leases_life.c and leases_index.c share. Main
// lcore.
#pragma once

#include "dataplane/table/leases.h"
#include "dataplane/table/prefix_shares.h"

struct leases_main {
	struct flow_table by_device; // mark -> entry, of leases and tombstones
	struct keyed_hash_key device_key;
	uint32_t *due; // of each entry, for the scan; 0: free
	uint32_t *free_indices;
	uint32_t free_count, scan;
	struct prefix_shares shares;
	uint16_t *place; // of each entry, in shares
	uint64_t hz;
	// New leases: when the next would be due if they came evenly; a second's worth may come at
	// once.
	uint64_t interval, paid_until; // TSC
};

// Where an address is in the index.
struct leases_head {
	_Atomic uint64_t *word; // NULL: the address has no lease
	uint32_t index;
};

struct leases_head leases_head_find(
	const struct leases *leases, const uint8_t *address, uint64_t hash);

// The free word that an address without a lease gets; NULL: there is none.
_Atomic uint64_t *leases_word_choose(const struct leases *leases, uint64_t hash);

// The entry is whole; from here on readers find it.
static inline void leases_link_head(const struct leases_head *head, uint64_t hash, uint32_t index)
{
	atomic_store_explicit(head->word, leases_tag(hash) << 32 | index, memory_order_release);
}

// Nothing leads to the entry any more when this returns.
void leases_unlink(struct leases *leases, uint32_t index);
