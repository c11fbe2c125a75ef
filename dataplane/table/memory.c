// SPDX-License-Identifier: BSD-3-Clause
// Table memory, see memory.h. Main lcore at start and end; table_memory_wipe on any lcore.
#include "dataplane/table/memory.h"

#include <rte_malloc.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void *table_memory_take(size_t count, size_t size, int socket)
{
	size_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - 63)
		return NULL;
	bytes = (bytes + 63) & ~(size_t)63;
#ifdef TABLE_MEMORY_MALLOC
	(void)socket;
	void *memory = aligned_alloc(64, bytes);
	if (memory != NULL)
		memset(memory, 0, bytes);
	return memory;
#else
	return rte_zmalloc_socket(NULL, bytes, 64, socket);
#endif
}

void table_memory_give(void *memory, size_t count, size_t size)
{
	if (memory == NULL)
		return;
	table_memory_wipe(memory, count * size);
#ifdef TABLE_MEMORY_MALLOC
	free(memory);
#else
	rte_free(memory);
#endif
}

void table_memory_wipe(void *memory, size_t size)
{
	explicit_bzero(memory, size);
}
