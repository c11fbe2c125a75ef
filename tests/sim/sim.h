// SPDX-License-Identifier: BSD-3-Clause
// What the files of the simulation share: options, phase, and how a run fails. One process is one
// world with one thread, so its parts are plain statics behind the headers of this folder.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	SIM_NOBODY = UINT16_MAX,        // no client
	SIM_ADVERSARY = UINT16_MAX - 1, // as a client's number
	SIM_CLIENTS_MAX = UINT16_MAX - 2,
	SIM_EPOCH_S = 100,
	SIM_LEASE_S = 90,
	SIM_KEEPALIVE_S = 20,
};

struct sim_options {
	uint64_t seed;
	unsigned clients;
	unsigned follow; // prints all that happens to this client; SIM_NOBODY: nobody
	bool quiet;
};

// What is going on; scenario.c turns it.
struct sim_phase {
	const char *name;
	uint64_t since, until; // clock_now
	// Of a million datagrams: those lost, doubled, delayed for long.
	uint32_t loss, doubled, late;
	bool moves;    // clients change their transport address
	bool restless; // clients leave and come
	bool calls;    // clients begin calls and send
	// What is sent now must arrive: nothing is lost, nobody moves, the dataplane stays.
	bool calm;
	bool hostile; // the adversary is at work
	bool quiet;   // and nothing of his is on its way any more
};

extern struct sim_options sim_options;
extern struct sim_phase sim_phase;

// An invariant does not hold: prints seed, what happened, and the last events of both clients
// (SIM_NOBODY: of everybody), and ends the process with 1.
__attribute__((format(printf, 3, 4), noreturn)) void sim_fail(
	unsigned client, unsigned other, const char *format, ...);

#define SIM_COUNTS(X)                                                                              \
	X(registered)                                                                              \
	X(refused)                                                                                 \
	X(withdrawn)                                                                               \
	X(vanished)                                                                                \
	X(moves)                                                                                   \
	X(rebindings)                                                                              \
	X(paths_changed)                                                                           \
	X(calls)                                                                                   \
	X(opened)                                                                                  \
	X(declined)                                                                                \
	X(ended)                                                                                   \
	X(data_sent)                                                                               \
	X(data_received)                                                                           \
	X(messages_sent)                                                                           \
	X(messages_received)                                                                       \
	X(due)                                                                                     \
	X(paths_due)                                                                               \
	X(due_excused)                                                                             \
	X(datagrams)                                                                               \
	X(lost)                                                                                    \
	X(nowhere)                                                                                 \
	X(leases_made)                                                                             \
	X(leases_renewed)                                                                          \
	X(leases_moved)                                                                            \
	X(leases_removed)                                                                          \
	X(pairs_made)                                                                              \
	X(pairs_moved)                                                                             \
	X(pairs_closed)                                                                            \
	X(pairs_expired)                                                                           \
	X(replayed)                                                                                \
	X(forged)                                                                                  \
	X(flooded)                                                                                 \
	X(forgeries_told)                                                                          \
	X(control_restarts)                                                                        \
	X(dataplane_restarts)
#define SIM_ENUM_COUNT(name) COUNT_##name,
enum sim_count { SIM_COUNTS(SIM_ENUM_COUNT) SIM_COUNT_COUNT };
extern uint64_t sim_counts[SIM_COUNT_COUNT];
extern const char *const sim_count_names[SIM_COUNT_COUNT];

static inline void sim_count(enum sim_count count)
{
	sim_counts[count]++;
}
