// SPDX-License-Identifier: BSD-3-Clause
// What counts as a domain name in a contact. Inside of the library.
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool contact_name_valid(const char *name, size_t size);
