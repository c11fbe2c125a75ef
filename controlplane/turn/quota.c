// SPDX-License-Identifier: BSD-3-Clause
// Counts per tag; a tag with count 0 is forgotten.
#include "controlplane/turn/quota.h"

#include <assert.h>
#include <stddef.h>

void quota_init(struct quota *quota, uint32_t limit)
{
	id_table_init(&quota->counts, sizeof(uint32_t));
	quota->limit = limit;
}

void quota_free(struct quota *quota)
{
	id_table_free(&quota->counts);
}

void quota_clear(struct quota *quota)
{
	id_table_clear(&quota->counts);
}

uint32_t quota_count(const struct quota *quota, uint64_t tag)
{
	const uint32_t *count = id_table_find(&quota->counts, tag);
	return count == NULL ? 0 : *count;
}

bool quota_allows(const struct quota *quota, uint64_t tag, uint32_t more)
{
	if (quota->limit == 0 || tag == 0)
		return true;
	uint32_t count = quota_count(quota, tag);
	return count <= quota->limit && more <= quota->limit - count;
}

bool quota_take(struct quota *quota, uint64_t tag)
{
	if (tag == 0)
		return true;
	uint32_t *count = id_table_insert(&quota->counts, tag);
	if (count == NULL)
		return false;
	(*count)++;
	return true;
}

void quota_give(struct quota *quota, uint64_t tag)
{
	if (tag == 0)
		return;
	uint32_t *count = id_table_find(&quota->counts, tag);
	assert(count != NULL && *count > 0);
	if (--*count == 0)
		id_table_remove(&quota->counts, tag);
}
