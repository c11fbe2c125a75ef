// SPDX-License-Identifier: BSD-3-Clause
// Ports: what DPDK device each kind of configured port is, and how it is brought up; see port.h.
//
// No offload is asked for: checksums and lengths are the stages' business, and what one driver
// does not do, none is asked to do.

#include "dataplane/port.h"

#include "dataplane/descriptors.h"
#include "dataplane/eal.h"
#include "dataplane/interface.h"
#include "dataplane/memif_ring.h"
#include "dataplane/port_rings.h"
#include "dataplane/steering/rss.h"
#include "ebpf/load.h"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	AF_XDP_FILLED = 2048,                     // frames the driver keeps in the fill ring
	AF_XDP_BUFFERS = 2 * AF_XDP_FILLED + 512, // and as many may be on their way out
	OTHER_BUFFERS = 2 * PORT_DESCRIPTORS + 256,
	// A frame of AF_XDP lies in one page with mempool, mbuf, private and XDP headroom before
	// it.
	AF_XDP_MTU_MAX = 3400,
	PACKET_FRAMES = 1024,
	ARGUMENTS_SIZE = 256,
};

static const char *const type_names[] = {
	[CONFIG_PORT_AF_XDP] = "af_xdp",
	[CONFIG_PORT_AF_PACKET] = "af_packet",
	[CONFIG_PORT_TAP] = "tap",
	[CONFIG_PORT_MEMIF] = "memif",
	[CONFIG_PORT_RING] = "ring",
	[CONFIG_PORT_PCI] = "pci",
};

static int fail(char error[static PORT_ERROR_SIZE], const struct port *port, int result,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

static int fail(char error[static PORT_ERROR_SIZE], const struct port *port, int result,
	const char *format, ...)
{
	int length = snprintf(error, PORT_ERROR_SIZE, "port %s: ", port->name);
	va_list list;
	va_start(list, format);
	vsnprintf(error + length, PORT_ERROR_SIZE - (size_t)length, format, list);
	va_end(list);
	return result;
}

static void wake_by(struct wake *wake, int fd)
{
	*wake = (struct wake){.kind = fd < 0 ? WAKE_NONE : WAKE_DESCRIPTOR, .fd = fd};
}

static int fail_device(
	char error[static PORT_ERROR_SIZE], const struct port *port, int result, const char *what)
{
	char words[256];
	eal_last_words(words, sizeof(words));
	return fail(error, port, result, "%s: %s; DPDK says: %s", what, strerror(-result), words);
}

// ---- what each kind needs ----

// Facts of the interface that an AF_XDP or AF_PACKET port sits on.
static int sit_on(
	struct port *port, struct interface_facts *facts, char error[static PORT_ERROR_SIZE])
{
	int result = interface_facts(port->config->target, facts);
	if (result == -ENODEV)
		return fail(error, port, result,
			"no such interface; \"ip link\" lists those of this network namespace");
	if (result)
		return fail(
			error, port, result, "asking the kernel about it: %s", strerror(-result));
	if (!facts->up)
		return fail(error, port, -ENETDOWN,
			"the interface is down; bring it up with \"ip link set %s up\"",
			port->config->target);
	snprintf(port->kernel_interface, sizeof(port->kernel_interface), "%.15s",
		port->config->target);
	port->has_kernel = true;
	port->mtu = facts->mtu;
	return 0;
}

static int fail_steer(char error[static PORT_ERROR_SIZE], const struct port *port, int result,
	const char *foreign)
{
	if (result == -EADDRINUSE)
		return fail(error, port, result,
			"another relay-dataplane serves this interface; stop it first");
	if (result == -EBUSY)
		return fail(error, port, result,
			"the program \"%.15s\" is attached to the interface and is not ours; "
			"remove it "
			"(\"ip link set %s xdp off\", or \"tc qdisc del dev %s clsact\") or choose "
			"another port type",
			foreign, port->config->target, port->config->target);
	if (result == -EPERM || result == -EACCES)
		return fail(error, port, result,
			"the kernel refused to load the steering program: %s; run as root "
			"(CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_SYS_ADMIN)",
			strerror(-result));
	return fail(error, port, result, "steering program: %s", strerror(-result));
}

// One receive queue per queue of the interface: what comes in on a queue without an AF_XDP socket
// would go to the kernel.
static int make_af_xdp(struct port *port, char arguments[static ARGUMENTS_SIZE],
	char error[static PORT_ERROR_SIZE])
{
	struct interface_facts facts;
	char foreign[STEER_NAME_SIZE] = "";
	int result = sit_on(port, &facts, error);
	if (result)
		return result;
	if (facts.mtu > AF_XDP_MTU_MAX)
		return fail(error, port, -EMSGSIZE,
			"its MTU %u is more than AF_XDP's %d; lower it with \"ip link set %s mtu "
			"1500\"",
			facts.mtu, AF_XDP_MTU_MAX, port->config->target);
	if (port->queues == 0)
		port->queues = facts.channels > PORT_QUEUES_MAX ? PORT_QUEUES_MAX
								: (uint16_t)facts.channels;
	if (port->queues > facts.channels)
		return fail(error, port, -EINVAL,
			"queues=%u, but the interface has %u; see \"ethtool -l %s\"", port->queues,
			facts.channels, port->config->target);
	if (port->queues < facts.channels)
		return fail(error, port, -EINVAL,
			"queues=%u, but the interface spreads packets over %u; set them alike with "
			"\"ethtool -L %s combined %u\"",
			port->queues, facts.channels, port->config->target, port->queues);
	result = steer_detach_stale(port->config->target, foreign);
	if (result < 0)
		return fail_steer(error, port, result, foreign);
	// The program file is opened by the driver when queues are set up; /proc/self/fd names it.
	result = steer_program_file(port->program);
	if (result < 0)
		return fail_steer(error, port, result, "");
	port->program_file = result;
	// Busy polling of the socket would move the kernel's share of receiving into our poll at
	// the price of a system call per empty poll; softirq does it for us instead.
	snprintf(arguments, ARGUMENTS_SIZE,
		"iface=%s,start_queue=0,queue_count=%u,xdp_prog=%s,busy_budget=0",
		port->config->target, port->queues, port->program);
	return 0;
}

static uint16_t power_of_two(unsigned at_least)
{
	unsigned size = 2048;
	while (size < at_least && size < 32768)
		size *= 2;
	return (uint16_t)size;
}

static int make_af_packet(struct port *port, char arguments[static ARGUMENTS_SIZE],
	char error[static PORT_ERROR_SIZE])
{
	struct interface_facts facts;
	int result = sit_on(port, &facts, error);
	if (result)
		return result;
	port->vlan_reported = true;
	// Headers of the packet ring, VLAN tags and alignment take up to 128 bytes of a frame.
	unsigned frame = power_of_two(facts.mtu + 128u);
	if (frame < facts.mtu + 128u)
		return fail(error, port, -EMSGSIZE, "its MTU %u is too large; lower it", facts.mtu);
	port->frame_size = frame;
	snprintf(arguments, ARGUMENTS_SIZE, "iface=%s,qpairs=%u,framesz=%u,blocksz=%u,framecnt=%d",
		port->config->target, port->queues, frame, frame * 32, PACKET_FRAMES);
	return 0;
}

static void make_tap(struct port *port, char arguments[static ARGUMENTS_SIZE])
{
	snprintf(arguments, ARGUMENTS_SIZE, "iface=%s", port->config->target);
}

static void make_memif(struct port *port, char arguments[static ARGUMENTS_SIZE])
{
	snprintf(arguments, ARGUMENTS_SIZE,
		"role=%s,id=%u,socket=%s,socket-abstract=no,bsize=2048,rsize=10",
		port->config->memif_server ? "server" : "client", port->config->memif_id,
		port->config->target);
}

static int make_device(struct port *port, unsigned index, char error[static PORT_ERROR_SIZE])
{
	static const char *const drivers[] = {
		[CONFIG_PORT_AF_XDP] = "net_af_xdp",
		[CONFIG_PORT_AF_PACKET] = "net_af_packet",
		[CONFIG_PORT_TAP] = "net_tap",
		[CONFIG_PORT_MEMIF] = "net_memif",
	};
	char arguments[ARGUMENTS_SIZE] = "";
	int result = 0;
	switch (port->config->type) {
	case CONFIG_PORT_AF_XDP:
		result = make_af_xdp(port, arguments, error);
		break;
	case CONFIG_PORT_AF_PACKET:
		result = make_af_packet(port, arguments, error);
		break;
	case CONFIG_PORT_TAP:
		make_tap(port, arguments);
		break;
	case CONFIG_PORT_MEMIF:
		make_memif(port, arguments);
		break;
	case CONFIG_PORT_RING:
		if (port->queues > PORT_RINGS_QUEUES_MAX)
			return fail(error, port, -EINVAL, "queues=%u, but rings have %d at most",
				port->queues, PORT_RINGS_QUEUES_MAX);
		result = port_rings_make(port->device, index, port->queues);
		return result ? fail_device(error, port, result, "making rings") : 0;
	case CONFIG_PORT_PCI:
		snprintf(port->device, sizeof(port->device), "%.31s", port->config->target);
		return 0;
	}
	if (result)
		return result;
	snprintf(port->device, sizeof(port->device), "%s%u", drivers[port->config->type], index);
	struct descriptors before;
	descriptors_note(&before);
	result = rte_eal_hotplug_add("vdev", port->device, arguments);
	if (result)
		return fail_device(error, port, result, "making the DPDK device");
	// The AF_PACKET driver opens its sockets now, queue by queue.
	int fd = -1;
	if (port->config->type != CONFIG_PORT_AF_PACKET)
		return 0;
	for (uint16_t q = 0; q < port->queues; q++) {
		fd = descriptors_new(&before, DESCRIPTOR_PACKET, fd + 1);
		wake_by(&port->wake[q], fd);
		if (packet_ring_find(&port->packet_ring[q], fd, port->frame_size, PACKET_FRAMES))
			return fail(error, port, -ENOENT,
				"the rings of the AF_PACKET socket were not found, so its frames "
				"could not be wiped; is /proc mounted?");
	}
	return 0;
}

int port_make(struct port *port, const struct config_port *config, unsigned index, unsigned workers,
	char error[static PORT_ERROR_SIZE])
{
	port->config = config;
	port->queues = config->queues;
	port->mtu = 1500;
	port->steering = STEER_HANDLES_NONE;
	port->program_file = -1;
	for (unsigned q = 0; q < PORT_QUEUES_MAX; q++)
		wake_by(&port->wake[q], -1);
	port->guard = steer_guard_none();
	snprintf(port->name, sizeof(port->name), "%s:%.50s", type_names[config->type],
		config->target);
	if (port->queues == 0 && config->type != CONFIG_PORT_AF_XDP)
		port->queues = (uint16_t)workers;
	if (config->type != CONFIG_PORT_AF_XDP && config->type != CONFIG_PORT_AF_PACKET) {
		if (config->kernel[0])
			memcpy(port->kernel_interface, config->kernel,
				sizeof(port->kernel_interface));
		else
			snprintf(port->kernel_interface, sizeof(port->kernel_interface), "relay%u",
				index);
	}
	int result = make_device(port, index, error);
	if (result)
		return result;
	result = rte_eth_dev_get_port_by_name(port->device, &port->id);
	if (result)
		return fail(error, port, result,
			"DPDK found no device there; is it bound to vfio-pci (dpdk-devbind.py "
			"-s)?");
	port->made = true;
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	result = rte_eth_dev_info_get(port->id, &info);
	if (result == 0)
		result = rte_eth_macaddr_get(port->id, &mac);
	if (result)
		return fail_device(error, port, result, "asking the device");
	if (rte_is_zero_ether_addr(&mac)) // rings
		rte_eth_random_addr(mac.addr_bytes);
	memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	snprintf(
		port->driver, sizeof(port->driver), "%s", info.driver_name ? info.driver_name : "");
	// A wire's checksums are whole, and memif and rings carry no word about one that is not.
	// What a kernel or a hypervisor hands over may still have only the pseudo-header's sum.
	port->checksums_whole =
		config->type == CONFIG_PORT_MEMIF || config->type == CONFIG_PORT_RING ||
		(config->type == CONFIG_PORT_PCI && strstr(port->driver, "virtio") == NULL &&
			strstr(port->driver, "vmxnet") == NULL);
	if (port->queues > info.max_rx_queues || port->queues > info.max_tx_queues)
		return fail(error, port, -EINVAL, "queues=%u, but the device has %u", port->queues,
			RTE_MIN(info.max_rx_queues, info.max_tx_queues));
	return 0;
}

unsigned port_buffers(const struct port *port)
{
	return port->queues * (unsigned)(port->config->type == CONFIG_PORT_AF_XDP ? AF_XDP_BUFFERS
										  : OTHER_BUFFERS);
}

// ---- bringing up ----

// The AF_XDP and TAP drivers open a queue's descriptor when it is set up.
static int find_descriptor(struct port *port, uint16_t queue, const struct descriptors *before,
	struct rte_mempool *pool, char error[static PORT_ERROR_SIZE])
{
	if (port->config->type == CONFIG_PORT_TAP)
		wake_by(&port->wake[queue], descriptors_new(before, DESCRIPTOR_TUN, 0));
	if (port->config->type != CONFIG_PORT_AF_XDP)
		return 0;
	int socket = descriptors_new(before, DESCRIPTOR_XDP, 0);
	wake_by(&port->wake[queue], socket);
	if (umem_find(&port->umem[queue], socket, pool) == 0)
		return 0;
	return fail(error, port, -ENOENT,
		"the rings of the AF_XDP socket were not found, so its frames could not be wiped; "
		"is /proc mounted?");
}

// Of the drivers that wake only whoever asks.
static void find_interrupts(struct port *port, const struct rte_mempool *pool)
{
	for (uint16_t q = 0; port->sleeps && q < port->queues; q++)
		if (port->config->type == CONFIG_PORT_PCI)
			wake_find_interrupt(&port->wake[q], port->id, q);
		else if (port->config->type == CONFIG_PORT_MEMIF &&
			 memif_ring_known(port->id, q, pool))
			port->wake[q] = (struct wake){.kind = WAKE_MEMIF, .fd = -1};
}

// What a device does not do of what we like, it is not asked for a second time: an interrupt for
// each queue (its worker naps then), our hash key (it may have nothing against its own).
static int configure(struct port *port, const struct rte_eth_dev_info *info)
{
	bool pci = port->config->type == CONFIG_PORT_PCI;
	for (;;) {
		struct rte_eth_conf configuration = {.intr_conf.rxq = pci && port->sleeps};
		if (port->ways.planned) {
			rss_configure(&configuration, &port->ways.plan, info);
		} else if (pci && port->queues > 1) {
			configuration.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
			configuration.rx_adv_conf.rss_conf.rss_hf =
				(RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP) & info->flow_type_rss_offloads;
		}
		int result =
			rte_eth_dev_configure(port->id, port->queues, port->queues, &configuration);
		if (result && configuration.intr_conf.rxq) {
			configuration.intr_conf.rxq = 0;
			result = rte_eth_dev_configure(
				port->id, port->queues, port->queues, &configuration);
		}
		if (result == 0 || !port->ways.planned)
			return result;
		port->ways.planned = false;
	}
}

static int set_up_queues(
	struct port *port, struct rte_mempool *pool, char error[static PORT_ERROR_SIZE])
{
	struct rte_eth_dev_info info;
	// An AF_XDP socket receives into at most as many frames as its driver fills, whatever the
	// ring.
	uint16_t receive =
		port->config->type == CONFIG_PORT_AF_XDP ? AF_XDP_FILLED : PORT_DESCRIPTORS;
	uint16_t transmit = PORT_DESCRIPTORS;
	int result = rte_eth_dev_info_get(port->id, &info);
	if (result)
		return fail_device(error, port, result, "asking the device");
	result = configure(port, &info);
	if (result)
		return fail_device(error, port, result, "configuring its queues");
	result = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &receive, &transmit);
	if (result)
		return fail_device(error, port, result, "choosing ring sizes");
	int socket = rte_eth_dev_socket_id(port->id);
	unsigned node = socket < 0 ? 0 : (unsigned)socket;
	for (uint16_t q = 0; q < port->queues; q++) {
		struct descriptors before;
		descriptors_note(&before);
		result = rte_eth_rx_queue_setup(port->id, q, receive, node, NULL, pool);
		if (result)
			return fail_device(error, port, result, "setting up a receive queue");
		result = find_descriptor(port, q, &before, pool, error);
		if (result)
			return result;
		result = rte_eth_tx_queue_setup(port->id, q, transmit, node, NULL);
		if (result)
			return fail_device(error, port, result, "setting up a transmit queue");
	}
	return 0;
}

// Both ends of net_tap's interface are born with one MAC. The kernel's end is the wire's far side
// here, possibly a bridge's port, which would take frames for its own MAC as its own.
static int part_tap_mac(const struct port *port)
{
	uint8_t mac[6];
	memcpy(mac, port->mac, sizeof(mac));
	mac[5] ^= 1;
	return interface_set_mac(port->config->target, mac);
}

static int steer(
	struct port *port, const struct steer_config *config, char error[static PORT_ERROR_SIZE])
{
	char foreign[STEER_NAME_SIZE] = "";
	int result = 0;
	if (port->config->type == CONFIG_PORT_AF_XDP)
		result = steer_configure(port->config->target, config, &port->steering);
	else if (port->config->type == CONFIG_PORT_AF_PACKET)
		result = steer_tc_attach(port->config->target, config, &port->steering, foreign);
	else
		return 0;
	if (result < 0)
		return fail_steer(error, port, result, foreign);
	if (port->config->type == CONFIG_PORT_AF_XDP) {
		result = steer_guard_open(port->config->target, &port->guard);
		if (result)
			return fail_steer(error, port, result, foreign);
	}
	return 0;
}

int port_start(struct port *port, struct rte_mempool *pool, const struct steer_config *config,
	char error[static PORT_ERROR_SIZE])
{
	int result = set_up_queues(port, pool, error);
	if (port->program_file >= 0) {
		close(port->program_file);
		port->program_file = -1;
	}
	if (result)
		return result;
	result = rte_eth_dev_start(port->id);
	if (result)
		return fail_device(error, port, result, "starting it");
	port->started = true;
	find_interrupts(port, pool);
	if (port->config->type == CONFIG_PORT_TAP) {
		result = part_tap_mac(port);
		if (result)
			return fail(error, port, result, "setting the MAC of its kernel side: %s",
				strerror(-result));
	}
	// A NIC of ours alone takes what is sent to its MAC; the others are given what arrives.
	return steer(port, config, error);
}

void port_close(struct port *port)
{
	if (!port->config)
		return;
	steering_leave(&port->ways);
	if (port->config->type == CONFIG_PORT_AF_PACKET && port->steering.settings >= 0)
		steer_tc_detach(port->config->target);
	steer_handles_close(&port->steering);
	if (port->guard.settings)
		steer_guard_close(&port->guard);
	if (port->program_file >= 0)
		close(port->program_file);
	port->program_file = -1;
	if (port->started)
		rte_eth_dev_stop(port->id);
	port->started = false;
	if (port->made)
		rte_eth_dev_close(port->id);
	port->made = false;
	if (port->config->type == CONFIG_PORT_RING)
		port_rings_free(port->device);
}
