// SPDX-License-Identifier: BSD-3-Clause
// The mirror of the kernel's routing beside a kernel that does anything in any order: what the
// dataplane knows is what that kernel has.
#include "tests/unit/routes_bench.h"

#include <stdio.h>

// ---- a random kernel ----

enum { LINKS = 6, PREFIXES = 24, METRICS = 3, NEIGHBOURS = 24 };

struct kernel {
	uint64_t seed;
	struct {
		bool exists, up;
	} links[LINKS]; // 0-2: ports r0-r2 (r2 is not the relay's), 3-5: VLANs on them
	uint8_t routes[PREFIXES][METRICS]; // 0: none, else 1 + set of links; bit 6: blackhole
	uint8_t neighbours[NEIGHBOURS];    // 0: none, else MAC
};

static unsigned dice(struct kernel *kernel, unsigned sides)
{
	kernel->seed = kernel->seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(kernel->seed >> 33) % sides;
}

static struct routes_event kernel_link(const struct kernel *kernel, unsigned i)
{
	char name[ROUTES_NAME_SIZE];
	snprintf(name, sizeof(name), i < 3 ? "r%u" : "v%u", i);
	struct routes_event event = i < 3 ? link_event(i + 1, name)
					  : vlan_event(i + 1, name, i - 2, (uint16_t)(100 + i));
	event.link.up = kernel->links[i].up;
	return event;
}

static struct net_prefix kernel_prefix(unsigned i)
{
	struct net_address base = i % 2 ? address("2001:db8::") : address("10.0.0.0");
	base.bytes[1] = (uint8_t)(i / 4);
	return net_prefix_of(&base, i % 4 < 2 ? 16 : 20);
}

static struct routes_event kernel_route(const struct kernel *kernel, unsigned i, unsigned metric)
{
	struct routes_event event = {.kind = ROUTES_ROUTE};
	uint8_t how = kernel->routes[i][metric];
	event.route.prefix = kernel_prefix(i);
	event.route.metric = metric;
	event.route.blackhole = how & 64;
	event.route.replaces = true;
	for (unsigned l = 0; l < LINKS && !event.route.blackhole; l++)
		if (how & 1u << l)
			event.route.hops[event.route.count++].ifindex = l + 1;
	return event;
}

static struct routes_event kernel_neighbour(const struct kernel *kernel, unsigned i)
{
	char text[NET_ADDRESS_TEXT_SIZE];
	snprintf(text, sizeof(text), i % 2 ? "fe80::%u" : "192.0.2.%u", i);
	return neighbour_event(i % LINKS + 1, text, kernel->neighbours[i]);
}

static bool ours(const struct kernel *kernel, unsigned link)
{
	return link < 3 ? link < 2 && kernel->links[link].exists
			: link < 5 && kernel->links[link].exists && kernel->links[link - 3].exists;
}

static void change_something(struct kernel *kernel, struct bench *bench)
{
	unsigned i;
	struct routes_event event;
	switch (dice(kernel, 6)) {
	case 0:
		i = dice(kernel, LINKS);
		kernel->links[i].exists = dice(kernel, 4) != 0;
		kernel->links[i].up = dice(kernel, 3) != 0;
		event = kernel_link(kernel, i);
		event.gone = !kernel->links[i].exists;
		break;
	case 1:
	case 2:
	case 3: {
		i = dice(kernel, PREFIXES);
		unsigned metric = dice(kernel, METRICS);
		uint8_t *how = &kernel->routes[i][metric];
		if (*how) {
			event = kernel_route(kernel, i, metric);
			event.gone = true;
			*how = 0;
		} else {
			*how = (uint8_t)(dice(kernel, 8) ? 1 + dice(kernel, 63) : 64);
			event = kernel_route(kernel, i, metric);
		}
		break;
	}
	default:
		i = dice(kernel, NEIGHBOURS);
		kernel->neighbours[i] = (uint8_t)dice(kernel, 4);
		event = kernel_neighbour(kernel, i);
		break;
	}
	// Some events are lost, as with ENOBUFS: a dump has to mend it.
	if (dice(kernel, 50))
		routes_mirror_apply(bench->mirror, &event, false);
}

static void dump_all(struct kernel *kernel, struct bench *bench)
{
	for (int dump = 0; dump < ROUTES_DUMPS; dump++)
		routes_mirror_dump_begin(bench->mirror, (enum routes_dump)dump);
	for (unsigned i = 0; i < LINKS; i++)
		if (kernel->links[i].exists)
			apply_dumped(bench, kernel_link(kernel, i));
	for (unsigned i = 0; i < PREFIXES; i++)
		for (unsigned metric = 0; metric < METRICS; metric++)
			if (kernel->routes[i][metric])
				apply_dumped(bench, kernel_route(kernel, i, metric));
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		if (kernel->neighbours[i])
			apply_dumped(bench, kernel_neighbour(kernel, i));
	for (int dump = 0; dump < ROUTES_DUMPS; dump++)
		routes_mirror_dump_end(bench->mirror, (enum routes_dump)dump);
}

static void expect_kernel(struct kernel *kernel, struct bench *bench)
{
	size_t links = 0, routes = 0, neighbours = 0;
	for (unsigned i = 0; i < LINKS; i++) {
		const struct api_link_set *told = told_link(&bench->told, i + 1);
		assert_int_equal(told != NULL, ours(kernel, i));
		if (told) {
			assert_int_equal(told->up, kernel->links[i].up);
			links++;
		}
	}
	for (unsigned i = 0; i < PREFIXES; i++) {
		unsigned metric = 0;
		while (metric < METRICS && !kernel->routes[i][metric])
			metric++;
		struct net_prefix prefix = kernel_prefix(i);
		const struct api_route *told = told_route(&bench->told, &prefix);
		assert_int_equal(told != NULL, metric < METRICS);
		if (!told)
			continue;
		routes++;
		struct routes_event event = kernel_route(kernel, i, metric);
		unsigned expected = 0;
		for (unsigned h = 0; h < event.route.count; h++)
			if (ours(kernel, event.route.hops[h].ifindex - 1))
				assert_int_equal(told->hops[expected++].ifindex,
					event.route.hops[h].ifindex);
		assert_int_equal(told->count, expected);
	}
	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		struct routes_event event = kernel_neighbour(kernel, i);
		const struct api_neighbour *told = told_neighbour(
			&bench->told, event.neighbour.ifindex, &event.neighbour.address);
		bool expected = kernel->neighbours[i] && ours(kernel, i % LINKS);
		assert_int_equal(told != NULL, expected);
		if (told) {
			assert_int_equal(told->mac[5], kernel->neighbours[i]);
			neighbours++;
		}
	}
	assert_int_equal(bench->told.link_count, links);
	assert_int_equal(bench->told.route_count, routes);
	assert_int_equal(bench->told.neighbour_count, neighbours);
	struct routes_mirror_counts counts;
	routes_mirror_count(bench->mirror, &counts);
	assert_int_equal(counts.links, links);
	assert_int_equal(counts.prefixes, routes);
	assert_int_equal(counts.neighbours, neighbours);
}

static void test_random_kernel(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct kernel kernel = {.seed = seed};
		struct bench *bench = calloc(1, sizeof(*bench));
		assert_non_null(bench);
		bench->mirror = routes_mirror_create();
		routes_mirror_ports(bench->mirror, (const char[][ROUTES_NAME_SIZE]){"r0", "r1"}, 2);
		for (unsigned step = 0; step < 2000; step++) {
			change_something(&kernel, bench);
			if (dice(&kernel, 5) == 0) {
				// The link to the dataplane has little room.
				bench->told.room = dice(&kernel, 4);
				routes_mirror_flush(bench->mirror, told_emit, &bench->told);
			}
			if (dice(&kernel, 200) == 0) {
				// The dataplane restarts.
				memset(&bench->told, 0, sizeof(bench->told));
				routes_mirror_forget_sent(bench->mirror);
			}
			if (dice(&kernel, 100) == 0) {
				dump_all(&kernel, bench);
				told_flush(&bench->told, bench->mirror);
				expect_kernel(&kernel, bench);
			}
		}
		routes_mirror_free(bench->mirror);
		free(bench);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_kernel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
