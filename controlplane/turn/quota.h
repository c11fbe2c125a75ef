// SPDX-License-Identifier: BSD-3-Clause
// How many allocations (and reservations) each tag holds. A tag is a 64-bit keyed hash of a
// credential's name or of a source prefix; what it was made of is not kept. Counts follow the
// dataplane: one is given back only when the dataplane said that the allocation is gone.
#pragma once

#include "controlplane/id_table.h"

#include <stdbool.h>
#include <stdint.h>

struct quota {
	struct id_table counts; // tag -> uint32_t
	uint32_t limit;         // per tag; 0: none
};

void quota_init(struct quota *quota, uint32_t limit);
void quota_free(struct quota *quota);
void quota_clear(struct quota *quota);
// True when `more` still fit under the limit.
bool quota_allows(const struct quota *quota, uint64_t tag, uint32_t more);
// Counts one, also above the limit (a snapshot tells what is). False without memory. Tag 0 stands
// for nobody and is not counted.
bool quota_take(struct quota *quota, uint64_t tag);
void quota_give(struct quota *quota, uint64_t tag);
uint32_t quota_count(const struct quota *quota, uint64_t tag);
