// SPDX-License-Identifier: BSD-3-Clause
// What differs between two configurations, key by key, and what a change of a key takes to become
// true. One row per key of the file stands in difference.c; a test insists that every member of
// struct config belongs to exactly one. No function here writes a value anywhere but into a struct
// config. Any thread.
#pragma once

#include "lib/config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Who has to be started again before a changed key counts; a set. Empty: it counts at once.
enum config_restart {
	CONFIG_RESTART_DATAPLANE = 1,
	CONFIG_RESTART_CONTROLPLANE = 2,
};

enum { CONFIG_DIGEST_SIZE = 16 };

// Keys are numbered from 0; the numbers are those of this build and are not to be sent to another
// program.
unsigned config_keys(void);
const char *config_key_section(unsigned key); // "turn"
const char *config_key_name(unsigned key);    // "max-lifetime"
unsigned config_key_restart(unsigned key);    // set of enum config_restart
// The key of that name, or -1.
int config_key_find(const char *section, const char *name);

// Whether the key has another value. Lists are compared in order.
bool config_key_differs(unsigned key, const struct config *a, const struct config *b);
// A keyed hash of the value (BLAKE2b): two programs with one secret can compare what they have
// without telling it.
void config_key_digest(unsigned key, const struct config *config, const uint8_t secret[static 16],
	uint8_t out[static CONFIG_DIGEST_SIZE]);
// Takes the value over from another configuration. Not for users, who lie outside of the struct
// (asserted).
void config_key_copy(unsigned key, struct config *to, const struct config *from);

// Whether the byte at that offset of struct config belongs to the key. For tests.
bool config_key_covers(unsigned key, size_t offset);
