// SPDX-License-Identifier: BSD-3-Clause
// Resting; see rest.h. Worker's lcore.

#include "dataplane/rest.h"

#include "dataplane/machine.h"

#include <rte_pause.h>

#include <sys/eventfd.h>

#include <errno.h>
#include <time.h>

int rest_arrange(struct worker_machine *machine, bool may_nap)
{
	struct rest *rest = &machine->rest;
	rest->may_nap = may_nap;
	rest->may_sleep = may_nap;
	rest->bell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (rest->bell.fd < 0)
		return -errno;
	rest->descriptors[rest->descriptor_count++] =
		(struct pollfd){.fd = rest->bell.fd, .events = POLLIN};
	for (unsigned i = 0; i < machine->queue_count; i++) {
		if (machine->queues[i].receive_fd < 0)
			rest->may_sleep = false;
		rest->descriptors[rest->descriptor_count++] =
			(struct pollfd){.fd = machine->queues[i].receive_fd, .events = POLLIN};
	}
	return 0;
}

static void nap(unsigned naps)
{
	unsigned length = naps * REST_NAP_STEP_NS;
	struct timespec time = {.tv_nsec = length > REST_NAP_MAX_NS ? REST_NAP_MAX_NS : length};
	nanosleep(&time, NULL);
}

static void sleep_until_woken(struct worker_machine *machine)
{
	struct rest *rest = &machine->rest;
	unsigned ms = launder_done(&machine->launder) ? REST_SLEEP_MS : REST_LAUNDER_MS;
	struct timespec time = {.tv_nsec = ms * 1000000l};
	doorbell_announce(&rest->bell);
	rest->descriptors[0].revents = 0;
	if (!machine_has_input(machine))
		ppoll(rest->descriptors, rest->descriptor_count, &time, NULL);
	doorbell_awake(&rest->bell, rest->descriptors[0].revents & POLLIN);
}

void rest_take(struct worker *worker)
{
	struct rest *rest = &worker->machine->rest;
	if (rest->empty_turns < REST_SPINS + REST_NAPS)
		rest->empty_turns++;
	if (!rest->may_nap || rest->empty_turns <= REST_SPINS)
		rte_pause();
	else if (!rest->may_sleep || rest->empty_turns < REST_SPINS + REST_NAPS)
		nap(rest->empty_turns - REST_SPINS);
	else
		sleep_until_woken(worker->machine);
}
