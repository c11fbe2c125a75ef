// SPDX-License-Identifier: BSD-3-Clause
// Relayed ports held for a RESERVATION-TOKEN (RFC 8656 7.2): the upper port of an EVEN-PORT pair,
// for 30 s. While one is held it counts in the quotas of the allocation that made it, or a client
// could hold every port of the range by allocating and deleting. Nothing of a client is kept.
#pragma once

#include "controlplane/id_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESERVATION_LIFETIME_MS = 30 * 1000 };

struct reservation {
	uint64_t expires_ms; // UINT64_MAX while its allocation is not answered yet
	uint64_t credential_tag, prefix_tag;
	uint16_t port;
	uint8_t pool;
	bool claimed; // an Allocate with its token is in flight
};

struct reservations {
	struct id_table by_token;
	uint64_t next_expiry_ms; // no entry expires earlier
};

void reservations_init(struct reservations *reservations);
void reservations_free(struct reservations *reservations);
void reservations_clear(struct reservations *reservations);
// NULL without memory, or when the token is in use.
struct reservation *reservations_add(struct reservations *reservations, uint64_t token);
struct reservation *reservations_find(const struct reservations *reservations, uint64_t token);
void reservations_start(
	struct reservations *reservations, struct reservation *reservation, uint64_t now_ms);
void reservations_remove(struct reservations *reservations, uint64_t token);
// An Allocate that had claimed it failed: it is to be had again until its time is over.
void reservations_unclaim(struct reservations *reservations, struct reservation *reservation);
// Takes out up to max of those whose time is over and that are not claimed; returns how many.
size_t reservations_expire(
	struct reservations *reservations, uint64_t now_ms, struct reservation *out, size_t max);
