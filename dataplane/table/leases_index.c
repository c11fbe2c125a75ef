// SPDX-License-Identifier: BSD-3-Clause
// Leases: main's way through the index, and what leads to an entry; see leases.h. Main lcore.
#include "dataplane/table/leases_main.h"

#include "dataplane/table/sequence.h"

struct leases_head leases_head_find(
	const struct leases *leases, const uint8_t *address, uint64_t hash)
{
	for (unsigned b = 0; b < 2; b++) {
		_Atomic uint64_t *bucket = leases_bucket(leases, hash, b);
		for (unsigned i = 0; i < LEASES_SLOTS; i++) {
			uint64_t word = atomic_load_explicit(&bucket[i], memory_order_relaxed);
			uint32_t index = (uint32_t)word;
			if (word >> 32 == leases_tag(hash) &&
				memcmp(leases->entries[index].address, address,
					NATIVE_ADDRESS_SIZE) == 0)
				return (struct leases_head){&bucket[i], index};
		}
	}
	return (struct leases_head){NULL, LEASES_NONE};
}

_Atomic uint64_t *leases_word_choose(const struct leases *leases, uint64_t hash)
{
	_Atomic uint64_t *free_word[2] = {NULL, NULL};
	unsigned used[2] = {0, 0};
	for (unsigned b = 0; b < 2; b++) {
		_Atomic uint64_t *bucket = leases_bucket(leases, hash, b);
		for (unsigned i = 0; i < LEASES_SLOTS; i++) {
			if (atomic_load_explicit(&bucket[i], memory_order_relaxed) != 0)
				used[b]++;
			else if (free_word[b] == NULL)
				free_word[b] = &bucket[i];
		}
	}
	unsigned choice = used[0] >= LEASES_FIRST && used[1] < used[0];
	return free_word[choice];
}

void leases_unlink(struct leases *leases, uint32_t index)
{
	struct lease *e = &leases->entries[index];
	uint64_t hash = leases_hash(leases, e->address);
	struct leases_head head = leases_head_find(leases, e->address, hash);
	if (head.index == index) {
		uint64_t word = e->next == LEASES_NONE ? 0 : leases_tag(hash) << 32 | e->next;
		atomic_store_explicit(head.word, word, memory_order_release);
		return;
	}
	struct lease *before = &leases->entries[head.index];
	while (before->next != index)
		before = &leases->entries[before->next];
	sequence_wait(&before->sequence);
	before->next = e->next;
	sequence_give(&before->sequence);
}
