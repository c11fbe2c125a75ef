// SPDX-License-Identifier: BSD-3-Clause
// See way.h.
#include "tests/lab/way.h"

#include "tests/lab/packet.h"
#include "tests/lab/tun.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PACKETS_AT_ONCE = 64, PACKET_SIZE = 65536 };

struct wire_heap way_heap;

uint64_t way_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// ---- packets ----

static void deliver(struct way *way, unsigned side, const uint8_t *packet, size_t size)
{
	// A device that is down or full loses it, as a cable does.
	if (write(way->tun[side], packet, size) == (ssize_t)size)
		way->directions[!side].delivered++;
}

static void travel(
	struct way_direction *direction, uint64_t now, const uint8_t *packet, size_t size)
{
	uint64_t out[2];
	unsigned copies = wire_put(&direction->wire, now, out);
	for (unsigned i = 0; i < copies; i++)
		wire_heap_push(&way_heap, out[i], direction, packet, size);
}

// Through the NAT at the inner end. False: it is dropped.
static bool translate(struct way *way, unsigned towards, uint64_t now, uint8_t *packet, size_t size,
	enum nat_verdict *verdict)
{
	struct net_endpoint source, destination;
	if (!packet_endpoints(packet, size, &source, &destination)) {
		way->other++;
		return false;
	}
	if (!packet_forward(packet)) {
		way->directions[towards].ended++;
		return false;
	}
	*verdict = towards == WAY_OUT ? nat_outbound(way->nat, now, &source, &destination)
				      : nat_inbound(way->nat, now, &source, &destination);
	if (*verdict != NAT_OUTSIDE && *verdict != NAT_INSIDE)
		return false;
	packet_rewrite(packet, size, &source, &destination);
	return true;
}

static void departed(struct way_direction *direction, uint64_t now, uint8_t *packet, size_t size)
{
	struct way *way = direction->way;
	enum nat_verdict verdict = NAT_OUTSIDE;
	bool out = direction == &way->directions[WAY_OUT];
	if (out && way->nat != NULL && !translate(way, WAY_OUT, now, packet, size, &verdict))
		return;
	if (out && verdict == NAT_INSIDE)
		deliver(way, 0, packet, size);
	else
		travel(direction, now, packet, size);
}

static void arrived(struct way_direction *direction, uint64_t now, uint8_t *packet, size_t size)
{
	struct way *way = direction->way;
	enum nat_verdict verdict;
	bool out = direction == &way->directions[WAY_OUT];
	if (!out && way->nat != NULL && !translate(way, WAY_IN, now, packet, size, &verdict))
		return;
	deliver(way, out ? 1 : 0, packet, size);
}

void way_read(struct way_direction *direction)
{
	static uint8_t packet[PACKET_SIZE];
	int tun = direction->way->tun[direction == &direction->way->directions[WAY_OUT] ? 0 : 1];
	for (unsigned i = 0; i < PACKETS_AT_ONCE; i++) {
		ssize_t size = read(tun, packet, sizeof(packet));
		if (size <= 0)
			return;
		departed(direction, way_now_us(), packet, (size_t)size);
	}
}

uint64_t way_deliver_due(void)
{
	struct wire_packet *packet;
	uint64_t now = way_now_us();
	while ((packet = wire_heap_pop(&way_heap, now)) != NULL) {
		arrived(packet->to, now, packet->bytes, packet->size);
		free(packet);
	}
	return wire_heap_due(&way_heap);
}

// ---- beginning and end ----

struct way *way_open(const char *const netns[2], const char *const interfaces[2], uint64_t seed,
	uint64_t stream, int *error, unsigned *failed)
{
	struct way *way = calloc(1, sizeof(*way));
	if (way == NULL)
		abort();
	way->tun[1] = -1;
	for (unsigned i = 0; i < 2; i++) {
		way->directions[i].way = way;
		wire_open(&way->directions[i].wire, seed, stream + i);
		way->tun[i] = tun_open(netns[i], interfaces[i]);
		if (way->tun[i] < 0) {
			*error = way->tun[i];
			*failed = i;
			way_close(way);
			return NULL;
		}
	}
	return way;
}

void way_close(struct way *way)
{
	for (unsigned i = 0; i < 2; i++) {
		if (way->tun[i] >= 0)
			close(way->tun[i]);
		wire_heap_clear(&way_heap, &way->directions[i]);
	}
	nat_destroy(way->nat);
	free(way);
}
