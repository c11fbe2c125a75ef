// SPDX-License-Identifier: BSD-3-Clause
// Which file descriptors DPDK's drivers opened for a queue. The drivers do not tell, but a worker
// wants to sleep on them and to wipe what their rings keep; so the process is looked at before and
// after. Main lcore, while ports are set up.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DESCRIPTORS_MAX = 4096 };

enum descriptor_kind {
	DESCRIPTOR_OTHER = 0,
	DESCRIPTOR_XDP,    // AF_XDP socket
	DESCRIPTOR_PACKET, // AF_PACKET socket
	DESCRIPTOR_TUN,    // TUN/TAP device
};

struct descriptors {
	uint64_t open[DESCRIPTORS_MAX / 64];
};

void descriptors_note(struct descriptors *descriptors);
// The lowest descriptor of that kind that was not open when `before` was noted, from `from` on; -1:
// none.
int descriptors_new(const struct descriptors *before, enum descriptor_kind kind, int from);

// Is it an eventfd?
bool descriptors_is_event(int fd);

// Where a socket's memory is mapped in this process: the mapping that begins at `offset` of it.
// NULL: not mapped. *length: whole pages.
void *descriptors_mapping(int socket, uint64_t offset, size_t *length);
