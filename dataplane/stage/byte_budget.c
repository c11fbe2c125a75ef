// SPDX-License-Identifier: BSD-3-Clause
// See byte_budget.h. Owner worker; open and close: main lcore.
#include "dataplane/stage/byte_budget.h"

#include "dataplane/table/memory.h"

#include <sodium.h>

bool byte_budget_open(struct byte_budget *budget, uint64_t hz, int socket)
{
	randombytes_buf(&budget->key, sizeof(budget->key));
	budget->hz = hz;
	budget->slots = table_memory_take(BYTE_BUDGET_SLOTS, sizeof(*budget->slots), socket);
	return budget->slots != NULL;
}

void byte_budget_close(struct byte_budget *budget)
{
	table_memory_give(budget->slots, BYTE_BUDGET_SLOTS, sizeof(*budget->slots));
	budget->slots = NULL;
}

void byte_budget_rate(struct byte_budget *budget, uint32_t rate)
{
	budget->rate = rate;
	budget->per_tick = ((uint64_t)rate << (TICKS_SHIFT + 8)) / budget->hz;
}
