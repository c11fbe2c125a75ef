// SPDX-License-Identifier: BSD-3-Clause
// Enqueueing to another worker under shares; see handoff.h.
#include "dataplane/steering/handoff.h"

#include "dataplane/machine.h"

#include <rte_common.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct handoff *handoff_create(void)
{
	struct handoff *handoff = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(sizeof(*handoff), (size_t)RTE_CACHE_LINE_SIZE));
	if (!handoff)
		return NULL;
	memset(handoff, 0, sizeof(*handoff));
	handoff->multiplier = randombytes_random() | 1;
	handoff->ring = machine_ring_create("handed", HANDOFF_RING);
	if (!handoff->ring) {
		free(handoff);
		return NULL;
	}
	return handoff;
}

void handoff_free(struct handoff *handoff)
{
	void *mbuf;
	if (!handoff)
		return;
	while (rte_ring_sc_dequeue(handoff->ring, &mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	machine_ring_free(handoff->ring);
	free(handoff);
}

static uint16_t bucket(const struct handoff *handoff, uint32_t flow)
{
	return (uint16_t)(flow * handoff->multiplier >> (32 - HANDOFF_BUCKET_BITS));
}

// What the consumer has taken since we last looked no longer counts. Returns how many are left.
static unsigned release(struct handoff *handoff)
{
	unsigned left = rte_ring_count(handoff->ring);
	while (handoff->enqueued - handoff->released > left)
		handoff->held[handoff->bucket_of[handoff->released++ % HANDOFF_RING]]--;
	return left;
}

void handoff_flush(struct handoff *handoff, struct handoff_result *result)
{
	struct rte_mbuf *unfair[BURST_MAX] = {NULL};
	unsigned count = handoff->count, admitted = 0, left = release(handoff);
	*result = (struct handoff_result){0};
	handoff->count = 0;
	for (unsigned i = 0; i < count; i++) {
		uint16_t of = bucket(handoff, handoff->flows[i]);
		if (left + admitted >= HANDOFF_CONTENDED && handoff->held[of] >= HANDOFF_SHARE) {
			unfair[result->unfair++] = handoff->waiting[i];
			continue;
		}
		handoff->held[of]++;
		handoff->bucket_of[(handoff->enqueued + admitted) % HANDOFF_RING] = of;
		handoff->waiting[admitted++] = handoff->waiting[i];
	}
	result->sent =
		rte_ring_sp_enqueue_burst(handoff->ring, (void **)handoff->waiting, admitted, NULL);
	for (unsigned i = result->sent; i < admitted; i++)
		handoff->held[handoff->bucket_of[(handoff->enqueued + i) % HANDOFF_RING]]--;
	handoff->enqueued += result->sent;
	result->full = admitted - result->sent;
	for (unsigned i = 0; i < result->unfair; i++)
		handoff->waiting[admitted + i] = unfair[i];
}
