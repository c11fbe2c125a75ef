// SPDX-License-Identifier: BSD-3-Clause
// Handles, main's side: making pairs, ending those whose time has come, and giving closed ones
// back; see handles.h. What workers do is in handles_worker.c.
#include "dataplane/table/handles_pair.h"

#include "dataplane/table/memory.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/prefix_shares.h"
#include "dataplane/table/sequence.h"

#include <rte_cycles.h>
#include <sodium.h>

#include <errno.h>

struct handles_main {
	struct flow_table by_open; // mark -> pair, live and closed
	uint32_t *free_pairs;
	uint32_t free_count, scan;
	struct prefix_shares shares; // of single handles
};

// ---- life ----

static void main_free(struct handles_main *m, uint32_t pairs)
{
	if (m == NULL)
		return;
	table_memory_give(m->free_pairs, pairs, sizeof(*m->free_pairs));
	prefix_shares_close(&m->shares);
	flow_table_close(&m->by_open);
	table_memory_give(m, 1, sizeof(*m));
}

static struct handles_main *main_create(uint32_t pairs, int socket)
{
	struct handles_main *m = table_memory_take(1, sizeof(*m), socket);
	if (m == NULL)
		return NULL;
	m->free_pairs = table_memory_take(pairs, sizeof(*m->free_pairs), socket);
	if (m->free_pairs == NULL || !prefix_shares_open(&m->shares, 2 * pairs, socket) ||
		flow_table_open(&m->by_open, pairs, socket) != 0) {
		main_free(m, pairs);
		return NULL;
	}
	for (uint32_t i = 0; i < pairs; i++)
		m->free_pairs[i] = pairs - 1 - i;
	m->free_count = pairs;
	return m;
}

struct handles *handles_create(uint32_t count, int socket)
{
	if (count < 2 || count % 2 != 0 || count > HANDLES_MAX)
		return NULL;
	struct handles *handles = table_memory_take(1, sizeof(*handles), socket);
	if (handles == NULL)
		return NULL;
	handles->count = count;
	handles->hz = rte_get_tsc_hz() ? rte_get_tsc_hz() : 1000000000;
	randombytes_buf(&handles->key, sizeof(handles->key));
	handles->lines = table_memory_take(count, sizeof(*handles->lines), socket);
	handles->pairs = table_memory_take(count / 2, sizeof(*handles->pairs), socket);
	handles->main = main_create(count / 2, socket);
	if (handles->lines == NULL || handles->pairs == NULL || handles->main == NULL) {
		handles_free(handles);
		return NULL;
	}
	for (uint32_t i = 0; i < count / 2; i++)
		handles->pairs[i].generation = (uint16_t)randombytes_random();
	return handles;
}

void handles_free(struct handles *handles)
{
	if (handles == NULL)
		return;
	table_memory_give(handles->lines, handles->count, sizeof(*handles->lines));
	table_memory_give(handles->pairs, handles->count / 2, sizeof(*handles->pairs));
	main_free(handles->main, handles->count / 2);
	table_memory_give(handles, 1, sizeof(*handles));
}

void handles_share_set(struct handles *handles, uint32_t most)
{
	handles->main->shares.most = most;
}

// ---- making ----

static uint64_t mark_of(const struct handles *handles, const uint8_t *open_id)
{
	uint64_t words[2];
	static_assert(sizeof(words) == NATIVE_OPEN_ID_SIZE, "as words");
	memcpy(words, open_id, sizeof(words));
	return keyed_hash(&handles->key, words, 2);
}

static bool pair_matches(const void *pool, uint32_t index, const void *key)
{
	return ((const struct handle_pair *)pool)[index].mark == *(const uint64_t *)key;
}

static void take_both(struct handles *handles, uint32_t pair)
{
	sequence_wait(&handles->lines[2 * pair].sequence);
	sequence_wait(&handles->lines[2 * pair + 1].sequence);
}

static void give_both(struct handles *handles, uint32_t pair)
{
	sequence_give(&handles->lines[2 * pair + 1].sequence);
	sequence_give(&handles->lines[2 * pair].sequence);
}

static void installed(const struct handle_pair *pair, uint32_t index, bool again,
	struct api_handles_installed *out)
{
	*out = (struct api_handles_installed){
		.generation = {pair->generation, pair->generation},
		.index = {2 * index, 2 * index + 1},
		.again = again,
	};
}

// A known open id: its pair again for who has the same keys.
static int install_again(struct handles *handles, uint32_t index,
	const struct api_handles_install *in, struct api_handles_installed *out)
{
	struct handle_pair *pair = &handles->pairs[index];
	take_both(handles, index);
	bool same = pair->state == HANDLE_LIVE;
	for (unsigned side = 0; side < 2; side++)
		same &= sodium_memcmp(pair->key[side], in->end[side].key, NATIVE_PATH_KEY_SIZE) ==
			0;
	if (same)
		installed(pair, index, true, out);
	give_both(handles, index);
	return same ? 0 : -EEXIST;
}

static void pair_fill(struct handles *handles, const struct node_addresses *addresses,
	uint32_t index, const struct api_handles_install *in, const int server[static 2],
	uint64_t now)
{
	struct handle_pair *pair = &handles->pairs[index];
	uint32_t deadline = ticks_deadline(now, in->lifetime_ms, handles->hz);
	take_both(handles, index);
	if (++pair->generation == 0)
		pair->generation = 1;
	for (unsigned side = 0; side < 2; side++) {
		memcpy(pair->key[side], in->end[side].key, NATIVE_PATH_KEY_SIZE);
		handles->lines[2 * index + side].fields = (struct handle_fields){
			.generation = pair->generation,
			.deadline = deadline,
			.lifetime = deadline - ticks_of(now),
			.to_peer = NEXT_HOP_NONE,
		};
	}
	for (unsigned side = 0; side < 2; side++)
		handle_bind(handles, addresses, 2 * index + side,
			in->end[side].client.address.bytes, in->end[side].client.port,
			(unsigned)server[side]);
	pair->state = HANDLE_LIVE;
	give_both(handles, index);
	atomic_fetch_add_explicit(&handles->used, 1, memory_order_relaxed);
}

static void pair_free(struct handles *handles, uint32_t index)
{
	struct handles_main *m = handles->main;
	struct handle_pair *pair = &handles->pairs[index];
	flow_table_remove(&m->by_open, pair->mark, index);
	for (unsigned side = 0; side < 2; side++) {
		prefix_shares_give(&m->shares, pair->place[side]);
		pair->place[side] = 0;
	}
	take_both(handles, index);
	table_memory_wipe(pair->proof, sizeof(pair->proof));
	memset(pair->reason, 0, sizeof(pair->reason));
	pair->mark = 0;
	pair->due = 0;
	pair->state = HANDLE_FREE;
	give_both(handles, index);
	m->free_pairs[m->free_count++] = index;
}

// Both sides may be of one network.
static bool shares_have(const struct prefix_shares *shares, const uint16_t place[static 2])
{
	bool same = place[0] == place[1];
	return prefix_shares_has(shares, place[0], same ? 2 : 1) &&
	       prefix_shares_has(shares, place[1], same ? 2 : 1);
}

int handles_install(struct handles *handles, const struct node_addresses *addresses,
	const struct api_handles_install *in, bool draining, uint64_t now,
	struct api_handles_installed *out)
{
	struct handles_main *m = handles->main;
	uint16_t place[2];
	int server[2];
	for (unsigned side = 0; side < 2; side++) {
		server[side] = own_server_of_client(
			addresses, &in->end[side].client, &in->end[side].server);
		if (server[side] < 0)
			return -EINVAL;
	}
	if (in->lifetime_ms == 0)
		return -EINVAL;
	uint64_t mark = mark_of(handles, in->open_id);
	uint32_t index = flow_table_find(&m->by_open, mark, pair_matches, handles->pairs, &mark);
	if (index != FLOW_TABLE_NONE && handles->pairs[index].state == HANDLE_CLOSED &&
		ticks_passed(handles->pairs[index].due, ticks_of(now)))
		pair_free(handles, index);
	else if (index != FLOW_TABLE_NONE)
		return install_again(handles, index, in, out);
	if (draining)
		return -ESHUTDOWN;
	for (unsigned side = 0; side < 2; side++)
		place[side] = prefix_shares_place(&m->shares, &in->end[side].client.address);
	if (m->free_count == 0 || !shares_have(&m->shares, place))
		return -ENOSPC;
	index = m->free_pairs[m->free_count - 1];
	if (flow_table_insert(&m->by_open, mark, index) != 0)
		return -ENOSPC;
	m->free_count--;
	handles->pairs[index].mark = mark;
	for (unsigned side = 0; side < 2; side++) {
		handles->pairs[index].place[side] = place[side];
		prefix_shares_take(&m->shares, place[side]);
	}
	pair_fill(handles, addresses, index, in, server, now);
	installed(&handles->pairs[index], index, false, out);
	return 0;
}

// ---- ending ----

static bool line_due(const struct handles *handles, uint32_t index, uint32_t tick)
{
	struct handle_fields fields;
	uint32_t sequence;
	// One that is being written is looked at next time.
	return handle_read(&handles->lines[index], &fields, &sequence) && fields.generation != 0 &&
	       ticks_passed(fields.deadline, tick);
}

// With the lines taken, since a keepalive or a close may have come between.
static bool pair_end(
	struct handles *handles, uint32_t index, bool any, uint32_t tick, struct handles_ended *out)
{
	const struct handle *lines = &handles->lines[2 * index];
	take_both(handles, index);
	bool end = handles->pairs[index].state == HANDLE_LIVE &&
		   (any || ticks_passed(lines[0].fields.deadline, tick) ||
			   ticks_passed(lines[1].fields.deadline, tick));
	if (end)
		handle_end(handles, 2 * index, any ? HANDLE_DRAINED : HANDLE_SILENT, tick, out);
	give_both(handles, index);
	return end;
}

bool handles_empty(const struct handles *handles)
{
	return handles->main->free_count == handles->count / 2;
}

bool handles_expire(
	struct handles *handles, uint64_t now, unsigned *budget, struct handles_ended *out)
{
	struct handles_main *m = handles->main;
	uint32_t tick = ticks_of(now);
	while (*budget > 0) {
		uint32_t index = m->scan;
		const struct handle_pair *pair = &handles->pairs[index];
		m->scan = index + 1 < handles->count / 2 ? index + 1 : 0;
		--*budget;
		if (pair->state == HANDLE_CLOSED && ticks_passed(pair->due, tick))
			pair_free(handles, index);
		else if (pair->state == HANDLE_LIVE &&
			 (line_due(handles, 2 * index, tick) ||
				 line_due(handles, 2 * index + 1, tick)) &&
			 pair_end(handles, index, false, tick, out))
			return true;
	}
	return false;
}

bool handles_end_next(struct handles *handles, uint32_t *position, uint64_t now, unsigned *budget,
	struct handles_ended *out)
{
	while (*budget > 0 && *position < handles->count / 2) {
		uint32_t index = (*position)++;
		--*budget;
		if (handles->pairs[index].state == HANDLE_LIVE &&
			pair_end(handles, index, true, ticks_of(now), out))
			return true;
	}
	return false;
}
