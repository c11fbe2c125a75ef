// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/memif_port.h"

#include <rte_cycles.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <errno.h>
#include <stdio.h>

enum {
	BUFFERS = 8191, // a ring of 2^n holds one less
	CACHE = 512,
	CONNECT_SECONDS = 15,
	ARGUMENTS_MAX = 16,
};

static int start_eal(const struct memif_port_options *o)
{
	static char core[16], memory[16];
	char *arguments[ARGUMENTS_MAX] = {"packet_load", "--no-pci", "--no-telemetry",
		"--log-level=4", "-l", core, "-m", memory};
	int count = 8;
	snprintf(core, sizeof(core), "%u", o->core);
	snprintf(memory, sizeof(memory), "%u", o->memory ? o->memory : 128);
	if (o->memory) {
		arguments[count++] = "--in-memory";
		arguments[count++] = "--single-file-segments"; // zero copy shares them
	} else {
		arguments[count++] = "--no-huge";
		arguments[count++] = "--no-shconf";
	}
	return rte_eal_init(count, arguments) < 0 ? -rte_errno : 0;
}

static void blank(struct rte_mempool *pool, void *argument, void *object, unsigned index)
{
	struct rte_mbuf *mbuf = object;
	(void)pool;
	(void)argument;
	(void)index;
	memset(mbuf->buf_addr, 0, mbuf->buf_len);
	mbuf->data_off = RTE_PKTMBUF_HEADROOM;
}

static int start_queues(struct memif_port *port)
{
	struct rte_eth_conf configuration = {0};
	int error = rte_eth_dev_configure(port->id, port->queues, port->queues, &configuration);
	for (uint16_t q = 0; error == 0 && q < port->queues; q++) {
		error = rte_eth_rx_queue_setup(port->id, q, MEMIF_PORT_RING,
			(unsigned)SOCKET_ID_ANY, NULL, port->receive_pool);
		if (error == 0)
			error = rte_eth_tx_queue_setup(
				port->id, q, MEMIF_PORT_RING, (unsigned)SOCKET_ID_ANY, NULL);
	}
	return error ? error : rte_eth_dev_start(port->id);
}

static int wait_for_peer(const struct memif_port *port)
{
	const uint64_t deadline = rte_rdtsc() + rte_get_tsc_hz() * CONNECT_SECONDS;
	struct rte_eth_link link;
	do {
		rte_delay_us_sleep(1000);
		if (rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status)
			return 0;
	} while (rte_rdtsc() < deadline);
	return -ETIMEDOUT;
}

static struct rte_mempool *make_pool(const char *name, unsigned queues)
{
	return rte_pktmbuf_pool_create(name, BUFFERS + (queues - 1) * 4 * MEMIF_PORT_RING, CACHE, 0,
		RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
}

int memif_port_open(struct memif_port *port, const struct memif_port_options *o, const char **what)
{
	char arguments[256];
	*what = "starting DPDK";
	int error = start_eal(o);
	if (error)
		return error;
	*port = (struct memif_port){.queues = (uint16_t)o->queues};
	*what = "packet buffers";
	port->transmit_pool = make_pool("transmit", o->queues);
	port->receive_pool = make_pool("receive", o->queues);
	if (port->transmit_pool == NULL || port->receive_pool == NULL)
		return -rte_errno;
	rte_mempool_obj_iter(port->transmit_pool, blank, NULL);
	*what = "making the memif port";
	snprintf(arguments, sizeof(arguments),
		"role=%s,id=%u,socket=%s,socket-abstract=no,bsize=2048,rsize=10%s",
		o->server ? "server" : "client", o->id, o->socket,
		o->zero_copy && !o->server ? ",zero-copy=yes" : "");
	error = rte_eal_hotplug_add("vdev", "net_memif0", arguments);
	if (error == 0)
		error = rte_eth_dev_get_port_by_name("net_memif0", &port->id);
	if (error)
		return error;
	*what = "starting the memif port";
	error = start_queues(port);
	if (error)
		return error;
	*what = "waiting for the memif port's peer";
	return wait_for_peer(port);
}

void memif_port_close(struct memif_port *port)
{
	rte_eth_dev_stop(port->id);
	rte_eth_dev_close(port->id);
}

bool memif_port_send(struct memif_port *port, uint16_t queue, const uint8_t *frame, uint16_t length)
{
	struct rte_mbuf *mbuf;
	// From the other pool: what lies behind the first bytes here would have to be wiped again.
	mbuf = rte_pktmbuf_alloc(port->receive_pool);
	if (mbuf == NULL)
		return false;
	memcpy(rte_pktmbuf_mtod(mbuf, uint8_t *), frame, length);
	mbuf->data_len = length;
	mbuf->pkt_len = length;
	if (rte_eth_tx_burst(port->id, queue, &mbuf, 1) == 1)
		return true;
	rte_pktmbuf_free(mbuf);
	return false;
}
