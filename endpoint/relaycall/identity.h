// SPDX-License-Identifier: BSD-3-Clause
// The identity file: namespace id, the seeds of identity key and delivery key, and the relays at
// which its owner is to be reached. Text, for its owner's eyes only; made at first use, written
// whole or not at all.
//
//     version = 2
//     namespace = ...            32 bytes, base64url
//     identity-seed = ...        32 bytes; the RFC 8032 private key of who we are
//     delivery-seed = ...        32 bytes; the one of where we are reached, made independently
//     relay = HOST:PORT          up to four addresses of the first relay
//     relay-key = ...
//     second-relay = HOST:PORT   the same of the second
//     second-relay-key = ...
//
// Version 1 had no version line and one seed, now the delivery seed: such a file is written anew
// with an identity seed when it is first read.
#pragma once

#include "endpoint/contact.h"

#include <limits.h>

enum { IDENTITY_ERROR_SIZE = 512, IDENTITY_TEXT_SIZE = 4096 };

struct identity {
	char path[PATH_MAX];
	uint8_t namespace_id[ENDPOINT_KEY_SIZE];
	uint8_t identity_seed[ENDPOINT_KEY_SIZE]; // RFC 8032 private keys; wiped by identity_wipe
	uint8_t delivery_seed[ENDPOINT_KEY_SIZE];
	struct endpoint_contact_relay relays[ENDPOINT_CONTACT_RELAYS_MAX];
	size_t relay_count;
	bool upgraded; // from version 1 by this reading: the contact is another one now
};

// Reads the file at path (NULL: $XDG_CONFIG_HOME/blindrelay/identity, or the same below
// ~/.config), or makes one where there is none; *made says so. Processes that do so at once end up
// with one and the same. Negative errno, and in error what is wrong and what to do about it.
int identity_load(
	struct identity *identity, const char *path, bool *made, char error[IDENTITY_ERROR_SIZE]);
// Reads the file of an identity that was loaded again, lets `change` change it, and writes it, all
// under its lock. Negative errno, and error; the file is as it was then.
int identity_change(struct identity *identity,
	void (*change)(struct identity *identity, const void *context), const void *context,
	char error[IDENTITY_ERROR_SIZE]);
void identity_wipe(struct identity *identity);

// What others get to know of it.
void identity_contact(const struct identity *identity, struct endpoint_contact *out);

// Where the identity file is, as for identity_load, without looking whether it is there.
int identity_find_path(char out[PATH_MAX], const char *path, char error[IDENTITY_ERROR_SIZE]);

// The file's text there and back. The parser takes anything of `size` bytes with a 0 behind them
// and writes to it. -EINVAL and error, which begins with the identity's path; *version is 1 or 2:
// an identity of version 1 has no identity seed yet.
int identity_parse(struct identity *identity, char *text, size_t size, unsigned *version,
	char error[IDENTITY_ERROR_SIZE]);
// Returns the length.
size_t identity_format(const struct identity *identity, char text[IDENTITY_TEXT_SIZE]);

// 32 bytes as base64, with or without padding, either alphabet. False: it is not that.
bool identity_key_parse(const char *text, uint8_t out[ENDPOINT_KEY_SIZE]);
