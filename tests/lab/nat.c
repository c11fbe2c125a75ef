// SPDX-License-Identifier: BSD-3-Clause
// See nat.h.
#include "tests/lab/nat.h"

#include "tests/sim/dice.h"

#include <assert.h>
#include <stdlib.h>

struct session {
	struct net_endpoint inside, remote;
	uint16_t port; // outside
	uint64_t until_us;
};

struct nat {
	struct nat_behaviour is;
	struct dice dice;
	uint32_t last;      // of NAT_SEQUENTIAL: the port given last, from port_low
	uint16_t preferred; // of NAT_PRESERVE: the preferred port's distance from the inside one
	uint64_t counted[NAT_VERDICTS];
	size_t count;
	struct session sessions[];
};

struct nat *nat_create(const struct nat_behaviour *behaviour, uint64_t seed)
{
	struct nat_behaviour is = *behaviour;
	is.port_low = is.port_low ? is.port_low : 1024;
	is.port_high = is.port_high ? is.port_high : 65535;
	is.step = is.step ? is.step : 1;
	is.block = is.block ? is.block : 512;
	is.timeout_ms = is.timeout_ms ? is.timeout_ms : 120000;
	is.sessions = is.sessions ? is.sessions : 4096;
	assert(is.port_low <= is.port_high);
	struct nat *nat = calloc(1, sizeof(*nat) + is.sessions * sizeof(nat->sessions[0]));
	if (nat == NULL)
		return NULL;
	nat->is = is;
	dice_seed(&nat->dice, seed, 0x4E41);
	nat->last = (uint32_t)(is.port_high - is.port_low);
	return nat;
}

void nat_destroy(struct nat *nat)
{
	free(nat);
}

static bool translated(const struct nat *nat, const struct net_endpoint *inside)
{
	return nat->is.translates && inside->address.family == NET_IPV4;
}

// Whether what holds for one remote holds for the other.
static bool alike(
	enum nat_dependence dependence, const struct net_endpoint *a, const struct net_endpoint *b)
{
	switch (dependence) {
	case NAT_ENDPOINT_INDEPENDENT:
		return a->address.family == b->address.family;
	case NAT_ADDRESS_DEPENDENT:
		return net_address_equal(&a->address, &b->address);
	case NAT_ADDRESS_AND_PORT_DEPENDENT:
		break;
	}
	return net_endpoint_equal(a, b);
}

static void forget_dead(struct nat *nat, uint64_t now_us)
{
	for (size_t i = 0; i < nat->count;) {
		if (nat->sessions[i].until_us <= now_us)
			nat->sessions[i] = nat->sessions[--nat->count];
		else
			i++;
	}
}

static void refresh(const struct nat *nat, struct session *session, uint64_t now_us)
{
	session->until_us = now_us + nat->is.timeout_ms * UINT64_C(1000);
}

// ---- ports ----

struct ports {
	uint64_t taken[65536 / 64];
};

static bool is_taken(const struct ports *ports, uint32_t port)
{
	return ports->taken[port / 64] >> port % 64 & 1;
}

static void take(struct ports *ports, uint32_t port)
{
	ports->taken[port / 64] |= UINT64_C(1) << port % 64;
}

// The first free one from low + begin on, coming round within [low, high]; 0: there is none.
static uint16_t first_free(const struct ports *ports, uint32_t low, uint32_t high, uint32_t begin)
{
	uint32_t size = high - low + 1;
	for (uint32_t i = 0; i < size; i++) {
		uint32_t port = low + (begin + i) % size;
		if (!is_taken(ports, port))
			return (uint16_t)port;
	}
	return 0;
}

static uint16_t sequential_port(struct nat *nat, const struct ports *ports)
{
	uint32_t low = nat->is.port_low, size = (uint32_t)(nat->is.port_high - low) + 1;
	for (uint32_t i = 0; i < size; i++) {
		nat->last = (nat->last + nat->is.step) % size;
		if (!is_taken(ports, low + nat->last))
			return (uint16_t)(low + nat->last);
	}
	// A step that divides the range leaves ports out.
	return first_free(ports, low, nat->is.port_high, nat->last);
}

// The block of an inside address is the one its sessions are in; while it has none, any that
// nobody else is in.
static uint16_t block_port(
	struct nat *nat, const struct ports *ports, const struct net_address *inside)
{
	uint32_t low = nat->is.port_low, size = nat->is.block;
	uint32_t blocks = ((uint32_t)nat->is.port_high - low + 1) / size;
	struct ports busy = {0}; // numbers of blocks
	if (blocks == 0)
		return 0;
	uint32_t own = UINT32_MAX;
	for (size_t i = 0; i < nat->count; i++) {
		const struct session *session = &nat->sessions[i];
		if (!translated(nat, &session->inside))
			continue;
		uint32_t block = (session->port - low) / size;
		take(&busy, block);
		if (net_address_equal(&session->inside.address, inside))
			own = block;
	}
	if (own == UINT32_MAX) {
		uint32_t begin = (uint32_t)dice_below(&nat->dice, blocks);
		for (uint32_t i = 0; i < blocks && own == UINT32_MAX; i++)
			if (!is_taken(&busy, (begin + i) % blocks))
				own = (begin + i) % blocks;
		if (own == UINT32_MAX)
			return 0;
	}
	low += own * size;
	return first_free(ports, low, low + size - 1, (uint32_t)dice_below(&nat->dice, size));
}

static uint16_t free_port(struct nat *nat, const struct net_endpoint *inside)
{
	struct ports ports = {0};
	uint32_t low = nat->is.port_low, high = nat->is.port_high;
	for (size_t i = 0; i < nat->count; i++)
		if (translated(nat, &nat->sessions[i].inside))
			take(&ports, nat->sessions[i].port);
	switch (nat->is.allocation) {
	case NAT_SEQUENTIAL:
		return sequential_port(nat, &ports);
	case NAT_RANDOM:
		return first_free(
			&ports, low, high, (uint32_t)dice_below(&nat->dice, high - low + 1));
	case NAT_BLOCKS:
		return block_port(nat, &ports, &inside->address);
	case NAT_PRESERVE:
		break;
	}
	// RFC 4787, REQ-3: what was above 1023 stays there.
	return first_free(&ports, 1024, 65535,
		(uint32_t)(uint16_t)(inside->port + nat->preferred) - 1024 + 64512);
}

// ---- packets ----

// The session of a packet from within, made when there is none. NULL: `why`.
static struct session *session_out(struct nat *nat, uint64_t now_us,
	const struct net_endpoint *inside, const struct net_endpoint *remote, enum nat_verdict *why)
{
	const struct session *mapping = NULL;
	for (size_t i = 0; i < nat->count; i++) {
		struct session *session = &nat->sessions[i];
		if (!net_endpoint_equal(&session->inside, inside))
			continue;
		if (net_endpoint_equal(&session->remote, remote))
			return session;
		if (alike(nat->is.mapping, &session->remote, remote))
			mapping = session;
	}
	*why = NAT_DROP_SESSIONS;
	if (nat->count == nat->is.sessions)
		return NULL;
	uint16_t port = inside->port;
	if (mapping != NULL)
		port = mapping->port;
	else if (translated(nat, inside))
		port = free_port(nat, inside);
	*why = NAT_DROP_PORTS;
	if (port == 0 && translated(nat, inside))
		return NULL;
	struct session *session = &nat->sessions[nat->count++];
	*session = (struct session){.inside = *inside, .remote = *remote, .port = port};
	refresh(nat, session, now_us);
	return session;
}

static enum nat_verdict inbound(struct nat *nat, uint64_t now_us, const struct net_endpoint *source,
	struct net_endpoint *destination)
{
	enum nat_verdict verdict = NAT_DROP_NO_MAPPING;
	bool to_us = net_address_equal(&destination->address, &nat->is.outside);
	for (size_t i = 0; i < nat->count; i++) {
		struct session *session = &nat->sessions[i];
		if (translated(nat, &session->inside)
				? !to_us || session->port != destination->port
				: !net_endpoint_equal(&session->inside, destination))
			continue;
		verdict = NAT_DROP_FILTERED;
		if (!alike(nat->is.filtering, &session->remote, source))
			continue;
		if (nat->is.refreshed_inbound)
			refresh(nat, session, now_us);
		*destination = session->inside;
		return NAT_INSIDE;
	}
	return verdict;
}

static bool allowed(const struct nat *nat, const struct net_address *destination)
{
	for (unsigned i = 0; i < NAT_ALLOWED_MAX; i++)
		if (net_address_equal(&nat->is.allowed[i], destination))
			return true;
	return !nat->is.blocked;
}

static enum nat_verdict outbound(struct nat *nat, uint64_t now_us, struct net_endpoint *source,
	struct net_endpoint *destination)
{
	enum nat_verdict why;
	bool hairpin = translated(nat, source) &&
		       net_address_equal(&destination->address, &nat->is.outside);
	if (!allowed(nat, &destination->address))
		return NAT_DROP_BLOCKED;
	if (hairpin && !nat->is.hairpin)
		return NAT_DROP_HAIRPIN;
	struct session *session = session_out(nat, now_us, source, destination, &why);
	if (session == NULL)
		return why;
	refresh(nat, session, now_us);
	struct net_endpoint outside = *source;
	if (translated(nat, source))
		outside = (struct net_endpoint){.address = nat->is.outside, .port = session->port};
	enum nat_verdict verdict = NAT_OUTSIDE;
	if (hairpin)
		verdict = inbound(nat, now_us, &outside, destination);
	if (verdict == NAT_OUTSIDE || verdict == NAT_INSIDE)
		*source = outside;
	return verdict;
}

enum nat_verdict nat_outbound(struct nat *nat, uint64_t now_us, struct net_endpoint *source,
	struct net_endpoint *destination)
{
	forget_dead(nat, now_us);
	enum nat_verdict verdict = outbound(nat, now_us, source, destination);
	nat->counted[verdict]++;
	return verdict;
}

enum nat_verdict nat_inbound(struct nat *nat, uint64_t now_us, const struct net_endpoint *source,
	struct net_endpoint *destination)
{
	forget_dead(nat, now_us);
	enum nat_verdict verdict = inbound(nat, now_us, source, destination);
	nat->counted[verdict]++;
	return verdict;
}

void nat_rebind(struct nat *nat)
{
	nat->count = 0;
	nat->preferred = (uint16_t)(nat->preferred + 5003);
}

size_t nat_sessions(const struct nat *nat, uint64_t now_us)
{
	size_t alive = 0;
	for (size_t i = 0; i < nat->count; i++)
		alive += nat->sessions[i].until_us > now_us;
	return alive;
}

uint64_t nat_counted(const struct nat *nat, enum nat_verdict verdict)
{
	return nat->counted[verdict];
}

const char *nat_verdict_name(enum nat_verdict verdict)
{
	static const char *const names[NAT_VERDICTS] = {
		[NAT_OUTSIDE] = "out",
		[NAT_INSIDE] = "in",
		[NAT_DROP_FILTERED] = "filtered",
		[NAT_DROP_NO_MAPPING] = "no mapping",
		[NAT_DROP_HAIRPIN] = "no hairpin",
		[NAT_DROP_BLOCKED] = "blocked",
		[NAT_DROP_SESSIONS] = "too many sessions",
		[NAT_DROP_PORTS] = "no port is free",
	};
	return names[verdict];
}
