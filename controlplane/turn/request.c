// SPDX-License-Identifier: BSD-3-Clause
// Slots of requests in flight; see request.h.
#include "controlplane/turn/request.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int turn_in_flight_init(struct turn_in_flight *flight)
{
	*flight = (struct turn_in_flight){0};
	id_table_init(&flight->by_install, sizeof(uint16_t));
	id_table_init(&flight->by_duplicate, sizeof(uint64_t));
	flight->slots = calloc(TURN_IN_FLIGHT_MAX, sizeof(*flight->slots));
	flight->unused = calloc(TURN_IN_FLIGHT_MAX, sizeof(*flight->unused));
	if (flight->slots == NULL || flight->unused == NULL) {
		turn_in_flight_free(flight);
		return -ENOMEM;
	}
	// The indexes take their full size now: adding a request later needs no memory.
	for (uint32_t i = 1; i <= TURN_IN_FLIGHT_MAX; i++) {
		if (id_table_insert(&flight->by_install, i) == NULL ||
			id_table_insert(&flight->by_duplicate, i) == NULL) {
			turn_in_flight_free(flight);
			return -ENOMEM;
		}
	}
	turn_in_flight_clear(flight);
	return 0;
}

void turn_in_flight_free(struct turn_in_flight *flight)
{
	if (flight->slots != NULL)
		sodium_memzero(flight->slots, TURN_IN_FLIGHT_MAX * sizeof(*flight->slots));
	free(flight->slots);
	free(flight->unused);
	id_table_free(&flight->by_install);
	id_table_free(&flight->by_duplicate);
	sodium_memzero(flight, sizeof(*flight));
}

void turn_in_flight_clear(struct turn_in_flight *flight)
{
	sodium_memzero(flight->slots, TURN_IN_FLIGHT_MAX * sizeof(*flight->slots));
	for (uint32_t i = 0; i < TURN_IN_FLIGHT_MAX; i++)
		flight->unused[i] = (uint16_t)i;
	flight->unused_count = TURN_IN_FLIGHT_MAX;
	id_table_clear(&flight->by_install);
	id_table_clear(&flight->by_duplicate);
	randombytes_buf(flight->key, sizeof(flight->key));
}

uint32_t turn_in_flight_count(const struct turn_in_flight *flight)
{
	return TURN_IN_FLIGHT_MAX - flight->unused_count;
}

bool turn_in_flight_full(const struct turn_in_flight *flight)
{
	return flight->unused_count == 0;
}

static uint64_t duplicate_key(
	const struct turn_in_flight *flight, const struct turn_request *request)
{
	uint8_t input[2 * 19 + STUN_TRANSACTION_LENGTH];
	uint8_t *p = input;
	const struct net_endpoint *ends[2] = {&request->client, &request->server};
	for (unsigned i = 0; i < 2; i++) {
		memcpy(p, ends[i]->address.bytes, 16);
		p[16] = ends[i]->address.family;
		memcpy(p + 17, &ends[i]->port, 2);
		p += 19;
	}
	memcpy(p, request->transaction, STUN_TRANSACTION_LENGTH);
	uint64_t key;
	static_assert(sizeof(key) == crypto_shorthash_BYTES, "SipHash");
	crypto_shorthash((uint8_t *)&key, input, sizeof(input), flight->key);
	sodium_memzero(input, sizeof(input));
	return key == 0 ? 1 : key;
}

bool turn_in_flight_duplicate(
	const struct turn_in_flight *flight, const struct turn_request *request)
{
	return id_table_find(&flight->by_duplicate, duplicate_key(flight, request)) != NULL;
}

bool turn_in_flight_add(struct turn_in_flight *flight, uint64_t install,
	const struct turn_request *request, uint64_t now_ms)
{
	if (flight->unused_count == 0 || id_table_find(&flight->by_install, install) != NULL)
		return false;
	uint64_t key = duplicate_key(flight, request);
	uint16_t *by_install = id_table_insert(&flight->by_install, install);
	if (by_install == NULL)
		return false;
	uint64_t *by_duplicate = id_table_insert(&flight->by_duplicate, key);
	if (by_duplicate == NULL) {
		id_table_remove(&flight->by_install, install);
		return false;
	}
	uint16_t number = flight->unused[--flight->unused_count];
	*by_install = number;
	*by_duplicate = install;
	flight->slots[number] = *request;
	flight->slots[number].duplicate_key = key;
	flight->slots[number].deadline_ms = now_ms + TURN_IN_FLIGHT_TIMEOUT_MS;
	return true;
}

bool turn_in_flight_take(struct turn_in_flight *flight, uint64_t install, struct turn_request *out)
{
	const uint16_t *found = id_table_find(&flight->by_install, install);
	if (found == NULL)
		return false;
	uint16_t number = *found;
	*out = flight->slots[number];
	id_table_remove(&flight->by_install, install);
	if (!out->given_up)
		id_table_remove(&flight->by_duplicate, out->duplicate_key);
	sodium_memzero(&flight->slots[number], sizeof(flight->slots[number]));
	flight->unused[flight->unused_count++] = number;
	return true;
}

uint64_t turn_in_flight_give_up(struct turn_in_flight *flight, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX, install;
	uint32_t position = 0;
	void *value;
	while (id_table_next(&flight->by_install, &position, &install, &value)) {
		struct turn_request *request = &flight->slots[*(uint16_t *)value];
		if (request->given_up)
			continue;
		if (request->deadline_ms > now_ms) {
			if (request->deadline_ms < next)
				next = request->deadline_ms;
			continue;
		}
		id_table_remove(&flight->by_duplicate, request->duplicate_key);
		struct turn_request kept = {.method = request->method,
			.allocation_id = request->allocation_id,
			.token = request->token,
			.families = request->families,
			.lifetime_s = request->lifetime_s,
			.by_token = request->by_token,
			.paid = request->paid,
			.key_id = request->key_id,
			.given_up = true};
		memcpy(kept.nonce, request->nonce, sizeof(kept.nonce));
		sodium_memzero(request, sizeof(*request));
		*request = kept;
	}
	return next;
}
