// SPDX-License-Identifier: BSD-3-Clause
// A relay without machinery, for tests of the packet path: one or two workers on real tables and
// real mbufs, whose doors out (dataplane/worker.h) collect instead of sending.
//
//   clients 198.51.100.10, 2001:db8:c::10                peers 203.0.113.20, 2001:db8:d::20
//          \                                              /
//           gateway 192.0.2.254, fe80::fe on port 0 (MTU 1500)
//                              |
//           relay 192.0.2.1, 2001:db8::1 (and .2, ::2 with behaviour discovery), 3478
//
// Include once per program, after dpdk_env.h.
#pragma once

#include "dataplane/native.h"
#include "dataplane/stage/guard.h"
#include "dataplane/table/client_index.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/held.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/mappings.h"
#include "dataplane/table/next_hops.h"
#include "dataplane/table/relay_ports.h"
#include "dataplane/worker.h"
#include "lib/wire/channel_data.h"
#include "lib/wire/checksum.h"
#include "lib/wire/headers.h"
#include "lib/wire/stun.h"
#include "tests/unit/dpdk_env.h"

#include <rte_cycles.h>

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

enum { WORLD_WORKERS = 2, WORLD_FRAMES = 1024, WORLD_IFINDEX = 5, WORLD_RELAY_PORT = 50000 };

struct world_frame {
	uint16_t port;
	uint32_t length;
	uint8_t bytes[2048];
};

struct world {
	struct node_addresses addresses;
	struct next_hops *next_hops;
	struct relay_ports *relay_ports;
	struct client_index *client_index;
	struct leases *leases;
	struct handles *handles;
	struct native_settings native;
	struct rte_mempool *pool;
	struct worker workers[WORLD_WORKERS];
	uint64_t now;
	// what came out of the doors
	unsigned frame_count;
	struct world_frame frames[WORLD_FRAMES];
	unsigned punt_count;
	struct api_allocation_context punt_context;
	struct headers punt_headers;
	unsigned native_punt_count;
	struct api_native_punt native_punt;
	unsigned kernel_count, dropped;
	unsigned handed_count;
	uint16_t handed_to;
	struct rte_mbuf *handed[64];
	unsigned wanted_count;
	struct api_neighbour_wanted wanted;
	unsigned expired_count;
	uint64_t expired_id;
};

static struct world world;

// ---- doors ----

void worker_transmit(struct worker *worker, struct rte_mbuf **mbufs, unsigned count, uint16_t port)
{
	(void)worker;
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		assert_true(world.frame_count < WORLD_FRAMES);
		struct world_frame *frame = &world.frames[world.frame_count++];
		frame->port = port;
		frame->length = mbuf->pkt_len;
		assert_int_equal(mbuf->nb_segs, 1);
		assert_true(mbuf->pkt_len <= sizeof(frame->bytes));
		memcpy(frame->bytes, rte_pktmbuf_mtod(mbuf, void *), mbuf->pkt_len);
		rte_pktmbuf_free(mbuf);
	}
}

void worker_punt(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_allocation_context *context)
{
	(void)worker;
	(void)port;
	world.punt_count++;
	world.punt_context = *context;
	world.punt_headers = *headers;
	rte_pktmbuf_free(mbuf);
}

static inline struct net_endpoint headers_endpoint(
	const struct headers *headers, const uint8_t *bytes, uint16_t port)
{
	struct net_endpoint e = {.port = port};
	e.address = headers->family == NET_IPV4 ? net_address_v4(bytes) : net_address_v6(bytes);
	return e;
}

void worker_punt_native(struct worker *worker, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_native_punt *punt)
{
	(void)worker;
	(void)port;
	world.native_punt_count++;
	world.native_punt = *punt;
	world.native_punt.source = headers_endpoint(headers, headers->source, headers->source_port);
	world.native_punt.destination =
		headers_endpoint(headers, headers->destination, headers->destination_port);
	world.punt_headers = *headers;
	rte_pktmbuf_free(mbuf);
}

void worker_to_kernel(struct worker *worker, struct rte_mbuf *mbuf, uint16_t port)
{
	(void)worker;
	(void)port;
	world.kernel_count++;
	rte_pktmbuf_free(mbuf);
}

void worker_hand_off(struct worker *worker, uint16_t owner, struct rte_mbuf *mbuf, uint16_t port)
{
	struct packet_private *private = rte_mbuf_to_priv(mbuf);
	private->kind = PACKET_HANDED_TO_OWNER;
	private->worker = (uint8_t)worker->id;
	private->port = port;
	world.handed_to = owner;
	world.handed[world.handed_count++] = mbuf;
}

void worker_want_neighbour(struct worker *worker, const struct api_neighbour_wanted *wanted)
{
	(void)worker;
	world.wanted_count++;
	world.wanted = *wanted;
}

void worker_expired(struct worker *worker, uint64_t allocation_id)
{
	(void)worker;
	world.expired_count++;
	world.expired_id = allocation_id;
}

void worker_drop(struct worker *worker, struct rte_mbuf *mbuf, enum stats_drop reason)
{
	worker->stats.drop[reason]++;
	world.dropped++;
	rte_pktmbuf_free(mbuf);
}

// ---- places ----

static struct net_endpoint endpoint(const char *address, uint16_t port)
{
	uint8_t bytes[16];
	struct net_endpoint e = {.port = port};
	if (inet_pton(AF_INET, address, bytes) == 1)
		e.address = net_address_v4(bytes);
	else if (inet_pton(AF_INET6, address, bytes) == 1)
		e.address = net_address_v6(bytes);
	else
		fail_msg("not an address: %s", address);
	return e;
}

static struct net_address address(const char *text)
{
	return endpoint(text, 0).address;
}

static const char *const world_client[2] = {"198.51.100.10", "2001:db8:c::10"};
static const char *const world_peer[2] = {"203.0.113.20", "2001:db8:d::20"};
static const char *const world_server[2] = {"192.0.2.1", "2001:db8::1"};
static const uint8_t world_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t world_gateway_mac[6] = {2, 0, 0, 0, 0, 0xFE};

static inline void world_link(uint16_t vlan, uint16_t mtu, bool up)
{
	struct api_link_set link = {.ifindex = WORLD_IFINDEX, .vlan = vlan, .mtu = mtu, .up = up};
	memcpy(link.mac, world_mac, 6);
	strcpy(link.port_interface, "eth-test");
	assert_int_equal(next_hops_link_set(world.next_hops, &link), 0);
}

static inline void world_neighbour(const char *text, const uint8_t mac[6])
{
	struct api_neighbour neighbour = {.ifindex = WORLD_IFINDEX, .address = address(text)};
	memcpy(neighbour.mac, mac, 6);
	assert_int_equal(next_hops_neighbour_set(world.next_hops, &neighbour), 0);
}

static inline struct api_route world_route(const char *prefix, uint8_t length, const char *gateway)
{
	struct api_route route = {.prefix.address = address(prefix), .prefix.length = length};
	route.count = 1;
	route.hops[0].ifindex = WORLD_IFINDEX;
	if (gateway != NULL)
		route.hops[0].gateway = address(gateway);
	return route;
}

static inline void world_routes(void)
{
	struct api_route v4 = world_route("0.0.0.0", 0, "192.0.2.254");
	struct api_route v6 = world_route("::", 0, "fe80::fe");
	assert_int_equal(next_hops_route_set(world.next_hops, &v4), 0);
	assert_int_equal(next_hops_route_set(world.next_hops, &v6), 0);
	world_neighbour("192.0.2.254", world_gateway_mac);
	world_neighbour("fe80::fe", world_gateway_mac);
}

static inline void world_clear(void)
{
	world.frame_count = world.punt_count = world.kernel_count = world.dropped = 0;
	world.native_punt_count = 0;
	world.handed_count = world.wanted_count = world.expired_count = 0;
	for (unsigned i = 0; i < WORLD_WORKERS; i++)
		memset(&world.workers[i].stats, 0, sizeof(world.workers[i].stats));
}

static inline void world_open_with(bool behaviour, unsigned allocations)
{
	struct node_addresses *a = &world.addresses;
	*a = (struct node_addresses){.port = 3478,
		.alternate_port = 3479,
		.channel_last = 0x4FFF,
		.relay_first = 49152,
		.relay_last = 65535,
		.behaviour_discovery = behaviour};
	a->listen[a->listen_count++] = address(world_server[0]);
	a->listen[a->listen_count++] = address(world_server[1]);
	if (behaviour) {
		a->listen[a->listen_count++] = address("192.0.2.2");
		a->listen[a->listen_count++] = address("2001:db8::2");
	}
	world.next_hops = next_hops_create();
	world.relay_ports = relay_ports_create(a);
	assert_non_null(world.next_hops);
	assert_non_null(world.relay_ports);
	world.client_index = client_index_create(WORLD_WORKERS, allocations, -1);
	assert_non_null(world.client_index);
	world.leases = leases_create(64, -1);
	world.handles = handles_create(64, -1);
	assert_non_null(world.leases);
	assert_non_null(world.handles);
	world.native = (struct native_settings){
		.served = true,
		.epoch = 1000,
		.epoch_seconds = 3600,
		.sender_bytes = 1024 * 1024,
		.address_bytes = 4 * 1024 * 1024,
		.cookie_key = {0xC0},
		.path_key = {0xBA},
		.tick_offset = 0x12345678,
	};
	assert_int_equal(next_hops_port(world.next_hops, 0, "eth-test"), 0);
	world_link(0, 1500, true);
	world_routes();
	world.now = rte_get_tsc_hz() * 1000;
	for (uint16_t i = 0; i < WORLD_WORKERS; i++) {
		world.workers[i] = (struct worker){
			.id = i,
			.addresses = a,
			.mappings = mappings_create(allocations, 4 * allocations, -1),
			.relay_ports = world.relay_ports,
			.client_index = world.client_index,
			.next_hops = world.next_hops,
			.leases = world.leases,
			.handles = world.handles,
			.native = &world.native,
			.guard = guard_create(1, -1),
			.pool = world.pool,
		};
		world.workers[i].port_has_kernel[0] = true;
		assert_non_null(world.workers[i].mappings);
		assert_non_null(world.workers[i].guard);
	}
	world_clear();
}

static inline void world_open(void)
{
	world_open_with(false, 64);
}

// Every mbuf must have come back.
static inline void world_close(void)
{
	for (unsigned i = 0; i < WORLD_WORKERS; i++) {
		mappings_free(world.workers[i].mappings);
		guard_free(world.workers[i].guard);
	}
	next_hops_free(world.next_hops);
	relay_ports_free(world.relay_ports);
	client_index_free(world.client_index);
	leases_free(world.leases);
	handles_free(world.handles);
	assert_int_equal(rte_mempool_in_use_count(world.pool), 0);
}

static inline int world_setup(void **state)
{
	(void)state;
	dpdk_env_start();
	world.pool = rte_pktmbuf_pool_create(
		"world", 1023, 0, PACKET_PRIVATE_SIZE, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	return world.pool != NULL ? 0 : -1;
}

static inline uint64_t seconds(unsigned n)
{
	return n * rte_get_tsc_hz();
}

// ---- frames in ----

enum frame_checksum { FRAME_WHOLE, FRAME_PARTIAL, FRAME_ABSENT, FRAME_WRONG };

struct frame {
	struct net_endpoint source, destination;
	const void *payload;
	uint16_t length;
	uint8_t ttl, tos; // ttl 0: 64
	bool dont_fragment;
	uint32_t flow_label;
	uint16_t vlan;
	enum frame_checksum checksum;
};

static inline uint64_t pseudo_sum(const uint8_t *ip, unsigned udp_length)
{
	bool v4 = ip[0] >> 4 == 4;
	return checksum_sum(v4 ? ip + 12 : ip + 8, v4 ? 8 : 32) + htons(17) +
	       htons((uint16_t)udp_length);
}

static inline struct rte_mbuf *frame_make(const struct frame *f)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(world.pool);
	assert_non_null(mbuf);
	bool v4 = f->source.address.family == NET_IPV4;
	unsigned l2 = f->vlan ? 18 : 14, ip_length = v4 ? 20 : 40, udp_length = 8u + f->length;
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(l2 + ip_length + udp_length));
	assert_non_null(p);
	memset(p, 0, l2 + ip_length + 8);
	memcpy(p, world_mac, 6);
	memcpy(p + 6, world_gateway_mac, 6);
	if (f->vlan) {
		p[12] = 0x81;
		p[14] = (uint8_t)(f->vlan >> 8);
		p[15] = (uint8_t)f->vlan;
	}
	p[l2 - 2] = v4 ? 0x08 : 0x86;
	p[l2 - 1] = v4 ? 0x00 : 0xDD;
	uint8_t *ip = p + l2, *udp = ip + ip_length;
	uint8_t ttl = f->ttl ? f->ttl : 64;
	uint16_t word;
	if (v4) {
		ip[0] = 0x45;
		ip[1] = f->tos;
		word = htons((uint16_t)(ip_length + udp_length));
		memcpy(ip + 2, &word, 2);
		ip[4] = 0x12;
		ip[6] = f->dont_fragment ? 0x40 : 0;
		ip[8] = ttl;
		ip[9] = 17;
		memcpy(ip + 12, f->source.address.bytes, 4);
		memcpy(ip + 16, f->destination.address.bytes, 4);
		word = (uint16_t)~checksum_fold(checksum_sum(ip, 20));
		memcpy(ip + 10, &word, 2);
	} else {
		uint32_t first = htonl(6u << 28 | (uint32_t)f->tos << 20 | f->flow_label);
		memcpy(ip, &first, 4);
		word = htons((uint16_t)udp_length);
		memcpy(ip + 4, &word, 2);
		ip[6] = 17;
		ip[7] = ttl;
		memcpy(ip + 8, f->source.address.bytes, 16);
		memcpy(ip + 24, f->destination.address.bytes, 16);
	}
	word = htons(f->source.port);
	memcpy(udp, &word, 2);
	word = htons(f->destination.port);
	memcpy(udp + 2, &word, 2);
	word = htons((uint16_t)udp_length);
	memcpy(udp + 4, &word, 2);
	if (f->length)
		memcpy(udp + 8, f->payload, f->length);
	uint64_t sum = pseudo_sum(ip, udp_length);
	word = (uint16_t)~checksum_fold(sum + checksum_sum(udp, udp_length));
	if (word == 0)
		word = 0xFFFF;
	if (f->checksum == FRAME_PARTIAL)
		word = checksum_fold(sum);
	else if (f->checksum == FRAME_ABSENT)
		word = 0;
	else if (f->checksum == FRAME_WRONG)
		word = (uint16_t)(word + 7 ? word + 7 : 1);
	memcpy(udp + 6, &word, 2);
	return mbuf;
}

static inline void run_on(unsigned worker, struct rte_mbuf *mbuf)
{
	pipeline_run(&world.workers[worker], 0, &mbuf, 1, world.now);
}

static inline void run(const struct frame *f)
{
	run_on(0, frame_make(f));
}

// ---- frames out ----

enum seen_checksum { SEEN_RIGHT, SEEN_ABSENT, SEEN_WRONG };

// Everything recomputed from the bytes.
struct seen {
	struct headers h;
	struct net_endpoint source, destination;
	const uint8_t *payload;
	enum seen_checksum checksum;
	const uint8_t *frame;
	uint16_t port;
};

static inline struct seen seen_at(unsigned index)
{
	assert_true(index < world.frame_count);
	const struct world_frame *f = &world.frames[index];
	struct seen s = {.frame = f->bytes, .port = f->port};
	assert_int_equal(headers_parse(f->bytes, f->length, &s.h), HEADERS_UDP);
	assert_int_equal(f->length, s.h.payload_offset + s.h.payload_length);
	bool v4 = s.h.family == NET_IPV4;
	s.source.address = v4 ? net_address_v4(s.h.source) : net_address_v6(s.h.source);
	s.source.port = s.h.source_port;
	s.destination.address =
		v4 ? net_address_v4(s.h.destination) : net_address_v6(s.h.destination);
	s.destination.port = s.h.destination_port;
	s.payload = f->bytes + s.h.payload_offset;
	uint16_t stored;
	memcpy(&stored, f->bytes + s.h.l4_offset + 6, 2);
	uint64_t sum = pseudo_sum(f->bytes + s.h.l3_offset, s.h.l4_length) +
		       checksum_sum(f->bytes + s.h.l4_offset, s.h.l4_length);
	s.checksum = stored == 0                    ? SEEN_ABSENT
		     : checksum_fold(sum) == 0xFFFF ? SEEN_RIGHT
						    : SEEN_WRONG;
	return s;
}

// The only frame that came out.
static inline struct seen seen_one(void)
{
	assert_int_equal(world.frame_count, 1);
	return seen_at(0);
}

static inline void assert_endpoint(const struct net_endpoint *have, const struct net_endpoint *want)
{
	assert_memory_equal(have, want, sizeof(*have));
}

#define assert_dropped(reason)                                                                     \
	do {                                                                                       \
		assert_int_equal(world.frame_count, 0);                                            \
		assert_int_equal(world.workers[0].stats.drop[DROP_##reason], 1);                   \
		assert_int_equal(world.dropped, 1);                                                \
		world_clear();                                                                     \
	} while (0)

// ---- installs ----

static inline int install(unsigned worker, uint32_t type, const void *payload, size_t size)
{
	return install_execute(&world.workers[worker], type, payload, (uint32_t)size, world.now);
}

// An allocation of the client of that family (0: IPv4, 1: IPv6) with relayed addresses of both.
static inline struct api_allocation_install allocation_for(unsigned family, uint64_t id)
{
	struct api_allocation_install a = {
		.allocation_id = id,
		.credential_tag = 0x1111111111111111,
		.prefix_tag = 0x2222222222222222,
		.client = endpoint(world_client[family], 40000),
		.server = endpoint(world_server[family], 3478),
		.relayed = {endpoint(world_server[0], (uint16_t)(WORLD_RELAY_PORT + 2 * id)),
			endpoint(world_server[1], (uint16_t)(WORLD_RELAY_PORT + 2 * id))},
		.lifetime_ms = 600000,
		.transaction = "transaction",
	};
	return a;
}

static inline int install_allocation_for(unsigned worker, unsigned family, uint64_t id)
{
	struct api_allocation_install a = allocation_for(family, id);
	a.worker = (uint16_t)worker;
	return install(worker, API_ALLOCATION_INSTALL, &a, sizeof(a));
}

static inline int install_permission(unsigned worker, uint64_t id, const char *peer)
{
	struct {
		struct api_permissions_install head;
		struct net_address peers[1];
	} p = {.head = {.allocation_id = id,
		       .lifetime_ms = 300000,
		       .worker = (uint16_t)worker,
		       .count = 1},
		.peers = {address(peer)}};
	return install(worker, API_PERMISSIONS_INSTALL, &p, sizeof(p.head) + sizeof(p.peers));
}

static inline int install_channel(
	unsigned worker, uint64_t id, uint16_t channel, const char *peer, uint16_t port)
{
	struct api_channel_bind b = {
		.allocation_id = id,
		.lifetime_ms = 600000,
		.permission_lifetime_ms = 300000,
		.peer = endpoint(peer, port),
		.worker = (uint16_t)worker,
		.channel = channel,
	};
	return install(worker, API_CHANNEL_BIND, &b, sizeof(b));
}

static inline struct net_endpoint relayed_of_id(unsigned family, uint64_t id)
{
	return endpoint(world_server[family], (uint16_t)(WORLD_RELAY_PORT + 2 * id));
}
