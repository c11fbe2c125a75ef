// SPDX-License-Identifier: BSD-3-Clause
// A NAT as RFC 4787 describes them, for UDP: what it does to the addresses of packets, and nothing
// else. No clock, no sockets, no globals; what is left to chance comes from a seed. The wire
// program puts it between two networks, the simulation between two agents.
//
// A session is one inside socket and one remote it sent to. A mapping is what several sessions of
// one inside socket share: the outside port. Which ones share it is the mapping behaviour; which
// remotes may answer is the filtering behaviour; both look at sessions only, so a mapping is there
// exactly as long as one of its sessions is.
//
// IPv6 is never translated: inside and outside are the same, and what is left is a stateful
// firewall with the filtering behaviour. IPv4 is like that too when `translates` is false.
//
// One thread. Sessions are looked through one after the other: made for a household, not a carrier.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// RFC 4787, sections 4.1 and 5.
enum nat_dependence {
	NAT_ENDPOINT_INDEPENDENT,
	NAT_ADDRESS_DEPENDENT,
	NAT_ADDRESS_AND_PORT_DEPENDENT,
};

// The outside port of a new mapping. Each looks on from there when the port is taken.
enum nat_allocation {
	NAT_PRESERVE,   // the inside port, wherever it is free
	NAT_SEQUENTIAL, // the last one given plus `step`, within the range
	NAT_RANDOM,     // any of the range
	NAT_BLOCKS,     // any of the `block` ports that an inside address has got for itself
};

enum nat_verdict {
	NAT_OUTSIDE,         // translated; goes on on the outer side
	NAT_INSIDE,          // translated; goes on on the inner side (from within: hairpin)
	NAT_DROP_FILTERED,   // from outside: no session lets it in
	NAT_DROP_NO_MAPPING, // from outside: nobody has that port
	NAT_DROP_HAIRPIN,    // from inside to our own outside address, and there is no hairpin
	NAT_DROP_BLOCKED,    // from inside to where nobody may send
	NAT_DROP_SESSIONS,   // the cap is reached
	NAT_DROP_PORTS,      // none is free
	NAT_VERDICTS,
};

enum { NAT_ALLOWED_MAX = 4 };

// Numbers of 0 take the default in brackets.
struct nat_behaviour {
	enum nat_dependence mapping, filtering;
	enum nat_allocation allocation;
	bool translates;        // IPv4; false: a firewall
	bool hairpin;           // RFC 4787 section 6; the source seen is the outside one
	bool refreshed_inbound; // what comes in keeps a session as well as what goes out
	bool blocked;           // goes out to `allowed` only

	struct net_address outside;   // IPv4
	uint16_t port_low, port_high; // both included [1024, 65535]; of all but NAT_PRESERVE
	uint16_t step;                // NAT_SEQUENTIAL [1]
	uint16_t block;               // NAT_BLOCKS: ports of an inside address [512]
	uint32_t timeout_ms;          // of a session [120000]; RFC 4787 section 4.3
	uint32_t sessions;            // at most so many at a time [4096]

	struct net_address allowed[NAT_ALLOWED_MAX]; // of `blocked`; unspecified ones are none
};

struct nat;

// Memory for behaviour->sessions of them is taken here and never again; NULL when there is none.
// The same seed, calls and times give the same ports.
struct nat *nat_create(const struct nat_behaviour *behaviour, uint64_t seed);
// NULL is nothing.
void nat_destroy(struct nat *nat);

// A packet from the inner side: changes source (and the destination, for a hairpin) to what they
// are behind the NAT. With any other verdict than NAT_OUTSIDE and NAT_INSIDE the packet is gone and
// nothing was changed. now_us: any origin, never less than before.
enum nat_verdict nat_outbound(struct nat *nat, uint64_t now_us, struct net_endpoint *source,
	struct net_endpoint *destination);
// A packet from the outer side: changes the destination. The same verdicts.
enum nat_verdict nat_inbound(struct nat *nat, uint64_t now_us, const struct net_endpoint *source,
	struct net_endpoint *destination);

// Forgets all sessions, as a router does that starts again. Chance and sequence go on from where
// they were; one that preserves ports prefers others from then on, a fixed distance away, so that a
// rebinding is seen from outside with every behaviour.
void nat_rebind(struct nat *nat);

// Sessions that are alive.
size_t nat_sessions(const struct nat *nat, uint64_t now_us);
// How often there was that verdict.
uint64_t nat_counted(const struct nat *nat, enum nat_verdict verdict);
// "hairpin", "no mapping"...
const char *nat_verdict_name(enum nat_verdict verdict);
