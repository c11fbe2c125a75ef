// SPDX-License-Identifier: BSD-3-Clause
// Which way a port steers each family, on DPDK's null devices, whose hash key and redirection table
// can be set, made to have rte_flow, or not, or to lie.
// wrap: rte_eth_dev_info_get
// wrap: rte_eth_dev_rss_reta_query
// wrap: rte_flow_validate
// wrap: rte_flow_create
// wrap: rte_flow_destroy
#include "dataplane/dataplane.h"
#include "dataplane/steering/rss.h"
#include "dataplane/steering/steering.h"
#include "dataplane/table/relay_ports.h"
#include "tests/unit/dpdk_env.h"

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_thash.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// What the devices can do.
static struct {
	bool rss, flow, lies;
	unsigned flows;
} can;

int __real_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info);
int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
	int result = __real_rte_eth_dev_info_get(port, info);
	info->hash_key_size = can.rss ? 40 : 0; // it has one, and does not tell
	return result;
}

int __real_rte_eth_dev_rss_reta_query(
	uint16_t port, struct rte_eth_rss_reta_entry64 *table, uint16_t size);
int __wrap_rte_eth_dev_rss_reta_query(
	uint16_t port, struct rte_eth_rss_reta_entry64 *table, uint16_t size);
int __wrap_rte_eth_dev_rss_reta_query(
	uint16_t port, struct rte_eth_rss_reta_entry64 *table, uint16_t size)
{
	int result = __real_rte_eth_dev_rss_reta_query(port, table, size);
	if (can.lies)
		table[size / RTE_ETH_RETA_GROUP_SIZE - 1].reta[63] ^= 1;
	return result;
}

int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	(void)port;
	(void)attributes;
	(void)pattern;
	(void)actions;
	(void)error;
	return can.flow ? 0 : -ENOSYS;
}

struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error);
struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attributes,
	const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
	struct rte_flow_error *error)
{
	(void)port;
	(void)attributes;
	(void)pattern;
	(void)actions;
	(void)error;
	can.flows++;
	return (struct rte_flow *)(void *)&can;
}

int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error);
int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
	(void)port;
	(void)flow;
	(void)error;
	can.flows--;
	return 0;
}

// ---- a dataplane of null devices ----

static struct dataplane *dataplane;
static struct config *config;
static struct rte_mempool *pool;

static void add_listen(enum net_family family)
{
	struct node_addresses *a = &dataplane->settings.slots[0];
	a->listen[a->listen_count++].family = (uint8_t)family;
}

static void open_plane(unsigned workers, bool v4, bool v6)
{
	config = calloc(1, sizeof(*config));
	dataplane = calloc(1, sizeof(*dataplane));
	config->dataplane.workers = (uint16_t)workers;
	dataplane->config = config;
	dataplane->worker_count = workers;
	dataplane->settings.slots[0].port = 3478;
	dataplane->settings.slots[0].alternate_port = 3479;
	dataplane->settings.slots[0].relay_first = 49152;
	dataplane->settings.slots[0].relay_last = 65535;
	if (v4)
		add_listen(NET_IPV4);
	if (v6)
		add_listen(NET_IPV6);
	dataplane->relay_ports = relay_ports_create(&dataplane->settings.slots[0]);
	assert_non_null(dataplane->relay_ports);
}

static void add_port(uint16_t queues)
{
	unsigned p = dataplane->port_count++;
	struct port *port = &dataplane->ports[p];
	port->config = &config->dataplane.ports[p];
	config->dataplane.ports[p].type = CONFIG_PORT_PCI;
	snprintf(port->device, sizeof(port->device), "net_null%u", p);
	assert_int_equal(rte_eal_hotplug_add("vdev", port->device, ""), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name(port->device, &port->id), 0);
	assert_int_equal(port->id, p);
	port->queues = queues;
	port->made = true;
	for (uint16_t q = 0; q < queues; q++)
		port->queue_owner[q] = (uint16_t)(q % dataplane->worker_count);
}

static void start_ports(void)
{
	steering_plan(dataplane);
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		struct port *port = &dataplane->ports[p];
		struct rte_eth_conf configuration = {0};
		struct rte_eth_dev_info info;
		assert_int_equal(rte_eth_dev_info_get(port->id, &info), 0);
		if (port->ways.planned)
			rss_configure(&configuration, &port->ways.plan, &info);
		assert_int_equal(
			rte_eth_dev_configure(port->id, port->queues, port->queues, &configuration),
			0);
		for (uint16_t q = 0; q < port->queues; q++) {
			assert_int_equal(rte_eth_rx_queue_setup(port->id, q, 64, 0, NULL, pool), 0);
			assert_int_equal(rte_eth_tx_queue_setup(port->id, q, 64, 0, NULL), 0);
		}
		assert_int_equal(rte_eth_dev_start(port->id), 0);
		port->started = true;
	}
	steering_apply(dataplane);
}

static void close_plane(void)
{
	for (unsigned p = 0; p < dataplane->port_count; p++) {
		port_close(&dataplane->ports[p]);
		rte_eal_hotplug_remove("vdev", dataplane->ports[p].device);
	}
	assert_int_equal(can.flows, 0);
	relay_ports_free(dataplane->relay_ports);
	free(dataplane);
	free(config);
}

static void assert_way(unsigned port, uint8_t v4, uint8_t v6)
{
	assert_int_equal(dataplane->ports[port].ways.way[0], v4);
	assert_int_equal(dataplane->ports[port].ways.way[1], v6);
}

// What the device does now with what a peer sends to a relayed port, and to whom its queue belongs.
static void assert_homes_are_true(unsigned p, unsigned slot)
{
	struct port *port = &dataplane->ports[p];
	struct rte_eth_rss_reta_entry64 table[2] = {{.mask = UINT64_MAX}, {.mask = UINT64_MAX}};
	uint8_t key[RSS_KEY_MAX] = {0};
	struct rte_eth_rss_conf hash = {.rss_key = key, .rss_key_len = 40};
	assert_int_equal(rte_eth_dev_rss_reta_query(port->id, table, 128), 0);
	assert_int_equal(rte_eth_dev_rss_hash_conf_get(port->id, &hash), 0);
	assert_true(hash.rss_hf & rss_udp_type(slot ? NET_IPV6 : NET_IPV4));
	unsigned clients = 0;
	for (unsigned i = 0; i < 100000; i++) {
		uint32_t words[9], count = slot ? 9 : 3;
		uint16_t to = (uint16_t)(i % 4 ? 49152 + random() % 16384 : 3478);
		for (unsigned w = 0; w < count; w++)
			words[w] = (uint32_t)random() << 1 ^ (uint32_t)random();
		words[count - 1] = words[count - 1] << 16 | to;
		uint32_t index = rte_softrss(words, count, key) % 128;
		uint16_t worker = port->queue_owner[table[index / 64].reta[index % 64]];
		if (to == 3478)
			clients |= 1u << worker;
		else if (dataplane->homes[slot].worker[to / 2] != STEERING_NOBODY)
			assert_int_equal(worker, dataplane->homes[slot].worker[to / 2]);
	}
	assert_int_equal(clients, (1u << dataplane->worker_count) - 1);
}

static void test_rss_for_one_family(void **state)
{
	(void)state;
	memset(&can, 0, sizeof(can));
	can.rss = true;
	for (unsigned v6_only = 0; v6_only < 2; v6_only++)
		for (uint16_t workers = 2; workers <= 5; workers++) {
			open_plane(workers, !v6_only, true);
			add_port(workers);
			start_ports();
			if (v6_only)
				assert_way(0, API_STEERING_NONE, API_STEERING_RSS);
			else
				assert_way(0, API_STEERING_RSS, API_STEERING_HANDOFF);
			assert_int_equal(dataplane->homes[0].known, !v6_only);
			assert_int_equal(dataplane->homes[1].known, v6_only);
			assert_homes_are_true(0, v6_only);
			close_plane();
		}
}

// More queues than workers: each worker's share of the table goes round its queues.
static void test_more_queues_than_workers(void **state)
{
	(void)state;
	memset(&can, 0, sizeof(can));
	can.rss = true;
	open_plane(2, true, false);
	add_port(6);
	start_ports();
	assert_way(0, API_STEERING_RSS, API_STEERING_NONE);
	assert_homes_are_true(0, 0);
	close_plane();
	open_plane(4, true, false);
	add_port(2);
	start_ports();
	assert_way(0, API_STEERING_HANDOFF, API_STEERING_NONE);
	assert_false(dataplane->homes[0].known);
	close_plane();
}

// RSS for IPv4, rules for IPv6, which are gone when the port is closed.
static void test_rules_for_the_other(void **state)
{
	(void)state;
	memset(&can, 0, sizeof(can));
	can.rss = can.flow = true;
	open_plane(2, true, true);
	add_port(2);
	start_ports();
	assert_way(0, API_STEERING_RSS, API_STEERING_RULES);
	assert_true(dataplane->homes[0].known && dataplane->homes[1].known);
	assert_int_equal(can.flows, 2);
	assert_homes_are_true(0, 0);
	const struct relay_range range = {49152, 50000};
	relay_ports_set(dataplane->relay_ports, &range, &range);
	steering_range_changed(dataplane);
	assert_way(0, API_STEERING_RSS, API_STEERING_RULES);
	assert_true(can.flows >= 2);
	can.flow = false;
	steering_range_changed(dataplane);
	assert_way(0, API_STEERING_RSS, API_STEERING_HANDOFF);
	assert_true(dataplane->homes[0].known && !dataplane->homes[1].known);
	assert_int_equal(can.flows, 0);
	close_plane();
}

// A device that takes the table and has another one in force is not believed.
static void test_device_that_lies(void **state)
{
	(void)state;
	memset(&can, 0, sizeof(can));
	can.rss = can.lies = true;
	open_plane(2, true, true);
	add_port(2);
	start_ports();
	assert_way(0, API_STEERING_HANDOFF, API_STEERING_HANDOFF);
	assert_false(dataplane->homes[0].known);
	close_plane();
	can.flow = true;
	open_plane(2, true, true);
	add_port(2);
	start_ports();
	assert_way(0, API_STEERING_RULES, API_STEERING_RULES);
	close_plane();
}

// All ports steer by one map, and a port of one queue has nothing to steer.
static void test_ports_agree(void **state)
{
	(void)state;
	memset(&can, 0, sizeof(can));
	can.rss = true;
	open_plane(3, true, false);
	add_port(3);
	add_port(1);
	add_port(9);
	start_ports();
	assert_way(0, API_STEERING_RSS, API_STEERING_NONE);
	assert_way(1, API_STEERING_ONE_WORKER, API_STEERING_NONE);
	assert_way(2, API_STEERING_RSS, API_STEERING_NONE);
	assert_homes_are_true(0, 0);
	assert_homes_are_true(2, 0);
	close_plane();
}

static void test_nothing_to_steer(void **state)
{
	(void)state;
	memset(&can, 0, sizeof(can));
	can.rss = can.flow = true;
	open_plane(1, true, true);
	add_port(2);
	start_ports();
	assert_way(0, API_STEERING_ONE_WORKER, API_STEERING_ONE_WORKER);
	assert_false(dataplane->homes[0].known || dataplane->homes[1].known);
	assert_false(dataplane->ports[0].ways.planned);
	close_plane();
	open_plane(2, true, true);
	add_port(1);
	add_port(1);
	start_ports();
	assert_way(0, API_STEERING_ONE_WORKER, API_STEERING_ONE_WORKER);
	assert_way(1, API_STEERING_ONE_WORKER, API_STEERING_ONE_WORKER);
	assert_false(dataplane->homes[0].known || dataplane->homes[1].known);
	close_plane();
}

static int setup(void **state)
{
	(void)state;
	dpdk_env_start();
	pool = rte_pktmbuf_pool_create(
		"steering", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return pool ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rss_for_one_family),
		cmocka_unit_test(test_more_queues_than_workers),
		cmocka_unit_test(test_rules_for_the_other),
		cmocka_unit_test(test_device_that_lies),
		cmocka_unit_test(test_ports_agree),
		cmocka_unit_test(test_nothing_to_steer),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
