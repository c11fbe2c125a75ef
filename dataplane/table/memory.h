// SPDX-License-Identifier: BSD-3-Clause
// Where tables get their memory: zeroed, cache-line aligned, from the hugepage heap of a socket; in
// ASan builds from malloc, because that heap hides overflows. Taken when tables are created, never
// while packets flow.
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TABLE_MEMORY_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TABLE_MEMORY_MALLOC 1
#endif
#endif

// NULL when it does not fit.
void *table_memory_take(size_t count, size_t size, int socket);
// Wipes, then frees. NULL is fine.
void table_memory_give(void *memory, size_t count, size_t size);
// Overwrites with zeros; not optimised away.
void table_memory_wipe(void *memory, size_t size);
