// SPDX-License-Identifier: BSD-3-Clause
// The driver between a phone that only notes what it is told and real sockets on loopback:
// datagrams of each socket in both directions, ports that nobody listens at, sockets that come and
// go, deadlines.
//
// wrap: phone_create
// wrap: phone_free
// wrap: phone_base_up
// wrap: phone_hosts
// wrap: phone_receive
// wrap: phone_tick
#include "endpoint/phone/phone_driver.h"

#include <arpa/inet.h>
#include <uv.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { SEEN_MAX = 64, WAIT_MS = 5000 };

// ---- the phone that notes ----

struct phone {
	struct phone_output output;
	uint16_t port[2]; // of the first sockets: v4, v6
	unsigned base[2];
	bool up[2];
	unsigned hosts_told;
	unsigned seen;
	struct {
		unsigned base;
		struct endpoint_transport source;
		char text[32];
	} datagrams[SEEN_MAX];
	unsigned ticks, late_ticks;
	uint64_t ticked_ms, next_ms;
	int close_base_at_receive; // -1: none
	bool freed;
};

static struct phone phone;
static int create_result;

int __wrap_phone_create(
	struct phone **out, const struct phone_config *config, const struct phone_output *output);
void __wrap_phone_free(struct phone *it);
void __wrap_phone_base_up(struct phone *it, unsigned base, unsigned family, uint16_t port);
void __wrap_phone_hosts(
	struct phone *it, const struct phone_host *hosts, size_t count, struct endpoint_time now);
void __wrap_phone_receive(struct phone *it, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, struct endpoint_time now);
uint64_t __wrap_phone_tick(struct phone *it, struct endpoint_time now);

int __wrap_phone_create(
	struct phone **out, const struct phone_config *config, const struct phone_output *output)
{
	(void)config;
	*out = NULL;
	if (create_result != 0)
		return create_result;
	memset(&phone, 0, sizeof(phone));
	phone.output = *output;
	phone.next_ms = ENDPOINT_NEVER;
	phone.close_base_at_receive = -1;
	*out = &phone;
	return 0;
}

void __wrap_phone_free(struct phone *it)
{
	it->freed = true;
}

void __wrap_phone_base_up(struct phone *it, unsigned base, unsigned family, uint16_t port)
{
	it->up[family == 6] = true;
	it->base[family == 6] = base;
	it->port[family == 6] = port;
}

void __wrap_phone_hosts(
	struct phone *it, const struct phone_host *hosts, size_t count, struct endpoint_time now)
{
	(void)hosts, (void)now;
	assert_true(count <= PHONE_HOSTS_MAX);
	it->hosts_told++;
}

void __wrap_phone_receive(struct phone *it, unsigned base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, struct endpoint_time now)
{
	assert_true(now.monotonic_ms > 0 && now.wall_s > 0);
	assert_true(it->seen < SEEN_MAX && size < sizeof(it->datagrams[0].text));
	it->datagrams[it->seen].base = base;
	it->datagrams[it->seen].source = *source;
	memcpy(it->datagrams[it->seen].text, data, size);
	it->datagrams[it->seen++].text[size] = 0;
	if (it->close_base_at_receive >= 0)
		it->output.base_close(it->output.context, (unsigned)it->close_base_at_receive);
	it->close_base_at_receive = -1;
}

uint64_t __wrap_phone_tick(struct phone *it, struct endpoint_time now)
{
	it->ticks++;
	it->ticked_ms = now.monotonic_ms;
	if (it->late_ticks > 0) { // what is due is never done with, as while a puzzle is solved
		it->late_ticks--;
		return now.monotonic_ms;
	}
	return it->next_ms = ENDPOINT_NEVER;
}

// ---- the world around it ----

static uv_loop_t loop;
static struct phone_driver *driver;
static int other; // a socket of somebody else
static uint16_t other_port;
static bool closed;

static void on_closed(void *context)
{
	(void)context;
	closed = true;
}

static uint64_t now_ms(void)
{
	return phone_driver_now().monotonic_ms;
}

// Runs the loop until *count is at least `least`.
static void run_until(const unsigned *count, unsigned least)
{
	uint64_t end = now_ms() + WAIT_MS;
	while (*count < least && now_ms() < end) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(500);
	}
	assert_in_range(*count, least, SEEN_MAX * 100);
}

static struct endpoint_transport at_loopback(uint16_t port)
{
	return (struct endpoint_transport){.family = 4, .address = {127, 0, 0, 1}, .port = port};
}

static void other_says(uint16_t port, const char *text)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(
		sendto(other, text, strlen(text), 0, (const struct sockaddr *)&to, sizeof(to)),
		strlen(text));
}

// What the other hears next, and from which port.
static uint16_t other_hears(const char *text)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	char heard[64] = "";

	assert_true(
		recvfrom(other, heard, sizeof(heard) - 1, 0, (struct sockaddr *)&from, &size) > 0);
	assert_string_equal(heard, text);
	return ntohs(from.sin_port);
}

static void phone_says(unsigned base, const struct endpoint_transport *to, const char *text)
{
	phone.output.send(phone.output.context, base, to, (const uint8_t *)text, strlen(text));
}

static int make(void **state)
{
	const struct phone_config config = {0};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(any);
	const struct timeval patience = {.tv_sec = WAIT_MS / 1000};

	(void)state;
	create_result = 0;
	closed = false;
	other = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(other, (struct sockaddr *)&any, sizeof(any)) != 0 ||
		getsockname(other, (struct sockaddr *)&any, &size) != 0)
		return -1;
	setsockopt(other, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	other_port = ntohs(any.sin_port);
	uv_loop_init(&loop);
	return phone_driver_create(&driver, &loop, &config, NULL, NULL);
}

static int unmake(void **state)
{
	(void)state;
	phone_driver_close(driver, on_closed, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	close(other);
	return closed && phone.freed && uv_loop_close(&loop) == 0 ? 0 : -1;
}

// ---- the tests ----

static void begins_with_sockets_and_addresses(void **state)
{
	(void)state;
	assert_true(phone.up[0]);
	assert_true(phone.port[0] > 0);
	assert_int_equal(phone.hosts_told, 1);
	assert_ptr_equal(phone_driver_phone(driver), &phone);
}

static void datagrams_of_a_burst_come_in_order(void **state)
{
	char text[16];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "number %u", i);
		other_says(phone.port[0], text);
	}
	run_until(&phone.seen, 40);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "number %u", i);
		assert_string_equal(phone.datagrams[i].text, text);
		assert_int_equal(phone.datagrams[i].base, phone.base[0]);
		assert_int_equal(phone.datagrams[i].source.port, other_port);
		assert_int_equal(phone.datagrams[i].source.address[0], 127);
	}
}

static void ports_that_nobody_listens_at_disturb_nothing(void **state)
{
	const struct endpoint_transport nobody = at_loopback(9), friend = at_loopback(other_port);
	const struct endpoint_transport nowhere = {
		.family = 4, .address = {240, 0, 0, 1}, .port = 9};

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		phone_says(phone.base[0], &nobody, "anybody?");
		phone_says(phone.base[0], &nowhere, "anybody?");
		phone_says(phone.base[0], &friend, "friend");
		assert_int_equal(other_hears("friend"), phone.port[0]);
		other_says(phone.port[0], "yes");
		run_until(&phone.seen, i + 1);
	}
}

static void sockets_come_and_go(void **state)
{
	const struct endpoint_transport friend = at_loopback(other_port);
	int numbers[PHONE_BASES_MAX];
	unsigned count = 0;

	(void)state;
	while ((numbers[count] = phone.output.base_open(phone.output.context, 4)) >= 0) {
		phone_says((unsigned)numbers[count], &friend, "from a new one");
		uint16_t port = other_hears("from a new one");
		assert_int_not_equal(port, phone.port[0]);
		other_says(port, "answer");
		run_until(&phone.seen, count + 1);
		assert_int_equal(phone.datagrams[count].base, numbers[count]);
		count++;
	}
	assert_int_equal(numbers[count], -EMFILE);
	assert_in_range(count, PHONE_BASES_MAX - 2, PHONE_BASES_MAX - 1);
	// Closed while a burst is being read from it: nothing more comes of it.
	unsigned seen = phone.seen;
	phone_says((unsigned)numbers[0], &friend, "bye");
	uint16_t port = other_hears("bye");
	phone.close_base_at_receive = numbers[0];
	for (unsigned i = 0; i < 4; i++)
		other_says(port, "too late");
	other_says(phone.port[0], "last");
	run_until(&phone.seen, seen + 2);
	assert_string_equal(phone.datagrams[seen].text, "too late");
	assert_string_equal(phone.datagrams[seen + 1].text, "last");
	phone_says((unsigned)numbers[0], &friend, "from nowhere");
	// Its number can be given again.
	assert_int_equal(phone.output.base_open(phone.output.context, 4), numbers[0]);
	phone_says((unsigned)numbers[0], &friend, "again");
	assert_int_not_equal(other_hears("again"), port);
}

static void deadlines_are_kept(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 3; i++) {
		uint64_t at = now_ms() + 20 * i;
		phone.output.deadline(phone.output.context, at);
		run_until(&phone.ticks, i);
		assert_true(phone.ticked_ms >= at);
	}
	// Another one takes its place, and none means none.
	unsigned before = phone.ticks;
	phone.output.deadline(phone.output.context, now_ms() + 5);
	phone.output.deadline(phone.output.context, ENDPOINT_NEVER);
	uint64_t end = now_ms() + 30;
	while (now_ms() < end)
		uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(phone.ticks, before);
}

static void sockets_are_served_while_something_is_always_due(void **state)
{
	(void)state;
	phone.late_ticks = 1000000;
	phone.output.deadline(phone.output.context, now_ms());
	run_until(&phone.ticks, 3);
	other_says(phone.port[0], "listen");
	run_until(&phone.seen, 1);
	phone.late_ticks = 0;
}

static void what_the_phone_refuses_is_told(void **state)
{
	const struct phone_config config = {0};
	struct phone_driver *none;
	uv_loop_t own;

	(void)state;
	create_result = -ENOSYS;
	uv_loop_init(&own);
	assert_int_equal(phone_driver_create(&none, &own, &config, NULL, NULL), -ENOSYS);
	assert_null(none);
	assert_int_equal(uv_loop_close(&own), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(begins_with_sockets_and_addresses, make, unmake),
		cmocka_unit_test_setup_teardown(datagrams_of_a_burst_come_in_order, make, unmake),
		cmocka_unit_test_setup_teardown(
			ports_that_nobody_listens_at_disturb_nothing, make, unmake),
		cmocka_unit_test_setup_teardown(sockets_come_and_go, make, unmake),
		cmocka_unit_test_setup_teardown(deadlines_are_kept, make, unmake),
		cmocka_unit_test_setup_teardown(
			sockets_are_served_while_something_is_always_due, make, unmake),
		cmocka_unit_test(what_the_phone_refuses_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
