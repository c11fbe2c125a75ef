// SPDX-License-Identifier: BSD-3-Clause
// Exception TAPs: for a port that the kernel does not see (tap, memif, ring, pci), a kernel TAP
// with the port's MAC, on which the operator sets the addresses. Frames that are not the relay's go
// to the kernel through it, and what the kernel sends out of it leaves by the port. A plain file
// descriptor served by the main lcore in bounded batches: this is the slow path of ARP, ND, ping
// and ssh, and it costs the workers a ring operation. Main lcore.
#pragma once

#include <stdint.h>

struct dataplane;
struct port;
struct rte_mbuf;

enum { EXCEPTION_BATCH = 32 };

// Creates the TAP called port->kernel_interface and brings it up. Returns its descriptor (not
// blocking) or a negative errno: -EEXIST an interface of that name is there already.
int exception_open(const struct port *port);

// Writes a frame to the kernel; wipes and frees it.
void exception_to_kernel(int fd, struct rte_mbuf *mbuf);

// Reads up to EXCEPTION_BATCH frames and queues them for transmission on the port. Returns how many
// were read; less than EXCEPTION_BATCH: there are no more.
unsigned exception_from_kernel(struct dataplane *dataplane, const struct port *port, int fd);
