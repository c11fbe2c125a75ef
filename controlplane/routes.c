// SPDX-License-Identifier: BSD-3-Clause
// The netlink socket of routes.h: dumps one after another (the kernel runs one at a time for a
// socket), events between their parts, and requests to resolve.
#include "controlplane/routes.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sodium.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	RECEIVE_SIZE = 65536,
	RECEIVE_TURN_MAX = 64,
	// A burst of routes (a BGP session coming up) must wait here while we are busy.
	SOCKET_BUFFER = 16 * 1024 * 1024,
	SETTLE_MS = 20, // changes come in bursts: dumps wait this long after the first reason
	RETRY_MS = 200, // after a dump that failed or that the kernel calls inconsistent
	DUMP_LOST_MS = 10000,
	GATEWAYS_MS = 100, // after a route was told
	WANTED_SLOTS = 1024,
	ALL_DUMPS = (1 << ROUTES_DUMPS) - 1,
};

struct wanted_slot {
	uint64_t hash; // of link and address, under a random key; 0: free
	uint64_t at_ms;
};

struct routes {
	struct routes_owner owner;
	struct routes_mirror *mirror;
	int fd;
	uint32_t sequence;
	unsigned dumps_due;     // set of 1 << enum routes_dump
	unsigned dumps_missing; // never read yet
	int dumping;            // enum routes_dump, -1: none
	uint32_t dump_sequence;
	uint64_t dump_heard_ms; // when its last message came
	bool dump_interrupted;
	bool attached, sync_due;
	uv_poll_t poll;
	uv_timer_t settle, confirm, gateways;
	unsigned open_handles;
	bool closing;
	// Budget of requests to resolve, refilled by time.
	uint32_t tokens;
	uint64_t tokens_at_ms;
	unsigned confirm_left;
	struct wanted_slot slots[WANTED_SLOTS];
	uint8_t seed[crypto_shorthash_KEYBYTES];
	struct routes_counters counters;
	alignas(NLMSG_ALIGNTO) uint8_t buffer[RECEIVE_SIZE];
};

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static int netlink_send(struct routes *routes, const struct nlmsghdr *message)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n = sendto(routes->fd, message, message->nlmsg_len, MSG_DONTWAIT,
		(const struct sockaddr *)&kernel, sizeof(kernel));
	return n < 0 ? -errno : 0;
}

// ---- dumps ----

static void on_settle(uv_timer_t *timer);

static void dumps_want(struct routes *routes, unsigned dumps, uint64_t delay_ms)
{
	if (!dumps || routes->closing)
		return;
	routes->dumps_due |= dumps;
	if (routes->dumping < 0 && !uv_is_active((uv_handle_t *)&routes->settle))
		uv_timer_start(&routes->settle, on_settle, delay_ms, 0);
}

static void dump_start(struct routes *routes)
{
	static const struct {
		enum routes_event_kind kind;
		int family;
	} dumps[ROUTES_DUMPS] = {
		[ROUTES_DUMP_LINKS] = {ROUTES_LINK, AF_UNSPEC},
		[ROUTES_DUMP_ADDRESSES] = {ROUTES_ADDRESS, AF_UNSPEC},
		[ROUTES_DUMP_NEXTHOPS] = {ROUTES_NEXTHOP, AF_UNSPEC},
		[ROUTES_DUMP_ROUTES_V4] = {ROUTES_ROUTE, AF_INET},
		[ROUTES_DUMP_ROUTES_V6] = {ROUTES_ROUTE, AF_INET6},
		[ROUTES_DUMP_NEIGHBOURS] = {ROUTES_NEIGHBOUR, AF_UNSPEC},
	};
	if (routes->dumping >= 0 || !routes->dumps_due)
		return;
	int dump = __builtin_ctz(routes->dumps_due);
	alignas(NLMSG_ALIGNTO) uint8_t request[ROUTES_REQUEST_SIZE];
	routes->dump_sequence = ++routes->sequence;
	const struct nlmsghdr *message = routes_encode_dump(
		request, routes->dump_sequence, dumps[dump].kind, dumps[dump].family);
	if (netlink_send(routes, message)) {
		routes->counters.dumps_failed++;
		dumps_want(routes, 1u << dump, RETRY_MS);
		return;
	}
	routes->dumps_due &= ~(1u << dump);
	routes->dumping = dump;
	routes->dump_interrupted = false;
	routes->dump_heard_ms = now_ms();
	routes_mirror_dump_begin(routes->mirror, (enum routes_dump)dump);
}

static void on_settle(uv_timer_t *timer)
{
	dump_start(timer->data);
}

// A dump that the kernel cannot do (no nexthop objects, no table yet) found nothing.
static bool is_empty_dump(int error)
{
	return error == -EOPNOTSUPP || error == -ENOENT || error == -EAFNOSUPPORT;
}

static void dump_ended(struct routes *routes, int result)
{
	int dump = routes->dumping;
	routes->dumping = -1;
	routes->counters.dumps++;
	if (routes->dump_interrupted || (result < 0 && !is_empty_dump(result))) {
		routes->counters.dumps_failed++;
		dumps_want(routes, 1u << dump, RETRY_MS);
		return;
	}
	routes_mirror_dump_end(routes->mirror, (enum routes_dump)dump);
	routes->dumps_missing &= ~(1u << dump);
	dump_start(routes);
}

// ---- messages of the kernel ----

static void take_end(struct routes *routes, const struct nlmsghdr *message)
{
	int result = 0;
	if (mnl_nlmsg_get_payload_len(message) >= sizeof(result))
		memcpy(&result, mnl_nlmsg_get_payload(message), sizeof(result));
	if (routes->dumping >= 0 && message->nlmsg_seq == routes->dump_sequence)
		dump_ended(routes, result);
	else if (result < 0)
		routes->counters.resolves_failed++; // nothing else is asked for
}

static void overrun(struct routes *routes)
{
	routes->counters.overruns++;
	dumps_want(routes, ALL_DUMPS, SETTLE_MS);
}

static void take_message(struct routes *routes, const struct nlmsghdr *message)
{
	bool dumped = routes->dumping >= 0 && message->nlmsg_seq == routes->dump_sequence;
	routes->counters.messages++;
	if (dumped)
		routes->dump_heard_ms = now_ms();
	if (dumped && (message->nlmsg_flags & NLM_F_DUMP_INTR))
		routes->dump_interrupted = true;
	switch (message->nlmsg_type) {
	case NLMSG_DONE:
	case NLMSG_ERROR:
		take_end(routes, message);
		return;
	case NLMSG_OVERRUN:
		overrun(routes);
		return;
	default:
		break;
	}
	struct routes_event event;
	int rc = routes_decode(message, &event);
	if (rc < 0)
		routes->counters.malformed++;
	if (rc == 1)
		dumps_want(routes, routes_mirror_apply(routes->mirror, &event, dumped), SETTLE_MS);
	sodium_memzero(&event, sizeof(event));
}

// False when nothing waits.
static bool receive(struct routes *routes)
{
	struct sockaddr_nl sender = {0};
	struct iovec part = {routes->buffer, sizeof(routes->buffer)};
	struct msghdr header = {.msg_name = &sender,
		.msg_namelen = sizeof(sender),
		.msg_iov = &part,
		.msg_iovlen = 1};
	ssize_t n = recvmsg(routes->fd, &header, MSG_DONTWAIT);
	if (n < 0 && errno == ENOBUFS) {
		overrun(routes);
		return true;
	}
	if (n <= 0)
		return false;
	// What is longer than the buffer is cut at a message's middle, and that one is lost.
	if (header.msg_flags & MSG_TRUNC)
		overrun(routes);
	struct routes_datagram datagram = {routes->buffer, (size_t)n};
	const struct nlmsghdr *message;
	// Only the kernel's own messages count.
	while (sender.nl_pid == 0 && (message = routes_message_next(&datagram)))
		take_message(routes, message);
	sodium_memzero(routes->buffer, (size_t)n);
	return true;
}

static void addresses_tell(struct routes *routes)
{
	if ((routes->dumps_missing & 1u << ROUTES_DUMP_ADDRESSES) ||
		!routes_mirror_addresses_changed(routes->mirror))
		return;
	struct net_address *list = calloc(ROUTES_ADDRESSES_MAX, sizeof(*list));
	if (!list)
		return;
	size_t count = routes_mirror_addresses(routes->mirror, list, ROUTES_ADDRESSES_MAX);
	if (count > ROUTES_ADDRESSES_MAX)
		count = ROUTES_ADDRESSES_MAX;
	routes->owner.addresses(routes->owner.context, list, count);
	free(list);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct routes *routes = poll->data;
	// Lost events come as an error of the socket, upon which libuv stops watching it.
	if (status < 0)
		uv_poll_start(poll, UV_READABLE, on_poll);
	for (unsigned i = 0; i < RECEIVE_TURN_MAX && receive(routes); i++)
		;
	addresses_tell(routes);
	routes_continue(routes);
}

// ---- telling the dataplane ----

void routes_attach(struct routes *routes, const char (*names)[ROUTES_NAME_SIZE], size_t count)
{
	routes_mirror_ports(routes->mirror, names, count);
	routes_mirror_forget_sent(routes->mirror);
	routes->attached = true;
	routes->sync_due = true;
	routes_continue(routes);
}

void routes_detach(struct routes *routes)
{
	routes->attached = false;
	routes->sync_due = false;
}

static void on_gateways(uv_timer_t *timer);

static bool emit(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct routes *routes = context;
	if (!routes->owner.emit(routes->owner.context, type, payload, size))
		return false;
	// New routes may have gateways that nobody has talked to yet.
	if (type == API_ROUTE_SET && !uv_is_active((uv_handle_t *)&routes->gateways))
		uv_timer_start(&routes->gateways, on_gateways, GATEWAYS_MS, 0);
	return true;
}

void routes_continue(struct routes *routes)
{
	// Before the first reading is whole the dataplane keeps what it had of an earlier mirror.
	if (!routes->attached || routes->dumps_missing)
		return;
	if (!routes_mirror_flush(routes->mirror, emit, routes) || !routes->sync_due)
		return;
	routes->sync_due = false;
	routes->owner.synced(routes->owner.context);
}

// ---- resolving ----

static void resolve(struct routes *routes, uint32_t ifindex, const struct net_address *address)
{
	alignas(NLMSG_ALIGNTO) uint8_t request[ROUTES_REQUEST_SIZE];
	const struct nlmsghdr *message =
		routes_encode_resolve(request, ++routes->sequence, ifindex, address);
	routes->counters.resolves++;
	if (netlink_send(routes, message))
		routes->counters.resolves_failed++;
	sodium_memzero(request, sizeof(request));
}

static void confirm_one(void *context, uint32_t ifindex, const struct net_address *address)
{
	struct routes *routes = context;
	if (!routes->confirm_left)
		return;
	routes->confirm_left--;
	resolve(routes, ifindex, address);
}

static void on_gateways(uv_timer_t *timer)
{
	struct routes *routes = timer->data;
	routes->confirm_left = ROUTES_CONFIRM_MAX;
	if (routes->attached)
		routes_mirror_visit_gateways(routes->mirror, confirm_one, routes);
}

static void on_confirm(uv_timer_t *timer)
{
	struct routes *routes = timer->data;
	// Its end was among what the kernel dropped.
	if (routes->dumping >= 0 && now_ms() >= routes->dump_heard_ms + DUMP_LOST_MS)
		dump_ended(routes, -ETIMEDOUT);
	on_gateways(timer);
	if (routes->attached)
		routes_mirror_visit_stale(routes->mirror, confirm_one, routes);
}

// Any sender on the Internet may make the dataplane want neighbours of a connected prefix: one
// question a second for an address, and a bounded number over all.
static bool wanted_within_rate(
	struct routes *routes, uint32_t ifindex, const struct net_address *address)
{
	const struct routes_address key = {ifindex, *address};
	static_assert(sizeof(key) == 24, "no padding");
	uint64_t hash, now = now_ms();
	crypto_shorthash(
		(unsigned char *)&hash, (const unsigned char *)&key, sizeof(key), routes->seed);
	struct wanted_slot *slot = &routes->slots[hash % WANTED_SLOTS];
	if (slot->hash == hash && now < slot->at_ms + ROUTES_RESOLVE_PAUSE_MS)
		return false;
	uint64_t refill = (now - routes->tokens_at_ms) * ROUTES_RESOLVE_RATE / 1000;
	if (refill) {
		routes->tokens_at_ms = now;
		routes->tokens = refill + routes->tokens > ROUTES_RESOLVE_RATE
					 ? ROUTES_RESOLVE_RATE
					 : (uint32_t)(routes->tokens + refill);
	}
	if (!routes->tokens)
		return false;
	routes->tokens--;
	*slot = (struct wanted_slot){hash, now};
	return true;
}

void routes_neighbour_wanted(struct routes *routes, const struct api_neighbour_wanted *wanted)
{
	struct net_address address = wanted->address.family == NET_IPV4
					     ? net_address_v4(wanted->address.bytes)
					     : net_address_v6(wanted->address.bytes);
	address.family = wanted->address.family;
	routes->counters.wanted++;
	switch (routes_mirror_wanted(routes->mirror, wanted->ifindex, &address)) {
	case ROUTES_WANTED_RESOLVE:
		if (wanted_within_rate(routes, wanted->ifindex, &address))
			resolve(routes, wanted->ifindex, &address);
		else
			routes->counters.wanted_limited++;
		break;
	case ROUTES_WANTED_KNOWN:
		routes_continue(routes);
		break;
	case ROUTES_WANTED_REFUSED:
		routes->counters.wanted_refused++;
		break;
	}
	sodium_memzero(&address, sizeof(address));
}

// ---- life ----

static int netlink_open(void)
{
	static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
		RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	int size = SOCKET_BUFFER, on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	// Lets the kernel pick the table; without it (before 4.20) routes_decode does.
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int rc = bind(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	for (size_t i = 0; !rc && i < sizeof(groups) / sizeof(groups[0]); i++)
		// Kernels without nexthop objects have no group of them.
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) &&
			groups[i] != RTNLGRP_NEXTHOP)
			rc = -errno;
	if (rc) {
		close(fd);
		return rc;
	}
	return fd;
}

int routes_open(uv_loop_t *loop, const struct routes_owner *owner, struct routes **out)
{
	struct routes *routes = calloc(1, sizeof(*routes));
	if (!routes)
		return -ENOMEM;
	int rc = -ENOMEM;
	routes->mirror = routes_mirror_create();
	if (!routes->mirror)
		goto free_routes;
	rc = routes->fd = netlink_open();
	if (rc < 0)
		goto free_mirror;
	rc = uv_poll_init(loop, &routes->poll, routes->fd);
	if (rc)
		goto close_socket;
	routes->owner = *owner;
	routes->dumping = -1;
	routes->dumps_missing = ALL_DUMPS;
	routes->tokens = ROUTES_RESOLVE_RATE;
	routes->tokens_at_ms = now_ms();
	randombytes_buf(routes->seed, sizeof(routes->seed));
	uv_timer_init(loop, &routes->settle);
	uv_timer_init(loop, &routes->confirm);
	uv_timer_init(loop, &routes->gateways);
	routes->open_handles = 4;
	routes->poll.data = routes->settle.data = routes->confirm.data = routes;
	routes->gateways.data = routes;
	uv_poll_start(&routes->poll, UV_READABLE, on_poll);
	uv_timer_start(&routes->confirm, on_confirm, ROUTES_CONFIRM_MS, ROUTES_CONFIRM_MS);
	dumps_want(routes, ALL_DUMPS, 0);
	*out = routes;
	return 0;
close_socket:
	close(routes->fd);
free_mirror:
	routes_mirror_free(routes->mirror);
free_routes:
	free(routes);
	return rc;
}

static void handle_closed(uv_handle_t *handle)
{
	struct routes *routes = handle->data;
	if (--routes->open_handles)
		return;
	close(routes->fd);
	routes_mirror_free(routes->mirror);
	sodium_memzero(routes, sizeof(*routes));
	free(routes);
}

void routes_close(struct routes *routes)
{
	if (!routes || routes->closing)
		return;
	routes->closing = true;
	routes->attached = false;
	uv_close((uv_handle_t *)&routes->poll, handle_closed);
	uv_close((uv_handle_t *)&routes->settle, handle_closed);
	uv_close((uv_handle_t *)&routes->confirm, handle_closed);
	uv_close((uv_handle_t *)&routes->gateways, handle_closed);
}

void routes_count(const struct routes *routes, struct routes_mirror_counts *out)
{
	routes_mirror_count(routes->mirror, out);
}

const struct routes_counters *routes_counters(const struct routes *routes)
{
	return &routes->counters;
}

bool routes_port_up(struct routes *routes, const char *name)
{
	return routes_mirror_port_up(routes->mirror, name);
}
