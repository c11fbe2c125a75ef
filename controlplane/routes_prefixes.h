// SPDX-License-Identifier: BSD-3-Clause
// The kernel's main table of both families as the dataplane is to see it: per prefix the best of
// the kernel's routes (lowest metric that lives), its hops over interfaces the dataplane has, and
// what of it the dataplane was told. No I/O; a part of routes_mirror.
//
// - A route over other interfaces only is told as a blackhole: the kernel would not send such
//   packets out of our ports either.
// - IPv4 allows several routes of one prefix and metric (ip route append); the first one counts.
// Which
//   one follows when it goes is not in the kernel's message, so the table is to be read again then.
// - The kernel drops IPv4 routes silently when a link or an address goes: the caller has the table
//   read again, and what was not seen between dump_begin and dump_end is gone.
#pragma once

#include "controlplane/routes_codec.h"

struct routes_output {
	void *context;
	// False: no room now, the same will be offered again.
	bool (*emit)(void *context, enum api_type type, const void *payload, uint32_t size);
	// Whether the dataplane can send out of it.
	bool (*matters)(void *matters_context, uint32_t ifindex);
	void *matters_context;
};

struct routes_prefixes;

struct routes_prefixes *routes_prefixes_create(void);
void routes_prefixes_free(struct routes_prefixes *prefixes);

// dumped: part of a dump, else an event. True when the family's table must be read again to know.
bool routes_prefixes_apply(
	struct routes_prefixes *prefixes, const struct routes_route *route, bool gone, bool dumped);
void routes_prefixes_nexthop(
	struct routes_prefixes *prefixes, const struct routes_nexthop *nexthop, bool gone);

// Around a dump of one family (enum net_family), and of the nexthop objects.
void routes_prefixes_dump_begin(struct routes_prefixes *prefixes, uint8_t family);
void routes_prefixes_dump_end(struct routes_prefixes *prefixes, uint8_t family);
void routes_prefixes_nexthops_dump_begin(struct routes_prefixes *prefixes);
void routes_prefixes_nexthops_dump_end(struct routes_prefixes *prefixes);

// Other interfaces matter now: everything is to be judged again.
void routes_prefixes_judge_all(struct routes_prefixes *prefixes);
// A new dataplane knows nothing.
void routes_prefixes_forget_sent(struct routes_prefixes *prefixes);
// Emits what differs from what was sent. False when output had no room before the end.
bool routes_prefixes_flush(struct routes_prefixes *prefixes, const struct routes_output *output);

// Prefixes the dataplane has been told.
size_t routes_prefixes_count(const struct routes_prefixes *prefixes);
// Every gateway in use on links that matter, possibly several times. Looks at no more than
// ROUTES_GATEWAY_SCAN prefixes, so that a full table does not stop the event loop.
enum { ROUTES_GATEWAY_SCAN = 8192 };
void routes_prefixes_visit_gateways(struct routes_prefixes *prefixes,
	const struct routes_output *output,
	void (*visit)(void *context, const struct api_next_hop *hop), void *context);
