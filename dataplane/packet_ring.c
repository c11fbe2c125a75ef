// SPDX-License-Identifier: BSD-3-Clause
// Wiping the rings of an AF_PACKET socket; see packet_ring.h.

#include "dataplane/packet_ring.h"

#include "dataplane/descriptors.h"

#include <linux/if_packet.h>

#include <errno.h>
#include <string.h>

int packet_ring_find(struct packet_ring *ring, int socket, uint32_t frame_size, uint32_t frames)
{
	size_t length;
	memset(ring, 0, sizeof(*ring));
	uint8_t *mapping = descriptors_mapping(socket, 0, &length);
	if (!mapping || frame_size == 0 || length < 2 * (size_t)frames * frame_size)
		return -ENOENT;
	ring->receive = mapping;
	ring->transmit = mapping + (size_t)frames * frame_size;
	ring->frame_size = frame_size;
	ring->frames = frames;
	ring->visited = 2 * frames;
	return 0;
}

static struct tpacket2_hdr *frame(const struct packet_ring *ring, uint8_t *base, uint32_t index)
{
	return (struct tpacket2_hdr *)(void *)(base +
					       (size_t)(index % ring->frames) * ring->frame_size);
}

void packet_ring_begin(struct packet_ring *ring)
{
	uint64_t newest_time = 0;
	if (!ring->receive)
		return;
	for (uint32_t i = 0; i < ring->frames; i++) {
		const struct tpacket2_hdr *header = frame(ring, ring->receive, i);
		uint64_t time = (uint64_t)header->tp_sec << 32 | header->tp_nsec;
		if (time >= newest_time) {
			newest_time = time;
			ring->newest = i;
		}
	}
	ring->visited = 0;
}

// A length of 0 marks a wiped frame; times stay, to tell the newest.
static unsigned wipe(const struct packet_ring *ring, struct tpacket2_hdr *header)
{
	if (header->tp_status != TP_STATUS_KERNEL || header->tp_len == 0)
		return 0;
	explicit_bzero(header + 1, ring->frame_size - sizeof(*header));
	header->tp_len = 0;
	return 1;
}

unsigned packet_ring_launder(struct packet_ring *ring, bool silent)
{
	unsigned wiped = 0;
	if (!ring->receive)
		return 0;
	for (unsigned i = 0; i < PACKET_RING_BATCH && ring->visited < 2 * ring->frames; i++) {
		uint32_t step = ring->visited++;
		if (step >= ring->frames)
			wiped += wipe(ring, frame(ring, ring->transmit, step));
		// From the newest backwards: those that come next are visited last.
		else if (silent || step < ring->frames - PACKET_RING_DISTANCE)
			wiped += wipe(ring,
				frame(ring, ring->receive, ring->newest + ring->frames - step));
	}
	return wiped;
}
