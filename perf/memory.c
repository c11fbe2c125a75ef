// SPDX-License-Identifier: BSD-3-Clause
// What tables take of EAL's heap with N of theirs in them, all in, for each. Scenario memory: a
// worker's mappings, and what two rte_hash tables over the same session lines would take. Scenario
// registered-memory: the leases of the native protocol, and room for as many handles.
#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/own_addresses.h"
#include "perf/world/mapping_world.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_malloc.h>

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t heap_used(void)
{
	size_t used = 0;
	for (unsigned socket = 0; socket < RTE_MAX_NUMA_NODES; socket++) {
		struct rte_malloc_socket_stats stats;
		if (rte_malloc_get_socket_stats((int)socket, &stats) == 0)
			used += stats.heap_allocsz_bytes;
	}
	return used;
}

static struct rte_hash *open_hash(const char *name, uint32_t entries)
{
	struct rte_hash_parameters parameters = {
		.name = name,
		.entries = entries + entries / 8,
		.key_len = sizeof(struct client_key),
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	struct rte_hash *hash = rte_hash_create(&parameters);
	if (hash == NULL) {
		fprintf(stderr, "memory: no memory for rte_hash\n");
		exit(1);
	}
	return hash;
}

static int measure_mappings(uint32_t count, uint32_t allocations)
{
	static struct mapping_world world;
	size_t before = heap_used();
	struct mappings *tables = mappings_create(allocations, count, -1);
	if (tables == NULL) {
		fprintf(stderr, "memory: the tables do not fit into EAL's memory\n");
		return 1;
	}
	size_t ours = heap_used() - before;
	mappings_free(tables);
	// That as many really go in is the world's to show.
	world_open(&world, 1, count, NULL);
	world_close(&world);
	before = heap_used();
	struct rte_hash *channels = open_hash("channels", count),
			*peers = open_hash("peers", count);
	size_t hashes = heap_used() - before;
	printf("{\"mappings\":%u,\"allocations\":%u,\"bytes\":%.1f,\"rte_hash\":%.1f}\n", count,
		allocations, (double)ours / count, (double)hashes / count);
	rte_hash_free(channels);
	rte_hash_free(peers);
	return 0;
}

// As many leases as there is room for, each of another address, device and client; false: one was
// refused.
static bool fill(struct leases *leases, uint32_t count)
{
	static const struct node_addresses addresses = {
		.listen = {{.bytes = {11, 0, 0, 1}, .family = NET_IPV4}},
		.listen_count = 1,
		.port = 3478,
	};
	struct api_lease lease = {.client = {.address = {.family = NET_IPV4}, .port = 5000},
		.server = {.address = addresses.listen[0], .port = 3478},
		.lifetime_ms = 600 * 1000,
		.issued = 1};
	leases_rate_set(leases, 1000000000);
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t client = 12u << 24 | i;
		randombytes_buf(lease.address, sizeof(lease.address));
		randombytes_buf(lease.device, sizeof(lease.device));
		for (unsigned byte = 0; byte < 4; byte++)
			lease.client.address.bytes[byte] = (uint8_t)(client >> (24 - 8 * byte));
		int result = leases_set(leases, &addresses, &lease, false, rte_rdtsc());
		if (result != 0) {
			fprintf(stderr, "memory: lease %u of %u: %s\n", i, count,
				strerror(-result));
			return false;
		}
	}
	return leases->used == count;
}

static int measure_leases(uint32_t count)
{
	size_t before = heap_used();
	struct leases *leases = leases_create(count, -1);
	size_t leases_bytes = heap_used() - before;
	before = heap_used();
	struct handles *handles = handles_create(count, -1);
	size_t handles_bytes = heap_used() - before;
	if (leases == NULL || handles == NULL) {
		fprintf(stderr, "memory: the tables do not fit into EAL's memory\n");
		return 1;
	}
	if (!fill(leases, count))
		return 1;
	printf("{\"leases\":%u,\"lease\":%.1f,\"handle\":%.1f}\n", count,
		(double)leases_bytes / count, (double)handles_bytes / count);
	leases_free(leases);
	handles_free(handles);
	return 0;
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), result = 2;
	if (used < 0 || sodium_init() < 0)
		return 1;
	argc -= used;
	argv += used;
	uint32_t first = argc == 3 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	uint32_t second = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	if (argc == 3 && strcmp(argv[1], "leases") == 0)
		result = measure_leases(second);
	else if (first > 0)
		result = measure_mappings(first, second);
	else
		fprintf(stderr, "usage: memory [EAL OPTIONS] -- MAPPINGS ALLOCATIONS\n"
				"       memory [EAL OPTIONS] -- leases COUNT\n");
	rte_eal_cleanup();
	return result;
}
