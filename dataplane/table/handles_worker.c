// SPDX-License-Identifier: BSD-3-Clause
// Handles as workers use them: reading, keepalives, moves, closing; and what main shares of it. See
// handles.h. Any worker.
#include "dataplane/table/handles_pair.h"

#include "dataplane/table/memory.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/sequence.h"
#include "lib/wire/checksum.h"

// ---- with both lines taken ----

// Pseudo-header's addresses, ports, and the last word of the handle; the rest is the same on both
// ways.
static uint64_t way_sum(const uint8_t *source, const uint8_t *destination, uint16_t source_port,
	uint16_t destination_port, uint32_t index)
{
	uint16_t words[] = {__builtin_bswap16(source_port), __builtin_bswap16(destination_port),
		__builtin_bswap16((uint16_t)index)};
	return checksum_sum(source, 16) + checksum_sum(destination, 16) +
	       checksum_sum(words, sizeof(words));
}

static uint16_t delta_of(
	const struct node_addresses *addresses, const struct handle_fields *f, uint32_t index)
{
	uint64_t goes = way_sum(f->client, addresses->listen[f->server & SERVER_INDEX_MASK].bytes,
		f->client_port, own_server_port(addresses, f->server), index);
	uint64_t comes = way_sum(addresses->listen[f->peer_server & SERVER_INDEX_MASK].bytes,
		f->peer, own_server_port(addresses, f->peer_server), f->peer_port, index ^ 1);
	return checksum_fold((uint64_t)(uint16_t)~checksum_fold(goes) + checksum_fold(comes));
}

void handle_bind(struct handles *handles, const struct node_addresses *addresses, uint32_t index,
	const uint8_t client[static 16], uint16_t port, unsigned server)
{
	struct handle_fields *own = &handles->lines[index].fields;
	struct handle_fields *peer = &handles->lines[index ^ 1].fields;
	bool v6 = addresses->listen[server & SERVER_INDEX_MASK].family == NET_IPV6;
	memcpy(own->client, client, 16);
	memcpy(peer->peer, client, 16);
	own->client_port = peer->peer_port = port;
	own->server = peer->peer_server = (uint8_t)server;
	own->flags = (uint8_t)((own->flags & ~HANDLE_CLIENT_IPV6) | (v6 ? HANDLE_CLIENT_IPV6 : 0));
	peer->flags = (uint8_t)((peer->flags & ~HANDLE_PEER_IPV6) | (v6 ? HANDLE_PEER_IPV6 : 0));
	peer->to_peer = NEXT_HOP_NONE;
	own->delta = delta_of(addresses, own, index);
	peer->delta = delta_of(addresses, peer, index ^ 1);
}

static uint8_t reason_of(enum handle_cause cause, unsigned side, bool silent)
{
	switch (cause) {
	case HANDLE_SILENT:
		return silent ? NATIVE_CLOSED_YOU_SILENT : NATIVE_CLOSED_PEER_SILENT;
	case HANDLE_DRAINED:
		return NATIVE_CLOSED_DRAINING;
	default:
		return side == cause ? NATIVE_CLOSED_BY_YOU : NATIVE_CLOSED_BY_PEER;
	}
}

// What is left of a side's key: the proof that it is closed, for who has not heard it.
static void key_to_proof(struct handle_pair *pair, uint32_t even, unsigned side)
{
	static const uint8_t transaction[NATIVE_TRANSACTION_SIZE];
	const struct native_closed closed = {
		.transaction = transaction,
		.handle = {pair->generation, even + side},
		.reason = pair->reason[side],
	};
	uint8_t proof[NATIVE_PROOF_SIZE];
	native_closed_proof(proof, pair->key[side], &closed);
	table_memory_wipe(pair->key[side], sizeof(pair->key[side]));
	memcpy(pair->proof[side], proof, sizeof(proof));
}

void handle_end(struct handles *handles, uint32_t index, enum handle_cause cause, uint32_t tick,
	struct handles_ended *out)
{
	struct handle_pair *pair = handle_pair_of(handles, index);
	uint32_t even = index & ~1u;
	out->handle = (struct native_handle){pair->generation, even};
	for (unsigned side = 0; side < 2; side++) {
		struct handle_fields *f = &handles->lines[even + side].fields;
		memcpy(out->end[side].client, f->client, 16);
		memcpy(out->end[side].key, pair->key[side], NATIVE_PATH_KEY_SIZE);
		out->end[side].client_port = f->client_port;
		out->end[side].server = f->server;
		out->end[side].family = f->flags & HANDLE_CLIENT_IPV6 ? NET_IPV6 : NET_IPV4;
		out->end[side].silent = ticks_passed(f->deadline, tick);
		table_memory_wipe(f, sizeof(*f));
		pair->reason[side] = reason_of(cause, side, out->end[side].silent);
		key_to_proof(pair, even, side);
	}
	memset(pair->moved, 0, sizeof(pair->moved));
	memset(pair->has_moved, 0, sizeof(pair->has_moved));
	pair->due = tick + (uint32_t)(handles->hz * HANDLES_CLOSED_S >> TICKS_SHIFT) + 1;
	pair->state = HANDLE_CLOSED;
	atomic_fetch_sub_explicit(&handles->used, 1, memory_order_relaxed);
}

static bool try_both(struct handles *handles, uint32_t index)
{
	struct handle *even = &handles->lines[index & ~1u];
	if (!sequence_try(&even->sequence, HANDLES_TRIES))
		return false;
	if (sequence_try(&even[1].sequence, HANDLES_TRIES))
		return true;
	sequence_give(&even->sequence);
	return false;
}

static void give_both(struct handles *handles, uint32_t index)
{
	sequence_give(&handles->lines[index | 1u].sequence);
	sequence_give(&handles->lines[index & ~1u].sequence);
}

// ---- reading ----

enum handle_verdict handles_read(const struct handles *handles, struct native_handle handle,
	const struct client_key *source, uint32_t tick, struct handle_fields *out,
	uint32_t *sequence)
{
	if (handle.index >= handles->count)
		return HANDLE_NONE;
	for (unsigned i = 0; i < HANDLES_TRIES; i++) {
		if (handle_read(&handles->lines[handle.index], out, sequence))
			return handle_verdict(out, handle.generation, source, tick);
		rte_pause();
	}
	return HANDLE_BUSY;
}

static inline bool alive(const struct handle_fields *f, uint16_t generation, uint32_t tick)
{
	return generation != 0 && f->generation == generation && !ticks_passed(f->deadline, tick);
}

bool handles_path_key(const struct handles *handles, struct native_handle handle, uint32_t tick,
	uint8_t key[static NATIVE_PATH_KEY_SIZE])
{
	if (handle.index >= handles->count)
		return false;
	const struct handle *line = &handles->lines[handle.index];
	for (unsigned i = 0; i < HANDLES_TRIES; i++) {
		struct handle_fields fields;
		uint32_t before = atomic_load_explicit(&line->sequence, memory_order_acquire);
		fields.generation = line->fields.generation;
		fields.deadline = line->fields.deadline;
		memcpy(key, handle_pair_of(handles, handle.index)->key[handle.index & 1],
			NATIVE_PATH_KEY_SIZE);
		atomic_thread_fence(memory_order_acquire);
		uint32_t after = atomic_load_explicit(&line->sequence, memory_order_relaxed);
		if (before == after && !(before & 1) && alive(&fields, handle.generation, tick))
			return true;
		table_memory_wipe(key, NATIVE_PATH_KEY_SIZE);
		if (before == after && !(before & 1))
			return false;
		rte_pause();
	}
	return false;
}

bool handles_closed(const struct handles *handles, struct native_handle handle, uint32_t tick,
	uint8_t proof[static NATIVE_PROOF_SIZE], uint8_t *reason)
{
	if (handle.index >= handles->count || handle.generation == 0)
		return false;
	const struct handle *line = &handles->lines[handle.index];
	const struct handle_pair *pair = handle_pair_of(handles, handle.index);
	for (unsigned i = 0; i < HANDLES_TRIES; i++) {
		uint32_t before = atomic_load_explicit(&line->sequence, memory_order_acquire);
		bool closed = pair->state == HANDLE_CLOSED &&
			      pair->generation == handle.generation &&
			      !ticks_passed(pair->due, tick);
		memcpy(proof, pair->proof[handle.index & 1], NATIVE_PROOF_SIZE);
		*reason = pair->reason[handle.index & 1];
		atomic_thread_fence(memory_order_acquire);
		uint32_t after = atomic_load_explicit(&line->sequence, memory_order_relaxed);
		if (before == after && !(before & 1) && closed)
			return true;
		// It may have been a key.
		table_memory_wipe(proof, NATIVE_PROOF_SIZE);
		if (before == after && !(before & 1))
			return false;
		rte_pause();
	}
	return false;
}

// ---- writing ----

static uint32_t put_off(const struct handle_fields *f, uint32_t tick)
{
	uint32_t deadline = tick + f->lifetime;
	return deadline ? deadline : 1;
}

enum handle_verdict handles_keepalive(struct handles *handles, struct native_handle handle,
	const struct client_key *source, uint32_t tick, uint32_t *left)
{
	for (unsigned i = 0; i < HANDLES_TRIES; i++) {
		struct handle_fields fields;
		uint32_t sequence;
		enum handle_verdict verdict =
			handles_read(handles, handle, source, tick, &fields, &sequence);
		if (verdict != HANDLE_HERE)
			return verdict;
		struct handle *line = &handles->lines[handle.index];
		if (!sequence_take_at(&line->sequence, sequence))
			continue;
		line->fields.deadline = put_off(&fields, tick);
		*left = line->fields.deadline - tick;
		sequence_give(&line->sequence);
		return HANDLE_HERE;
	}
	return HANDLE_BUSY;
}

enum handle_verdict handles_move(struct handles *handles, const struct node_addresses *addresses,
	struct native_handle handle, const struct client_key *source, uint32_t issued,
	uint32_t tick, uint32_t *left)
{
	if (handle.index >= handles->count)
		return HANDLE_NONE;
	if (!try_both(handles, handle.index))
		return HANDLE_BUSY;
	struct handle_pair *pair = handle_pair_of(handles, handle.index);
	struct handle_fields *own = &handles->lines[handle.index].fields;
	const unsigned side = handle.index & 1;
	enum handle_verdict verdict = handle_verdict(own, handle.generation, source, tick);
	if (verdict == HANDLE_ELSEWHERE &&
		(!pair->has_moved[side] || (int32_t)(issued - pair->moved[side]) > 0)) {
		handle_bind(handles, addresses, handle.index, (const uint8_t *)source->words,
			(uint16_t)source->words[2], (unsigned)(source->words[2] >> 32));
		pair->moved[side] = issued;
		pair->has_moved[side] = 1;
		verdict = HANDLE_HERE;
	}
	if (verdict == HANDLE_HERE) {
		own->deadline = put_off(own, tick);
		*left = own->deadline - tick;
	}
	give_both(handles, handle.index);
	return verdict;
}

void handles_hop_set(
	struct handles *handles, uint32_t index, uint32_t sequence, uint16_t hop, uint32_t epoch)
{
	struct handle *line = &handles->lines[index];
	if (!sequence_take_at(&line->sequence, sequence))
		return;
	line->fields.to_peer = hop;
	line->fields.hop_epoch = epoch;
	sequence_give(&line->sequence);
}

enum handle_verdict handles_close(struct handles *handles, struct native_handle handle,
	uint32_t tick, struct handles_ended *out)
{
	if (handle.index >= handles->count)
		return HANDLE_NONE;
	if (!try_both(handles, handle.index))
		return HANDLE_BUSY;
	bool live = alive(&handles->lines[handle.index].fields, handle.generation, tick);
	if (live)
		handle_end(handles, handle.index,
			handle.index & 1 ? HANDLE_BY_CALLEE : HANDLE_BY_CALLER, tick, out);
	give_both(handles, handle.index);
	return live ? HANDLE_HERE : HANDLE_NONE;
}
