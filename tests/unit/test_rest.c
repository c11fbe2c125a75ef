// SPDX-License-Identifier: BSD-3-Clause
// When a worker without work polls, looks once more, sleeps, and is woken.
// wrap: ppoll wrap: nanosleep wrap: wake_arm wrap: wake_disarm
#include "dataplane/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned slept, napped, armed, disarmed, disarmed_readable;
static long nap_longest;
static nfds_t ready_index; // which descriptor the next ppoll says is readable

int __wrap_ppoll(
	struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask);
int __wrap_ppoll(
	struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	(void)mask;
	assert_null(timeout);
	slept++;
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = i == ready_index ? POLLIN : 0;
	return 1;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)left;
	assert_int_equal(time->tv_sec, 0);
	napped++;
	nap_longest = time->tv_nsec > nap_longest ? time->tv_nsec : nap_longest;
	return 0;
}

int __wrap_wake_arm(struct wake *wake, uint16_t port, uint16_t queue);
int __wrap_wake_arm(struct wake *wake, uint16_t port, uint16_t queue)
{
	(void)port;
	(void)queue;
	armed++;
	return wake->fd;
}

void __wrap_wake_disarm(const struct wake *wake, uint16_t port, uint16_t queue, bool readable);
void __wrap_wake_disarm(const struct wake *wake, uint16_t port, uint16_t queue, bool readable)
{
	(void)wake;
	(void)port;
	(void)queue;
	disarmed++;
	disarmed_readable += readable;
}

static struct worker_machine machine;
static struct worker worker = {.machine = &machine};

static void begin(enum wake_kind kind, bool may_rest)
{
	memset(&machine, 0, sizeof(machine));
	slept = napped = armed = disarmed = disarmed_readable = 0;
	nap_longest = 0;
	ready_index = 2;
	machine.queue_count = 1;
	machine.queues[0].wake = (struct wake){.kind = kind, .fd = kind == WAKE_NONE ? -1 : 77};
	assert_int_equal(rest_arrange(&machine, may_rest), 0);
}

static void end(void)
{
	close(machine.rest.bell.fd);
	close(machine.rest.timer);
}

static void empty_turns(unsigned count)
{
	while (count--)
		rest_take(&worker);
}

static void test_poll_never_rests(void **state)
{
	(void)state;
	begin(WAKE_DESCRIPTOR, false);
	empty_turns(100000);
	assert_int_equal(slept + napped + armed, 0);
	end();
}

static void test_looks_again_between_asking_and_sleeping(void **state)
{
	(void)state;
	begin(WAKE_DESCRIPTOR, true);
	empty_turns(REST_SPINS - 1);
	assert_int_equal(armed, 0);
	assert_false(atomic_load(&machine.rest.bell.sleeping));
	empty_turns(1);
	assert_int_equal(armed, 1);
	assert_true(atomic_load(&machine.rest.bell.sleeping));
	empty_turns(REST_CHECKS);
	assert_int_equal(slept, 0);
	empty_turns(1);
	assert_int_equal(slept, 1);
	assert_int_equal(disarmed, 1);
	assert_int_equal(disarmed_readable, 1);
	assert_false(atomic_load(&machine.rest.bell.sleeping));
	end();
}

static void test_work_after_the_announcement(void **state)
{
	(void)state;
	begin(WAKE_INTERRUPT, true);
	empty_turns(REST_SPINS);
	assert_int_equal(armed, 1);
	machine_disturb(&machine);
	assert_int_equal(disarmed, 1);
	assert_int_equal(disarmed_readable, 0);
	assert_false(atomic_load(&machine.rest.bell.sleeping));
	// And all over again.
	empty_turns(REST_SPINS - 1);
	assert_int_equal(armed, 1);
	machine_disturb(&machine);
	assert_int_equal(disarmed, 1);
	end();
}

static void test_sleeps_on_when_only_time_passed(void **state)
{
	(void)state;
	begin(WAKE_MEMIF, true);
	empty_turns(REST_SPINS + REST_CHECKS + 1);
	assert_int_equal(slept, 1);
	// The duties of a turn are done and all is looked at again, without spinning first.
	empty_turns(1);
	assert_int_equal(armed, 2);
	empty_turns(REST_CHECKS + 1);
	assert_int_equal(slept, 2);
	end();
}

static void test_the_bell_is_taken(void **state)
{
	(void)state;
	begin(WAKE_DESCRIPTOR, true);
	empty_turns(REST_SPINS);
	doorbell_ring(&machine.rest.bell);
	uint64_t count = 0;
	ready_index = 0;
	empty_turns(REST_CHECKS + 1);
	assert_int_equal(slept, 1);
	// Nothing is left in it that would wake the next sleep.
	assert_int_equal(read(machine.rest.bell.fd, &count, sizeof(count)), -1);
	end();
}

static void test_naps_where_nothing_wakes(void **state)
{
	(void)state;
	begin(WAKE_NONE, true);
	empty_turns(REST_SPINS - 1);
	assert_int_equal(napped, 0);
	empty_turns(1000);
	assert_int_equal(napped, 1000);
	assert_int_equal(slept, 0);
	assert_int_equal(nap_longest, REST_NAP_MAX_NS);
	machine_disturb(&machine);
	nap_longest = 0;
	empty_turns(REST_SPINS);
	assert_int_equal(nap_longest, REST_NAP_STEP_NS);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_poll_never_rests),
		cmocka_unit_test(test_looks_again_between_asking_and_sleeping),
		cmocka_unit_test(test_work_after_the_announcement),
		cmocka_unit_test(test_sleeps_on_when_only_time_passed),
		cmocka_unit_test(test_the_bell_is_taken),
		cmocka_unit_test(test_naps_where_nothing_wakes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
