// SPDX-License-Identifier: BSD-3-Clause
// What the rings of an AF_PACKET socket keep: frames that were received and handed back to the
// kernel, and frames that were sent. The rings are a mapping of the socket, receive frames first,
// then as many to transmit; the driver uses TPACKET_V2, so each frame begins with struct
// tpacket2_hdr.
//
// Transmit frames that are available are the driver's, so this worker's, and can be wiped at any
// time. A receive frame whose status says kernel may be written by it at any moment, but the kernel
// takes frames in ring order, and timestamps tell which came last: the next one is the one behind
// it. PACKET_RING_DISTANCE frames from there on are left alone until a second of silence has
// passed; then a packet that arrives in the very frame being zeroed would be damaged, a window of
// some 100 ns after that second.
//
// Set-up: main lcore. The rest: the worker that owns the queue, right after it found no packet.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PACKET_RING_DISTANCE = 64,
	PACKET_RING_BATCH = 64,
};

struct packet_ring {
	uint8_t *receive, *transmit; // NULL: not there
	uint32_t frame_size;
	uint32_t frames;  // of each
	uint32_t newest;  // received last when the walk began
	uint32_t visited; // frames of this walk, both rings; 2 * frames: round
};

// Finds the rings of an AF_PACKET socket by its mapping. -ENOENT, and *ring absent, when it cannot.
int packet_ring_find(struct packet_ring *ring, int socket, uint32_t frame_size, uint32_t frames);
// Begins a walk.
void packet_ring_begin(struct packet_ring *ring);
// Visits up to PACKET_RING_BATCH frames of the walk and wipes those that hold something; returns
// how many it wiped. silent: no packet came for a second.
unsigned packet_ring_launder(struct packet_ring *ring, bool silent);
