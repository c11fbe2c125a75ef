// SPDX-License-Identifier: BSD-3-Clause
// A worker lcore's loop: receive, run the stages, take in what others handed over, execute main's
// commands, expire, transmit; and when there was nothing to do, launder and rest.
//
// One turn costs no system call of ours as long as packets come (the drivers' own aside), takes no
// lock, and reads the TSC once, plus once per received burst. Nothing here waits for anybody.

#include "dataplane/dataplane.h"
#include "dataplane/machine.h"
#include "dataplane/sandbox.h"
#include "dataplane/worker.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <sys/prctl.h>

enum {
	COMMAND_BUDGET = 32,
	EXPIRY_BUDGET = 64,
	EXPIRY_INTERVAL_US = 100,
	EXPIRY_BUDGET_MAX = 4096, // after a sleep
};

// A driver that takes the VLAN tag out of the frame tells it aside; the stages parse frames.
static uint16_t restore_tags(struct worker *worker, struct rte_mbuf **mbufs, uint16_t count)
{
	uint16_t kept = 0;
	for (uint16_t i = 0; i < count; i++) {
		if ((mbufs[i]->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) &&
			rte_vlan_insert(&mbufs[i]) != 0) {
			worker_drop(worker, mbufs[i], DROP_no_mbuf);
			continue;
		}
		mbufs[i]->ol_flags &= ~(RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED);
		mbufs[kept++] = mbufs[i];
	}
	return kept;
}

static unsigned receive(struct worker *worker, const struct machine_queue *queue, uint64_t *now)
{
	struct rte_mbuf *mbufs[BURST_MAX];
	uint16_t count = rte_eth_rx_burst(queue->port, queue->queue, mbufs, BURST_MAX);
	if (count == 0)
		return 0;
	unsigned received = count;
	worker->machine->received += count;
	if (queue->vlan_reported)
		count = restore_tags(worker, mbufs, count);
	uint64_t after = rte_rdtsc();
	worker->stats.stage[STAGE_receive].packets += received;
	worker->stats.stage[STAGE_receive].cycles += after - *now;
	*now = after;
	if (count)
		pipeline_run(worker, queue->port, mbufs, count, after);
	return received;
}

// Frames for our queues go out; what belongs to our mappings goes through the stages.
static void take_in(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint64_t now)
{
	struct rte_mbuf *handed[BURST_MAX];
	uint16_t handed_count = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct packet_private *private = rte_mbuf_to_priv(mbufs[i]);
		if (private->kind == PACKET_TRANSMIT)
			worker_transmit(worker, &mbufs[i], 1, private->port);
		else
			handed[handed_count++] = mbufs[i];
	}
	if (handed_count)
		pipeline_handed(worker, handed, handed_count, now);
}

static unsigned take_ring(struct worker *worker, struct rte_ring *ring, uint64_t now)
{
	struct rte_mbuf *mbufs[BURST_MAX];
	unsigned count = rte_ring_sc_dequeue_burst(ring, (void **)mbufs, BURST_MAX, NULL);
	if (count)
		take_in(worker, mbufs, count, now);
	return count;
}

static unsigned inbound(struct worker *worker, uint64_t now)
{
	struct worker_machine *machine = worker->machine;
	unsigned count = 0;
	for (unsigned i = 0; i < machine->dataplane->worker_count; i++)
		if (machine->handed_in[i])
			count += take_ring(worker, machine->handed_in[i], now);
	machine->handed_in_count += count;
	return count + take_ring(worker, machine->from_main, now);
}

// A budget per interval; all that were slept through at once, within reason.
static unsigned expire(struct worker *worker, uint64_t now, uint64_t *next)
{
	uint64_t interval = rte_get_tsc_hz() / 1000000 * EXPIRY_INTERVAL_US;
	if (now < *next)
		return 0;
	uint64_t budget = ((now - *next) / interval + 1) * EXPIRY_BUDGET;
	*next = now + interval;
	return expiry_scan(
		worker, now, budget > EXPIRY_BUDGET_MAX ? EXPIRY_BUDGET_MAX : (unsigned)budget);
}

unsigned worker_turn(struct worker *worker, uint64_t now, uint64_t *next_expiry)
{
	struct worker_machine *machine = worker->machine;
	unsigned packets = 0;
	for (unsigned i = 0; i < machine->queue_count; i++)
		packets += receive(worker, &machine->queues[i], &now);
	packets += inbound(worker, now);
	packets += command_execute(worker, &machine->lane, now, COMMAND_BUDGET);
	pipeline_held(worker, now);
	packets += expire(worker, now, next_expiry);
	machine_flush(worker);
	if (packets && !command_lane_idle(&machine->lane))
		machine->ring_doorbell = true;
	if (machine->ring_doorbell) {
		machine->ring_doorbell = false;
		doorbell_ring(&machine->dataplane->doorbell);
	}
	return packets;
}

int worker_run(void *argument)
{
	struct worker *worker = argument;
	struct worker_machine *machine = worker->machine;
	struct dataplane *dataplane = machine->dataplane;
	uint64_t last = rte_rdtsc(), next_expiry = last;
	prctl(PR_SET_TIMERSLACK, 1000ul);
	sandbox_thread();
	while (!atomic_load_explicit(&dataplane->stop, memory_order_relaxed)) {
		uint64_t now = rte_rdtsc();
		if (machine->rest.empty_turns)
			machine->idle_cycles += now - last;
		else
			machine->busy_cycles += now - last;
		last = now;
		if (worker_turn(worker, now, &next_expiry)) {
			machine_disturb(machine);
			launder_dirty(&machine->launder, now);
			continue;
		}
		launder_idle(worker, now);
		rest_take(worker);
	}
	machine_flush(worker);
	return 0;
}
