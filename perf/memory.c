// SPDX-License-Identifier: BSD-3-Clause
// Scenario memory: what a worker's tables take of EAL's heap with N mappings in them, all in, per
// mapping; and what two rte_hash tables over the same session lines would take.
#include "perf/world/mapping_world.h"

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_malloc.h>

#include <stdio.h>
#include <stdlib.h>

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

int main(int argc, char **argv)
{
	static struct mapping_world world;
	int used = rte_eal_init(argc, argv);
	if (used < 0)
		return 1;
	if (argc - used != 3) {
		fprintf(stderr, "usage: memory [EAL OPTIONS] -- MAPPINGS ALLOCATIONS\n");
		return 2;
	}
	uint32_t mappings = (uint32_t)strtoul(argv[used + 1], NULL, 10);
	uint32_t allocations = (uint32_t)strtoul(argv[used + 2], NULL, 10);
	size_t before = heap_used();
	struct mappings *tables = mappings_create(allocations, mappings, -1);
	if (tables == NULL) {
		fprintf(stderr, "memory: the tables do not fit into EAL's memory\n");
		return 1;
	}
	size_t ours = heap_used() - before;
	mappings_free(tables);
	// That as many really go in is the world's to show.
	world_open(&world, 1, mappings, NULL);
	world_close(&world);
	before = heap_used();
	struct rte_hash *channels = open_hash("channels", mappings),
			*peers = open_hash("peers", mappings);
	size_t hashes = heap_used() - before;
	printf("{\"mappings\":%u,\"allocations\":%u,\"bytes\":%.1f,\"rte_hash\":%.1f}\n", mappings,
		allocations, (double)ours / mappings, (double)hashes / mappings);
	rte_hash_free(channels);
	rte_hash_free(peers);
	rte_eal_cleanup();
	return 0;
}
