// SPDX-License-Identifier: BSD-3-Clause
// What a test sees of the link to the dataplane, and datagrams as a dataplane sends them.
#pragma once

#include "controlplane/dataplane_link.h"
#include "dataplane/api/frames.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

struct seen {
	unsigned ups, downs, refusals, punts, native_punts, expiries, wanted, resyncs, rooms;
	int refusal;
	uint64_t instance;
	uint8_t punt_last_byte;
	uint64_t expired_id;
	struct dataplane_link *restart_on_up;
};

struct answers {
	unsigned items, ends;
	int result;
	uint32_t last_id;
	uint64_t first_bytes[8];
};

static inline void answered(void *context, const struct dataplane_answer *answer)
{
	struct answers *answers = context;
	if (answer->last) {
		answers->ends++;
		answers->result = answer->result;
		answers->last_id = answer->id;
		return;
	}
	if (answers->items < 8)
		memcpy(&answers->first_bytes[answers->items], answer->payload, 8);
	answers->items++;
}

static inline void seen_up(void *context, const struct api_hello_answer *hello)
{
	struct seen *seen = context;
	seen->ups++;
	seen->instance = hello->instance;
	if (seen->restart_on_up) {
		dataplane_link_restart(seen->restart_on_up);
		seen->restart_on_up = NULL;
	}
}

static inline void seen_refused(void *context, int error)
{
	struct seen *seen = context;
	seen->refusals++;
	seen->refusal = error;
}

static inline void seen_down(void *context)
{
	((struct seen *)context)->downs++;
}

static inline void seen_punt(void *context, const struct api_punt *punt, const uint8_t *payload)
{
	struct seen *seen = context;
	seen->punts++;
	seen->punt_last_byte = punt->length ? payload[punt->length - 1] : 0;
}

static inline void seen_native_punt(
	void *context, const struct api_native_punt *punt, const uint8_t *payload)
{
	struct seen *seen = context;
	seen->native_punts++;
	assert_int_equal(punt->issued, 77);
	seen->punt_last_byte = punt->length ? payload[punt->length - 1] : 0;
}

static inline void seen_expired(void *context, const struct api_expired *expired)
{
	struct seen *seen = context;
	seen->expiries++;
	seen->expired_id = expired->allocation_id;
}

static inline void seen_wanted(void *context, const struct api_neighbour_wanted *wanted)
{
	(void)wanted;
	((struct seen *)context)->wanted++;
}

static inline void seen_resync(void *context)
{
	((struct seen *)context)->resyncs++;
}

static inline void seen_room(void *context)
{
	((struct seen *)context)->rooms++;
}

// ---- datagrams of a dataplane ----

struct datagram {
	uint8_t data[API_DATAGRAM_MAX];
	struct api_batch batch;
};

static struct datagram datagram;

static inline struct datagram *empty(void)
{
	datagram.batch = (struct api_batch){.data = datagram.data};
	return &datagram;
}

static inline struct datagram *add(
	struct datagram *to, uint32_t id, uint32_t type, const void *payload, uint32_t size)
{
	assert_true(api_batch_append(&to->batch, id, type, payload, size, NULL, 0));
	return to;
}

static inline struct datagram *add_result(
	struct datagram *to, uint32_t id, uint32_t type, int result)
{
	assert_true(api_batch_append_result(&to->batch, id, type, result));
	return to;
}

static inline struct datagram *add_hello(struct datagram *to, uint32_t id, uint64_t instance)
{
	const struct api_hello_answer hello = {
		.version = API_VERSION, .workers = 1, .instance = instance};
	return add(to, id, API_HELLO, &hello, sizeof(hello));
}
