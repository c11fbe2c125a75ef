// SPDX-License-Identifier: BSD-3-Clause
// The table of routes_prefixes.h. What was sent is remembered as a hash of the message: a table of
// the whole Internet has a million of them.
#include "controlplane/routes_prefixes.h"

#include "controlplane/keyed_set.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct candidate {
	struct candidate *next; // by metric, ascending; one of each
	uint32_t metric;
	uint32_t generation;
	uint32_t nexthop_id;
	bool blackhole;
	bool ambiguous; // the kernel has more of this metric
	uint16_t count;
	struct api_next_hop hops[];
};

struct entry {
	struct keyed_node node;
	struct net_prefix prefix;
	TAILQ_ENTRY(entry) dirty;
	bool is_dirty;
	uint64_t sent; // hash of the message; 0: not sent
	struct candidate *candidates;
};
static_assert(offsetof(struct entry, prefix) == sizeof(struct keyed_node), "key");

struct nexthop_entry {
	struct keyed_node node;
	uint32_t id;
	uint32_t generation;
	struct routes_nexthop nexthop;
};
static_assert(offsetof(struct nexthop_entry, id) == sizeof(struct keyed_node), "key");

TAILQ_HEAD(entry_list, entry);

struct routes_prefixes {
	struct keyed_set entries;
	struct keyed_set nexthops;
	struct entry_list dirty;
	uint32_t generation[2]; // of IPv4, IPv6
	uint32_t nexthop_generation;
	size_t sent_count;
	uint8_t seed[crypto_shorthash_KEYBYTES];
};

struct routes_prefixes *routes_prefixes_create(void)
{
	struct routes_prefixes *prefixes = calloc(1, sizeof(*prefixes));
	if (!prefixes)
		return NULL;
	TAILQ_INIT(&prefixes->dirty);
	randombytes_buf(prefixes->seed, sizeof(prefixes->seed));
	if (!keyed_set_init(&prefixes->entries, sizeof(struct net_prefix)) ||
		!keyed_set_init(&prefixes->nexthops, sizeof(uint32_t))) {
		routes_prefixes_free(prefixes);
		return NULL;
	}
	return prefixes;
}

static void entry_destroy(struct keyed_node *node)
{
	struct entry *entry = (struct entry *)node;
	while (entry->candidates) {
		struct candidate *candidate = entry->candidates;
		entry->candidates = candidate->next;
		free(candidate);
	}
	free(entry);
}

static void nexthop_destroy(struct keyed_node *node)
{
	free(node);
}

void routes_prefixes_free(struct routes_prefixes *prefixes)
{
	if (!prefixes)
		return;
	keyed_set_free(&prefixes->entries, entry_destroy);
	keyed_set_free(&prefixes->nexthops, nexthop_destroy);
	free(prefixes);
}

size_t routes_prefixes_count(const struct routes_prefixes *prefixes)
{
	return prefixes->sent_count;
}

static void mark(struct routes_prefixes *prefixes, struct entry *entry)
{
	if (entry->is_dirty)
		return;
	entry->is_dirty = true;
	TAILQ_INSERT_TAIL(&prefixes->dirty, entry, dirty);
}

static uint32_t *generation_of(struct routes_prefixes *prefixes, uint8_t family)
{
	return &prefixes->generation[family == NET_IPV6];
}

// ---- the kernel's routes ----

static struct candidate **candidate_place(struct entry *entry, uint32_t metric)
{
	struct candidate **place = &entry->candidates;
	while (*place && (*place)->metric < metric)
		place = &(*place)->next;
	return place;
}

static void candidate_drop(struct candidate **place)
{
	struct candidate *candidate = *place;
	*place = candidate->next;
	free(candidate);
}

static bool same_hops(const struct candidate *candidate, const struct routes_route *route)
{
	return candidate->blackhole == route->blackhole &&
	       candidate->nexthop_id == route->nexthop_id && candidate->count == route->count &&
	       memcmp(candidate->hops, route->hops, route->count * sizeof(route->hops[0])) == 0;
}

static bool has_hop(
	const struct api_next_hop *hops, unsigned count, const struct api_next_hop *wanted)
{
	for (unsigned i = 0; i < count; i++)
		if (memcmp(&hops[i], wanted, sizeof(*wanted)) == 0)
			return true;
	return false;
}

// IPv6 tells of a hop added to a multipath route by the whole new set.
static bool extends(const struct candidate *candidate, const struct routes_route *route)
{
	if (route->prefix.address.family != NET_IPV6 || route->blackhole || candidate->blackhole ||
		route->count < candidate->count)
		return false;
	for (unsigned i = 0; i < candidate->count; i++)
		if (!has_hop(route->hops, route->count, &candidate->hops[i]))
			return false;
	return true;
}

// Puts the route where *place points, instead of the candidate there when that has its metric.
static bool candidate_put(struct candidate **place, const struct routes_route *route)
{
	size_t hops_size = route->count * sizeof(route->hops[0]);
	struct candidate *candidate = malloc(sizeof(*candidate) + hops_size);
	if (!candidate)
		return false;
	struct candidate *next = *place;
	bool ambiguous = false;
	if (next && next->metric == route->metric) {
		ambiguous = next->ambiguous;
		candidate_drop(place);
		next = *place;
	}
	*candidate = (struct candidate){
		.next = next,
		.metric = route->metric,
		.nexthop_id = route->nexthop_id,
		.blackhole = route->blackhole,
		.ambiguous = ambiguous,
		.count = route->count,
	};
	memcpy(candidate->hops, route->hops, hops_size);
	*place = candidate;
	return true;
}

static struct entry *entry_make(struct routes_prefixes *prefixes, const struct net_prefix *prefix)
{
	struct entry *entry = (struct entry *)keyed_set_find(&prefixes->entries, prefix);
	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	entry->prefix = *prefix;
	keyed_set_insert(&prefixes->entries, &entry->node);
	return entry;
}

static bool add(struct routes_prefixes *prefixes, const struct routes_route *route, bool dumped)
{
	uint32_t generation = *generation_of(prefixes, route->prefix.address.family);
	struct entry *entry = entry_make(prefixes, &route->prefix);
	if (!entry)
		return true;
	struct candidate **place = candidate_place(entry, route->metric);
	struct candidate *known = *place && (*place)->metric == route->metric ? *place : NULL;
	if (known && same_hops(known, route)) {
		if (dumped && known->generation != generation)
			known->ambiguous = false;
		known->generation = generation;
		return false;
	}
	bool first = !known || (dumped && known->generation != generation);
	if (first || (!dumped && (route->replaces || extends(known, route)))) {
		if (!candidate_put(place, route)) {
			mark(prefixes, entry); // an entry made above is freed by the flush
			return true;
		}
		(*place)->generation = generation;
		if (dumped)
			(*place)->ambiguous = false;
		mark(prefixes, entry);
		return false;
	}
	known->ambiguous = true;
	known->generation = generation;
	return false;
}

// A route that lost some of its hops: IPv6 tells of each hop that went.
static bool subtract(struct candidate *candidate, const struct routes_route *route)
{
	uint16_t kept = 0;
	for (unsigned i = 0; i < candidate->count; i++)
		if (!has_hop(route->hops, route->count, &candidate->hops[i]))
			candidate->hops[kept++] = candidate->hops[i];
	candidate->count = kept;
	return kept != 0;
}

static bool delete (struct routes_prefixes *prefixes, const struct routes_route *route)
{
	struct entry *entry = (struct entry *)keyed_set_find(&prefixes->entries, &route->prefix);
	if (!entry)
		return false;
	struct candidate **place = candidate_place(entry, route->metric);
	if (!*place || (*place)->metric != route->metric)
		return false;
	// One of several goes. Which one follows is not known yet, and until it is (a moment later)
	// the old one is better than none.
	if ((*place)->ambiguous)
		return true;
	bool same = same_hops(*place, route);
	bool partial = !same && route->prefix.address.family == NET_IPV6 && !route->blackhole &&
		       !(*place)->blackhole && (*place)->count > route->count;
	if (!partial || !subtract(*place, route))
		candidate_drop(place);
	mark(prefixes, entry);
	return false;
}

bool routes_prefixes_apply(
	struct routes_prefixes *prefixes, const struct routes_route *route, bool gone, bool dumped)
{
	return gone ? delete (prefixes, route) : add(prefixes, route, dumped);
}

void routes_prefixes_dump_begin(struct routes_prefixes *prefixes, uint8_t family)
{
	++*generation_of(prefixes, family);
}

struct sweep {
	struct routes_prefixes *prefixes;
	uint8_t family;
};

static void sweep_entry(void *context, struct keyed_node *node)
{
	const struct sweep *sweep = context;
	struct entry *entry = (struct entry *)node;
	if (entry->prefix.address.family != sweep->family)
		return;
	uint32_t generation = *generation_of(sweep->prefixes, sweep->family);
	struct candidate **place = &entry->candidates;
	while (*place) {
		if ((*place)->generation == generation) {
			place = &(*place)->next;
			continue;
		}
		candidate_drop(place);
		mark(sweep->prefixes, entry);
	}
}

void routes_prefixes_dump_end(struct routes_prefixes *prefixes, uint8_t family)
{
	struct sweep sweep = {prefixes, family};
	keyed_set_visit(&prefixes->entries, sweep_entry, &sweep);
}

// ---- nexthop objects ----

static void mark_if_by_object(void *context, struct keyed_node *node)
{
	struct entry *entry = (struct entry *)node;
	for (const struct candidate *c = entry->candidates; c; c = c->next)
		if (c->nexthop_id)
			mark(context, entry);
}

void routes_prefixes_nexthop(
	struct routes_prefixes *prefixes, const struct routes_nexthop *nexthop, bool gone)
{
	struct nexthop_entry *known =
		(struct nexthop_entry *)keyed_set_find(&prefixes->nexthops, &nexthop->id);
	if (gone) {
		if (!known)
			return;
		keyed_set_remove(&prefixes->nexthops, &known->node);
		free(known);
	} else {
		bool changed = !known || memcmp(&known->nexthop, nexthop, sizeof(*nexthop)) != 0;
		if (!known) {
			known = calloc(1, sizeof(*known));
			if (!known)
				return;
			known->id = nexthop->id;
			keyed_set_insert(&prefixes->nexthops, &known->node);
		}
		known->generation = prefixes->nexthop_generation;
		known->nexthop = *nexthop;
		if (!changed)
			return;
	}
	keyed_set_visit(&prefixes->entries, mark_if_by_object, prefixes);
}

void routes_prefixes_nexthops_dump_begin(struct routes_prefixes *prefixes)
{
	prefixes->nexthop_generation++;
}

static void sweep_nexthop(void *context, struct keyed_node *node)
{
	struct routes_prefixes *prefixes = context;
	if (((struct nexthop_entry *)node)->generation == prefixes->nexthop_generation)
		return;
	keyed_set_remove(&prefixes->nexthops, node);
	free(node);
}

void routes_prefixes_nexthops_dump_end(struct routes_prefixes *prefixes)
{
	size_t before = prefixes->nexthops.count;
	keyed_set_visit(&prefixes->nexthops, sweep_nexthop, prefixes);
	if (prefixes->nexthops.count != before)
		keyed_set_visit(&prefixes->entries, mark_if_by_object, prefixes);
}

// ---- what the dataplane is to know ----

struct resolved {
	bool blackhole;
	unsigned count;
	struct api_next_hop hops[API_NEXT_HOPS_MAX];
};

static void resolve_object(
	struct routes_prefixes *prefixes, uint32_t id, bool member, struct resolved *out)
{
	const struct nexthop_entry *found =
		(const struct nexthop_entry *)keyed_set_find(&prefixes->nexthops, &id);
	if (!found)
		return;
	const struct routes_nexthop *nexthop = &found->nexthop;
	if (nexthop->blackhole) {
		out->blackhole = !member;
	} else if (nexthop->member_count) {
		// The kernel has no groups within groups.
		for (unsigned i = 0; i < nexthop->member_count && !member; i++)
			resolve_object(prefixes, nexthop->members[i], true, out);
	} else if (out->count < API_NEXT_HOPS_MAX) {
		out->hops[out->count++] = nexthop->hop;
	}
}

static void resolve(
	struct routes_prefixes *prefixes, const struct candidate *candidate, struct resolved *out)
{
	*out = (struct resolved){.blackhole = candidate->blackhole};
	if (candidate->nexthop_id)
		resolve_object(prefixes, candidate->nexthop_id, false, out);
	if (out->count || out->blackhole)
		return;
	out->count = candidate->count;
	memcpy(out->hops, candidate->hops, candidate->count * sizeof(out->hops[0]));
}

static int compare_hops(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct api_next_hop));
}

// False: the dataplane is not to have this prefix. Hops come sorted: the kernel's order differs
// between its messages, and flows should not move for that.
static bool desired(struct routes_prefixes *prefixes, const struct entry *entry,
	const struct routes_output *output, struct api_route *out)
{
	*out = (struct api_route){.prefix = entry->prefix};
	for (const struct candidate *c = entry->candidates; c; c = c->next) {
		struct resolved resolved;
		resolve(prefixes, c, &resolved);
		if (!resolved.count && !resolved.blackhole)
			continue; // all hops are dead: the kernel passes over it too
		for (unsigned i = 0; i < resolved.count && !resolved.blackhole; i++)
			if (resolved.hops[i].ifindex &&
				output->matters(output->matters_context, resolved.hops[i].ifindex))
				out->hops[out->count++] = resolved.hops[i];
		qsort(out->hops, out->count, sizeof(out->hops[0]), compare_hops);
		return true;
	}
	return false;
}

static uint64_t message_hash(const struct routes_prefixes *prefixes, const struct api_route *route)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, (const unsigned char *)route, sizeof(*route),
		prefixes->seed);
	return hash ? hash : 1;
}

static bool flush_entry(
	struct routes_prefixes *prefixes, struct entry *entry, const struct routes_output *output)
{
	struct api_route route;
	bool wanted = desired(prefixes, entry, output, &route);
	uint64_t hash = wanted ? message_hash(prefixes, &route) : 0;
	if (hash != entry->sent) {
		enum api_type type = wanted ? API_ROUTE_SET : API_ROUTE_DELETE;
		if (!output->emit(output->context, type, &route, sizeof(route)))
			return false;
		prefixes->sent_count += (size_t)(hash != 0) - (size_t)(entry->sent != 0);
		entry->sent = hash;
	}
	return true;
}

bool routes_prefixes_flush(struct routes_prefixes *prefixes, const struct routes_output *output)
{
	struct entry *entry;
	while ((entry = TAILQ_FIRST(&prefixes->dirty))) {
		if (!flush_entry(prefixes, entry, output))
			return false;
		TAILQ_REMOVE(&prefixes->dirty, entry, dirty);
		entry->is_dirty = false;
		if (!entry->candidates) {
			keyed_set_remove(&prefixes->entries, &entry->node);
			entry_destroy(&entry->node);
		}
	}
	return true;
}

static void mark_entry(void *context, struct keyed_node *node)
{
	mark(context, (struct entry *)node);
}

void routes_prefixes_judge_all(struct routes_prefixes *prefixes)
{
	keyed_set_visit(&prefixes->entries, mark_entry, prefixes);
}

static void forget_entry(void *context, struct keyed_node *node)
{
	((struct entry *)node)->sent = 0;
	mark(context, (struct entry *)node);
}

void routes_prefixes_forget_sent(struct routes_prefixes *prefixes)
{
	prefixes->sent_count = 0;
	keyed_set_visit(&prefixes->entries, forget_entry, prefixes);
}

struct gateway_visit {
	struct routes_prefixes *prefixes;
	const struct routes_output *output;
	void (*visit)(void *context, const struct api_next_hop *hop);
	void *context;
	unsigned left;
};

static void visit_gateways(void *context, struct keyed_node *node)
{
	struct gateway_visit *visit = context;
	struct api_route route;
	if (!visit->left)
		return;
	visit->left--;
	if (!desired(visit->prefixes, (struct entry *)node, visit->output, &route))
		return;
	for (unsigned i = 0; i < route.count; i++)
		if (route.hops[i].gateway.family)
			visit->visit(visit->context, &route.hops[i]);
}

void routes_prefixes_visit_gateways(struct routes_prefixes *prefixes,
	const struct routes_output *output,
	void (*visit)(void *context, const struct api_next_hop *hop), void *context)
{
	struct gateway_visit state = {prefixes, output, visit, context, ROUTES_GATEWAY_SCAN};
	keyed_set_visit(&prefixes->entries, visit_gateways, &state);
}
