// SPDX-License-Identifier: BSD-3-Clause
// All memory that tables have taken, to look for what should be gone.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// As it is now; before relay_memory_has.
void relay_memory_take(void);
// Whether any of it has these bytes (at most 64, not zeros before all others), at any place.
bool relay_memory_has(const void *bytes, size_t size);
