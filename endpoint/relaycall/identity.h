// SPDX-License-Identifier: BSD-3-Clause
// The identity file: namespace id, the seeds of identity key and delivery key, and the relays at
// which its owner is to be reached. Text, for its owner's eyes only; made at first use, written
// whole or not at all.
#pragma once

#include "endpoint/contact.h"

#include <limits.h>

enum { IDENTITY_ERROR_SIZE = 512 };

struct identity {
	char path[PATH_MAX];
	uint8_t namespace_id[ENDPOINT_KEY_SIZE];
	uint8_t identity_seed[ENDPOINT_KEY_SIZE]; // RFC 8032 private keys; wiped by identity_wipe
	uint8_t delivery_seed[ENDPOINT_KEY_SIZE];
	struct endpoint_contact_relay relays[ENDPOINT_CONTACT_RELAYS_MAX];
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

// What others get to know of it.
void identity_contact(const struct identity *identity, struct endpoint_contact *out);

// 32 bytes as base64, with or without padding, either alphabet. False: it is not that.
bool identity_key_parse(const char *text, uint8_t out[ENDPOINT_KEY_SIZE]);
