// SPDX-License-Identifier: BSD-3-Clause
// The ring between two workers: batches, order, shares under contention, and that the producer's
// counts are those of what is in the ring.
#include "dataplane/steering/handoff.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Stand-ins for packets: never looked into.
static struct rte_mbuf packets[4096];
static uint32_t flow_of[4096];
static unsigned next_packet;

static struct rte_mbuf *packet(uint32_t flow)
{
	unsigned i = next_packet++ % 4096;
	flow_of[i] = flow;
	return &packets[i];
}

static uint32_t flow_of_packet(const struct rte_mbuf *mbuf)
{
	return flow_of[mbuf - packets];
}

static unsigned consume(struct handoff *handoff, unsigned count, unsigned *of_flow, uint32_t flow)
{
	void *out[HANDOFF_RING];
	unsigned taken = rte_ring_sc_dequeue_burst(handoff->ring, out, count, NULL);
	for (unsigned i = 0; of_flow && i < taken; i++)
		*of_flow += flow_of_packet(out[i]) == flow;
	return taken;
}

static struct handoff_result push(struct handoff *handoff, uint32_t flow, unsigned count)
{
	struct handoff_result sum = {0}, one;
	for (unsigned i = 0; i < count; i++) {
		if (!handoff_add(handoff, packet(flow), flow) && i + 1 < count)
			continue;
		handoff_flush(handoff, &one);
		assert_int_equal(handoff->count, 0);
		sum.sent += one.sent;
		sum.full += one.full;
		sum.unfair += one.unfair;
	}
	assert_int_equal(sum.sent + sum.full + sum.unfair, count);
	return sum;
}

static unsigned sum_held(const struct handoff *handoff)
{
	unsigned sum = 0;
	for (unsigned i = 0; i < HANDOFF_BUCKETS; i++)
		sum += handoff->held[i];
	return sum;
}

static void test_order_and_batches(void **state)
{
	(void)state;
	struct handoff *handoff = handoff_create();
	struct handoff_result result;
	void *out[BURST_MAX];
	assert_non_null(handoff);
	for (unsigned i = 0; i < BURST_MAX; i++)
		assert_int_equal(handoff_add(handoff, &packets[i], i), i == BURST_MAX - 1);
	assert_int_equal(rte_ring_count(handoff->ring), 0); // nothing goes one by one
	handoff_flush(handoff, &result);
	assert_int_equal(result.sent, BURST_MAX);
	assert_int_equal(rte_ring_sc_dequeue_burst(handoff->ring, out, BURST_MAX, NULL), BURST_MAX);
	for (unsigned i = 0; i < BURST_MAX; i++)
		assert_ptr_equal(out[i], &packets[i]);
	handoff_free(handoff);
}

// Alone, a flow has half the ring; what comes beyond is counted as its own, not as a full ring.
static void test_elephant_alone(void **state)
{
	(void)state;
	struct handoff *handoff = handoff_create();
	struct handoff_result result = push(handoff, 7, 4000);
	assert_int_equal(result.sent, HANDOFF_CONTENDED);
	assert_int_equal(result.full, 0);
	assert_int_equal(result.unfair, 4000 - HANDOFF_CONTENDED);
	assert_int_equal(sum_held(handoff), HANDOFF_CONTENDED);
	while (consume(handoff, 64, NULL, 0))
		;
	assert_int_equal(push(handoff, 7, 10).sent, 10);
	assert_int_equal(sum_held(handoff), 10);
	while (consume(handoff, 64, NULL, 0))
		;
	handoff_free(handoff);
}

// An elephant that sends twenty times what the consumer takes, and 200 mice of 2 packets a round:
// no mouse loses any, in any round, and the elephant still gets what is left.
static void test_elephant_and_mice(void **state)
{
	(void)state;
	struct handoff *handoff = handoff_create();
	unsigned mice_lost = 0, elephant = 0, collided = 0;
	for (unsigned round = 0; round < 500; round++) {
		push(handoff, 0xE1E, 2000);
		for (uint32_t mouse = 0; mouse < 200; mouse++) {
			uint32_t flow = 1000 + mouse * 13;
			struct handoff_result result = push(handoff, flow, 2);
			// In the elephant's bucket a mouse shares its fate.
			bool together = flow * handoff->multiplier >> 22 ==
					0xE1Eu * handoff->multiplier >> 22;
			collided += together;
			if (!together)
				mice_lost += 2 - result.sent;
		}
		unsigned room = 500;
		while (room) {
			unsigned taken = consume(handoff, room < 64 ? room : 64, &elephant, 0xE1E);
			if (taken == 0)
				break;
			room -= taken;
		}
	}
	assert_int_equal(mice_lost, 0);
	assert_true(collided <= 500 * 3);
	assert_true(elephant >= 500 * 90); // of 100 a round
	while (consume(handoff, 64, NULL, 0))
		;
	handoff_free(handoff);
}

// Several elephants fill their half at most.
static void test_eight_elephants(void **state)
{
	(void)state;
	struct handoff *handoff = handoff_create();
	for (unsigned turn = 0; turn < 100; turn++)
		for (uint32_t flow = 1; flow <= 8; flow++)
			push(handoff, flow * 77, 32);
	assert_true(rte_ring_count(handoff->ring) <= HANDOFF_CONTENDED + 8 * HANDOFF_SHARE);
	for (uint32_t mouse = 0; mouse < 64; mouse++)
		push(handoff, 5000 + mouse * 3, 4);
	assert_true(rte_ring_count(handoff->ring) > HANDOFF_CONTENDED);
	while (consume(handoff, 64, NULL, 0))
		;
	handoff_free(handoff);
}

// The counts against a model, over random traffic and wrap-around of every index.
static void test_counts_are_exact(void **state)
{
	(void)state;
	struct handoff *handoff = handoff_create();
	handoff->enqueued = handoff->released = UINT32_MAX - 5000;
	srandom(7);
	for (unsigned step = 0; step < 20000; step++) {
		push(handoff, (uint32_t)random() % 50, 1 + (unsigned)random() % 150);
		assert_int_equal(sum_held(handoff), rte_ring_count(handoff->ring));
		assert_true(rte_ring_count(handoff->ring) < HANDOFF_RING);
		for (unsigned i = (unsigned)random() % 4; i; i--)
			consume(handoff, 64, NULL, 0);
	}
	while (consume(handoff, 64, NULL, 0))
		;
	struct handoff_result result = push(handoff, 1, 1);
	assert_int_equal(result.sent, 1);
	assert_int_equal(sum_held(handoff), 1);
	consume(handoff, 64, NULL, 0);
	handoff_free(handoff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_batches),
		cmocka_unit_test(test_elephant_alone),
		cmocka_unit_test(test_elephant_and_mice),
		cmocka_unit_test(test_eight_elephants),
		cmocka_unit_test(test_counts_are_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
