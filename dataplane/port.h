// SPDX-License-Identifier: BSD-3-Clause
// The ports of the configuration as DPDK ethdevs: made, set up with one pool, started, and taken
// down so that nothing of us stays on an interface. Main lcore; workers only use the ids and the
// queue owners, which do not change once they run.
#pragma once

#include "dataplane/packet_ring.h"
#include "dataplane/steering/steering.h"
#include "dataplane/umem.h"
#include "dataplane/wake.h"
#include "ebpf/guard_maps.h"
#include "ebpf/load.h"
#include "lib/config/config.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	PORT_ERROR_SIZE = 512,
	PORT_NAME_SIZE = 64,
	PORT_QUEUES_MAX = 64,
	PORT_DESCRIPTORS = 1024,
};

struct rte_mempool;

struct port {
	uint16_t id; // DPDK's
	const struct config_port *config;
	char name[PORT_NAME_SIZE]; // as configured: "af_xdp:eth0"
	char device[32];           // DPDK's name of it
	char driver[32];
	uint16_t queues;
	uint16_t queue_owner[PORT_QUEUES_MAX]; // worker; steering/queues.c
	struct wake wake[PORT_QUEUES_MAX];
	struct umem umem[PORT_QUEUES_MAX];
	struct packet_ring packet_ring[PORT_QUEUES_MAX];
	char kernel_interface[16]; // whose addresses and routes are this port's
	bool sleeps;               // its workers may, so interrupts are of use
	bool has_kernel;           // the kernel sees the port's other packets by itself
	bool checksums_whole;      // what it receives has no checksum left to an offload
	bool vlan_reported;        // the driver takes VLAN tags out of the frame
	uint8_t mac[6];
	uint16_t mtu;
	uint32_t frame_size; // of AF_PACKET's rings
	bool made, started;
	struct steer_handles steering;
	struct port_steering ways; // of what peers send, to the worker that owns it
	struct steer_guard guard;  // of the XDP program; none for other ports
	int program_file;          // open until the queues are set up; -1: none
	char program[STEER_PATH_SIZE];
};

// Makes the ethdev of one configured port. *port is zeroed by the caller but for
// `sleeps`. 0, or -errno and what to
// do in error.
int port_make(struct port *port, const struct config_port *config, unsigned index, unsigned workers,
	char error[static PORT_ERROR_SIZE]);
// Packet buffers its queues hold at once.
unsigned port_buffers(const struct port *port);
// Sets queues up, starts it, steers the relay's packets to it.
int port_start(struct port *port, struct rte_mempool *pool, const struct steer_config *steer,
	char error[static PORT_ERROR_SIZE]);
// Takes it down; safe on a port that was never made or is down.
void port_close(struct port *port);
