// SPDX-License-Identifier: BSD-3-Clause
// The guard of an attached XDP program as the dataplane sees it: two of its maps lie in our memory,
// the tries of rules are reached through descriptors. All of it goes on working after the process
// has dropped its capabilities: mapped memory needs no system call, and since Linux 5.19 the kernel
// lets whoever holds a map's descriptor change its elements.
//
// Main lcore, but for `ports`: the workers set and clear its bits, each with one atomic operation
// (table/relay_ports.c).
#pragma once

#include "ebpf/maps.h"
#include "lib/net/address.h"

#include <stdatomic.h>
#include <stdint.h>

struct steer_guard {
	struct steer_guard_settings *settings; // NULL: not open
	_Atomic uint64_t *ports;               // STEER_PORT_WORDS per address
	int rules4, rules6;
};

// What a closed one looks like; also for ports without the program.
static inline struct steer_guard steer_guard_none(void)
{
	return (struct steer_guard){.rules4 = -1, .rules6 = -1};
}

// Opens the guard of the program attached to ifname, behind steer_configure. It drops nothing by
// its rules, bits and budgets before steer_guard_enable. 0, or a negative errno as in load.h
// (-ENOENT: no program of ours there).
int steer_guard_open(const char *ifname, struct steer_guard *guard);
// The same of a program that is loaded, for tests.
int steer_guard_open_program(int program_fd, struct steer_guard *guard);
void steer_guard_close(struct steer_guard *guard);

// requests: STUN requests a second of one source prefix and CPU. channel_last: highest channel
// number served. May be called again.
void steer_guard_enable(struct steer_guard *guard, uint32_t requests, uint16_t channel_last);
// Sets the rule of a prefix; STEER_RULE_NONE removes it. before: the rule it has had (the kernel
// cannot be asked: a look-up in a trie may find a shorter prefix, and before Linux 6.13 a trie
// ignores BPF_NOEXIST). 0; -ENOSPC: STEER_RULES_MAX of the family; other negative errno.
int steer_guard_rule(struct steer_guard *guard, const struct net_prefix *prefix,
	enum steer_rule before, enum steer_rule rule);

// Word and bit of a port. address: place in steer_config.addresses.
static inline _Atomic uint64_t *steer_guard_port_word(
	_Atomic uint64_t *ports, unsigned address, uint16_t port)
{
	return &ports[address * STEER_PORT_WORDS + port / 64];
}
static inline uint64_t steer_guard_port_bit(uint16_t port)
{
	return 1ull << (port & 63);
}
