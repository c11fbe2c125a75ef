// SPDX-License-Identifier: BSD-3-Clause
// Pairs of handles for tests: numbered clients of both families, what is installed for them, and
// what a line of theirs must be. Include once per program.
#pragma once

#include "dataplane/table/handles_pair.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/own_addresses.h"
#include "lib/wire/checksum.h"
#include "tests/unit/dpdk_env.h"

#include <rte_cycles.h>
#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct node_addresses ours = {
	.listen = {{.bytes = {192, 0, 2, 1}, .family = NET_IPV4},
		{.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}, .family = NET_IPV6},
		{.bytes = {192, 0, 2, 2}, .family = NET_IPV4}},
	.listen_count = 3,
	.port = 3478,
	.alternate_port = 3479,
	.behaviour_discovery = true,
};

static uint64_t now; // TSC

static uint64_t seconds(unsigned n)
{
	return n * rte_get_tsc_hz();
}

// A numbered client; odd ones have IPv6.
static struct net_endpoint client_of(unsigned client)
{
	bool v6 = client & 1;
	struct net_endpoint e = {.port = (uint16_t)(client % 60000 + 1)};
	e.address.family = v6 ? NET_IPV6 : NET_IPV4;
	e.address.bytes[0] = v6 ? 0x20 : 198;
	memcpy(e.address.bytes + (v6 ? 12 : 1), &client, v6 ? 4 : 3);
	return e;
}

static inline struct client_key key_of(unsigned client)
{
	struct client_key key;
	struct net_endpoint e = client_of(client);
	client_key_set(&key, e.address.bytes, e.address.family, e.port, 0, client & 1);
	return key;
}

static struct api_handles_install open_of(unsigned id, unsigned caller, unsigned callee)
{
	struct api_handles_install in = {.lifetime_ms = 60 * 1000};
	const unsigned clients[2] = {caller, callee};
	memcpy(in.open_id + 5, &id, sizeof(id));
	for (unsigned side = 0; side < 2; side++) {
		in.end[side].client = client_of(clients[side]);
		in.end[side].server = (struct net_endpoint){
			.address = ours.listen[clients[side] & 1], .port = ours.port};
		memset(in.end[side].key, (int)(0x11 + side), 16);
		memcpy(in.end[side].key + 3, &id, sizeof(id));
	}
	return in;
}

static int install(struct handles *handles, const struct api_handles_install *in,
	struct api_handles_installed *out)
{
	return handles_install(handles, &ours, in, false, now, out);
}

static struct native_handle side_of(const struct api_handles_installed *pair, unsigned side)
{
	return (struct native_handle){pair->generation[side], pair->index[side]};
}

static inline enum handle_verdict read_as(const struct handles *handles,
	struct native_handle handle, unsigned client, struct handle_fields *out)
{
	uint32_t sequence;
	struct client_key source = key_of(client);
	return handles_read(handles, handle, &source, ticks_of(now), out, &sequence);
}

static struct handles *handles_for_test(uint32_t count)
{
	struct handles *handles = handles_create(count, -1);
	assert_non_null(handles);
	now = seconds(1000);
	return handles;
}

static inline unsigned expire_all(struct handles *handles, struct handles_ended *last)
{
	unsigned budget = handles->count / 2, ended = 0;
	while (handles_expire(handles, now, &budget, last))
		ended++;
	return ended;
}

// The delta turns the checksum of any datagram from the client into that of the one to the peer.
static void assert_delta(const struct handle_fields *f, struct native_handle handle)
{
	uint8_t in[8], out[8];
	const struct native_by_handle from = {.handle = handle},
				      to = {.handle = {handle.generation, handle.index ^ 1}};
	assert_int_equal(native_by_handle_build(in, sizeof(in), &from), 8);
	assert_int_equal(native_by_handle_build(out, sizeof(out), &to), 8);
	uint16_t in_ports[] = {__builtin_bswap16(f->client_port),
		__builtin_bswap16(own_server_port(&ours, f->server))};
	uint16_t out_ports[] = {__builtin_bswap16(own_server_port(&ours, f->peer_server)),
		__builtin_bswap16(f->peer_port)};
	uint64_t rest = 0x12345678;
	uint64_t before = rest + checksum_sum(f->client, 16) +
			  checksum_sum(ours.listen[f->server & SERVER_INDEX_MASK].bytes, 16) +
			  checksum_sum(in_ports, 4) + checksum_sum(in, 8);
	uint64_t after = rest + checksum_sum(f->peer, 16) +
			 checksum_sum(ours.listen[f->peer_server & SERVER_INDEX_MASK].bytes, 16) +
			 checksum_sum(out_ports, 4) + checksum_sum(out, 8);
	uint16_t received = (uint16_t)~checksum_fold(before);
	assert_int_equal(checksum_update(received, 0, f->delta), (uint16_t)~checksum_fold(after));
}

// What a line must be for a pair of these two clients.
static inline bool line_is(const struct handle_fields *f, unsigned client, unsigned peer)
{
	struct net_endpoint c = client_of(client), p = client_of(peer);
	return memcmp(f->client, c.address.bytes, 16) == 0 && f->client_port == c.port &&
	       f->server == (client & 1) && memcmp(f->peer, p.address.bytes, 16) == 0 &&
	       f->peer_port == p.port && f->peer_server == (peer & 1) &&
	       f->flags ==
		       ((client & 1 ? HANDLE_CLIENT_IPV6 : 0) | (peer & 1 ? HANDLE_PEER_IPV6 : 0));
}

static int set_up(void **state)
{
	(void)state;
	dpdk_env_start();
	return sodium_init() < 0;
}
