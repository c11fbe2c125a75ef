// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/af_xdp_port.h"

#include "perf/generator/fail.h"

#include <rte_eal.h>
#include <rte_ethdev.h>

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

enum { POOL_SIZE = 16384, DESCRIPTORS = 2048 };

void af_xdp_enter(const char *namespace)
{
	char path[128];
	snprintf(path, sizeof(path), "/run/netns/%s", namespace);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail("cannot enter namespace", namespace);
	close(fd);
}

struct rte_mempool *af_xdp_begin(unsigned core)
{
	char number[16];
	snprintf(number, sizeof(number), "%u", core);
	char *arguments[] = {program_invocation_short_name, "--no-huge", "--no-pci", "--no-shconf",
		"--no-telemetry", "-m", "256", "--log-level=3", "-l", number, NULL};
	if (rte_eal_init(10, arguments) < 0)
		fail("EAL", rte_strerror(rte_errno));
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"generator", POOL_SIZE, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL)
		fail("buffers", rte_strerror(rte_errno));
	return pool;
}

uint16_t af_xdp_open(
	struct rte_mempool *pool, const char *namespace, const char *interface, const char *device)
{
	char arguments[128];
	struct rte_eth_conf configuration = {0};
	uint16_t port;

	af_xdp_enter(namespace);
	snprintf(arguments, sizeof(arguments), "iface=%s", interface);
	if (rte_eal_hotplug_add("vdev", device, arguments) ||
		rte_eth_dev_get_port_by_name(device, &port))
		fail("cannot open AF_XDP on", interface);
	if (rte_eth_dev_configure(port, 1, 1, &configuration) ||
		rte_eth_rx_queue_setup(port, 0, DESCRIPTORS, (unsigned)SOCKET_ID_ANY, NULL, pool) ||
		rte_eth_tx_queue_setup(port, 0, DESCRIPTORS, (unsigned)SOCKET_ID_ANY, NULL) ||
		rte_eth_dev_start(port))
		fail("cannot start port", interface);
	return port;
}

struct flow_path af_xdp_path(uint16_t port, const char *relay_mac)
{
	struct flow_path path;
	struct rte_ether_addr relay, own;
	if (rte_ether_unformat_addr(relay_mac, &relay))
		fail("not a MAC address", relay_mac);
	rte_eth_macaddr_get(port, &own);
	memcpy(path.relay_mac, &relay, 6);
	memcpy(path.own_mac, &own, 6);
	return path;
}
