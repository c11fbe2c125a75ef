// SPDX-License-Identifier: BSD-3-Clause
// A hash set of the caller's structs, for tables of the kernel's state of unknown size. Intrusive:
// each entry begins with struct keyed_node, and right behind it come the bytes of its key (no
// padding inside). Chained, doubled when full; SipHash under a random key, since strangers choose
// some keys (neighbours). Entries belong to the caller. Not for several threads.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyed_node {
	struct keyed_node *next;
	uint64_t hash;
};

struct keyed_set {
	struct keyed_node **buckets;
	size_t size; // of buckets, a power of two
	size_t count;
	size_t key_size;
	uint8_t seed[16];
};

// False without memory.
bool keyed_set_init(struct keyed_set *set, size_t key_size);
// Frees the table, after destroy (which may be NULL) was called for every entry.
void keyed_set_free(struct keyed_set *set, void (*destroy)(struct keyed_node *node));

struct keyed_node *keyed_set_find(const struct keyed_set *set, const void *key);
// The node's key must be in place and not be in the set.
void keyed_set_insert(struct keyed_set *set, struct keyed_node *node);
void keyed_set_remove(struct keyed_set *set, struct keyed_node *node);

// Every entry once; visit may remove (and free) the one it is given, and must not insert.
void keyed_set_visit(struct keyed_set *set, void (*visit)(void *context, struct keyed_node *node),
	void *context);
