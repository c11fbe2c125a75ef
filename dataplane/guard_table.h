// SPDX-License-Identifier: BSD-3-Clause
// The table of guard_rules.h: made of rules, then only read.
#pragma once

#include "dataplane/api/messages.h"

#include <stddef.h>

struct guard_table;

// NULL: no memory. rules: any order, one per prefix.
struct guard_table *guard_table_create(const struct api_guard_rule *rules, unsigned count);
// Wipes, then frees the table and all that hang on it.
void guard_table_free(struct guard_table *table);
// Tables that wait for being freed hang on each other.
struct guard_table **guard_table_next(struct guard_table *table);
