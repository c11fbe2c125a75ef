// SPDX-License-Identifier: BSD-3-Clause
// Leases for tests: numbered devices of numbered addresses at numbered clients of both families, a
// clock, and a table. Include once per program.
#pragma once

#include "dataplane/table/leases.h"
#include "tests/unit/dpdk_env.h"

#include <rte_cycles.h>
#include <sodium.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const struct node_addresses ours = {
	.listen = {{.bytes = {192, 0, 2, 1}, .family = NET_IPV4},
		{.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}, .family = NET_IPV6}},
	.listen_count = 2,
	.port = 3478,
	.alternate_port = 3479,
};

static uint64_t now; // TSC

static uint64_t seconds(unsigned n)
{
	return n * rte_get_tsc_hz();
}

// The lease of a numbered device of a numbered address, at a numbered client.
static struct api_lease lease_of(
	unsigned address, unsigned device, unsigned client, unsigned issued)
{
	struct api_lease lease = {.lifetime_ms = 600 * 1000, .issued = issued};
	lease.address[0] = 0xAD;
	memcpy(lease.address + 13, &address, sizeof(address)); // at no even place
	lease.device[0] = 0xDE;
	memcpy(lease.device + 3, &device, sizeof(device));
	bool v6 = client & 1;
	lease.client.address.family = v6 ? NET_IPV6 : NET_IPV4;
	lease.client.address.bytes[0] = v6 ? 0x20 : 198;
	memcpy(lease.client.address.bytes + (v6 ? 12 : 1), &client, v6 ? 4 : 3);
	lease.client.port = (uint16_t)(client % 60000 + 1);
	lease.server.address = ours.listen[v6];
	lease.server.port = ours.port;
	return lease;
}

static int set(struct leases *leases, struct api_lease lease)
{
	return leases_set(leases, &ours, &lease, false, now);
}

static inline int withdraw(struct leases *leases, struct api_lease lease)
{
	return leases_remove(leases, &lease, now);
}

static inline int found(const struct leases *leases, unsigned address, struct lease_view *out)
{
	struct api_lease lease = lease_of(address, 0, 0, 0);
	return leases_look_up(leases, lease.address, ticks_of(now), out);
}

static bool is_at(const struct lease_view *view, const struct api_lease *lease)
{
	struct client_key key;
	client_key_set(&key, lease->client.address.bytes, lease->client.address.family,
		lease->client.port, 0, lease->client.address.family == NET_IPV6);
	return lease_is_at(view, &key) && memcmp(view->device, lease->device, 8) == 0;
}

static struct leases *leases_for_test(uint32_t capacity)
{
	struct leases *leases = leases_create(capacity, -1);
	assert_non_null(leases);
	leases_rate_set(leases, 1000000000);
	now = seconds(1000);
	return leases;
}

// Until nothing is due any more.
static unsigned expire_all(struct leases *leases)
{
	return leases_expire(leases, now, leases->capacity);
}

// Where a burst has seen the address.
static inline struct lease_place place_of(
	const struct leases *leases, const uint8_t address[static NATIVE_ADDRESS_SIZE])
{
	struct lease_place place;
	leases_prefetch_bucket(leases, address, &place);
	for (unsigned b = 0; b < 2; b++)
		if (leases_prefetch_entry(leases, leases_bucket(leases, place.hash, b), &place))
			break;
	return place;
}

static int set_up(void **state)
{
	(void)state;
	dpdk_env_start();
	return sodium_init() < 0;
}
