// SPDX-License-Identifier: BSD-3-Clause
// Predictable RSS, by DPDK's own software Toeplitz hash: a card with our key and table spreads
// clients over all queues, and brings what any peer sends to a relayed port to the worker whose
// home it is.
#include "dataplane/steering/rss_plan.h"

#include <rte_byteorder.h>
#include <rte_thash.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t seed = 0x9E3779B97F4A7C15;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

// What rte_softrss takes: the tuple as 32-bit words in host order.
struct tuple {
	uint32_t words[9];
	unsigned count;
};

static void random_tuple(struct tuple *t, enum net_family family, uint16_t sport, uint16_t dport)
{
	t->count = family == NET_IPV4 ? 3 : 9;
	for (unsigned i = 0; i + 1 < t->count; i++)
		t->words[i] = (uint32_t)random64();
	t->words[t->count - 1] = (uint32_t)sport << 16 | dport;
}

// What a card with this plan does.
static unsigned worker_of(const struct rss_plan *plan, unsigned table, struct tuple *t)
{
	uint32_t hash = rte_softrss(t->words, t->count, plan->key);
	return rss_plan_entry(plan, hash & (table - 1));
}

static const enum net_family families[] = {NET_IPV4, NET_IPV6};
static const unsigned tables[] = {64, 128, 256, 512, 2048};
static const uint16_t listen_ports[] = {3478, 3479};

enum { TUPLES = 4000 };

static void replies_come_home(
	const struct rss_plan *plan, enum net_family family, unsigned table, uint16_t port)
{
	uint8_t home = rss_plan_home(plan, port);
	assert_int_equal(home, rss_plan_home(plan, port ^ 1));
	if (home == RSS_NOBODY)
		return;
	for (unsigned i = 0; i < 8; i++) {
		struct tuple t;
		random_tuple(&t, family, (uint16_t)random64(), port);
		assert_int_equal(worker_of(plan, table, &t), home);
	}
}

// evens: clients that only use even ports. No worker gets less than half its fair share.
static void clients_spread(const struct rss_plan *plan, enum net_family family, unsigned table,
	uint16_t listen, bool evens)
{
	unsigned count[64] = {0};
	for (unsigned i = 0; i < TUPLES; i++) {
		struct tuple t;
		uint16_t port = (uint16_t)(1024 + random64() % 64512);
		random_tuple(&t, family, evens ? port & 0xFFFE : port, listen);
		count[worker_of(plan, table, &t)]++;
	}
	for (unsigned w = 0; w < plan->workers; w++)
		assert_true(count[w] * plan->workers * 2 >= TUPLES * 9 / 10);
	for (unsigned w = plan->workers; w < 64; w++)
		assert_int_equal(count[w], 0);
}

static void check(enum net_family family, unsigned table, unsigned workers, unsigned listens)
{
	unsigned bits = rss_class_bits(table, workers, listen_ports, listens);
	if (bits == 0)
		return;
	struct rss_plan plan;
	rss_plan_make(&plan, family, table, bits, workers, listen_ports, listens);
	for (unsigned l = 0; l < listens; l++)
		clients_spread(&plan, family, table, listen_ports[l], false);
	// With a bit to spare, even clients that do not use odd ports reach every worker.
	if (1u << (plan.spread_bits - 1) >= workers)
		clients_spread(&plan, family, table, listen_ports[0], true);
	unsigned ports[64] = {0}, homeless = 0;
	for (unsigned port = 49152; port <= 65535; port++) {
		uint8_t home = rss_plan_home(&plan, (uint16_t)port);
		if (home == RSS_NOBODY)
			homeless++;
		else
			ports[home]++;
		if (random64() % 16 == 0)
			replies_come_home(&plan, family, table, (uint16_t)port);
	}
	// Few ports have no home, and every worker has some: none has half of another's or less.
	assert_true(homeless <= listens * (16384u >> bits));
	for (unsigned w = 0; w < workers; w++)
		assert_true(ports[w] > 0 && ports[w] * 2 * workers >= 16384 - homeless);
}

static void test_random_tuples(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 2; f++)
		for (unsigned t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
			for (unsigned workers = 2; workers <= 64; workers++)
				for (unsigned listens = 1; listens <= 2; listens++)
					check(families[f], tables[t], workers, listens);
}

// How many workers a table is good for: these must not become fewer.
static void test_what_is_possible(void **state)
{
	(void)state;
	static const struct {
		unsigned table, workers;
	} most[] = {{64, 7}, {128, 8}, {256, 15}, {512, 16}, {2048, 32}};
	for (unsigned i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
		for (unsigned w = 2; w <= most[i].workers; w++)
			assert_int_not_equal(rss_class_bits(most[i].table, w, listen_ports, 1), 0);
		assert_int_equal(
			rss_class_bits(most[i].table, most[i].workers + 1, listen_ports, 1), 0);
	}
	assert_int_equal(rss_class_bits(100, 2, listen_ports, 1), 0);
	assert_int_equal(rss_class_bits(0, 2, listen_ports, 1), 0);
	assert_int_equal(rss_class_bits(2, 2, listen_ports, 1), 0);
	assert_int_equal(rss_class_bits(8192, 2, listen_ports, 1), 0);
	assert_int_equal(rss_class_bits(128, 1, listen_ports, 1), 0);
}

// Longer keys (52 bytes) only add zeros, and shorter tables agree with longer ones on classes.
static void test_cards_agree(void **state)
{
	(void)state;
	for (unsigned f = 0; f < 2; f++) {
		struct rss_plan small, large;
		unsigned bits = rss_class_bits(128, 4, listen_ports, 2);
		rss_plan_make(&small, families[f], 128, bits, 4, listen_ports, 2);
		rss_plan_make(&large, families[f], 2048, bits, 4, listen_ports, 2);
		assert_memory_equal(small.home, large.home, sizeof(small.home));
		for (unsigned i = RSS_KEY_MIN; i < RSS_KEY_MAX; i++)
			assert_int_equal(small.key[i] | large.key[i], 0);
		for (unsigned i = 0; i < 200000; i++) {
			struct tuple t;
			uint16_t port = (uint16_t)random64();
			random_tuple(&t, families[f], (uint16_t)random64(), port);
			if (rss_plan_home(&small, port) == RSS_NOBODY)
				continue;
			assert_int_equal(worker_of(&small, 128, &t), worker_of(&large, 2048, &t));
		}
		// A client's worker may differ between cards, but not from packet to packet.
		clients_spread(&large, families[f], 2048, 3478, true);
	}
}

// Why the other family needs another way: under IPv4's key an IPv6 peer's address decides.
static void test_one_key_is_for_one_family(void **state)
{
	(void)state;
	struct rss_plan plan;
	unsigned bits = rss_class_bits(128, 4, listen_ports, 1), seen = 0;
	rss_plan_make(&plan, NET_IPV4, 128, bits, 4, listen_ports, 1);
	for (unsigned i = 0; i < 200; i++) {
		struct tuple t;
		random_tuple(&t, NET_IPV6, 40000, 50000);
		seen |= 1u << worker_of(&plan, 128, &t);
	}
	assert_int_equal(seen, 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_tuples),
		cmocka_unit_test(test_what_is_possible),
		cmocka_unit_test(test_cards_agree),
		cmocka_unit_test(test_one_key_is_for_one_family),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
