// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/load.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include <time.h>

enum {
	BURST = MEMIF_PORT_BURST,
	LATE_MAX = MEMIF_PORT_RING / 4, // packets sent at once to catch up
	QUIET_MS = 20,                  // nothing has come for so long: the rest is lost
	DRAIN_MS = 1000,
	AHEAD = 8,
};

struct run {
	struct load *load;
	struct trial *trial;
	uint64_t start, heard;                       // TSC; of the last packet that came back
	uint64_t accepted;                           // by the port
	uint64_t sequences_sent, sequences_received; // sums
	uint16_t queue;                              // next to send on
};

static void transmit(struct run *run, unsigned count)
{
	struct load *load = run->load;
	struct memif_port *port = load->port;
	struct rte_mbuf *mbufs[BURST];
	uint16_t queue = run->queue;
	struct flow_set *set = &load->sets[queue];

	run->queue = (uint16_t)(queue + 1 < port->queues ? queue + 1 : 0);
	if (set->count == 0 || rte_mempool_get_bulk(port->transmit_pool, (void **)mbufs, count))
		return;
	const uint64_t now = rte_rdtsc();
	uint32_t sequence = (uint32_t)run->accepted;
	unsigned next = set->next;
	// The device has read what was here before, so the lines are not ours alone.
	for (unsigned i = 0; i < count; i++)
		rte_prefetch0_write(rte_pktmbuf_mtod(mbufs[i], void *));
	for (unsigned i = 0; i < count; i++) {
		unsigned ahead = next + AHEAD < set->count ? next + AHEAD : 0;
		rte_prefetch0(set->frames[ahead]);
		struct rte_mbuf *mbuf = mbufs[i];
		uint16_t length =
			flow_write(set, next, rte_pktmbuf_mtod(mbuf, uint8_t *), sequence + i, now);
		mbuf->data_len = length;
		mbuf->pkt_len = length;
		next = next + 1 < set->count ? next + 1 : 0;
	}
	set->next = next;
	uint16_t sent = rte_eth_tx_burst(port->id, queue, mbufs, (uint16_t)count);
	for (uint64_t i = 0; i < sent; i++)
		run->sequences_sent += (uint32_t)(sequence + i);
	run->accepted += sent;
	run->trial->sent += count;
	if (sent < count) {
		run->trial->refused += count - sent;
		memif_port_free(port->transmit_pool, mbufs + sent, count - sent);
	}
}

static void transmit_flood(struct run *run, unsigned count)
{
	struct memif_port *port = run->load->port;
	struct rte_mbuf *mbufs[BURST];
	if (rte_pktmbuf_alloc_bulk(port->receive_pool, mbufs, count))
		return;
	for (unsigned i = 0; i < count; i++) {
		uint16_t length =
			flood_write(run->load->flood, rte_pktmbuf_mtod(mbufs[i], uint8_t *));
		mbufs[i]->data_len = length;
		mbufs[i]->pkt_len = length;
	}
	uint16_t sent = rte_eth_tx_burst(port->id, run->queue, mbufs, (uint16_t)count);
	run->trial->flood_sent += sent;
	if (sent < count) {
		run->trial->flood_refused += count - sent;
		rte_pktmbuf_free_bulk(mbufs + sent, count - sent);
	}
}

// The stamp of a packet of this trial, or NULL.
static const uint8_t *stamp_of(const struct run *run, const uint8_t *frame)
{
	uint32_t plain, channel;
	memcpy(&plain, frame + FLOW_STAMP_PLAIN, 4);
	memcpy(&channel, frame + FLOW_STAMP_CHANNEL, 4);
	if (channel == run->load->mark) {
		// Success, or the request itself that a reflector sends back.
		if (run->load->success_only && frame[FLOW_STAMP_PLAIN] != 0x01)
			return NULL;
		return frame + FLOW_STAMP_CHANNEL;
	}
	return plain == run->load->mark ? frame + FLOW_STAMP_PLAIN : NULL;
}

static void take(struct run *run, const struct rte_mbuf *mbuf, uint64_t now)
{
	struct trial *trial = run->trial;
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	const uint8_t *at = stamp_of(run, frame);
	struct flow_stamp stamp;
	if (at == NULL) {
		trial->other++;
		return;
	}
	memcpy(&stamp, at, sizeof(stamp));
	if (stamp.tsc < run->start) { // of an earlier trial
		trial->other++;
		return;
	}
	trial->received++;
	run->sequences_received += stamp.sequence;
	histogram_add(&trial->latency, now - stamp.tsc);
	if (run->load->check != NULL &&
		!run->load->check(run->load->check_context, frame, mbuf->data_len))
		trial->foul++;
}

static unsigned receive(struct run *run)
{
	struct memif_port *port = run->load->port;
	struct rte_mbuf *mbufs[BURST];
	unsigned total = 0;
	for (uint16_t q = 0; q < port->queues; q++) {
		uint16_t n = rte_eth_rx_burst(port->id, q, mbufs, BURST);
		if (n == 0)
			continue;
		for (uint16_t i = 0; i < n; i++)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
		const uint64_t now = rte_rdtsc();
		for (uint16_t i = 0; i < n; i++)
			take(run, mbufs[i], now);
		memif_port_free(port->receive_pool, mbufs, n);
		run->heard = now;
		total += n;
	}
	return total;
}

// How many packets to send now.
static uint64_t due(struct run *run, const struct load_plan *plan, uint64_t now, uint64_t *offered)
{
	if (plan->rate <= 0) {
		uint64_t under_way = run->accepted - run->trial->received;
		// What was lost does not close the window for good.
		if (now - run->heard > (uint64_t)(run->load->hz / 1000 * QUIET_MS))
			under_way = 0;
		return under_way < plan->window ? plan->window - under_way : 0;
	}
	uint64_t until = (uint64_t)((double)(now - run->start) / run->load->hz * plan->rate);
	if (until - *offered > LATE_MAX)
		*offered = until - LATE_MAX;
	return until - *offered;
}

static uint64_t flood_due(const struct run *run, uint64_t now, uint64_t *offered)
{
	uint64_t until =
		(uint64_t)((double)(now - run->start) / run->load->hz * run->load->flood_rate);
	if (until - *offered > LATE_MAX)
		*offered = until - LATE_MAX;
	return until - *offered;
}

static void nap(const struct load *load)
{
	struct timespec time = {.tv_nsec = (long)load->nap_us * 1000};
	if (load->nap_us)
		nanosleep(&time, NULL);
}

static uint64_t send_what_is_due(struct run *run, const struct load_plan *plan)
{
	const bool flood = run->load->flood != NULL && run->load->flood_rate > 0;
	const uint64_t end = run->start + (uint64_t)(plan->seconds * run->load->hz);
	uint64_t offered = 0, flood_offered = 0, busy = 0, now = rte_rdtsc();
	while (now < end && (plan->packets == 0 || run->trial->sent < plan->packets)) {
		uint64_t count = due(run, plan, now, &offered), work = count;
		if (count) {
			count = count < BURST ? count : BURST;
			if (plan->packets && count > plan->packets - run->trial->sent)
				count = plan->packets - run->trial->sent;
			transmit(run, (unsigned)count);
			offered += count;
		}
		if (flood && (count = flood_due(run, now, &flood_offered)) != 0) {
			count = count < BURST ? count : BURST;
			transmit_flood(run, (unsigned)count);
			flood_offered += count;
			work += count;
		}
		work += receive(run);
		uint64_t after = rte_rdtsc();
		if (work)
			busy += after - now;
		else
			nap(run->load);
		now = work ? after : rte_rdtsc();
	}
	run->trial->busy = (double)busy / (double)(now - run->start);
	return now;
}

void load_run(struct load *load, const struct load_plan *plan, struct trial *trial)
{
	memset(trial, 0, sizeof(*trial));
	struct run run = {.load = load, .trial = trial, .start = rte_rdtsc()};
	run.heard = run.start;
	trial->asked = plan->rate;
	uint64_t end = send_what_is_due(&run, plan);
	double seconds = (double)(end - run.start) / load->hz;
	trial->offered = (double)trial->sent / seconds;
	trial->rate_back = (double)trial->received / seconds;
	const uint64_t quiet = (uint64_t)(load->hz / 1000 * QUIET_MS),
		       last = end + (uint64_t)(load->hz / 1000 * DRAIN_MS);
	run.heard = end;
	for (uint64_t now = end;
		trial->received < run.accepted && now - run.heard < quiet && now < last;
		now = rte_rdtsc())
		receive(&run);
	// All came, but not each once.
	if (trial->received == run.accepted && run.sequences_received != run.sequences_sent)
		trial->foul++;
}
