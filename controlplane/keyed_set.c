// SPDX-License-Identifier: BSD-3-Clause
// The hash set of keyed_set.h.
#include "controlplane/keyed_set.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 16 };

static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash-2-4");
static_assert(crypto_shorthash_KEYBYTES == 16, "SipHash-2-4");

bool keyed_set_init(struct keyed_set *set, size_t key_size)
{
	*set = (struct keyed_set){.size = BUCKETS_FIRST, .key_size = key_size};
	set->buckets = calloc(set->size, sizeof(struct keyed_node *));
	randombytes_buf(set->seed, sizeof(set->seed));
	return set->buckets != NULL;
}

void keyed_set_free(struct keyed_set *set, void (*destroy)(struct keyed_node *node))
{
	for (size_t i = 0; set->buckets && i < set->size; i++) {
		struct keyed_node *node = set->buckets[i];
		while (node) {
			struct keyed_node *next = node->next;
			if (destroy)
				destroy(node);
			node = next;
		}
	}
	free(set->buckets);
	*set = (struct keyed_set){0};
}

static uint64_t key_hash(const struct keyed_set *set, const void *key)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, key, set->key_size, set->seed);
	return hash;
}

struct keyed_node *keyed_set_find(const struct keyed_set *set, const void *key)
{
	uint64_t hash = key_hash(set, key);
	struct keyed_node *node = set->buckets[hash & (set->size - 1)];
	while (node && (node->hash != hash || memcmp(node + 1, key, set->key_size) != 0))
		node = node->next;
	return node;
}

// Without memory the chains only grow longer.
static void grow(struct keyed_set *set)
{
	size_t size = set->size * 2;
	struct keyed_node **buckets = calloc(size, sizeof(struct keyed_node *));
	if (!buckets)
		return;
	for (size_t i = 0; i < set->size; i++) {
		struct keyed_node *node = set->buckets[i];
		while (node) {
			struct keyed_node *next = node->next;
			node->next = buckets[node->hash & (size - 1)];
			buckets[node->hash & (size - 1)] = node;
			node = next;
		}
	}
	free(set->buckets);
	set->buckets = buckets;
	set->size = size;
}

void keyed_set_insert(struct keyed_set *set, struct keyed_node *node)
{
	if (set->count >= set->size)
		grow(set);
	node->hash = key_hash(set, node + 1);
	node->next = set->buckets[node->hash & (set->size - 1)];
	set->buckets[node->hash & (set->size - 1)] = node;
	set->count++;
}

void keyed_set_remove(struct keyed_set *set, struct keyed_node *node)
{
	struct keyed_node **place = &set->buckets[node->hash & (set->size - 1)];
	while (*place != node)
		place = &(*place)->next;
	*place = node->next;
	set->count--;
}

void keyed_set_visit(
	struct keyed_set *set, void (*visit)(void *context, struct keyed_node *node), void *context)
{
	for (size_t i = 0; i < set->size; i++) {
		struct keyed_node *node = set->buckets[i];
		while (node) {
			struct keyed_node *next = node->next;
			visit(context, node);
			node = next;
		}
	}
}
