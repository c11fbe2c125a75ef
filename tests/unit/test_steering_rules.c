// SPDX-License-Identifier: BSD-3-Clause
// Steering by rules on the destination port: which ports they match, what a device's rte_flow is
// asked for (a device of ours that evaluates its rules packet by packet), and what the kernel's
// n-tuple filters are (a card of ours behind ioctl).
// wrap: rte_flow_validate
// wrap: rte_flow_create
// wrap: rte_flow_destroy
// wrap: ioctl
#include "dataplane/steering/flow_rules.h"
#include "dataplane/steering/ntuple.h"
#include "dataplane/steering/rss_plan.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <rte_errno.h>
#include <rte_flow.h>

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const uint16_t listen_ports[] = {3478, 3479};
static struct steering_homes homes;

// ---- port rules ----

static int match(const struct port_rule *rules, int count, uint32_t port)
{
	int worker = -1;
	for (int i = 0; i < count; i++) {
		if ((port & rules[i].mask) != rules[i].value)
			continue;
		assert_int_equal(worker, -1); // no two rules for one port
		worker = rules[i].worker;
	}
	return worker;
}

static void check_cover(const struct port_rule *rules, int count, uint32_t first, uint32_t last)
{
	for (uint32_t port = first; port <= last; port++) {
		uint8_t home = homes.worker[port / 2];
		assert_int_equal(match(rules, count, port), home == STEERING_NOBODY ? -1 : home);
	}
	assert_int_equal(match(rules, count, 3478), -1);
	assert_int_equal(match(rules, count, 3479), -1);
	for (int i = 0; i < count; i++) {
		assert_int_equal(rules[i].mask & 1, 0);
		assert_int_equal(rules[i].value & ~rules[i].mask, 0);
	}
}

static void test_rules_cover_the_range(void **state)
{
	(void)state;
	static const uint16_t ranges[][2] = {{49152, 65535}, {50000, 59999}, {3480, 65535},
		{1, 3477}, {50001, 50001}, {10000, 10003}, {40000, 40999}};
	struct port_rule rules[PORT_RULES_MAX];
	for (unsigned workers = 2; workers <= 64; workers++) {
		port_rules_homes(&homes, workers);
		for (unsigned r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
			int count = port_rules_make(
				rules, &homes, ranges[r][0], ranges[r][1], listen_ports, 2);
			// What a card has room for: a few workers on any range, any number of
			// them on the usual ones.
			assert_true(count > 0 || (count == -E2BIG && workers > 8 && r > 1));
			if (count > 0)
				check_cover(rules, count, ranges[r][0], ranges[r][1]);
		}
	}
	// The usual range needs no more rules than there are classes.
	port_rules_homes(&homes, 2);
	assert_int_equal(port_rules_make(rules, &homes, 49152, 65535, listen_ports, 2), 2);
	port_rules_homes(&homes, 3);
	assert_int_equal(port_rules_make(rules, &homes, 49152, 65535, listen_ports, 2), 8);
}

// Fair shares, and pairs together, for any number of workers.
static void test_rule_homes_are_even(void **state)
{
	(void)state;
	for (unsigned workers = 2; workers <= 64; workers++) {
		unsigned count[64] = {0};
		port_rules_homes(&homes, workers);
		for (unsigned pair = 0; pair < STEERING_PAIRS; pair++)
			count[homes.worker[pair]]++;
		for (unsigned w = 0; w < 64; w++) {
			if (w < workers)
				assert_true(count[w] * 2 * workers >= STEERING_PAIRS);
			else
				assert_int_equal(count[w], 0);
		}
	}
}

// A port without RSS beside one with it steers by the same homes.
static void test_rules_follow_rss_homes(void **state)
{
	(void)state;
	struct port_rule rules[PORT_RULES_MAX];
	for (unsigned workers = 2; workers <= 8; workers++) {
		struct rss_plan plan;
		unsigned bits = rss_class_bits(128, workers, listen_ports, 2);
		rss_plan_make(&plan, NET_IPV4, 128, bits ? bits : 4, workers, listen_ports, 2);
		for (unsigned pair = 0; pair < STEERING_PAIRS; pair++)
			homes.worker[pair] = rss_plan_home(&plan, (uint16_t)(pair * 2));
		int count = port_rules_make(rules, &homes, 49152, 65535, listen_ports, 2);
		assert_true(count > 0);
		check_cover(rules, count, 49152, 65535);
	}
}

// ---- rte_flow ----

enum { DEVICE_RULES = 16 };

static struct device {
	unsigned validated, created, live, room;
	bool refuses_masks;
	struct device_rule {
		bool used;
		enum rte_flow_item_type family;
		uint16_t value, mask, queue;
	} rules[DEVICE_RULES];
} device;

static bool understand(const struct rte_flow_attr *attributes, const struct rte_flow_item *pattern,
	const struct rte_flow_action *actions, struct device_rule *out)
{
	const struct rte_flow_item_udp *spec = pattern[2].spec, *mask = pattern[2].mask;
	const struct rte_flow_action_queue *queue = actions[0].conf;
	assert_true(attributes->ingress && !attributes->egress && !attributes->transfer);
	assert_int_equal(pattern[0].type, RTE_FLOW_ITEM_TYPE_ETH);
	assert_true(pattern[1].type == RTE_FLOW_ITEM_TYPE_IPV4 ||
		    pattern[1].type == RTE_FLOW_ITEM_TYPE_IPV6);
	assert_null(pattern[1].spec);
	assert_int_equal(pattern[2].type, RTE_FLOW_ITEM_TYPE_UDP);
	assert_int_equal(pattern[3].type, RTE_FLOW_ITEM_TYPE_END);
	assert_int_equal(actions[0].type, RTE_FLOW_ACTION_TYPE_QUEUE);
	assert_int_equal(actions[1].type, RTE_FLOW_ACTION_TYPE_END);
	assert_int_equal(mask->hdr.src_port, 0);
	*out = (struct device_rule){.used = true,
		.family = pattern[1].type,
		.value = ntohs(spec->hdr.dst_port),
		.mask = ntohs(mask->hdr.dst_port),
		.queue = queue->index};
	return !device.refuses_masks;
}

int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	struct device_rule rule;
	(void)error;
	assert_int_equal(port, 7);
	assert_int_equal(device.created, 0); // all are validated before the first is made
	device.validated++;
	return understand(attributes, pattern, actions, &rule) ? 0 : -ENOTSUP;
}

struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	(void)port;
	(void)error;
	if (device.live == device.room) {
		rte_errno = ENOSPC;
		return NULL;
	}
	for (unsigned i = 0; i < DEVICE_RULES; i++) {
		if (device.rules[i].used)
			continue;
		understand(attributes, pattern, actions, &device.rules[i]);
		device.created++;
		device.live++;
		return (struct rte_flow *)(void *)&device.rules[i];
	}
	return NULL;
}

int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
	struct device_rule *rule = (void *)flow;
	(void)error;
	assert_int_equal(port, 7);
	assert_true(rule->used);
	rule->used = false;
	device.live--;
	return 0;
}

// The queue of a UDP datagram; -1: as RSS likes.
static int device_queue(enum rte_flow_item_type family, uint16_t port)
{
	for (unsigned i = 0; i < DEVICE_RULES; i++) {
		const struct device_rule *rule = &device.rules[i];
		if (rule->used && rule->family == family && (port & rule->mask) == rule->value)
			return rule->queue;
	}
	return -1;
}

static void test_flow_rules_steer(void **state)
{
	(void)state;
	static const uint16_t queues[] = {2, 0, 1};
	struct port_rule rules[PORT_RULES_MAX];
	struct flow_rules flows[2] = {0};
	device = (struct device){.room = DEVICE_RULES};
	port_rules_homes(&homes, 3);
	int count = port_rules_make(rules, &homes, 49152, 65535, listen_ports, 2);
	assert_int_equal(
		flow_rules_create(&flows[0], 7, NET_IPV4, rules, (unsigned)count, queues), 0);
	device.created = 0;
	assert_int_equal(
		flow_rules_create(&flows[1], 7, NET_IPV6, rules, (unsigned)count, queues), 0);
	for (unsigned i = 0; i < 100000; i++) {
		uint16_t port = (uint16_t)random();
		enum rte_flow_item_type family =
			random() % 2 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6;
		// Where nobody of ours listens a rule may do as it likes.
		if (port >= 49152)
			assert_int_equal(
				device_queue(family, port), queues[homes.worker[port / 2]]);
		assert_int_equal(device_queue(family, listen_ports[i % 2]), -1);
	}
	flow_rules_destroy(&flows[0]);
	assert_int_equal(device_queue(RTE_FLOW_ITEM_TYPE_IPV4, 50000), -1);
	assert_true(device_queue(RTE_FLOW_ITEM_TYPE_IPV6, 50000) >= 0);
	flow_rules_destroy(&flows[1]);
	flow_rules_destroy(&flows[1]);
	assert_int_equal(device.live, 0);
}

// A device that cannot, or has no room for all, keeps none.
static void test_flow_rules_all_or_none(void **state)
{
	(void)state;
	static const uint16_t queues[] = {0, 1, 2};
	struct port_rule rules[PORT_RULES_MAX];
	struct flow_rules flows = {0};
	port_rules_homes(&homes, 3);
	int count = port_rules_make(rules, &homes, 49152, 65535, listen_ports, 2);
	device = (struct device){.room = DEVICE_RULES, .refuses_masks = true};
	assert_int_equal(
		flow_rules_create(&flows, 7, NET_IPV4, rules, (unsigned)count, queues), -ENOTSUP);
	assert_int_equal(device.created, 0);
	device = (struct device){.room = 5};
	assert_int_equal(
		flow_rules_create(&flows, 7, NET_IPV4, rules, (unsigned)count, queues), -ENOSPC);
	assert_int_equal(device.created, 5);
	assert_int_equal(device.live, 0);
	assert_int_equal(flows.count, 0);
}

// ---- n-tuple filters ----

enum { CARD_ROOM = 12 };

static struct card {
	bool none, special;
	int insert_errors_at; // the n-th insert fails; 0: never
	int inserts, others_calls;
	bool used[CARD_ROOM];
	struct ethtool_rx_flow_spec rules[CARD_ROOM];
} card;

static int card_insert(struct ethtool_rxnfc *command)
{
	uint32_t at = command->fs.location;
	if (++card.inserts == card.insert_errors_at)
		return ENOSPC;
	if (card.special) {
		assert_int_equal(at, RX_CLS_LOC_ANY);
		for (at = 0; at < CARD_ROOM && card.used[at]; at++)
			;
		if (at == CARD_ROOM)
			return ENOSPC;
	}
	assert_in_range(at, 0, CARD_ROOM - 1);
	assert_false(card.used[at]); // an operator's rule is not overwritten
	card.used[at] = true;
	command->fs.location = at;
	card.rules[at] = command->fs;
	return 0;
}

static int card_do(struct ethtool_rxnfc *command)
{
	uint32_t n = 0;
	if (card.none)
		return EOPNOTSUPP;
	switch (command->cmd) {
	case ETHTOOL_GRXCLSRLCNT:
		command->rule_cnt = 0;
		for (unsigned i = 0; i < CARD_ROOM; i++)
			command->rule_cnt += card.used[i];
		command->data = card.special ? RX_CLS_LOC_SPECIAL : 0;
		return 0;
	case ETHTOOL_GRXCLSRLALL:
		for (uint32_t i = 0; i < CARD_ROOM; i++)
			if (card.used[i])
				command->rule_locs[n++] = i;
		assert_int_equal(n, command->rule_cnt);
		command->data = CARD_ROOM;
		return 0;
	case ETHTOOL_GRXCLSRULE:
		command->fs = card.rules[command->fs.location];
		return 0;
	case ETHTOOL_SRXCLSRLDEL:
		assert_true(card.used[command->fs.location]);
		card.used[command->fs.location] = false;
		return 0;
	case ETHTOOL_SRXCLSRLINS:
		return card_insert(command);
	default:
		return EOPNOTSUPP;
	}
}

int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	struct ifreq *interface = argument;
	assert_true(fd >= 0);
	assert_int_equal(request, SIOCETHTOOL);
	assert_string_equal(interface->ifr_name, "eth7"); // the relay's, and no other
	int error = card_do((struct ethtool_rxnfc *)(void *)interface->ifr_data);
	errno = error;
	return error ? -1 : 0;
}

static unsigned card_count(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < CARD_ROOM; i++)
		count += card.used[i];
	return count;
}

static int card_queue(uint32_t type, uint16_t port)
{
	for (unsigned i = 0; i < CARD_ROOM; i++) {
		const struct ethtool_rx_flow_spec *rule = &card.rules[i];
		uint16_t value = type == UDP_V4_FLOW ? rule->h_u.udp_ip4_spec.pdst
						     : rule->h_u.udp_ip6_spec.pdst;
		uint16_t mask = type == UDP_V4_FLOW ? rule->m_u.udp_ip4_spec.pdst
						    : rule->m_u.udp_ip6_spec.pdst;
		if (card.used[i] && rule->flow_type == type && (port & ntohs(mask)) == ntohs(value))
			return (int)rule->ring_cookie;
	}
	return -1;
}

static int card_add(struct ntuple_rules *ntuple, enum net_family family)
{
	static const uint16_t queues[] = {1, 0};
	struct port_rule rules[PORT_RULES_MAX];
	port_rules_homes(&homes, 2);
	int count = port_rules_make(rules, &homes, 49152, 65535, listen_ports, 2);
	return ntuple_add(ntuple, "eth7", family, rules, (unsigned)count, queues);
}

static void test_ntuple_rules(void **state)
{
	(void)state;
	for (unsigned special = 0; special < 2; special++) {
		struct ntuple_rules ntuple = {0};
		card = (struct card){.special = special};
		// An operator's own rule, at the end of the table.
		card.used[CARD_ROOM - 1] = true;
		card.rules[CARD_ROOM - 1].flow_type = TCP_V4_FLOW;
		assert_int_equal(card_add(&ntuple, NET_IPV4), 0);
		assert_int_equal(card_add(&ntuple, NET_IPV6), 0);
		assert_int_equal(card_count(), 5);
		for (unsigned port = 49152; port < 65536; port++) {
			int want = port / 2 % 2 ? 0 : 1;
			assert_int_equal(card_queue(UDP_V4_FLOW, (uint16_t)port), want);
			assert_int_equal(card_queue(UDP_V6_FLOW, (uint16_t)port), want);
		}
		assert_int_equal(card_queue(UDP_V4_FLOW, 3478), -1);
		assert_int_equal(card_queue(UDP_V6_FLOW, 3479), -1);
		ntuple_remove(&ntuple);
		assert_int_equal(card_count(), 1);
		assert_true(card.used[CARD_ROOM - 1]);
		ntuple_remove(&ntuple);
	}
}

// A run that was killed took its rules with it to nowhere: the next one clears them.
static void test_ntuple_stale_rules(void **state)
{
	(void)state;
	struct ntuple_rules first = {0}, second = {0};
	card = (struct card){0};
	assert_int_equal(card_add(&first, NET_IPV4), 0);
	assert_int_equal(card_add(&second, NET_IPV4), 0);
	assert_int_equal(card_count(), 2);
	ntuple_remove(&second);
	assert_int_equal(card_count(), 0);
	close(first.fd);
}

static void test_ntuple_all_or_none(void **state)
{
	(void)state;
	struct ntuple_rules ntuple = {0};
	card = (struct card){.none = true};
	assert_int_equal(card_add(&ntuple, NET_IPV4), -EOPNOTSUPP);
	ntuple_remove(&ntuple);
	card = (struct card){0};
	assert_int_equal(card_add(&ntuple, NET_IPV4), 0);
	card.insert_errors_at = 4; // the second of IPv6
	assert_int_equal(card_add(&ntuple, NET_IPV6), -ENOSPC);
	assert_int_equal(card_count(), 2);
	assert_true(card_queue(UDP_V4_FLOW, 50000) >= 0);
	ntuple_remove(&ntuple);
	assert_int_equal(card_count(), 0);
	// No room left but what others have taken.
	card = (struct card){0};
	memset(card.used, 1, sizeof(card.used));
	assert_int_equal(card_add(&ntuple, NET_IPV4), -ENOSPC);
	assert_int_equal(card_count(), CARD_ROOM);
	ntuple_remove(&ntuple);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules_cover_the_range),
		cmocka_unit_test(test_rule_homes_are_even),
		cmocka_unit_test(test_rules_follow_rss_homes),
		cmocka_unit_test(test_flow_rules_steer),
		cmocka_unit_test(test_flow_rules_all_or_none),
		cmocka_unit_test(test_ntuple_rules),
		cmocka_unit_test(test_ntuple_stale_rules),
		cmocka_unit_test(test_ntuple_all_or_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
