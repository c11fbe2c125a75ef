// SPDX-License-Identifier: BSD-3-Clause
// The identity file: namespace id, the delivery key's seed, and the relay at which its owner is to
// be reached. Text, for its owner's eyes only; made at first use, written whole or not at all.
#pragma once

#include "endpoint/contact.h"

#include <limits.h>

enum { IDENTITY_ERROR_SIZE = 512 };

struct identity {
	char path[PATH_MAX];
	uint8_t namespace_id[ENDPOINT_KEY_SIZE];
	uint8_t seed[ENDPOINT_KEY_SIZE]; // wiped by identity_wipe
	bool has_relay_key;
	uint8_t relay_key[ENDPOINT_KEY_SIZE];
	struct endpoint_contact_relay relays[ENDPOINT_RELAYS_MAX];
	size_t relay_count;
};

// Reads the file at path (NULL: $XDG_CONFIG_HOME/blindrelay/identity, or the same below
// ~/.config), or makes one where there is none; *made says so. Negative errno, and in error what is
// wrong and what to do about it.
int identity_load(
	struct identity *identity, const char *path, bool *made, char error[IDENTITY_ERROR_SIZE]);
// Writes it to identity->path, mode 0600.
int identity_save(const struct identity *identity, char error[IDENTITY_ERROR_SIZE]);
void identity_wipe(struct identity *identity);

// 32 bytes as base64, with or without padding, either alphabet. False: it is not that.
bool identity_key_parse(const char *text, uint8_t out[ENDPOINT_KEY_SIZE]);
