// SPDX-License-Identifier: BSD-3-Clause
// Scenario path: cycles per relayed packet of the worker's own stage functions (pipeline_run, from
// the received mbuf to the finished frame at the door), over packets in memory, mappings in random
// order. The look-up is one call per burst (table/lookup.h), and only that is exchanged:
//   ours    the mapping table
//   hash    rte_hash, lock-free readers, bulk look-up, the same keys and the same session lines
//   none    the session is known beforehand and warm: parsing and rewriting alone
// Of the native protocol (data by handle, data by address) there is one way, beside the channel's
// with the same two ends.
//
// wrap: mappings_find
#include "dataplane/table/lookup.h"
#include "perf/world/native_world.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_mbuf.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BURSTS = 4, SIZE = 160, POOL = 8191, BOTH_WAYS = 2 };

enum look_up { LOOK_UP_OURS, LOOK_UP_HASH, LOOK_UP_NONE, LOOK_UPS };
static const char *const look_up_names[LOOK_UPS] = {"ours", "rte_hash", "none"};

static enum look_up look_up;
static struct rte_hash *hash_channels, *hash_peers;
static uint32_t known[2][BURST_MAX]; // by direction, in the order of the burst
static unsigned finished;
static struct rte_mbuf *out[BURST_MAX];

// ---- the doors: what is finished is kept until the burst is over ----

void worker_transmit(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint16_t port)
{
	(void)worker;
	(void)port;
	memcpy(out + finished, mbufs, count * sizeof(*mbufs));
	finished += count;
}

static void lost(const char *what)
{
	fprintf(stderr, "path: a packet was %s instead of relayed\n", what);
	exit(1);
}

void worker_drop(struct worker *worker, struct rte_mbuf *mbuf, enum stats_drop reason)
{
	(void)worker;
	(void)mbuf;
	lost(stats_drop_names[reason]);
}

void worker_punt(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_allocation_context *context)
{
	(void)worker, (void)mbuf, (void)headers, (void)port, (void)context;
	lost("punted");
}

void worker_punt_native(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_native_punt *punt)
{
	(void)worker, (void)mbuf, (void)headers, (void)port, (void)punt;
	lost("punted");
}

void worker_to_kernel(struct worker *worker, struct rte_mbuf *mbuf, uint16_t port)
{
	(void)worker, (void)mbuf, (void)port;
	lost("given to the kernel");
}

void worker_hand_off(struct worker *worker, uint16_t owner, struct rte_mbuf *mbuf, uint16_t port)
{
	(void)worker, (void)owner, (void)mbuf, (void)port;
	lost("handed over");
}

void worker_want_neighbour(struct worker *worker, const struct api_neighbour_wanted *wanted)
{
	(void)worker, (void)wanted;
}

void worker_expired(struct worker *worker, uint64_t allocation_id)
{
	(void)worker, (void)allocation_id;
}

// ---- the look-ups ----

void __real_mappings_find(const struct mappings *m, const struct mappings_wanted *wanted);
void __wrap_mappings_find(const struct mappings *m, const struct mappings_wanted *wanted);

// The bulk call, then the session lines: fetched together, and read as ours reads them.
static void find_by_hash(const struct mappings *m, const struct rte_hash *hash, const void *keys,
	size_t size, unsigned count, uint32_t *indices)
{
	const void *pointers[BURST_MAX];
	void *data[BURST_MAX];
	uint64_t hits = 0;
	for (unsigned i = 0; i < count; i++)
		pointers[i] = (const uint8_t *)keys + i * size;
	rte_hash_lookup_bulk_data(hash, pointers, count, &hits, data);
	for (unsigned i = 0; i < count; i++) {
		indices[i] = hits >> i & 1 ? (uint32_t)(uintptr_t)data[i] : MAPPINGS_NONE;
		if (indices[i] != MAPPINGS_NONE)
			__builtin_prefetch(&m->sessions[indices[i]]);
	}
}

void __wrap_mappings_find(const struct mappings *m, const struct mappings_wanted *w)
{
	switch (look_up) {
	case LOOK_UP_OURS:
		__real_mappings_find(m, w);
		return;
	case LOOK_UP_HASH:
		if (w->channel_count)
			find_by_hash(m, hash_channels, w->channels, sizeof(*w->channels),
				w->channel_count, w->channel_sessions);
		if (w->peer_count)
			find_by_hash(m, hash_peers, w->peers, sizeof(*w->peers), w->peer_count,
				w->peer_sessions);
		return;
	default:
		memcpy(w->channel_sessions, known[WORLD_CLIENT_TO_PEER],
			w->channel_count * sizeof(*w->channel_sessions));
		memcpy(w->peer_sessions, known[WORLD_PEER_TO_CLIENT],
			w->peer_count * sizeof(*w->peer_sessions));
	}
}

static struct rte_hash *open_hash(const char *name, uint32_t entries, uint32_t key)
{
	struct rte_hash_parameters parameters = {
		.name = name,
		.entries = entries + entries / 8,
		.key_len = key,
		.hash_func = rte_hash_crc,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF,
	};
	struct rte_hash *hash = rte_hash_create(&parameters);
	if (hash == NULL) {
		fprintf(stderr, "path: rte_hash of %u entries: %s\n", entries,
			rte_strerror(rte_errno));
		exit(1);
	}
	return hash;
}

static void fill_hashes(const struct mapping_world *world)
{
	const struct mappings *m = world->workers[0]->mappings;
	hash_channels = open_hash("channels", world->mappings, sizeof(struct client_key));
	hash_peers = open_hash("peers", world->mappings, sizeof(struct peer_key));
	for (uint32_t i = 0; i < m->session_pool.size; i++) {
		const struct session *s = &m->sessions[i];
		if (s->channel == 0)
			continue;
		struct client_key channel;
		struct peer_key peer;
		session_keys(s, &channel, &peer);
		void *data = (void *)(uintptr_t)i;
		if (rte_hash_add_key_data(hash_channels, &channel, data) ||
			rte_hash_add_key_data(hash_peers, &peer, data)) {
			fprintf(stderr, "path: rte_hash is full\n");
			exit(1);
		}
	}
}

// ---- measuring ----

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static double median_of(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

// Cycles per packet of all, and of each stage: medians over bursts, which a burst that was
// interrupted does not move.
struct figures {
	double cycles, stage[STATS_STAGE_COUNT];
};

// native: WORLD_HANDLE or WORLD_ADDRESS instead of `way`, or 0.
static void measure(struct mapping_world *world, struct rte_mempool *pool, unsigned way,
	unsigned native, unsigned rounds, uint64_t *random, struct figures *figures)
{
	struct rte_mbuf *mbufs[BURSTS][BURST_MAX];
	uint32_t which[BURSTS][BURST_MAX];
	enum world_way ways[BURSTS][BURST_MAX];
	double *cycles = calloc(rounds * BURSTS, sizeof(*cycles));
	double *stages = calloc((size_t)rounds * BURSTS * STATS_STAGE_COUNT, sizeof(*stages));
	struct worker *worker = world->workers[0];
	if (cycles == NULL || stages == NULL)
		lost("without memory");
	for (unsigned b = 0; b < BURSTS; b++)
		if (rte_pktmbuf_alloc_bulk(pool, mbufs[b], BURST_MAX))
			lost("without a buffer");
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned b = 0; b < BURSTS; b++)
			for (unsigned i = 0; i < BURST_MAX; i++) {
				uint32_t at = (uint32_t)(random_next(random) % world->mappings);
				which[b][i] = at;
				ways[b][i] = native             ? native
					     : way == BOTH_WAYS ? random_next(random) >> 40 & 1
								: way;
				world_frame(world, 0, at, ways[b][i], SIZE, mbufs[b][i]);
			}
		for (unsigned b = 0; b < BURSTS; b++) {
			unsigned count[2] = {0, 0};
			for (unsigned i = 0; look_up == LOOK_UP_NONE && i < BURST_MAX; i++) {
				uint32_t session = world->session[which[b][i]];
				known[ways[b][i]][count[ways[b][i]]++] = session;
				rte_prefetch0(&worker->mappings->sessions[session]);
			}
			if (look_up == LOOK_UP_NONE)
				rte_delay_us_block(5);
			finished = 0;
			memset(worker->stats.stage, 0, sizeof(worker->stats.stage));
			uint64_t start = rte_rdtsc_precise();
			pipeline_run(worker, 0, mbufs[b], BURST_MAX, world->now);
			uint64_t end = rte_rdtsc_precise();
			unsigned at = r * BURSTS + b;
			cycles[at] = (double)(end - start) / BURST_MAX;
			for (unsigned s = 0; s < STATS_STAGE_COUNT; s++)
				stages[(size_t)s * rounds * BURSTS + at] =
					(double)worker->stats.stage[s].cycles / BURST_MAX;
			if (finished != BURST_MAX)
				lost("lost");
		}
	}
	for (unsigned b = 0; b < BURSTS; b++)
		rte_pktmbuf_free_bulk(mbufs[b], BURST_MAX);
	figures->cycles = median_of(cycles, rounds * BURSTS);
	for (unsigned s = 0; s < STATS_STAGE_COUNT; s++)
		figures->stage[s] =
			median_of(stages + (size_t)s * rounds * BURSTS, rounds * BURSTS);
	free(cycles);
	free(stages);
}

// Session indices by mapping, for `none`.
static void learn_sessions(struct mapping_world *world)
{
	const struct mappings *m = world->workers[0]->mappings;
	world->session = calloc(world->mappings, sizeof(*world->session));
	for (uint32_t i = 0; i < m->session_pool.size; i++) {
		const struct session *s = &m->sessions[i];
		if (s->channel == 0)
			continue;
		uint32_t high = (uint32_t)(s->peer_port - 30000);
		world->session[high << 16 | (uint32_t)s->peer[2] << 8 | s->peer[3]] = i;
	}
}

// Every mapping once each way: the first packet of a direction finds its next hop, by another path
// than the packets after it.
static void warm_up(
	struct mapping_world *world, struct rte_mempool *pool, unsigned first, unsigned last)
{
	struct rte_mbuf *mbufs[BURST_MAX];
	look_up = LOOK_UP_OURS;
	if (rte_pktmbuf_alloc_bulk(pool, mbufs, BURST_MAX))
		lost("without a buffer");
	for (unsigned way = first; way <= last; way++)
		for (uint32_t i = 0; i < world->mappings; i += BURST_MAX) {
			for (unsigned j = 0; j < BURST_MAX; j++)
				world_frame(
					world, 0, (i + j) % world->mappings, way, SIZE, mbufs[j]);
			finished = 0;
			pipeline_run(world->workers[0], 0, mbufs, BURST_MAX, world->now);
			if (finished != BURST_MAX)
				lost("lost");
		}
	rte_pktmbuf_free_bulk(mbufs, BURST_MAX);
}

static void print_figures(const char *way, uint32_t mappings, const struct figures *f)
{
	printf("{\"way\":\"%s\",\"table\":\"%s\",\"mappings\":%u,\"cycles\":%.1f", way,
		look_up_names[look_up], mappings, f->cycles);
	for (unsigned i = 0; i < STATS_STAGE_COUNT; i++)
		if (f->stage[i] > 0)
			printf(",\"%s\":%.1f", stats_stage_names[i], f->stage[i]);
	printf("}\n");
	fflush(stdout);
}

static void run_ways(
	struct mapping_world *world, struct rte_mempool *pool, unsigned rounds, uint64_t *random)
{
	static const char *const ways[] = {"client_to_peer", "peer_to_client", "mixed"};
	for (unsigned way = 0; way <= BOTH_WAYS; way++)
		for (look_up = 0; look_up < LOOK_UPS; look_up++) {
			struct figures f;
			measure(world, pool, way, 0, rounds / 4 + 1, random, &f);
			measure(world, pool, way, 0, rounds, random, &f);
			print_figures(ways[way], world->mappings, &f);
		}
}

static void run_native(struct mapping_world *world, struct rte_mempool *pool, unsigned native,
	unsigned rounds, uint64_t *random)
{
	struct figures f;
	look_up = LOOK_UP_OURS;
	measure(world, pool, 0, 0, rounds / 4 + 1, random, &f);
	measure(world, pool, 0, 0, rounds, random, &f);
	print_figures("client_to_peer", world->mappings, &f);
	measure(world, pool, 0, native, rounds / 4 + 1, random, &f);
	measure(world, pool, 0, native, rounds, random, &f);
	print_figures(native == WORLD_HANDLE ? "handle" : "address", world->mappings, &f);
}

// 0: the ways of TURN. -1: not known.
static int native_of(const char *word)
{
	if (word == NULL)
		return 0;
	return strcmp(word, "handle") == 0    ? WORLD_HANDLE
	       : strcmp(word, "address") == 0 ? WORLD_ADDRESS
					      : -1;
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	if (used < 0)
		return 1;
	argc -= used;
	argv += used;
	int native = argc == 4 || argc == 5 ? native_of(argv[4]) : -1;
	if (native < 0) {
		fprintf(stderr,
			"usage: path [EAL OPTIONS] -- MAPPINGS REPEATS ROUNDS [handle|address]\n");
		return 2;
	}
	uint32_t mappings = (uint32_t)strtoul(argv[1], NULL, 10);
	unsigned repeats = (unsigned)strtoul(argv[2], NULL, 10);
	unsigned rounds = (unsigned)strtoul(argv[3], NULL, 10);
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"packets", POOL, 0, PACKET_PRIVATE_SIZE, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL || mappings == 0 || rounds == 0)
		return 1;
	struct mapping_world world;
	struct native_world native_world;
	world_open(&world, 1, mappings, pool);
	warm_up(&world, pool, WORLD_CLIENT_TO_PEER, WORLD_PEER_TO_CLIENT);
	if (native) {
		native_world_open(&native_world, &world, (enum world_way)native);
		world.native = &native_world;
		warm_up(&world, pool, (unsigned)native, (unsigned)native);
	} else {
		fill_hashes(&world);
		learn_sessions(&world);
	}
	uint64_t random = 88172645463325252u;
	for (unsigned repeat = 0; repeat < repeats; repeat++)
		if (native)
			run_native(&world, pool, (unsigned)native, rounds, &random);
		else
			run_ways(&world, pool, rounds, &random);
	rte_hash_free(hash_channels);
	rte_hash_free(hash_peers);
	if (native)
		native_world_close(&native_world);
	world_close(&world);
	rte_mempool_free(pool);
	rte_eal_cleanup();
	return 0;
}
