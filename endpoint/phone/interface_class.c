// SPDX-License-Identifier: BSD-3-Clause
// See interfaces.h: which of the host's addresses count, and in which order.
#include "endpoint/phone/interfaces.h"

#include <string.h>

struct word {
	const char *text; // '*' at its end: whatever follows
	enum interface_kind kind;
};

static const struct word kinds[] = {
	{"bridge", INTERFACE_BRIDGE},
	{"openvswitch", INTERFACE_BRIDGE},
	{"veth", INTERFACE_PAIR},
	{"netkit", INTERFACE_PAIR},
	{"dummy", INTERFACE_INNER},
	{"ifb", INTERFACE_INNER},
	{"nlmon", INTERFACE_INNER},
	{"vcan", INTERFACE_INNER},
	{"vxlan", INTERFACE_INNER},
	{"geneve", INTERFACE_INNER},
	{"wwan", INTERFACE_CELLULAR},
	{"rmnet", INTERFACE_CELLULAR},
	{"ppp", INTERFACE_CELLULAR},
	{"tun", INTERFACE_TUNNEL},
	{"wireguard", INTERFACE_TUNNEL},
	{"ovpn*", INTERFACE_TUNNEL},
	{"xfrm", INTERFACE_TUNNEL},
	{"vti*", INTERFACE_TUNNEL},
	{"gre*", INTERFACE_TUNNEL},
	{"ip6gre*", INTERFACE_TUNNEL},
	{"ipip", INTERFACE_TUNNEL},
	{"ip6tnl", INTERFACE_TUNNEL},
	{"sit", INTERFACE_TUNNEL},
	{"l2tp*", INTERFACE_TUNNEL},
};

// Of drivers that tell no kind, and of kernels that are older than their kind.
static const struct word names[] = {
	{"wwan*", INTERFACE_CELLULAR},
	{"wwp*", INTERFACE_CELLULAR},
	{"rmnet*", INTERFACE_CELLULAR},
	{"ppp*", INTERFACE_CELLULAR},
	{"tun*", INTERFACE_TUNNEL},
	{"tap*", INTERFACE_TUNNEL},
	{"wg*", INTERFACE_TUNNEL},
	{"docker*", INTERFACE_INNER},
	{"virbr*", INTERFACE_INNER},
	{"vmnet*", INTERFACE_INNER},
	{"vboxnet*", INTERFACE_INNER},
	{"dummy*", INTERFACE_INNER},
};

static bool find(const struct word *words, size_t count, const char *text, enum interface_kind *out)
{
	for (size_t i = 0; i < count; i++) {
		size_t size = strlen(words[i].text);
		bool open = words[i].text[size - 1] == '*';
		if (open ? strncmp(text, words[i].text, size - 1) == 0
			 : strcmp(text, words[i].text) == 0) {
			*out = words[i].kind;
			return true;
		}
	}
	return false;
}

enum interface_kind interface_kind_of(const char *kind, const char *name)
{
	enum interface_kind found = INTERFACE_REAL;

	// A kind that is not listed (vlan, bond, macvlan, ...) sits on top of something real.
	if (kind != NULL && kind[0] != 0) {
		find(kinds, sizeof(kinds) / sizeof(kinds[0]), kind, &found);
		return found;
	}
	find(names, sizeof(names) / sizeof(names[0]), name, &found);
	return found;
}

static const struct interface_link *link_of(const struct interfaces *all, uint32_t index)
{
	for (size_t i = 0; i < all->link_count; i++)
		if (all->links[i].index == index)
			return &all->links[i];
	return NULL;
}

// A bridge between the host's network card and its guests carries the host's own address.
static bool has_real_port(const struct interfaces *all, uint32_t bridge)
{
	for (size_t i = 0; i < all->link_count; i++)
		if (all->links[i].master == bridge && all->links[i].kind == INTERFACE_REAL)
			return true;
	return false;
}

static bool link_local(const struct endpoint_transport *t)
{
	return t->family == 4 ? t->address[0] == 169 && t->address[1] == 254
			      : t->address[0] == 0xfe && (t->address[1] & 0xc0) == 0x80;
}

// A lasting address in the network of a temporary one.
static bool outdone(const struct interfaces *all, const struct interface_address *address)
{
	if (address->transport.family != 6 || address->temporary)
		return false;
	for (size_t i = 0; i < all->address_count; i++) {
		const struct interface_address *other = &all->addresses[i];
		if (other->temporary && other->link == address->link &&
			memcmp(other->transport.address, address->transport.address, 8) == 0)
			return true;
	}
	return false;
}

// What is virtual on a host that has networks is the network of a host that has no other: `widest`
// says how much counts as such. 0: nothing; 1: pairs that lead out of this namespace (we are in a
// container); 2: all but loopback; 3: all.
static bool class_of(const struct interfaces *all, const struct interface_address *address,
	unsigned widest, enum phone_host_class *out)
{
	const struct interface_link *link = link_of(all, address->link);

	if (link == NULL || !link->running || outdone(all, address) ||
		link_local(&address->transport))
		return false;
	switch (link->kind) {
	case INTERFACE_REAL:
		*out = PHONE_HOST_NORMAL;
		return true;
	case INTERFACE_CELLULAR:
		*out = PHONE_HOST_METERED;
		return true;
	case INTERFACE_TUNNEL:
		*out = PHONE_HOST_VPN;
		return true;
	case INTERFACE_LOOPBACK:
		*out = PHONE_HOST_NORMAL;
		return widest >= 3;
	case INTERFACE_BRIDGE:
		*out = widest >= 2 || has_real_port(all, link->index) ? PHONE_HOST_NORMAL
								      : PHONE_HOST_VIRTUAL;
		return true;
	case INTERFACE_PAIR:
		*out = widest >= 2 || (widest == 1 && link->elsewhere && link->master == 0)
			       ? PHONE_HOST_NORMAL
			       : PHONE_HOST_VIRTUAL;
		return true;
	default:
		*out = widest >= 2 ? PHONE_HOST_NORMAL : PHONE_HOST_VIRTUAL;
		return true;
	}
}

// How much has to count as a network, so that there is one.
static unsigned width(const struct interfaces *all)
{
	enum phone_host_class class;

	for (unsigned widest = 0; widest < 3; widest++)
		for (size_t i = 0; i < all->address_count; i++)
			if (class_of(all, &all->addresses[i], widest, &class) &&
				(class == PHONE_HOST_NORMAL || class == PHONE_HOST_METERED))
				return widest;
	// A tunnel alone is a network, too.
	for (size_t i = 0; i < all->address_count; i++)
		if (class_of(all, &all->addresses[i], 2, &class))
			return 2;
	return 3;
}

static bool same_address(const struct endpoint_transport *a, const struct endpoint_transport *b)
{
	return a->family == b->family && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

size_t interfaces_hosts(const struct interfaces *interfaces,
	const struct endpoint_transport preferred[2], struct phone_host out[PHONE_HOSTS_MAX])
{
	unsigned widest = width(interfaces);
	size_t count = 0;

	for (enum phone_host_class wanted = PHONE_HOST_NORMAL; wanted <= PHONE_HOST_VIRTUAL;
		wanted++)
		for (unsigned later = 0; later < 2; later++)
			for (size_t i = 0; i < interfaces->address_count; i++) {
				const struct interface_address *a = &interfaces->addresses[i];
				enum phone_host_class class;
				bool first = preferred != NULL &&
					     (same_address(&preferred[0], &a->transport) ||
						     same_address(&preferred[1], &a->transport));
				if (first == (later == 1) ||
					!class_of(interfaces, a, widest, &class) ||
					class != wanted || count == PHONE_HOSTS_MAX)
					continue;
				out[count++] = (struct phone_host){.transport = a->transport,
					.kind = class,
					.interface = a->link};
			}
	return count;
}
