// SPDX-License-Identifier: BSD-3-Clause
// See mapping_world.h.
#include "perf/world/mapping_world.h"

#include "dataplane/stage/guard.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/relay_ports.h"
#include "lib/wire/channel_data.h"
#include "lib/wire/checksum.h"
#include "lib/wire/headers.h"
#include "perf/world/native_world.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IFINDEX = 5, CHANNELS_USUAL = 4, LIFETIME_MS = 3600 * 1000, INSTALLS_PER_SECOND = 10000 };

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 1}, gateway_mac[6] = {2, 0, 0, 0, 0, 0xFE};

static void need(bool held, const char *what)
{
	if (held)
		return;
	fprintf(stderr, "mapping_world: %s\n", what);
	exit(1);
}

static struct net_address ipv4(uint32_t host_order)
{
	uint32_t wire = htonl(host_order);
	return net_address_v4((const uint8_t *)&wire);
}

// What mapping i of a worker is made of.
struct parts {
	uint32_t client, relay, peer; // host order
	uint16_t client_port, relayed_port, peer_port, channel;
	unsigned listen;
};

static struct parts parts_of(const struct mapping_world *world, unsigned worker, uint32_t i)
{
	uint32_t allocation = i / world->channels;
	// Every second relayed port is the other worker's.
	uint32_t port = allocation * world->worker_count + worker;
	struct parts p = {
		.client = 0xC6120000u + (worker << 17) + (allocation & 0xFFFF),
		.client_port = (uint16_t)(20000 + (allocation >> 16)),
		.listen = port / WORLD_RELAY_COUNT,
		.relayed_port = (uint16_t)(WORLD_RELAY_FIRST + port % WORLD_RELAY_COUNT),
		.peer = 0xC6130000u + (worker << 17) + (i & 0xFFFF),
		.peer_port = (uint16_t)(30000 + (i >> 16)),
		.channel = (uint16_t)(CHANNEL_NUMBER_FIRST + i % world->channels),
	};
	p.relay = 0xC0000201u + p.listen;
	return p;
}

static void open_route(struct mapping_world *world, uint16_t port)
{
	struct api_link_set link = {.ifindex = IFINDEX + port, .mtu = 1500, .up = true};
	struct api_route route = {.count = 1};
	struct api_neighbour neighbour = {.ifindex = link.ifindex, .address = ipv4(0xC00002FE)};
	memcpy(link.mac, own_mac, 6);
	snprintf(link.port_interface, sizeof(link.port_interface), "wire%u", port);
	route.prefix.address = ipv4(0xC6120000u + ((uint32_t)port << 17));
	route.prefix.length = 15;
	route.hops[0].ifindex = link.ifindex;
	route.hops[0].gateway = neighbour.address;
	memcpy(neighbour.mac, gateway_mac, 6);
	need(!next_hops_port(world->next_hops, port, link.port_interface) &&
			!next_hops_link_set(world->next_hops, &link) &&
			!next_hops_route_set(world->next_hops, &route) &&
			!next_hops_neighbour_set(world->next_hops, &neighbour),
		"routes refused");
}

static void install(struct mapping_world *world, struct worker *worker, uint32_t type,
	const void *payload, uint32_t size)
{
	int result = install_execute(worker, type, payload, size, world->now);
	if (result == 0)
		return;
	fprintf(stderr, "mapping_world: install %u: %s\n", type, strerror(-result));
	exit(1);
}

static void install_mapping(struct mapping_world *world, struct worker *worker, uint32_t i)
{
	struct parts p = parts_of(world, worker->id, i);
	uint64_t id = (uint64_t)(worker->id + 1u) << 32 | (i / world->channels + 1);
	if (i % world->channels == 0) {
		struct api_allocation_install allocation = {
			.allocation_id = id,
			.client = {.address = ipv4(p.client), .port = p.client_port},
			.server = {.address = world->addresses.listen[0], .port = 3478},
			.relayed[0] = {.address = ipv4(p.relay), .port = p.relayed_port},
			.lifetime_ms = LIFETIME_MS,
			.worker = worker->id,
		};
		// The flood rule's pace, on a clock of our own.
		world->now += rte_get_tsc_hz() / INSTALLS_PER_SECOND;
		install(world, worker, API_ALLOCATION_INSTALL, &allocation, sizeof(allocation));
	}
	struct api_channel_bind bind = {
		.allocation_id = id,
		.lifetime_ms = LIFETIME_MS,
		.permission_lifetime_ms = LIFETIME_MS,
		.peer = {.address = ipv4(p.peer), .port = p.peer_port},
		.worker = worker->id,
		.channel = p.channel,
	};
	install(world, worker, API_CHANNEL_BIND, &bind, sizeof(bind));
}

static struct worker *open_worker(
	struct mapping_world *world, uint16_t id, struct rte_mempool *pool)
{
	struct worker *worker = aligned_alloc(64, sizeof(*worker));
	need(worker != NULL, "no memory for a worker");
	*worker = (struct worker){
		.id = id,
		.addresses = &world->addresses,
		.mappings =
			mappings_create((world->mappings + world->channels - 1) / world->channels,
				world->mappings, -1),
		.relay_ports = world->relay_ports,
		.next_hops = world->next_hops,
		.guard = guard_create(1, -1),
		.pool = pool,
	};
	need(worker->mappings != NULL && worker->guard != NULL,
		"the mapping tables do not fit into EAL's memory");
	for (unsigned p = 0; p < WORLD_WORKERS_MAX; p++)
		worker->port_has_kernel[p] = worker->port_checksums_whole[p] = true;
	return worker;
}

void world_open(
	struct mapping_world *world, unsigned workers, uint32_t mappings, struct rte_mempool *pool)
{
	struct node_addresses *a = &world->addresses;
	*world = (struct mapping_world){.worker_count = workers, .mappings = mappings};
	// As few addresses and as few channels an allocation as it takes.
	world->channels = CHANNELS_USUAL;
	while (world->channels < MAPPINGS_CHANNELS_MAX &&
		(mappings + world->channels - 1) / world->channels * workers > WORLD_RELAY_COUNT)
		world->channels *= 2;
	unsigned ports = (mappings + world->channels - 1) / world->channels * workers;
	unsigned listen = (ports + WORLD_RELAY_COUNT - 1) / WORLD_RELAY_COUNT;
	need(listen <= WORLD_LISTEN, "more mappings than relayed ports have channels");
	*a = (struct node_addresses){.port = 3478,
		.alternate_port = 3479,
		.channel_last = CHANNEL_NUMBER_LAST,
		.relay_first = WORLD_RELAY_FIRST,
		.relay_last = WORLD_RELAY_FIRST + WORLD_RELAY_COUNT - 1,
		.listen_count = listen};
	for (unsigned i = 0; i < listen; i++)
		a->listen[i] = ipv4(0xC0000201u + i);
	world->next_hops = next_hops_create();
	need(world->next_hops != NULL, "no memory for routes");
	for (uint16_t w = 0; w < workers; w++)
		open_route(world, w);
	world->relay_ports = relay_ports_create(a);
	need(world->relay_ports != NULL, "no memory for relayed ports");
	world->now = rte_rdtsc();
	for (uint16_t w = 0; w < workers; w++) {
		world->workers[w] = open_worker(world, w, pool);
		for (uint32_t i = 0; i < mappings; i++)
			install_mapping(world, world->workers[w], i);
	}
}

void world_close(struct mapping_world *world)
{
	for (unsigned w = 0; w < world->worker_count; w++) {
		mappings_free(world->workers[w]->mappings);
		guard_free(world->workers[w]->guard);
		free(world->workers[w]);
	}
	relay_ports_free(world->relay_ports);
	next_hops_free(world->next_hops);
	free(world->session);
}

void world_ends(const struct mapping_world *world, unsigned worker, uint32_t i,
	struct net_endpoint *client, struct net_endpoint *peer)
{
	struct parts parts = parts_of(world, worker, i);
	*client = (struct net_endpoint){.address = ipv4(parts.client), .port = parts.client_port};
	*peer = (struct net_endpoint){.address = ipv4(parts.peer), .port = parts.peer_port};
}

// What stands before the application's bytes. source: of the frame, in network order.
static unsigned header_make(const struct mapping_world *world, const struct parts *parts,
	uint32_t i, enum world_way way, unsigned size, uint32_t source, uint8_t *out)
{
	switch (way) {
	case WORLD_CLIENT_TO_PEER:
		channel_data_write_header(out, parts->channel, (uint16_t)size);
		return CHANNEL_DATA_HEADER_LENGTH;
	case WORLD_PEER_TO_CLIENT:
		return 0;
	default:
		return native_world_header(world->native, world, i, way, (const uint8_t *)&source,
			parts->client_port, out);
	}
}

void world_frame(const struct mapping_world *world, unsigned worker, uint32_t i, enum world_way way,
	unsigned size, struct rte_mbuf *mbuf)
{
	struct parts parts = parts_of(world, worker, i);
	bool client = way != WORLD_PEER_TO_CLIENT;
	uint32_t source = htonl(client ? parts.client : parts.peer);
	uint8_t header_bytes[NATIVE_BY_ADDRESS_HEADER];
	unsigned header = header_make(world, &parts, i, way, size, source, header_bytes);
	unsigned udp_length = HEADERS_UDP_LENGTH + header + size,
		 length = HEADERS_ETHERNET_LENGTH + HEADERS_IPV4_LENGTH + udp_length;
	rte_pktmbuf_reset(mbuf);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)length);
	memset(p, 0, length - size);
	memcpy(p, own_mac, 6);
	memcpy(p + 6, gateway_mac, 6);
	p[12] = 0x08;
	uint8_t *ip = p + HEADERS_ETHERNET_LENGTH, *udp = ip + HEADERS_IPV4_LENGTH;
	uint32_t destination = htonl(client ? 0xC0000201u : parts.relay);
	uint16_t words[3] = {htons(client ? parts.client_port : parts.peer_port),
		htons(client ? 3478 : parts.relayed_port), htons((uint16_t)udp_length)};
	uint16_t total = htons((uint16_t)(HEADERS_IPV4_LENGTH + udp_length));
	ip[0] = 0x45;
	memcpy(ip + 2, &total, 2);
	ip[8] = 64;
	ip[9] = 17;
	memcpy(ip + 12, &source, 4);
	memcpy(ip + 16, &destination, 4);
	uint16_t sum = (uint16_t)~checksum_fold(checksum_sum(ip, HEADERS_IPV4_LENGTH));
	memcpy(ip + 10, &sum, 2);
	memcpy(udp, words, 6);
	memcpy(udp + HEADERS_UDP_LENGTH, header_bytes, header);
	// Whole: the payload is zeros, so the headers make it.
	memset(udp + HEADERS_UDP_LENGTH + header, 0, size);
	uint64_t pseudo = checksum_sum(ip + 12, 8) + htons(17) + words[2];
	uint64_t all = pseudo + checksum_sum(udp, HEADERS_UDP_LENGTH + header);
	sum = (uint16_t)~checksum_fold(all);
	// Once in 65536 it would look like a partial one, which takes another way.
	if (sum == checksum_fold(pseudo)) {
		uint16_t one = 1;
		memcpy(udp + HEADERS_UDP_LENGTH + header, &one, 2);
		sum = (uint16_t)~checksum_fold(all + one);
	}
	memcpy(udp + 6, &sum, 2);
}
