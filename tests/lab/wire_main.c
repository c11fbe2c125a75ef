// SPDX-License-Identifier: BSD-3-Clause
// Wires between namespaces in real time: build/tests/wire SOCKET (way.h has what a wire is). Orders
// come as datagrams to SOCKET, a line each, and are answered with "ok..." or "error: ..."
// (README.md has them). Any number of wires in one thread; ends on a signal.
#include "tests/lab/orders.h"
#include "tests/lab/way.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct {
	struct way *ways;
	uint64_t seed, opened;
	uint64_t armed_us; // what the timer is set to
	int epoll, timer, control, signals;
	bool ending;
} program = {.seed = 1, .armed_us = UINT64_MAX};

// ---- orders ----

struct answer {
	char text[4096];
	size_t size;
};

static void __attribute__((format(printf, 2, 3)))
say(struct answer *answer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(answer->text + answer->size, sizeof(answer->text) - answer->size,
		format, arguments);
	va_end(arguments);
	if (size > 0)
		answer->size += (size_t)size;
	if (answer->size >= sizeof(answer->text))
		answer->size = sizeof(answer->text) - 1;
}

static void say_expected(struct answer *answer, const char *word, const char *expected)
{
	say(answer, "error: %s: expected %s", word, expected);
}

static struct way *find(const char *name)
{
	struct way *way = program.ways;
	while (way != NULL && strcmp(way->name, name) != 0)
		way = way->next;
	return way;
}

static void watch(int descriptor, void *object)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = object};
	if (epoll_ctl(program.epoll, EPOLL_CTL_ADD, descriptor, &event) < 0)
		abort();
}

// join NAME NETNS INTERFACE NETNS INTERFACE: inner end, outer end.
static void order_join(struct answer *answer, char **words, size_t count)
{
	if (count != 6 || strlen(words[1]) >= WAY_NAME_SIZE || strcmp(words[1], "all") == 0) {
		say_expected(answer, "join", "join NAME NETNS INTERFACE NETNS INTERFACE");
		return;
	}
	if (find(words[1]) != NULL) {
		say(answer, "error: %s: there is a wire of that name", words[1]);
		return;
	}
	unsigned failed = 0;
	int error = 0;
	struct way *way = way_open((const char *const[]){words[2], words[4]},
		(const char *const[]){words[3], words[5]}, program.seed, program.opened + 1, &error,
		&failed);
	program.opened += 2;
	if (way == NULL) {
		say(answer, "error: %s in %s: %s", words[3 + 2 * failed], words[2 + 2 * failed],
			strerror(-error));
		return;
	}
	strcpy(way->name, words[1]);
	for (unsigned i = 0; i < 2; i++)
		watch(way->tun[i], &way->directions[i]);
	way->next = program.ways;
	program.ways = way;
	say(answer, "ok");
}

// leave NAME: the wire and its devices go.
static void order_leave(struct answer *answer, char **words, size_t count)
{
	struct way **link = &program.ways;
	while (*link != NULL && (count != 2 || strcmp((*link)->name, words[1]) != 0))
		link = &(*link)->next;
	struct way *way = *link;
	if (way == NULL) {
		say_expected(answer, "leave", "leave NAME");
		return;
	}
	*link = way->next;
	way_close(way);
	say(answer, "ok");
}

static bool is_chosen(const struct way *way, const char *name)
{
	return strcmp(name, "all") == 0 || strcmp(name, way->name) == 0;
}

// set NAME|all [out|in] QUALITY=VALUE...: both directions unless one is named. All words or none.
static void order_set(struct answer *answer, char **words, size_t count)
{
	size_t first = 2;
	bool change[2] = {true, true};
	if (count > 2 && (strcmp(words[2], "out") == 0 || strcmp(words[2], "in") == 0)) {
		change[strcmp(words[2], "out") == 0 ? WAY_IN : WAY_OUT] = false;
		first = 3;
	}
	if (count < first || (strcmp(words[1], "all") != 0 && find(words[1]) == NULL)) {
		say_expected(answer, "set", "set NAME|all [out|in] QUALITY=VALUE...");
		return;
	}
	for (size_t i = first; i < count; i++) {
		struct wire_quality quality = {0};
		const char *expected = orders_quality(words[i], &quality);
		if (expected != NULL) {
			say_expected(answer, words[i], expected);
			return;
		}
	}
	for (struct way *way = program.ways; way != NULL; way = way->next)
		for (unsigned side = 0; side < 2; side++)
			for (size_t i = first;
				is_chosen(way, words[1]) && change[side] && i < count; i++)
				orders_quality(words[i], &way->directions[side].wire.quality);
	say(answer, "ok");
}

// nat NAME BEHAVIOUR=VALUE...: another NAT than before, which knows of no session.
static void order_nat(struct answer *answer, char **words, size_t count)
{
	struct way *way = count > 1 ? find(words[1]) : NULL;
	struct nat_behaviour behaviour = {.translates = true};
	if (way == NULL) {
		say_expected(answer, "nat", "nat NAME BEHAVIOUR=VALUE...");
		return;
	}
	for (size_t i = 2; i < count; i++) {
		const char *expected = orders_nat(words[i], &behaviour);
		if (expected != NULL) {
			say_expected(answer, words[i], expected);
			return;
		}
	}
	if (behaviour.translates && behaviour.outside.family != NET_IPV4) {
		say_expected(answer, "nat", "outside=IPV4_ADDRESS, or translates=no");
		return;
	}
	nat_destroy(way->nat);
	way->nat = nat_create(&behaviour, program.seed + ++program.opened);
	if (way->nat == NULL)
		abort();
	say(answer, "ok");
}

static void order_rebind(struct answer *answer, char **words, size_t count)
{
	struct way *way = count == 2 ? find(words[1]) : NULL;
	if (way == NULL || way->nat == NULL) {
		say_expected(answer, "rebind", "rebind NAME, of a wire with a NAT");
		return;
	}
	nat_rebind(way->nat);
	say(answer, "ok");
}

// show NAME: counts, as JSON.
static void order_show(struct answer *answer, char **words, size_t count)
{
	struct way *way = count == 2 ? find(words[1]) : NULL;
	if (way == NULL) {
		say_expected(answer, "show", "show NAME");
		return;
	}
	say(answer, "ok {");
	for (unsigned i = 0; i < 2; i++) {
		const struct way_direction *direction = &way->directions[i];
		const struct wire *wire = &direction->wire;
		say(answer,
			"\"%s\": {\"put\": %" PRIu64 ", \"lost\": %" PRIu64
			", \"duplicated\": %" PRIu64 ", \"reordered\": %" PRIu64
			", \"delivered\": %" PRIu64 ", \"hops ended\": %" PRIu64 "}, ",
			i == WAY_OUT ? "out" : "in", wire->put, wire->lost, wire->duplicated,
			wire->reordered, direction->delivered, direction->ended);
	}
	if (way->nat != NULL) {
		say(answer, "\"nat\": {\"sessions\": %zu", nat_sessions(way->nat, way_now_us()));
		for (unsigned i = 0; i < NAT_VERDICTS; i++)
			say(answer, ", \"%s\": %" PRIu64, nat_verdict_name(i),
				nat_counted(way->nat, i));
		say(answer, "}, ");
	}
	say(answer, "\"not udp\": %" PRIu64 "}", way->other);
}

// seed NUMBER: of what is joined and made from now on.
static void order_seed(struct answer *answer, char **words, size_t count)
{
	char *end = NULL;
	uint64_t seed = count == 2 ? strtoull(words[1], &end, 10) : 0;
	if (end == NULL || *end != 0 || end == words[1]) {
		say_expected(answer, "seed", "seed NUMBER");
		return;
	}
	program.seed = seed;
	program.opened = 0;
	say(answer, "ok");
}

static void obey(struct answer *answer, char *line)
{
	static const struct {
		const char *word;
		void (*run)(struct answer *answer, char **words, size_t count);
	} orders[] = {{"join", order_join}, {"leave", order_leave}, {"set", order_set},
		{"nat", order_nat}, {"rebind", order_rebind}, {"show", order_show},
		{"seed", order_seed}};
	char *words[ORDERS_WORDS_MAX];
	size_t count = orders_split(line, words);
	if (count == 0)
		return;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (strcmp(words[0], orders[i].word) == 0) {
			orders[i].run(answer, words, count);
			return;
		}
	}
	say_expected(answer, words[0], "join, leave, set, nat, rebind, show or seed");
}

static void read_order(void)
{
	static char line[4096];
	struct sockaddr_un from;
	socklen_t size = sizeof(from);
	ssize_t length = recvfrom(program.control, line, sizeof(line) - 1, MSG_DONTWAIT,
		(struct sockaddr *)&from, &size);
	if (length < 0)
		return;
	line[length] = 0;
	struct answer answer = {.size = 0};
	obey(&answer, line);
	if (size > sizeof(from.sun_family))
		sendto(program.control, answer.text, answer.size, MSG_DONTWAIT,
			(struct sockaddr *)&from, size);
}

// ---- beginning and end ----

static int open_control(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	int control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (control < 0 || bind(control, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return control;
}

static int open_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

// Sets the timer, unless it is set to that already.
static void arm(uint64_t due_us)
{
	if (due_us == program.armed_us)
		return;
	program.armed_us = due_us;
	struct itimerspec at = {0};
	if (due_us != UINT64_MAX)
		at.it_value = (struct timespec){.tv_sec = (time_t)(due_us / 1000000),
			.tv_nsec = (long)(due_us % 1000000) * 1000};
	timerfd_settime(program.timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void serve(void)
{
	struct epoll_event events[64];
	while (!program.ending) {
		int count = epoll_wait(program.epoll, events, 64, -1);
		for (int i = 0; i < count; i++) {
			void *object = events[i].data.ptr;
			uint64_t expirations;
			if (object == &program.signals)
				program.ending = true;
			else if (object == &program.timer)
				program.armed_us =
					read(program.timer, &expirations, sizeof(expirations)) > 0
						? UINT64_MAX
						: program.armed_us;
			else if (object != &program.control)
				way_read(object);
		}
		// Orders last: they may end a wire that another event of this turn was about.
		for (int i = 0; i < count; i++)
			if (events[i].data.ptr == &program.control)
				read_order();
		arm(way_deliver_due());
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: wire SOCKET\n");
		return 2;
	}
	// A late wire is a longer one: it goes before what is measured through it.
	setpriority(PRIO_PROCESS, 0, -10);
	program.signals = open_signals();
	program.epoll = epoll_create1(EPOLL_CLOEXEC);
	program.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	program.control = open_control(argv[1]);
	if (program.control < 0) {
		fprintf(stderr, "wire: %s: %s\n", argv[1], strerror(-program.control));
		return 1;
	}
	watch(program.signals, &program.signals);
	watch(program.timer, &program.timer);
	watch(program.control, &program.control);
	serve();
	while (program.ways != NULL) {
		struct way *way = program.ways;
		program.ways = way->next;
		way_close(way);
	}
	wire_heap_clear(&way_heap, NULL);
	unlink(argv[1]);
	return 0;
}
