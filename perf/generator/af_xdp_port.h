// SPDX-License-Identifier: BSD-3-Clause
// AF_XDP on interfaces inside network namespaces, with a queue each. One thread; what fails ends
// the program.
#pragma once

#include "perf/generator/flow_frames.h"

#include <rte_mbuf.h>

#include <stdint.h>

// From here on this thread is in that namespace (of /run/netns).
void af_xdp_enter(const char *namespace);

// Starts EAL on that core, without hugepages, and takes the buffers of all ports.
struct rte_mempool *af_xdp_begin(unsigned core);

// Enters the namespace and opens the interface. device: net_af_xdp_ and a name of its own.
uint16_t af_xdp_open(
	struct rte_mempool *pool, const char *namespace, const char *interface, const char *device);

// From that port to the relay, whose MAC address is given as text.
struct flow_path af_xdp_path(uint16_t port, const char *relay_mac);
