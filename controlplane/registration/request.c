// SPDX-License-Identifier: BSD-3-Clause
// Slots of requests in flight; see request.h.
#include "controlplane/registration/request.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int registration_flight_init(struct registration_flight *flight)
{
	*flight = (struct registration_flight){0};
	id_table_init(&flight->by_install, sizeof(uint16_t));
	id_table_init(&flight->by_duplicate, sizeof(uint16_t));
	flight->slots = calloc(REGISTRATION_IN_FLIGHT_MAX, sizeof(*flight->slots));
	flight->unused = calloc(REGISTRATION_IN_FLIGHT_MAX, sizeof(*flight->unused));
	bool whole = flight->slots != NULL && flight->unused != NULL;
	// The indexes take their full size now: holding a request later needs no memory.
	for (uint32_t i = 1; whole && i <= REGISTRATION_IN_FLIGHT_MAX; i++)
		whole = id_table_insert(&flight->by_install, i) != NULL &&
			id_table_insert(&flight->by_duplicate, i) != NULL;
	if (!whole) {
		registration_flight_free(flight);
		return -ENOMEM;
	}
	registration_flight_clear(flight);
	return 0;
}

void registration_flight_free(struct registration_flight *flight)
{
	if (flight->slots != NULL)
		sodium_memzero(flight->slots, REGISTRATION_IN_FLIGHT_MAX * sizeof(*flight->slots));
	free(flight->slots);
	free(flight->unused);
	id_table_free(&flight->by_install);
	id_table_free(&flight->by_duplicate);
	sodium_memzero(flight, sizeof(*flight));
}

// What is left of a request whose client has stopped waiting.
static void give_up(struct registration_request *held)
{
	struct registration_request kept = {.type = held->type,
		.core = held->core,
		.has_token = held->has_token,
		.token = held->token,
		.used = true,
		.redeeming = held->redeeming,
		.given_up = true};
	sodium_memzero(held, sizeof(*held));
	*held = kept;
	sodium_memzero(&kept, sizeof(kept));
}

void registration_flight_clear(struct registration_flight *flight)
{
	id_table_clear(&flight->by_install);
	id_table_clear(&flight->by_duplicate);
	randombytes_buf(flight->key, sizeof(flight->key));
	flight->unused_count = 0;
	// The first slot is taken first: few pages are touched where few requests wait.
	for (uint32_t i = REGISTRATION_IN_FLIGHT_MAX; i-- > 0;) {
		if (flight->slots[i].redeeming) {
			give_up(&flight->slots[i]);
			continue;
		}
		if (flight->slots[i].used)
			sodium_memzero(&flight->slots[i], sizeof(flight->slots[i]));
		flight->unused[flight->unused_count++] = (uint16_t)i;
	}
}

uint32_t registration_flight_count(const struct registration_flight *flight)
{
	return REGISTRATION_IN_FLIGHT_MAX - flight->unused_count;
}

static uint64_t duplicate_key(const struct registration_flight *flight,
	const struct registration_party *from, uint8_t type)
{
	uint8_t input[2 * 19 + NATIVE_TRANSACTION_SIZE + 1];
	uint8_t *p = input;
	const struct net_endpoint *ends[2] = {&from->client, &from->server};
	for (unsigned i = 0; i < 2; i++) {
		memcpy(p, ends[i]->address.bytes, 16);
		p[16] = ends[i]->address.family;
		memcpy(p + 17, &ends[i]->port, 2);
		p += 19;
	}
	memcpy(p, from->transaction, NATIVE_TRANSACTION_SIZE);
	p[NATIVE_TRANSACTION_SIZE] = type;
	uint64_t key;
	static_assert(sizeof(key) == crypto_shorthash_BYTES, "SipHash");
	crypto_shorthash((uint8_t *)&key, input, sizeof(input), flight->key);
	sodium_memzero(input, sizeof(input));
	return key == 0 ? 1 : key;
}

bool registration_flight_duplicate(const struct registration_flight *flight,
	const struct registration_party *from, uint8_t type)
{
	return id_table_find(&flight->by_duplicate, duplicate_key(flight, from, type)) != NULL;
}

struct registration_request *registration_flight_hold(struct registration_flight *flight,
	const struct registration_request *request, uint64_t now_ms)
{
	if (flight->unused_count == 0)
		return NULL;
	uint64_t key = duplicate_key(flight, &request->from, request->type);
	uint16_t *by_duplicate = id_table_insert(&flight->by_duplicate, key);
	if (by_duplicate == NULL)
		return NULL;
	uint16_t number = flight->unused[--flight->unused_count];
	*by_duplicate = number;
	if (number >= flight->touched)
		flight->touched = number + 1u;
	struct registration_request *held = &flight->slots[number];
	*held = *request;
	held->used = true;
	held->duplicate_key = key;
	held->deadline_ms = now_ms + REGISTRATION_IN_FLIGHT_TIMEOUT_MS;
	return held;
}

void registration_flight_await(
	struct registration_flight *flight, struct registration_request *held, uint32_t id)
{
	uint16_t *number = id_table_insert(&flight->by_install, id);
	assert(number != NULL); // as many places as slots
	*number = (uint16_t)(held - flight->slots);
}

struct registration_request *registration_flight_find(
	struct registration_flight *flight, uint32_t id)
{
	const uint16_t *found = id_table_find(&flight->by_install, id);
	if (found == NULL)
		return NULL;
	struct registration_request *held = &flight->slots[*found];
	id_table_remove(&flight->by_install, id);
	return held;
}

void registration_flight_release(
	struct registration_flight *flight, struct registration_request *held)
{
	assert(held->used);
	if (!held->given_up)
		id_table_remove(&flight->by_duplicate, held->duplicate_key);
	sodium_memzero(held, sizeof(*held));
	flight->unused[flight->unused_count++] = (uint16_t)(held - flight->slots);
}

uint64_t registration_flight_give_up(struct registration_flight *flight, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;
	if (flight->unused_count == REGISTRATION_IN_FLIGHT_MAX)
		return next;
	for (uint32_t i = 0; i < flight->touched; i++) {
		struct registration_request *held = &flight->slots[i];
		if (!held->used || held->given_up)
			continue;
		if (held->deadline_ms > now_ms) {
			if (held->deadline_ms < next)
				next = held->deadline_ms;
			continue;
		}
		id_table_remove(&flight->by_duplicate, held->duplicate_key);
		give_up(held);
	}
	return next;
}
