// SPDX-License-Identifier: BSD-3-Clause
// Puts the steering programs where the frames are, and tells them what is the relay's.
//
// AF_XDP port: DPDK's driver loads and attaches the program itself, when the port's receive queues
// are set up, from the file its devarg xdp_prog= names. So the order is
//   1. steer_detach_stale(), 2. steer_program_file() -> xdp_prog=PATH, 3. probe the port and set
//   its queues up, 4. close the program file, 5. steer_configure().
// The driver detaches the program when the port is closed.
//
// AF_PACKET port: steer_tc_attach() once the port is started, steer_tc_detach() before it is
// closed.
//
// All functions: main lcore only (they swap the process-wide print hooks of libbpf and libxdp while
// they run, and print nothing), CAP_NET_ADMIN and CAP_SYS_ADMIN (finding maps by id asks for the
// latter) in the interface's network namespace; steer_counters, steer_counter_name and
// steer_relay_ports need neither, and steer_tc_detach in the process that attached only
// CAP_NET_ADMIN. Errors are negative errno; beside those named: -ENODEV no such interface, -EPERM,
// -ENOMEM, and what the kernel answered.
#pragma once

#include "ebpf/maps.h"
#include "lib/net/address.h"

#include <stdint.h>

enum {
	STEER_PATH_SIZE = 64,
	STEER_NAME_SIZE = 16, // of a program, as the kernel keeps it, with its zero
};

// What is the relay's. Ports in host order.
struct steer_config {
	struct net_address addresses[STEER_ADDRESSES_MAX];
	unsigned address_count; // 1 to STEER_ADDRESSES_MAX
	uint16_t listen_port;
	uint16_t alternate_port;          // RFC 5780; 0: none
	uint16_t relay_first, relay_last; // inclusive
};

// Descriptors of maps that the dataplane goes on using after it has dropped its privileges. -1:
// none.
struct steer_handles {
	int counters;
	int settings;
};
#define STEER_HANDLES_NONE ((struct steer_handles){-1, -1})
void steer_handles_close(struct steer_handles *handles);

// Lays the XDP object out in a sealed memory file. Returns its file descriptor, which the caller
// closes once the port's queues are set up (the driver opens path only then), and path for
// xdp_prog=, valid in this process while the descriptor is open.
int steer_program_file(char path[static STEER_PATH_SIZE]);

// Removes our XDP program from ifname if a predecessor that was killed left it there, alone or in
// libxdp's dispatcher. 1: removed; 0: nothing was there; -EADDRINUSE: a living relay's sockets are
// in it, left as it is; -EBUSY: a program that is not ours, left as it is and its name in foreign
// (otherwise foreign is empty). The driver attaches to an interface without a program only.
int steer_detach_stale(const char *ifname, char foreign[static STEER_NAME_SIZE]);

// Fills the maps of the program attached to ifname, `enabled` last: before that it passes
// everything. May be called again with another config; the program goes on serving what both have.
// 0 and *handles, for steer_handles_close by the caller.
// -EINVAL: config breaks its bounds; -ENOENT: our program is not attached.
int steer_configure(
	const char *ifname, const struct steer_config *config, struct steer_handles *handles);

// Loads, fills and attaches the tc ingress program in the place of one that a predecessor left.
// 0 and *handles as above. -EINVAL as above; -EBUSY: somebody else's program has that place, its
// name in foreign.
int steer_tc_attach(const char *ifname, const struct steer_config *config,
	struct steer_handles *handles, char foreign[static STEER_NAME_SIZE]);

// Other relayed ports for a program that is at work: first-last, and earlier_first-earlier_last
// where allocations of before live still (the same range twice when there are none). No frame goes
// astray to a port that is and was relayed, as long as the old first-last lies within the new one
// or within the new earlier range.
int steer_relay_ports(const struct steer_handles *handles, uint16_t first, uint16_t last,
	uint16_t earlier_first, uint16_t earlier_last);

// Removes our tc program. 0, also when it was not there; a foreign one is left alone. The clsact
// qdisc stays: others may have come to use it. CAP_NET_ADMIN is enough for what this process has
// attached itself.
int steer_tc_detach(const char *ifname);

// Sums each counter over the CPUs. counters_fd: of struct steer_handles. Needs no
// privilege, so it works after the dataplane has dropped them.
int steer_counters(int counters_fd, uint64_t counters[static STEER_COUNTERS]);

// Short name for statistics: "client", "fragment", ... Any thread.
const char *steer_counter_name(enum steer_counter counter);
