// SPDX-License-Identifier: BSD-3-Clause
// See native_world.h.
#include "perf/world/native_world.h"

#include "dataplane/cookies.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIFETIME_MS = 3600 * 1000, LEASES_A_SECOND = 1 << 30, BUDGET = 1 << 30 };

static void refused(const char *what, int result)
{
	fprintf(stderr, "native_world: %s: %s\n", what, strerror(-result));
	exit(1);
}

// Addresses are hashes; these are as random as those.
static void address_of(uint32_t i, uint8_t out[static NATIVE_ADDRESS_SIZE])
{
	static const uint8_t key[crypto_stream_chacha20_KEYBYTES] = {1};
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES] = {0};
	memcpy(nonce, &i, sizeof(i));
	crypto_stream_chacha20(out, NATIVE_ADDRESS_SIZE, nonce, key);
}

static void make_pair(struct native_world *native, struct mapping_world *world, uint32_t i)
{
	struct api_handles_install install = {.lifetime_ms = LIFETIME_MS};
	memcpy(install.open_id, &i, sizeof(i));
	world_ends(world, 0, i, &install.end[0].client, &install.end[1].client);
	install.end[0].server.address = install.end[1].server.address = world->addresses.listen[0];
	install.end[0].server.port = install.end[1].server.port = world->addresses.port;
	struct api_handles_installed made;
	int result = handles_install(
		native->handles, &world->addresses, &install, false, world->now, &made);
	if (result < 0)
		refused("a pair of handles", result);
	native->caller[i] = (struct native_handle){made.generation[0], made.index[0]};
}

static void make_lease(struct native_world *native, struct mapping_world *world, uint32_t i)
{
	struct net_endpoint caller;
	struct api_lease lease = {.lifetime_ms = LIFETIME_MS};
	address_of(i, lease.address);
	world_ends(world, 0, i, &caller, &lease.client);
	lease.server.address = world->addresses.listen[0];
	lease.server.port = world->addresses.port;
	int result = leases_set(native->leases, &world->addresses, &lease, false, world->now);
	if (result < 0)
		refused("a lease", result);
}

void native_world_open(struct native_world *native, struct mapping_world *world, enum world_way way)
{
	struct worker *worker = world->workers[0];
	*native = (struct native_world){
		.settings = {.served = true, .sender_bytes = BUDGET, .address_bytes = BUDGET},
	};
	randombytes_buf(native->settings.cookie_key, sizeof(native->settings.cookie_key));
	bool handles = way == WORLD_HANDLE;
	native->handles = handles_create(handles ? 2 * world->mappings : 2, -1);
	native->leases = leases_create(handles ? 1 : world->mappings, -1);
	native->caller = calloc(world->mappings, sizeof(*native->caller));
	if (native->handles == NULL || native->leases == NULL || native->caller == NULL)
		refused("the tables do not fit into EAL's memory", 0);
	leases_rate_set(native->leases, LEASES_A_SECOND);
	for (uint32_t i = 0; i < world->mappings; i++)
		if (handles)
			make_pair(native, world, i);
		else
			make_lease(native, world, i);
	worker->handles = native->handles;
	worker->leases = native->leases;
	worker->native = &native->settings;
}

void native_world_close(struct native_world *native)
{
	handles_free(native->handles);
	leases_free(native->leases);
	free(native->caller);
}

unsigned native_world_header(const struct native_world *native, const struct mapping_world *world,
	uint32_t i, enum world_way way, const uint8_t *client, uint16_t port, uint8_t *out)
{
	if (way == WORLD_HANDLE) {
		const struct native_by_handle m = {.handle = native->caller[i]};
		return (unsigned)native_by_handle_build(out, NATIVE_BY_ADDRESS_HEADER, &m);
	}
	uint8_t address[NATIVE_ADDRESS_SIZE], cookie[NATIVE_COOKIE_SIZE];
	const struct cookie_holder holder = {client, port, NET_IPV4};
	address_of(i, address);
	cookie_make(&native->settings, &holder, world->now, cookie);
	const struct native_by_address m = {.hops = 1, .cookie = cookie, .address = address};
	return (unsigned)native_by_address_build(out, NATIVE_BY_ADDRESS_HEADER, &m);
}
