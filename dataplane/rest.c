// SPDX-License-Identifier: BSD-3-Clause
// Resting; see rest.h. Worker's lcore.

#include "dataplane/rest.h"

#include "dataplane/machine.h"

#include <rte_pause.h>

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <assert.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

enum { BELL, TIMER, FIRST_QUEUE };

static_assert(FIRST_QUEUE + MACHINE_QUEUES_MAX <= REST_DESCRIPTORS_MAX, "one for each queue");

int rest_arrange(struct worker_machine *machine, bool may_rest)
{
	struct rest *rest = &machine->rest;
	rest->may_rest = may_rest;
	rest->may_sleep = true;
	rest->bell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	rest->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (rest->bell.fd < 0 || rest->timer < 0)
		return -errno;
	rest->descriptors[BELL].fd = rest->bell.fd;
	rest->descriptors[TIMER].fd = rest->timer;
	rest->descriptor_count = FIRST_QUEUE + machine->queue_count;
	for (unsigned i = 0; i < rest->descriptor_count; i++)
		rest->descriptors[i].events = POLLIN;
	for (unsigned i = 0; i < machine->queue_count; i++)
		if (machine->queues[i].wake.kind == WAKE_NONE)
			rest->may_sleep = false;
	return 0;
}

void rest_allow(struct rest *rest, bool may_rest)
{
	rest->may_rest = may_rest;
}

static void nap(unsigned naps)
{
	unsigned length = naps * REST_NAP_STEP_NS;
	struct timespec time = {.tv_nsec = length > REST_NAP_MAX_NS ? REST_NAP_MAX_NS : length};
	nanosleep(&time, NULL);
}

static void announce(struct worker_machine *machine)
{
	struct rest *rest = &machine->rest;
	rest->announced = true;
	for (unsigned i = 0; i < machine->queue_count; i++) {
		struct machine_queue *queue = &machine->queues[i];
		rest->descriptors[FIRST_QUEUE + i].revents = 0;
		rest->descriptors[FIRST_QUEUE + i].fd =
			wake_arm(&queue->wake, queue->port, queue->queue);
	}
	// Its fence stands between asking the queues and looking at them, too.
	doorbell_announce(&rest->bell);
}

void rest_wake(struct worker_machine *machine)
{
	struct rest *rest = &machine->rest;
	rest->announced = false;
	for (unsigned i = 0; i < machine->queue_count; i++) {
		const struct machine_queue *queue = &machine->queues[i];
		wake_disarm(&queue->wake, queue->port, queue->queue,
			rest->descriptors[FIRST_QUEUE + i].revents & POLLIN);
	}
	doorbell_awake(&rest->bell, rest->descriptors[BELL].revents & POLLIN);
	rest->descriptors[BELL].revents = 0;
}

static void set_timer(struct rest *rest, unsigned ms)
{
	struct itimerspec time = {.it_value.tv_nsec = ms * 1000000l};
	timerfd_settime(rest->timer, 0, &time, NULL);
	rest->timer_set = true;
}

static void sleep_until_woken(struct worker_machine *machine)
{
	struct rest *rest = &machine->rest;
	if (!rest->timer_set)
		set_timer(rest, launder_done(&machine->launder) ? REST_SLEEP_MS : REST_LAUNDER_MS);
	ppoll(rest->descriptors, rest->descriptor_count, NULL, NULL);
	if (rest->descriptors[TIMER].revents & POLLIN) {
		uint64_t times;
		if (read(rest->timer, &times, sizeof(times)) > 0)
			rest->timer_set = false;
	}
	rest_wake(machine);
}

void rest_take(struct worker *worker)
{
	struct worker_machine *machine = worker->machine;
	struct rest *rest = &machine->rest;
	rest->empty_turns++;
	if (!rest->may_rest || rest->empty_turns < REST_SPINS) {
		rte_pause();
	} else if (!rest->may_sleep) {
		nap(rest->empty_turns - REST_SPINS + 1);
	} else if (!rest->announced) {
		announce(machine);
	} else if (rest->empty_turns > REST_SPINS + REST_CHECKS) {
		sleep_until_woken(machine);
		// If nothing came but the time, the next announcement follows at once.
		rest->empty_turns = REST_SPINS - 1;
	}
}
