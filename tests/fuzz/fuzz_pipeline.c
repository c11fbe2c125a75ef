// SPDX-License-Identifier: BSD-3-Clause
// Frames, installs, route changes and time, as the input says, through one worker's pipeline with
// live mappings. Invariants beyond memory safety: every mbuf comes back exactly once, whatever
// leaves is one whole segment, pools and counts agree in the end, and a native message without a
// good cookie never makes more than it is.
#include "dataplane/cookies.h"
#include "dataplane/native.h"
#include "dataplane/stage/datagram.h"
#include "dataplane/table/handles.h"
#include "dataplane/table/held.h"
#include "dataplane/table/leases.h"
#include "dataplane/table/mappings.h"
#include "dataplane/table/next_hops.h"
#include "lib/net/cursor.h"
#include "lib/wire/stun.h"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_mbuf.h>

#include <arpa/inet.h>
#include <stdlib.h>

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static struct node_addresses addresses;
static struct worker worker;
static uint64_t now;
static struct rte_mbuf *handed[256];
static unsigned handed_count;
static struct native_settings native;
static struct api_handles_install pair; // what native_install has installed
static struct api_handles_installed pair_handles;
static unsigned transmitted; // bytes

void worker_transmit(struct worker *w, struct rte_mbuf **mbufs, unsigned count, uint16_t port)
{
	(void)w;
	for (unsigned i = 0; i < count; i++) {
		struct rte_mbuf *mbuf = mbufs[i];
		MUST(port == 0 && mbuf->nb_segs == 1 && mbuf->pkt_len == mbuf->data_len);
		// What leaves must parse, or be an ICMP error of ours.
		struct headers h;
		enum headers_verdict verdict =
			headers_parse(rte_pktmbuf_mtod(mbuf, uint8_t *), mbuf->data_len, &h);
		// (NOT_UDP: a fragment of one, over an MTU of 100.)
		MUST(verdict == HEADERS_UDP || verdict == HEADERS_ICMP_ERROR ||
			verdict == HEADERS_FRAGMENT || verdict == HEADERS_NOT_UDP);
		transmitted += mbuf->pkt_len;
		rte_pktmbuf_free(mbuf);
	}
}

void worker_punt(struct worker *w, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_allocation_context *context)
{
	(void)w;
	(void)port;
	(void)context;
	MUST(headers->payload_offset + headers->payload_length <= mbuf->data_len);
	rte_pktmbuf_free(mbuf);
}

void worker_punt_native(struct worker *w, struct rte_mbuf *mbuf, const struct headers *headers,
	uint16_t port, const struct api_native_punt *punt)
{
	(void)w;
	(void)port;
	(void)punt;
	MUST(headers->payload_offset + headers->payload_length <= mbuf->data_len);
	rte_pktmbuf_free(mbuf);
}

void worker_to_kernel(struct worker *w, struct rte_mbuf *mbuf, uint16_t port)
{
	(void)w;
	(void)port;
	rte_pktmbuf_free(mbuf);
}

void worker_hand_off(struct worker *w, uint16_t owner, struct rte_mbuf *mbuf, uint16_t port)
{
	(void)w;
	(void)owner;
	(void)port;
	MUST(handed_count < RTE_DIM(handed));
	((struct packet_private *)rte_mbuf_to_priv(mbuf))->kind = PACKET_HANDED_TO_OWNER;
	handed[handed_count++] = mbuf;
}

void worker_want_neighbour(struct worker *w, const struct api_neighbour_wanted *wanted)
{
	(void)w;
	MUST(wanted->ifindex == 5);
}

void worker_expired(struct worker *w, uint64_t allocation_id)
{
	(void)w;
	MUST(allocation_id != 0);
}

void worker_drop(struct worker *w, struct rte_mbuf *mbuf, enum stats_drop reason)
{
	w->stats.drop[reason]++;
	rte_pktmbuf_free(mbuf);
}

static struct net_address address_of(const char *text)
{
	uint8_t bytes[16];
	if (inet_pton(AF_INET, text, bytes) == 1)
		return net_address_v4(bytes);
	MUST(inet_pton(AF_INET6, text, bytes) == 1);
	return net_address_v6(bytes);
}

static const char *const client[2] = {"198.51.100.10", "2001:db8:c::10"};
static const char *const peer[2] = {"203.0.113.20", "2001:db8:d::20"};
static const char *const server[2] = {"192.0.2.1", "2001:db8::1"};
static const char *const gateway[2] = {"192.0.2.254", "fe80::fe"};

static void neighbours(bool known)
{
	for (unsigned i = 0; i < 2; i++) {
		struct api_neighbour n = {.ifindex = 5, .address = address_of(gateway[i])};
		n.mac[0] = 2;
		if (known)
			next_hops_neighbour_set(worker.next_hops, &n);
		else
			next_hops_neighbour_delete(worker.next_hops, &n);
	}
}

static void link_set(uint16_t mtu, uint16_t vlan)
{
	struct api_link_set link = {.ifindex = 5, .port_interface = "x", .mtu = mtu, .vlan = vlan};
	link.up = mtu != 0;
	next_hops_link_set(worker.next_hops, &link);
}

// Both families' clients, permissions, channels, one of them to the other's relayed address.
static void install_usual(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct api_allocation_install a = {
			.allocation_id = 1 + i,
			.client = {address_of(client[i]), 40000, 0},
			.server = {address_of(server[i]), 3478, 0},
			.relayed = {{address_of(server[0]), (uint16_t)(50000 + i), 0},
				{address_of(server[1]), (uint16_t)(50000 + i), 0}},
			.lifetime_ms = 60000,
		};
		install_execute(&worker, API_ALLOCATION_INSTALL, &a, sizeof(a), now);
		for (unsigned p = 0; p < 2; p++) {
			struct api_channel_bind b = {
				.allocation_id = 1 + i,
				.lifetime_ms = 30000,
				.permission_lifetime_ms = 20000,
				.peer = {address_of(peer[p]), 5000, 0},
				.channel = (uint16_t)(0x4000 + p),
			};
			install_execute(&worker, API_CHANNEL_BIND, &b, sizeof(b), now);
			b.peer = (struct net_endpoint){
				address_of(server[p]), (uint16_t)(50001 - i), 0};
			b.channel = (uint16_t)(0x4002 + p);
			install_execute(&worker, API_CHANNEL_BIND, &b, sizeof(b), now);
		}
	}
}

// A lease of each family for address 00... and one for address 01..., and a pair of handles between
// the two clients.
static void native_install(void)
{
	for (unsigned i = 0; i < 3; i++) {
		struct api_lease lease = {
			.client = {address_of(client[i & 1]), 40000, 0},
			.server = {address_of(server[i & 1]), 3478, 0},
			.lifetime_ms = 60000,
			.issued = ticks_of(now) + native.tick_offset,
		};
		memset(lease.address, (int)i / 2, sizeof(lease.address));
		lease.device[0] = (uint8_t)i;
		leases_set(worker.leases, &addresses, &lease, false, now);
	}
	pair = (struct api_handles_install){.lifetime_ms = 60000, .open_id = {1}};
	for (unsigned i = 0; i < 2; i++)
		pair.end[i] = (struct api_handle_end){
			.client = {address_of(client[i]), 40000, 0},
			.server = {address_of(server[i]), 3478, 0},
			.key = {(uint8_t)i},
		};
	MUST(handles_install(worker.handles, &addresses, &pair, false, now, &pair_handles) == 0);
}

// Everything's time comes, and that of what is left of it.
static void native_end(void)
{
	struct handles_ended ended;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t lease = 0, position = 0;
		unsigned budget = 1000;
		while (!leases_end_some(worker.leases, &lease, 100))
			;
		while (handles_end_next(worker.handles, &position, now, &budget, &ended))
			;
		now += rte_get_tsc_hz() * 60;
		leases_expire(worker.leases, now, 1000);
		budget = 1000;
		while (handles_expire(worker.handles, now, &budget, &ended))
			;
	}
	MUST(leases_empty(worker.leases) && handles_empty(worker.handles));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	char *arguments[] = {(char *)"fuzz", (char *)"--no-huge", (char *)"--no-pci",
		(char *)"--no-shconf", (char *)"-m", (char *)"64", (char *)"--no-telemetry",
		(char *)"-l", (char *)"0", (char *)"--log-level=lib.eal:error"};
	MUST(rte_eal_init((int)RTE_DIM(arguments), arguments) >= 0);
	addresses = (struct node_addresses){.port = 3478,
		.alternate_port = 3479,
		.relay_first = 50000,
		.relay_last = 50015,
		.channel_last = 0x4FFF,
		.behaviour_discovery = true};
	static const char *const listen[] = {
		"192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"};
	for (unsigned i = 0; i < 4; i++)
		addresses.listen[addresses.listen_count++] = address_of(listen[i]);
	worker = (struct worker){
		.addresses = &addresses,
		.mappings = mappings_create(8, 32, -1),
		.relay_ports = relay_ports_create(&addresses),
		.next_hops = next_hops_create(),
		.guard = guard_create(1, -1),
		.pool = rte_pktmbuf_pool_create(
			"fuzz", 1023, 0, PACKET_PRIVATE_SIZE, RTE_MBUF_DEFAULT_BUF_SIZE, -1),
	};
	native = (struct native_settings){
		.served = true,
		.tell_unknown = true,
		.sender_bytes = 1 << 20,
		.address_bytes = 1 << 20,
		.cookie_key = {1},
		.path_key = {2},
	};
	worker.native = &native;
	worker.leases = leases_create(16, -1);
	worker.handles = handles_create(8, -1);
	MUST(worker.leases && worker.handles);
	MUST(worker.mappings && worker.relay_ports && worker.next_hops && worker.guard &&
		worker.pool);
	next_hops_port(worker.next_hops, 0, "x");
	for (unsigned i = 0; i < 2; i++) {
		struct api_route route = {.prefix.address = address_of(i ? "::" : "0.0.0.0"),
			.count = 1,
			.hops = {{5, address_of(gateway[i])}}};
		MUST(next_hops_route_set(worker.next_hops, &route) == 0);
	}
	now = rte_get_tsc_hz() * 1000;
	return 0;
}

// ---- what the input can do ----

enum operation {
	OPERATION_RAW,
	OPERATION_CLIENT,
	OPERATION_PEER,
	OPERATION_ICMP,
	OPERATION_INSTALL,
	OPERATION_TIME,
	OPERATION_SEND,
	OPERATION_ROUTING,
	OPERATION_HANDED,
	OPERATION_NATIVE,
	OPERATION_MAIN,
	OPERATION_COUNT,
};

static void finish_and_run(struct rte_mbuf *mbuf, unsigned family, unsigned choice, bool is_handed)
{
	unsigned length = (choice & 0x40 ? 18u : 14u);
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(mbuf, (uint16_t)length);
	memset(p, 0, length);
	if (choice & 0x40) {
		p[12] = 0x81;
		p[15] = 7;
	}
	p[length - 2] = family ? 0x86 : 0x08;
	p[length - 1] = family ? 0xDD : 0x00;
	if (is_handed) {
		((struct packet_private *)rte_mbuf_to_priv(mbuf))->kind = PACKET_HANDED_TO_OWNER;
		pipeline_handed(&worker, &mbuf, 1, now);
	} else {
		pipeline_run(&worker, 0, &mbuf, 1, now);
	}
}

// choice: bit 0 family, bits 1-2 which port, bit 3-4 checksum, bit 5 a stranger, bit 6 a tag.
static void udp(unsigned choice, bool from_peer, const uint8_t *data, size_t size, bool is_handed)
{
	unsigned family = choice & 1;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(worker.pool);
	MUST(mbuf != NULL);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)size), data, size);
	struct net_address from = address_of(from_peer ? peer[family] : client[family]);
	struct net_address to = address_of(server[family]);
	from.bytes[3] ^= choice & 0x20 ? 0x55 : 0;
	struct datagram d = {
		.source = from.bytes,
		.destination = to.bytes,
		.source_port = from_peer ? 5000 : 40000,
		.destination_port = from_peer    ? (uint16_t)(50000 + (choice >> 1 & 3))
				    : choice & 2 ? 3479
						 : 3478,
		.family = family ? NET_IPV6 : NET_IPV4,
		.ttl = choice & 0x80 ? 1 : 64,
		.dont_fragment = choice & 4,
	};
	static const uint32_t checksums[4] = {DATAGRAM_COMPUTE, 0, 0x1234, DATAGRAM_COMPUTE};
	MUST(datagram_wrap(mbuf, &d, checksums[choice >> 3 & 3]));
	finish_and_run(mbuf, family, choice, is_handed);
}

static void put(uint8_t *message, size_t size, size_t at, const void *bytes, size_t length)
{
	if (size >= at + length)
		memcpy(message + at, bytes, length);
}

// Puts a cookie, a handle, a token and a proof that are good where the message has them.
static void make_good(uint8_t *message, size_t size, unsigned choice)
{
	const unsigned family = choice & 1, side = choice >> 2 & 1;
	const struct net_address from = address_of(client[family]);
	const struct cookie_holder holder = {from.bytes, 40000, family ? NET_IPV6 : NET_IPV4};
	const struct native_handle h = {pair_handles.generation[side], pair_handles.index[side]};
	uint8_t cookie[NATIVE_COOKIE_SIZE], token[NATIVE_PATH_TOKEN_SIZE], handle[8], proof[16];
	cookie_make(&native, &holder, now, cookie);
	path_token_make(&native, &holder, &h, now, token);
	native_handle_write(handle, &h);
	const struct native_path_response response = {message + 4, h, token, NULL};
	const struct native_close close = {message + 4, h, NULL};
	if (size < NATIVE_HEADER_SIZE)
		return;
	if (message[0] == NATIVE_FIRST_HANDLE) {
		put(message, size, 0, handle, sizeof(handle));
	} else if (message[0] == NATIVE_FIRST_ADDRESS) {
		put(message, size, NATIVE_BY_ADDRESS_COOKIE, cookie, sizeof(cookie));
	} else if (message[2] == NATIVE_PATH_RESPONSE) {
		native_path_response_proof(proof, pair.end[side].key, &response);
		put(message, size, 12, handle, sizeof(handle));
		put(message, size, 20, token, sizeof(token));
		put(message, size, 32, proof, sizeof(proof));
	} else if (message[2] == NATIVE_CLOSE) {
		native_close_proof(proof, pair.end[side].key, &close);
		put(message, size, 12, handle, sizeof(handle));
		put(message, size, 20, proof, sizeof(proof));
	} else {
		put(message, size, NATIVE_HEADER_SIZE, cookie, sizeof(cookie));
		if (message[2] == NATIVE_KEEPALIVE)
			put(message, size, 24, handle, sizeof(handle));
	}
}

// choice: as udp's, but for bit 1: make it good; bit 2: whose handle.
static void native_message(unsigned choice, const uint8_t *data, size_t size)
{
	uint8_t message[1700];
	memcpy(message, data, size);
	if (choice & 2)
		make_good(message, size, choice);
	transmitted = 0;
	udp(choice & ~2u, false, message, size, false);
	unsigned headers = (choice & 0x40 ? 18u : 14u) + (choice & 1 ? 48u : 28u);
	if (!(choice & 2) && size > 0 && message[0] >= 4 && message[0] <= 5)
		MUST(transmitted <= headers + size);
}

static void main_lcore(unsigned choice, const uint8_t *data, size_t size)
{
	union {
		struct api_lease lease;
		struct api_handles_install install;
		struct api_native_deliver deliver;
	} m;
	struct api_handles_installed installed;
	memset(&m, 0, sizeof(m));
	memcpy(&m, data, size < sizeof(m) ? size : sizeof(m));
	switch (choice % 4) {
	case 0:
		leases_set(worker.leases, &addresses, &m.lease, choice & 4, now);
		break;
	case 1:
		leases_remove(worker.leases, &m.lease, now);
		break;
	case 2:
		handles_install(
			worker.handles, &addresses, &m.install, choice & 4, now, &installed);
		break;
	case 3:
		m.deliver.length = (uint16_t)(size < 1200 ? size : 1200);
		pipeline_deliver(&worker, &m.deliver, data, now);
		break;
	}
}

static void icmp(unsigned choice, const uint8_t *data, size_t size)
{
	unsigned family = choice & 1, ip = family ? 40 : 20;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(worker.pool);
	MUST(mbuf != NULL);
	uint8_t *p = (uint8_t *)rte_pktmbuf_append(mbuf, (uint16_t)(ip + size));
	struct net_address from = address_of(gateway[family]), to = address_of(server[family]);
	struct datagram d = {.source = from.bytes, .destination = to.bytes, .ttl = 64};
	d.family = family ? NET_IPV6 : NET_IPV4;
	datagram_write_ip(p, &d, family ? 58 : 1, (unsigned)(ip + size));
	memcpy(p + ip, data, size);
	if (size >= 8) {
		memset(p + ip + 2, 0, 2);
		uint64_t sum = checksum_sum(p + ip, size);
		if (family)
			sum += checksum_sum(p + 8, 32) + htons(58) + htons((uint16_t)size);
		uint16_t checksum = (uint16_t)~checksum_fold(sum);
		memcpy(p + ip + 2, &checksum, 2);
	}
	finish_and_run(mbuf, family, choice, choice & 2);
}

static void raw(const uint8_t *data, size_t size)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(worker.pool);
	MUST(mbuf != NULL);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)size), data, size);
	pipeline_run(&worker, 0, &mbuf, 1, now);
}

static void routing(unsigned choice)
{
	static const uint16_t mtus[4] = {1500, 0, 100, 1280};
	neighbours(choice & 1);
	link_set(mtus[choice >> 1 & 3], choice & 8 ? 42 : 0);
	pipeline_held(&worker, now);
}

static void operate(enum operation operation, unsigned choice, const uint8_t *data, size_t size)
{
	switch (operation) {
	case OPERATION_RAW:
		raw(data, size);
		break;
	case OPERATION_CLIENT:
	case OPERATION_PEER:
	case OPERATION_HANDED:
		udp(choice, operation != OPERATION_CLIENT, data, size,
			operation == OPERATION_HANDED);
		break;
	case OPERATION_ICMP:
		icmp(choice, data, size);
		break;
	case OPERATION_INSTALL:
		install_execute(
			&worker, API_ALLOCATION_INSTALL + choice % 5, data, (uint32_t)size, now);
		break;
	case OPERATION_TIME:
		now += rte_get_tsc_hz() / 4 * choice;
		expiry_scan(&worker, now, 64);
		pipeline_held(&worker, now);
		break;
	case OPERATION_SEND: {
		struct api_packet_send send;
		if (size < sizeof(send))
			break;
		memcpy(&send, data, sizeof(send));
		send.length = (uint16_t)(size - sizeof(send));
		pipeline_send(&worker, &send, data + sizeof(send), now);
		break;
	}
	case OPERATION_ROUTING:
		routing(choice);
		break;
	case OPERATION_NATIVE:
		native_message(choice, data, size);
		break;
	case OPERATION_MAIN:
		main_lcore(choice, data, size);
		break;
	case OPERATION_COUNT:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	neighbours(true);
	link_set(1500, 0);
	install_usual();
	native_install();
	struct cursor c = cursor_make(data, size);
	uint8_t operation, choice;
	uint16_t length;
	for (unsigned i = 0; i < 64; i++) {
		if (!cursor_u8(&c, &operation) || !cursor_u8(&c, &choice) ||
			!cursor_u16(&c, &length))
			break;
		size_t take = length % 1700;
		take = take < cursor_left(&c) ? take : cursor_left(&c);
		operate(operation % OPERATION_COUNT, choice, cursor_take(&c, take), take);
	}
	rte_pktmbuf_free_bulk(handed, handed_count);
	handed_count = 0;
	// What waits gives up, what lives ends: nothing may be left over.
	now += rte_get_tsc_hz() * 2;
	pipeline_held(&worker, now);
	install_end_all(&worker);
	native_end();
	MUST(rte_mempool_in_use_count(worker.pool) == 0);
	struct mappings_usage usage;
	mappings_usage(worker.mappings, &usage);
	MUST(usage.allocations + usage.permissions + usage.channels == 0);
	MUST(worker.mappings->session_pool.free_count == worker.mappings->session_pool.size);
	MUST(worker.mappings->by_peer.used == 0 && worker.mappings->by_channel.used == 0);
	return 0;
}
