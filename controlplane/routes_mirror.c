// SPDX-License-Identifier: BSD-3-Clause
// Links, addresses and neighbours of routes_mirror.h; prefixes are routes_prefixes.c's.
#include "controlplane/routes_mirror.h"

#include "controlplane/keyed_set.h"
#include "controlplane/routes_prefixes.h"
#include "lib/config/config.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct link_entry {
	struct keyed_node node;
	uint32_t ifindex;
	uint32_t generation;
	struct routes_link link;
	bool gone;    // the kernel's is; ours stays until the dataplane was told
	bool matters; // as judged last
	struct api_link_set wanted;
	struct api_link_set sent;
	bool is_sent;
};
static_assert(offsetof(struct link_entry, ifindex) == sizeof(struct keyed_node), "key");

struct neighbour_key {
	uint32_t ifindex;
	struct net_address address;
};
static_assert(sizeof(struct neighbour_key) == 24, "no padding");

struct neighbour_entry {
	struct keyed_node node;
	struct neighbour_key key;
	uint32_t generation;
	bool gone;
	bool usable, stale;
	bool is_dirty;
	bool is_sent;
	uint8_t mac[6], sent_mac[6];
	TAILQ_ENTRY(neighbour_entry) dirty;
};
static_assert(offsetof(struct neighbour_entry, key) == sizeof(struct keyed_node), "key");

struct address_entry {
	struct keyed_node node;
	struct neighbour_key key;
	uint32_t generation;
};
static_assert(offsetof(struct address_entry, key) == sizeof(struct keyed_node), "key");

TAILQ_HEAD(neighbour_list, neighbour_entry);

struct routes_mirror {
	struct routes_prefixes *prefixes;
	struct keyed_set links, addresses, neighbours;
	struct neighbour_list dirty;
	uint32_t generation[ROUTES_DUMPS];
	bool links_changed; // to be judged again
	bool links_pending; // some link differs from what was sent
	bool addresses_changed;
	size_t links_sent, neighbours_sent;
	char ports[CONFIG_PORTS_MAX][ROUTES_NAME_SIZE];
	size_t port_count;
};

struct routes_mirror *routes_mirror_create(void)
{
	struct routes_mirror *mirror = calloc(1, sizeof(*mirror));
	if (!mirror)
		return NULL;
	TAILQ_INIT(&mirror->dirty);
	mirror->prefixes = routes_prefixes_create();
	if (!mirror->prefixes || !keyed_set_init(&mirror->links, sizeof(uint32_t)) ||
		!keyed_set_init(&mirror->addresses, sizeof(struct neighbour_key)) ||
		!keyed_set_init(&mirror->neighbours, sizeof(struct neighbour_key))) {
		routes_mirror_free(mirror);
		return NULL;
	}
	return mirror;
}

static void entry_free(struct keyed_node *node)
{
	free(node);
}

static void neighbour_free(struct keyed_node *node)
{
	sodium_memzero(node, sizeof(struct neighbour_entry));
	free(node);
}

void routes_mirror_free(struct routes_mirror *mirror)
{
	if (!mirror)
		return;
	routes_prefixes_free(mirror->prefixes);
	keyed_set_free(&mirror->links, entry_free);
	keyed_set_free(&mirror->addresses, entry_free);
	keyed_set_free(&mirror->neighbours, neighbour_free);
	free(mirror);
}

// ---- links ----

static struct link_entry *link_find(const struct routes_mirror *mirror, uint32_t ifindex)
{
	return (struct link_entry *)keyed_set_find(&mirror->links, &ifindex);
}

static bool is_port(const struct routes_mirror *mirror, const struct link_entry *entry)
{
	if (entry->gone || !entry->link.ethernet)
		return false;
	for (size_t i = 0; i < mirror->port_count; i++)
		if (strncmp(mirror->ports[i], entry->link.name, ROUTES_NAME_SIZE) == 0)
			return true;
	return false;
}

// Whether the dataplane can send out of the link, and how it is to be told of it.
static bool judge(const struct routes_mirror *mirror, const struct link_entry *entry,
	struct api_link_set *out)
{
	if (entry->gone)
		return false;
	const struct link_entry *port = entry;
	uint16_t vlan = 0;
	if (!is_port(mirror, entry)) {
		port = entry->link.vlan ? link_find(mirror, entry->link.lower) : NULL;
		if (!port || !is_port(mirror, port))
			return false;
		vlan = entry->link.vlan;
	}
	*out = (struct api_link_set){
		.ifindex = entry->ifindex,
		.vlan = vlan,
		.mtu = entry->link.mtu,
		.up = entry->link.up,
	};
	memcpy(out->port_interface, port->link.name, sizeof(out->port_interface));
	memcpy(out->mac, entry->link.mac, sizeof(out->mac));
	return true;
}

static unsigned apply_link(
	struct routes_mirror *mirror, const struct routes_link *link, bool gone, bool dumped)
{
	struct link_entry *entry = link_find(mirror, link->ifindex);
	if (!entry) {
		if (gone)
			return 0;
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return 1u << ROUTES_DUMP_LINKS;
		entry->ifindex = link->ifindex;
		keyed_set_insert(&mirror->links, &entry->node);
	} else if (!gone && !entry->gone && memcmp(&entry->link, link, sizeof(*link)) == 0) {
		entry->generation = mirror->generation[ROUTES_DUMP_LINKS];
		return 0;
	}
	bool was_up = entry->link.up && !entry->gone;
	entry->generation = mirror->generation[ROUTES_DUMP_LINKS];
	entry->gone = gone;
	entry->link = *link;
	mirror->links_changed = true;
	// IPv4 routes over a link that goes down disappear without a word.
	bool lost = was_up && (gone || !link->up);
	return lost && !dumped ? 1u << ROUTES_DUMP_ROUTES_V4 | 1u << ROUTES_DUMP_ROUTES_V6 : 0;
}

struct judgement {
	struct routes_mirror *mirror;
	bool matters_changed;
};

static void judge_link(void *context, struct keyed_node *node)
{
	struct judgement *judgement = context;
	struct link_entry *entry = (struct link_entry *)node;
	struct api_link_set wanted = {0};
	bool matters = judge(judgement->mirror, entry, &wanted);
	if (matters != entry->matters)
		judgement->matters_changed = true;
	entry->matters = matters;
	entry->wanted = wanted;
	if (matters != entry->is_sent ||
		(matters && memcmp(&wanted, &entry->sent, sizeof(wanted)) != 0)) {
		judgement->mirror->links_pending = true;
	} else if (entry->gone) {
		keyed_set_remove(&judgement->mirror->links, node);
		free(entry);
	}
}

static void neighbour_mark(struct routes_mirror *mirror, struct neighbour_entry *entry)
{
	if (entry->is_dirty)
		return;
	entry->is_dirty = true;
	TAILQ_INSERT_TAIL(&mirror->dirty, entry, dirty);
}

static void neighbour_mark_each(void *context, struct keyed_node *node)
{
	neighbour_mark(context, (struct neighbour_entry *)node);
}

static void judge_links(struct routes_mirror *mirror)
{
	if (!mirror->links_changed)
		return;
	mirror->links_changed = false;
	struct judgement judgement = {.mirror = mirror};
	keyed_set_visit(&mirror->links, judge_link, &judgement);
	if (!judgement.matters_changed)
		return;
	routes_prefixes_judge_all(mirror->prefixes);
	keyed_set_visit(&mirror->neighbours, neighbour_mark_each, mirror);
}

void routes_mirror_ports(
	struct routes_mirror *mirror, const char (*names)[ROUTES_NAME_SIZE], size_t count)
{
	mirror->port_count = count < CONFIG_PORTS_MAX ? count : CONFIG_PORTS_MAX;
	memcpy(mirror->ports, names, mirror->port_count * ROUTES_NAME_SIZE);
	mirror->links_changed = true;
}

static bool matters(void *context, uint32_t ifindex)
{
	const struct link_entry *entry = link_find(context, ifindex);
	return entry && entry->matters;
}

// ---- addresses ----

static void apply_address(
	struct routes_mirror *mirror, const struct routes_address *address, bool gone)
{
	struct neighbour_key key = {address->ifindex, address->address};
	struct address_entry *entry =
		(struct address_entry *)keyed_set_find(&mirror->addresses, &key);
	if (gone && entry) {
		keyed_set_remove(&mirror->addresses, &entry->node);
		free(entry);
		mirror->addresses_changed = true;
	}
	if (gone)
		return;
	if (!entry) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return;
		entry->key = key;
		keyed_set_insert(&mirror->addresses, &entry->node);
		mirror->addresses_changed = true;
	}
	entry->generation = mirror->generation[ROUTES_DUMP_ADDRESSES];
}

bool routes_mirror_addresses_changed(struct routes_mirror *mirror)
{
	bool changed = mirror->addresses_changed;
	mirror->addresses_changed = false;
	return changed;
}

struct address_list {
	struct net_address *out;
	size_t max, count;
};

static void list_address(void *context, struct keyed_node *node)
{
	struct address_list *list = context;
	const struct net_address *address = &((struct address_entry *)node)->key.address;
	for (size_t i = 0; i < list->count && i < list->max; i++)
		if (net_address_equal(&list->out[i], address))
			return;
	if (list->count < list->max)
		list->out[list->count] = *address;
	list->count++;
}

size_t routes_mirror_addresses(struct routes_mirror *mirror, struct net_address *out, size_t max)
{
	struct address_list list = {out, max, 0};
	keyed_set_visit(&mirror->addresses, list_address, &list);
	return list.count;
}

// ---- neighbours ----

static struct neighbour_entry *neighbour_find(
	const struct routes_mirror *mirror, uint32_t ifindex, const struct net_address *address)
{
	const struct neighbour_key key = {ifindex, *address};
	return (struct neighbour_entry *)keyed_set_find(&mirror->neighbours, &key);
}

static void apply_neighbour(
	struct routes_mirror *mirror, const struct routes_neighbour *neighbour, bool gone)
{
	struct neighbour_entry *entry =
		neighbour_find(mirror, neighbour->ifindex, &neighbour->address);
	gone = gone || !neighbour->usable;
	if (!entry) {
		if (gone)
			return;
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return;
		entry->key = (struct neighbour_key){neighbour->ifindex, neighbour->address};
		keyed_set_insert(&mirror->neighbours, &entry->node);
	}
	entry->generation = mirror->generation[ROUTES_DUMP_NEIGHBOURS];
	entry->gone = gone;
	entry->usable = neighbour->usable && !gone;
	entry->stale = neighbour->stale;
	memcpy(entry->mac, neighbour->mac, sizeof(entry->mac));
	if (gone || !entry->is_sent || memcmp(entry->mac, entry->sent_mac, sizeof(entry->mac)) != 0)
		neighbour_mark(mirror, entry);
}

static bool flush_neighbour(struct routes_mirror *mirror, struct neighbour_entry *entry,
	const struct routes_output *output)
{
	bool wanted = !entry->gone && matters(mirror, entry->key.ifindex);
	struct api_neighbour message = {
		.ifindex = entry->key.ifindex, .address = entry->key.address};
	bool sent = true;
	if (wanted) {
		memcpy(message.mac, entry->mac, sizeof(message.mac));
		if (!entry->is_sent || memcmp(entry->mac, entry->sent_mac, sizeof(entry->mac)) != 0)
			sent = output->emit(
				output->context, API_NEIGHBOUR_SET, &message, sizeof(message));
	} else if (entry->is_sent) {
		sent = output->emit(
			output->context, API_NEIGHBOUR_DELETE, &message, sizeof(message));
	}
	sodium_memzero(&message, sizeof(message));
	if (!sent)
		return false;
	mirror->neighbours_sent += (size_t)wanted - (size_t)entry->is_sent;
	entry->is_sent = wanted;
	memcpy(entry->sent_mac, entry->mac, sizeof(entry->sent_mac));
	return true;
}

static bool flush_neighbours(struct routes_mirror *mirror, const struct routes_output *output)
{
	struct neighbour_entry *entry;
	while ((entry = TAILQ_FIRST(&mirror->dirty))) {
		if (!flush_neighbour(mirror, entry, output))
			return false;
		TAILQ_REMOVE(&mirror->dirty, entry, dirty);
		entry->is_dirty = false;
		if (entry->gone) {
			keyed_set_remove(&mirror->neighbours, &entry->node);
			neighbour_free(&entry->node);
		}
	}
	return true;
}

enum routes_wanted routes_mirror_wanted(
	struct routes_mirror *mirror, uint32_t ifindex, const struct net_address *address)
{
	bool unicast = (address->family == NET_IPV4 && address->bytes[0] > 0 &&
			       address->bytes[0] < 224 && address->bytes[0] != 127) ||
		       (address->family == NET_IPV6 && address->bytes[0] != 0xFF);
	if (!unicast || !matters(mirror, ifindex))
		return ROUTES_WANTED_REFUSED;
	struct neighbour_entry *entry = neighbour_find(mirror, ifindex, address);
	if (!entry || entry->gone)
		return ROUTES_WANTED_RESOLVE;
	if (entry->is_sent) {
		entry->is_sent = false;
		mirror->neighbours_sent--;
	}
	neighbour_mark(mirror, entry);
	return ROUTES_WANTED_KNOWN;
}

// ---- what the kernel says ----

static unsigned apply_route(
	struct routes_mirror *mirror, const struct routes_event *event, bool dumped)
{
	if (!routes_prefixes_apply(mirror->prefixes, &event->route, event->gone, dumped))
		return 0;
	return event->route.prefix.address.family == NET_IPV4 ? 1u << ROUTES_DUMP_ROUTES_V4
							      : 1u << ROUTES_DUMP_ROUTES_V6;
}

unsigned routes_mirror_apply(
	struct routes_mirror *mirror, const struct routes_event *event, bool dumped)
{
	switch (event->kind) {
	case ROUTES_LINK:
		return apply_link(mirror, &event->link, event->gone, dumped);
	case ROUTES_ADDRESS:
		apply_address(mirror, &event->address, event->gone);
		// So do IPv4 routes that used the address as their source.
		return event->gone && event->address.address.family == NET_IPV4
			       ? 1u << ROUTES_DUMP_ROUTES_V4
			       : 0;
	case ROUTES_NEXTHOP:
		routes_prefixes_nexthop(mirror->prefixes, &event->nexthop, event->gone);
		// And routes of an object that was deleted.
		return event->gone ? 1u << ROUTES_DUMP_ROUTES_V4 | 1u << ROUTES_DUMP_ROUTES_V6 : 0;
	case ROUTES_ROUTE:
		return apply_route(mirror, event, dumped);
	case ROUTES_NEIGHBOUR:
		apply_neighbour(mirror, &event->neighbour, event->gone);
		return 0;
	case ROUTES_KINDS:
		break;
	}
	return 0;
}

void routes_mirror_dump_begin(struct routes_mirror *mirror, enum routes_dump dump)
{
	mirror->generation[dump]++;
	if (dump == ROUTES_DUMP_ROUTES_V4)
		routes_prefixes_dump_begin(mirror->prefixes, NET_IPV4);
	else if (dump == ROUTES_DUMP_ROUTES_V6)
		routes_prefixes_dump_begin(mirror->prefixes, NET_IPV6);
	else if (dump == ROUTES_DUMP_NEXTHOPS)
		routes_prefixes_nexthops_dump_begin(mirror->prefixes);
}

static void sweep_link(void *context, struct keyed_node *node)
{
	struct routes_mirror *mirror = context;
	struct link_entry *entry = (struct link_entry *)node;
	if (entry->gone || entry->generation == mirror->generation[ROUTES_DUMP_LINKS])
		return;
	entry->gone = true;
	mirror->links_changed = true;
}

static void sweep_address(void *context, struct keyed_node *node)
{
	struct routes_mirror *mirror = context;
	struct address_entry *entry = (struct address_entry *)node;
	if (entry->generation == mirror->generation[ROUTES_DUMP_ADDRESSES])
		return;
	keyed_set_remove(&mirror->addresses, node);
	free(entry);
	mirror->addresses_changed = true;
}

static void sweep_neighbour(void *context, struct keyed_node *node)
{
	struct routes_mirror *mirror = context;
	struct neighbour_entry *entry = (struct neighbour_entry *)node;
	if (entry->generation == mirror->generation[ROUTES_DUMP_NEIGHBOURS])
		return;
	entry->gone = true;
	entry->usable = false;
	neighbour_mark(mirror, entry);
}

void routes_mirror_dump_end(struct routes_mirror *mirror, enum routes_dump dump)
{
	switch (dump) {
	case ROUTES_DUMP_LINKS:
		keyed_set_visit(&mirror->links, sweep_link, mirror);
		return;
	case ROUTES_DUMP_ADDRESSES:
		keyed_set_visit(&mirror->addresses, sweep_address, mirror);
		return;
	case ROUTES_DUMP_NEXTHOPS:
		routes_prefixes_nexthops_dump_end(mirror->prefixes);
		return;
	case ROUTES_DUMP_ROUTES_V4:
		routes_prefixes_dump_end(mirror->prefixes, NET_IPV4);
		return;
	case ROUTES_DUMP_ROUTES_V6:
		routes_prefixes_dump_end(mirror->prefixes, NET_IPV6);
		return;
	case ROUTES_DUMP_NEIGHBOURS:
		keyed_set_visit(&mirror->neighbours, sweep_neighbour, mirror);
		return;
	case ROUTES_DUMPS:
		return;
	}
}

// ---- what the dataplane is told ----

static void forget_link(void *context, struct keyed_node *node)
{
	struct routes_mirror *mirror = context;
	((struct link_entry *)node)->is_sent = false;
	mirror->links_changed = true;
}

static void forget_neighbour(void *context, struct keyed_node *node)
{
	((struct neighbour_entry *)node)->is_sent = false;
	neighbour_mark(context, (struct neighbour_entry *)node);
}

void routes_mirror_forget_sent(struct routes_mirror *mirror)
{
	mirror->links_sent = mirror->neighbours_sent = 0;
	mirror->links_changed = true;
	keyed_set_visit(&mirror->links, forget_link, mirror);
	keyed_set_visit(&mirror->neighbours, forget_neighbour, mirror);
	routes_prefixes_forget_sent(mirror->prefixes);
}

struct link_flush {
	struct routes_mirror *mirror;
	const struct routes_output *output;
	bool deletes; // only those, else only sets
	bool full;
};

static void flush_link(void *context, struct keyed_node *node)
{
	struct link_flush *flush = context;
	struct link_entry *entry = (struct link_entry *)node;
	const struct routes_output *output = flush->output;
	if (flush->full)
		return;
	if (!flush->deletes) {
		if (!entry->matters || (entry->is_sent && memcmp(&entry->wanted, &entry->sent,
								  sizeof(entry->sent)) == 0))
			return;
		if (!output->emit(
			    output->context, API_LINK_SET, &entry->wanted, sizeof(entry->wanted))) {
			flush->full = true;
			return;
		}
		flush->mirror->links_sent += !entry->is_sent;
		entry->is_sent = true;
		entry->sent = entry->wanted;
		return;
	}
	if (entry->matters)
		return;
	const struct api_link_delete message = {.ifindex = entry->ifindex};
	if (entry->is_sent &&
		!output->emit(output->context, API_LINK_DELETE, &message, sizeof(message))) {
		flush->full = true;
		return;
	}
	flush->mirror->links_sent -= entry->is_sent;
	entry->is_sent = false;
	if (entry->gone) {
		keyed_set_remove(&flush->mirror->links, node);
		free(entry);
	}
}

static bool flush_links(
	struct routes_mirror *mirror, const struct routes_output *output, bool deletes)
{
	struct link_flush flush = {.mirror = mirror, .output = output, .deletes = deletes};
	if (mirror->links_pending)
		keyed_set_visit(&mirror->links, flush_link, &flush);
	return !flush.full;
}

bool routes_mirror_flush(struct routes_mirror *mirror, routes_emit emit, void *context)
{
	judge_links(mirror);
	const struct routes_output output = {
		.context = context, .emit = emit, .matters_context = mirror, .matters = matters};
	if (!flush_links(mirror, &output, false) || !flush_neighbours(mirror, &output) ||
		!routes_prefixes_flush(mirror->prefixes, &output) ||
		!flush_links(mirror, &output, true))
		return false;
	mirror->links_pending = false;
	return true;
}

// ---- looking ----

struct neighbour_visit {
	struct routes_mirror *mirror;
	routes_visit visit;
	void *context;
};

static bool link_up(const struct routes_mirror *mirror, uint32_t ifindex)
{
	const struct link_entry *entry = link_find(mirror, ifindex);
	return entry && entry->matters && entry->link.up;
}

static void visit_stale(void *context, struct keyed_node *node)
{
	struct neighbour_visit *visit = context;
	const struct neighbour_entry *entry = (struct neighbour_entry *)node;
	if (entry->usable && entry->stale && link_up(visit->mirror, entry->key.ifindex))
		visit->visit(visit->context, entry->key.ifindex, &entry->key.address);
}

static void visit_gateway(void *context, const struct api_next_hop *hop)
{
	struct neighbour_visit *visit = context;
	if (!neighbour_find(visit->mirror, hop->ifindex, &hop->gateway) &&
		link_up(visit->mirror, hop->ifindex))
		visit->visit(visit->context, hop->ifindex, &hop->gateway);
}

void routes_mirror_visit_stale(struct routes_mirror *mirror, routes_visit visit, void *context)
{
	struct neighbour_visit state = {mirror, visit, context};
	keyed_set_visit(&mirror->neighbours, visit_stale, &state);
}

void routes_mirror_visit_gateways(struct routes_mirror *mirror, routes_visit visit, void *context)
{
	struct neighbour_visit state = {mirror, visit, context};
	const struct routes_output judge_only = {.matters_context = mirror, .matters = matters};
	routes_prefixes_visit_gateways(mirror->prefixes, &judge_only, visit_gateway, &state);
}

void routes_mirror_count(const struct routes_mirror *mirror, struct routes_mirror_counts *out)
{
	out->links = mirror->links_sent;
	out->neighbours = mirror->neighbours_sent;
	out->prefixes = routes_prefixes_count(mirror->prefixes);
}

struct port_search {
	const char *name;
	bool up;
};

static void find_port(void *context, struct keyed_node *node)
{
	struct port_search *search = context;
	const struct link_entry *entry = (struct link_entry *)node;
	if (!entry->gone && entry->link.up &&
		strncmp(entry->link.name, search->name, ROUTES_NAME_SIZE) == 0)
		search->up = true;
}

bool routes_mirror_port_up(struct routes_mirror *mirror, const char *name)
{
	struct port_search search = {.name = name};
	keyed_set_visit(&mirror->links, find_port, &search);
	return search.up;
}
