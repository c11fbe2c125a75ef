// SPDX-License-Identifier: BSD-3-Clause
// Held ports by token; see reservations.h.
#include "controlplane/turn/reservations.h"

void reservations_init(struct reservations *reservations)
{
	id_table_init(&reservations->by_token, sizeof(struct reservation));
	reservations->next_expiry_ms = UINT64_MAX;
}

void reservations_free(struct reservations *reservations)
{
	id_table_free(&reservations->by_token);
}

void reservations_clear(struct reservations *reservations)
{
	id_table_clear(&reservations->by_token);
	reservations->next_expiry_ms = UINT64_MAX;
}

struct reservation *reservations_add(struct reservations *reservations, uint64_t token)
{
	if (id_table_find(&reservations->by_token, token) != NULL)
		return NULL;
	struct reservation *added = id_table_insert(&reservations->by_token, token);
	if (added != NULL)
		added->expires_ms = UINT64_MAX;
	return added;
}

struct reservation *reservations_find(const struct reservations *reservations, uint64_t token)
{
	return id_table_find(&reservations->by_token, token);
}

void reservations_start(
	struct reservations *reservations, struct reservation *reservation, uint64_t now_ms)
{
	reservation->expires_ms = now_ms + RESERVATION_LIFETIME_MS;
	if (reservation->expires_ms < reservations->next_expiry_ms)
		reservations->next_expiry_ms = reservation->expires_ms;
}

void reservations_remove(struct reservations *reservations, uint64_t token)
{
	id_table_remove(&reservations->by_token, token);
}

void reservations_unclaim(struct reservations *reservations, struct reservation *reservation)
{
	reservation->claimed = false;
	if (reservation->expires_ms < reservations->next_expiry_ms)
		reservations->next_expiry_ms = reservation->expires_ms;
}

size_t reservations_expire(
	struct reservations *reservations, uint64_t now_ms, struct reservation *out, size_t max)
{
	uint64_t due[64];
	size_t count = 0;
	if (now_ms < reservations->next_expiry_ms)
		return 0;
	if (max > sizeof(due) / sizeof(due[0]))
		max = sizeof(due) / sizeof(due[0]);
	uint64_t next = UINT64_MAX, token;
	uint32_t position = 0;
	void *value;
	while (count < max && id_table_next(&reservations->by_token, &position, &token, &value)) {
		const struct reservation *reservation = value;
		if (reservation->claimed)
			continue;
		if (reservation->expires_ms <= now_ms) {
			due[count] = token;
			out[count++] = *reservation;
		} else if (reservation->expires_ms < next) {
			next = reservation->expires_ms;
		}
	}
	for (size_t i = 0; i < count; i++)
		id_table_remove(&reservations->by_token, due[i]);
	// A full batch may have left some behind; then the next call looks again.
	if (count < max)
		reservations->next_expiry_ms = next;
	return count;
}
