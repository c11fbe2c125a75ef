// SPDX-License-Identifier: BSD-3-Clause
// Blocked prefixes in the dataplane (dataplane/guard_rules.h): the table against the definition
// (the longest prefix decides) for random rules and addresses, the list's bounds and errors, and
// tables that are replaced while workers read them.
#include "dataplane/guard_rules.h"

#include "lib/net/address_text.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct api_guard_rule rule_of(const char *text, unsigned action)
{
	struct api_guard_rule rule = {.action = (uint8_t)action, .origin = API_GUARD_ADDED};
	assert_int_equal(net_prefix_parse(text, &rule.prefix), 0);
	return rule;
}

static void set(struct guard_rules *rules, const char *text, unsigned action)
{
	struct api_guard_rule rule = rule_of(text, action);
	assert_int_equal(guard_rules_set(rules, &rule), 0);
}

static void unset(struct guard_rules *rules, const char *text)
{
	struct api_guard_rule rule = rule_of(text, 0);
	assert_int_equal(guard_rules_remove(rules, &rule.prefix), 0);
}

static bool blocks(struct guard_rules *rules, const char *text)
{
	struct net_address address;
	assert_int_equal(net_address_parse(text, &address), 0);
	const struct guard_table *table = guard_rules_table(rules, 0);
	return table && guard_table_blocks(table, address.bytes, address.family);
}

static void the_longest_prefix_decides(void **state)
{
	struct guard_rules *rules = guard_rules_create();
	(void)state;
	assert_null(guard_rules_table(NULL, 0));
	assert_null(guard_rules_table(rules, 0));
	set(rules, "10.0.0.0/8", API_GUARD_BLOCK);
	set(rules, "10.1.0.0/16", API_GUARD_ALLOW);
	set(rules, "10.1.1.0/24", API_GUARD_BLOCK);
	set(rules, "10.1.1.1", API_GUARD_ALLOW);
	assert_true(blocks(rules, "10.0.0.0"));
	assert_true(blocks(rules, "10.0.255.255"));
	assert_false(blocks(rules, "10.1.0.0"));
	assert_false(blocks(rules, "10.1.0.255"));
	assert_true(blocks(rules, "10.1.1.0"));
	assert_false(blocks(rules, "10.1.1.1"));
	assert_true(blocks(rules, "10.1.1.2"));
	assert_true(blocks(rules, "10.1.1.255"));
	assert_false(blocks(rules, "10.1.2.0"));
	assert_true(blocks(rules, "10.2.0.0"));
	assert_true(blocks(rules, "10.255.255.255"));
	assert_false(blocks(rules, "11.0.0.0"));
	assert_false(blocks(rules, "9.255.255.255"));
	assert_false(blocks(rules, "a00::"));
	// The last rule of a prefix is its rule.
	set(rules, "10.1.0.0/16", API_GUARD_BLOCK);
	assert_true(blocks(rules, "10.1.0.0"));
	assert_int_equal(rules->count, 4);
	unset(rules, "10.1.0.0/16");
	unset(rules, "10.1.1.0/24");
	assert_true(blocks(rules, "10.1.1.2"));
	assert_false(blocks(rules, "10.1.1.1"));
	// Both ends of the address spaces.
	set(rules, "0.0.0.0/0", API_GUARD_BLOCK);
	set(rules, "::/0", API_GUARD_BLOCK);
	set(rules, "255.255.255.255", API_GUARD_ALLOW);
	set(rules, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", API_GUARD_ALLOW);
	set(rules, "::", API_GUARD_ALLOW);
	assert_true(blocks(rules, "0.0.0.0"));
	assert_true(blocks(rules, "255.255.255.254"));
	assert_false(blocks(rules, "255.255.255.255"));
	assert_false(blocks(rules, "::"));
	assert_true(blocks(rules, "::1"));
	assert_true(blocks(rules, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"));
	assert_false(blocks(rules, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
	guard_rules_free(rules);
}

static bool expected(const struct guard_rules *rules, const struct net_address *address)
{
	int longest = -1;
	bool blocked = false;
	for (unsigned i = 0; i < rules->count; i++) {
		const struct api_guard_rule *rule = &rules->rules[i];
		if (net_prefix_contains(&rule->prefix, address) && rule->prefix.length > longest) {
			longest = rule->prefix.length;
			blocked = rule->action == API_GUARD_BLOCK;
		}
	}
	return blocked;
}

// Few distinct bytes, so that prefixes nest and touch.
static struct net_address random_address(unsigned family)
{
	static const uint8_t some[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
	uint8_t bytes[16];
	for (unsigned i = 0; i < 16; i++)
		bytes[i] = some[(unsigned)rand() % sizeof(some)];
	return family == NET_IPV4 ? net_address_v4(bytes) : net_address_v6(bytes);
}

static void random_rules_agree_with_the_definition(void **state)
{
	struct guard_rules *rules = guard_rules_create();
	unsigned blocked = 0, asked = 0;
	(void)state;
	srand(7);
	for (unsigned step = 0; step < 3000; step++) {
		unsigned family = rand() & 1 ? NET_IPV4 : NET_IPV6;
		struct net_address address = random_address(family);
		struct api_guard_rule rule = {
			.prefix = net_prefix_of(
				&address, (unsigned)rand() % (family == NET_IPV4 ? 33 : 129)),
			.action = rand() & 1 ? API_GUARD_BLOCK : API_GUARD_ALLOW,
			.origin = API_GUARD_ADDED,
		};
		bool there = guard_rules_find(rules, &rule.prefix) != NULL;
		if (rand() % 3 && rules->count < 200)
			assert_int_equal(guard_rules_set(rules, &rule), 0);
		else if (rules->count > 150)
			assert_int_equal(
				guard_rules_remove(rules, &rules->rules[rand() % 150].prefix), 0);
		else
			assert_int_equal(
				guard_rules_remove(rules, &rule.prefix), there ? 0 : -ENOENT);
		const struct guard_table *table = guard_rules_table(rules, 3);
		for (unsigned i = 0; i < 40; i++) {
			address = random_address(rand() & 1 ? NET_IPV4 : NET_IPV6);
			bool have =
				table && guard_table_blocks(table, address.bytes, address.family);
			assert_int_equal(have, expected(rules, &address));
			blocked += have;
			asked++;
		}
	}
	assert_in_range(blocked, asked / 5, asked * 4 / 5);
	guard_rules_free(rules);
}

static void what_is_no_rule_is_refused(void **state)
{
	struct guard_rules *rules = guard_rules_create();
	struct api_guard_rule good = rule_of("10.0.0.0/8", API_GUARD_BLOCK), bad;
	(void)state;
	bad = good;
	bad.prefix.length = 33;
	assert_int_equal(guard_rules_set(rules, &bad), -EINVAL);
	bad.prefix.length = 4; // a bit behind it
	assert_int_equal(guard_rules_set(rules, &bad), -EINVAL);
	bad = good;
	bad.prefix.address.bytes[9] = 1;
	assert_int_equal(guard_rules_set(rules, &bad), -EINVAL);
	bad = good;
	bad.prefix.address.family = 5;
	assert_int_equal(guard_rules_set(rules, &bad), -EINVAL);
	assert_int_equal(guard_rules_remove(rules, &bad.prefix), -EINVAL);
	bad = good;
	bad.action = 3;
	assert_int_equal(guard_rules_set(rules, &bad), -EINVAL);
	bad = good;
	bad.origin = 0;
	assert_int_equal(guard_rules_set(rules, &bad), -EINVAL);
	assert_int_equal(guard_rules_remove(rules, &good.prefix), -ENOENT);
	assert_int_equal(rules->count, 0);
	assert_null(guard_rules_table(rules, 0));

	for (unsigned i = 0; i < GUARD_RULES_MAX; i++) {
		uint8_t four[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
		good.prefix.address = net_address_v4(four);
		good.prefix.length = 32;
		assert_int_equal(guard_rules_set(rules, &good), 0);
	}
	struct api_guard_rule more = rule_of("11.0.0.0/8", API_GUARD_BLOCK);
	assert_int_equal(guard_rules_set(rules, &more), -ENOSPC);
	assert_false(blocks(rules, "11.0.0.0"));
	// One that is there can still be changed, and one that goes makes room.
	good.action = API_GUARD_ALLOW;
	assert_int_equal(guard_rules_set(rules, &good), 0);
	assert_int_equal(guard_rules_remove(rules, &good.prefix), 0);
	assert_int_equal(guard_rules_set(rules, &more), 0);
	assert_true(blocks(rules, "11.0.0.0"));
	guard_rules_free(rules);
}

// ---- workers that read while main changes ----

enum { READERS = 3, CHANGES = 20000 };

static struct guard_rules *shared;
static _Atomic bool done;
static _Atomic uint64_t looked[READERS];

static void *reader(void *argument)
{
	unsigned worker = (unsigned)(size_t)argument;
	uint8_t always[4] = {10, 0, 0, 1}, never[4] = {11, 0, 0, 1};
	while (!atomic_load(&done)) {
		const struct guard_table *table = guard_rules_table(shared, worker);
		// Whichever table it is, it is whole: one rule in all of them, another in none.
		for (unsigned i = 0; table && i < 8; i++)
			if (!guard_table_blocks(table, always, NET_IPV4) ||
				guard_table_blocks(table, never, NET_IPV4))
				abort();
		atomic_fetch_add(&looked[worker], 1);
	}
	return NULL;
}

static unsigned retired_count(void)
{
	unsigned count = 0;
	for (struct guard_table *t = shared->retired; t; count++)
		t = *(struct guard_table **)t; // the first member
	return count;
}

static void workers_read_while_rules_change(void **state)
{
	pthread_t threads[READERS];
	unsigned most = 0;
	(void)state;
	shared = guard_rules_create();
	set(shared, "10.0.0.0/24", API_GUARD_BLOCK);
	for (size_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, (void *)i), 0);
	for (unsigned i = 0; i < READERS; i++)
		while (atomic_load(&looked[i]) == 0)
			sched_yield();
	for (unsigned i = 0; i < CHANGES; i++) {
		if (i & 1)
			unset(shared, "12.0.0.0/8");
		else
			set(shared, "12.0.0.0/8", API_GUARD_BLOCK);
		unsigned retired = retired_count();
		most = retired > most ? retired : most;
	}
	// Each worker can hold back one table, whether it sleeps or not.
	assert_in_range(most, 0, READERS);
	atomic_store(&done, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(threads[i], NULL);
	// Nobody holds an old table once everybody has looked again.
	unset(shared, "10.0.0.0/24");
	for (unsigned i = 0; i < READERS; i++)
		assert_null(guard_rules_table(shared, i));
	set(shared, "12.0.0.0/8", API_GUARD_BLOCK);
	assert_int_equal(retired_count(), 0);
	guard_rules_free(shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_prefix_decides),
		cmocka_unit_test(random_rules_agree_with_the_definition),
		cmocka_unit_test(what_is_no_rule_is_refused),
		cmocka_unit_test(workers_read_while_rules_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
