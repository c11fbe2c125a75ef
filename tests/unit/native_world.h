// SPDX-License-Identifier: BSD-3-Clause
// The relay of relay_world.h with the native protocol served: two parties in each family, the
// messages they send, leases and pairs of handles of theirs.
//
//   caller 198.51.100.10, 2001:db8:c::10 port 40000      callee 203.0.113.20, 2001:db8:d::20 port
//   5000
//
// Include once per program, instead of relay_world.h.
#pragma once

#include "dataplane/cookies.h"
#include "dataplane/native.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "lib/wire/native.h"
#include "tests/unit/relay_world.h"

#include <sodium.h>

enum { CALLER, CALLEE };

// world_open, with keys at random and something to find again in a CHALLENGE.
static inline void native_open(void)
{
	world_open();
	struct native_settings *native = &world.native;
	native->difficulty = 13;
	native->admission = NATIVE_ADMISSION_PUZZLE;
	native->tick_offset = randombytes_random();
	randombytes_buf(native->cookie_key, sizeof(native->cookie_key));
	randombytes_buf(native->path_key, sizeof(native->path_key));
}

static inline struct net_endpoint party(unsigned who, unsigned family)
{
	return who == CALLER ? endpoint(world_client[family], 40000)
			     : endpoint(world_peer[family], 5000);
}

static inline struct net_endpoint server_of(unsigned family)
{
	return endpoint(world_server[family], 3478);
}

// Where a party is after its NAT has thought of another port.
static inline struct net_endpoint moved(struct net_endpoint from)
{
	from.port = (uint16_t)(from.port + 1000);
	return from;
}

// ---- messages in ----

static inline struct frame native_frame(
	const struct net_endpoint *from, const void *message, size_t size)
{
	return (struct frame){
		.source = *from,
		.destination = server_of(from->address.family == NET_IPV6),
		.payload = message,
		.length = (uint16_t)size,
	};
}

static inline void send_from(const struct net_endpoint *from, const void *message, size_t size)
{
	struct frame f = native_frame(from, message, size);
	run(&f);
}

static const uint8_t transaction[8] = {0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8};

static inline void cookie_of(const struct net_endpoint *holder, uint8_t out[static 12])
{
	const struct cookie_holder h = {
		holder->address.bytes, holder->port, (uint8_t)holder->address.family};
	cookie_make(&world.native, &h, world.now, out);
}

// The only answer: from where the request went, to where it came from, whole.
static inline struct seen answer_to(const struct net_endpoint *from)
{
	struct seen s = seen_one();
	struct net_endpoint server = server_of(from->address.family == NET_IPV6);
	assert_endpoint(&s.source, &server);
	assert_endpoint(&s.destination, from);
	assert_int_equal(s.checksum, SEEN_RIGHT);
	assert_memory_equal(s.frame, world_gateway_mac, 6);
	assert_memory_equal(s.frame + 6, world_mac, 6);
	return s;
}

// A CHALLENGE with a cookie that is good for the source.
static inline void assert_challenged(
	const struct net_endpoint *from, const uint8_t want_transaction[static 8])
{
	struct seen s = answer_to(from);
	struct native_challenge c;
	assert_int_equal(native_challenge_parse(s.payload, s.h.payload_length, &c), 0);
	assert_memory_equal(c.transaction, want_transaction, 8);
	assert_int_equal(c.difficulty, world.native.difficulty);
	assert_int_equal(c.admission, world.native.admission);
	assert_int_equal(c.epoch, world.native.epoch);
	assert_int_equal(c.epoch_seconds, world.native.epoch_seconds);
	uint8_t want[12];
	cookie_of(from, want);
	assert_memory_equal(c.cookie, want, 12);
	world_clear();
}

// ---- leases ----

// An address that nobody else of the test has.
static inline void address_of(unsigned number, uint8_t out[static 32])
{
	memset(out, (int)(number + 1), 32);
}

static inline void device_of(unsigned number, uint8_t out[static 8])
{
	memset(out, (int)(number + 0x40), 8);
}

static inline void lease(unsigned number, unsigned device, const struct net_endpoint *at)
{
	struct api_lease l = {
		.client = *at,
		.server = server_of(at->address.family == NET_IPV6),
		.lifetime_ms = 60000,
		.issued = ticks_of(world.now) + world.native.tick_offset,
	};
	address_of(number, l.address);
	device_of(device, l.device);
	assert_int_equal(leases_set(world.leases, &world.addresses, &l, false, world.now), 0);
}

// ---- handles ----

struct pair {
	struct native_handle handle[2];
	uint8_t key[2][16];
};

static inline struct pair pair_open(
	const struct net_endpoint *caller, const struct net_endpoint *callee)
{
	static unsigned count;
	struct pair pair;
	struct api_handles_install install = {.lifetime_ms = 60000};
	const struct net_endpoint *ends[2] = {caller, callee};
	memcpy(install.open_id, &(uint32_t){++count}, 4);
	for (unsigned i = 0; i < 2; i++) {
		install.end[i].client = *ends[i];
		install.end[i].server = server_of(ends[i]->address.family == NET_IPV6);
		randombytes_buf(pair.key[i], 16);
		memcpy(install.end[i].key, pair.key[i], 16);
	}
	struct api_handles_installed installed;
	assert_int_equal(handles_install(world.handles, &world.addresses, &install, false,
				 world.now, &installed),
		0);
	for (unsigned i = 0; i < 2; i++)
		pair.handle[i] =
			(struct native_handle){installed.generation[i], installed.index[i]};
	return pair;
}

// Data by handle of `length` bytes behind the header; returns the size.
static inline size_t data_make(
	uint8_t *out, const struct native_handle *handle, const uint8_t *data, size_t length)
{
	const struct native_by_handle d = {*handle, data, length};
	size_t size = native_by_handle_build(out, 2048, &d);
	assert_int_equal(size, 8 + length);
	return size;
}
