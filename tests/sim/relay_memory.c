// SPDX-License-Identifier: BSD-3-Clause
// See relay_memory.h.
//
// wrap: table_memory_take
// wrap: table_memory_give
#include "tests/sim/relay_memory.h"

#include "tests/sim/sim.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES_MAX = 256 };

static struct {
	void *memory;
	size_t size;
} pieces[PIECES_MAX];
static unsigned count;

void *__real_table_memory_take(size_t number, size_t size, int socket);
void *__wrap_table_memory_take(size_t number, size_t size, int socket);
void *__wrap_table_memory_take(size_t number, size_t size, int socket)
{
	void *memory = __real_table_memory_take(number, size, socket);
	if (memory == NULL || count == PIECES_MAX)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "no memory for a table");
	pieces[count].memory = memory;
	pieces[count++].size = number * size;
	return memory;
}

void __real_table_memory_give(void *memory, size_t number, size_t size);
void __wrap_table_memory_give(void *memory, size_t number, size_t size);
void __wrap_table_memory_give(void *memory, size_t number, size_t size)
{
	for (unsigned i = 0; i < count; i++)
		if (pieces[i].memory == memory) {
			pieces[i] = pieces[--count];
			break;
		}
	__real_table_memory_give(memory, number, size);
}

// ---- looking ----

enum { LINE = 64 };

// Copies of all that is not zero, each with a line of zeros behind it: most of a table is unused,
// and there is much to look for.
static struct {
	uint8_t *bytes;
	size_t size;
} used;

static bool is_zero(const uint8_t *line)
{
	static const uint8_t zeros[LINE];
	return memcmp(line, zeros, LINE) == 0;
}

static void keep(const uint8_t *from, size_t size)
{
	used.bytes = realloc(used.bytes, used.size + size + LINE);
	if (used.bytes == NULL)
		abort();
	memcpy(used.bytes + used.size, from, size);
	memset(used.bytes + used.size + size, 0, LINE);
	used.size += size + LINE;
}

// table_memory_take rounds up to whole lines.
static void take_piece(const uint8_t *memory, size_t size)
{
	size_t lines = (size + LINE - 1) / LINE, begin = 0;
	for (size_t i = 0; i <= lines; i++) {
		if (i < lines && !is_zero(memory + i * LINE))
			continue;
		if (i > begin)
			keep(memory + begin * LINE, (i - begin) * LINE);
		begin = i + 1;
	}
}

void relay_memory_take(void)
{
	used.size = 0;
	for (unsigned i = 0; i < count; i++)
		take_piece(pieces[i].memory, pieces[i].size);
}

bool relay_memory_has(const void *bytes, size_t size)
{
	return memmem(used.bytes, used.size, bytes, size) != NULL;
}
