// SPDX-License-Identifier: BSD-3-Clause
// What is possible between two places, from the NAT model alone and without any agent: from each
// side to every address the other one is known by, until nothing new is learnt.
#include "tests/sim/calls.h"

#include "tests/sim/network.h"

enum { KNOWN_MAX = 24, ROUNDS = 6, PORT = 5000 };

struct theory {
	struct nat *nat[2]; // NULL: open
	struct net_endpoint inside[2];
	struct net_endpoint known[2][KNOWN_MAX];
	unsigned known_count[2];
	uint64_t now_us;
};

static void learn(struct theory *t, unsigned side, const struct net_endpoint *address)
{
	for (unsigned i = 0; i < t->known_count[side]; i++)
		if (net_endpoint_equal(&t->known[side][i], address))
			return;
	if (t->known_count[side] < KNOWN_MAX)
		t->known[side][t->known_count[side]++] = *address;
}

// True when it arrives at the other; *seen is its source there.
static bool gets_through(
	struct theory *t, unsigned from, const struct net_endpoint *to, struct net_endpoint *seen)
{
	struct net_endpoint source = t->inside[from], destination = *to;
	t->now_us += 10;
	if (t->nat[from] != NULL &&
		nat_outbound(t->nat[from], t->now_us, &source, &destination) != NAT_OUTSIDE)
		return false;
	*seen = source;
	if (t->nat[!from] != NULL &&
		nat_inbound(t->nat[!from], t->now_us, &source, &destination) != NAT_INSIDE)
		return false;
	return net_endpoint_equal(&destination, &t->inside[!from]);
}

static bool search(struct theory *t)
{
	struct net_endpoint seen, back;
	bool possible = false;
	for (unsigned round = 0; round < ROUNDS; round++)
		for (unsigned side = 0; side < 2; side++)
			for (unsigned i = 0; i < t->known_count[!side]; i++) {
				struct net_endpoint to = t->known[!side][i];
				if (!gets_through(t, side, &to, &seen))
					continue;
				learn(t, side, &seen);
				// An answer counts from where the question went to.
				struct net_endpoint answer = seen;
				possible |= gets_through(t, !side, &answer, &back) &&
					    net_endpoint_equal(&back, &to);
			}
	return possible;
}

static bool possible(const struct place *const places[2], unsigned family)
{
	struct theory t = {.now_us = 1};
	for (unsigned i = 0; i < 2; i++) {
		const struct place *p = places[i];
		struct net_endpoint seen, relay = *network_relay(family);
		t.inside[i] = (struct net_endpoint){
			.address = family == NET_IPV4 ? p->inside : p->inside6, .port = PORT};
		if (family == NET_IPV6)
			t.nat[i] = nat_create(&p->behaviour6, 1);
		else if (p->translates)
			t.nat[i] = nat_create(&p->behaviour, 1);
		seen = t.inside[i];
		if (t.nat[i] != NULL)
			nat_outbound(t.nat[i], t.now_us, &seen, &relay);
		learn(&t, i, &seen);
	}
	bool result = search(&t);
	nat_destroy(t.nat[0]);
	nat_destroy(t.nat[1]);
	return result;
}

bool theory_direct(const struct place *a, const struct place *b)
{
	const struct place *const places[2] = {a, b};
	return possible(places, NET_IPV4) ||
	       (a->firewall != NULL && b->firewall != NULL && possible(places, NET_IPV6));
}
