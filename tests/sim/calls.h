// SPDX-License-Identifier: BSD-3-Clause
// The simulation of calls: pairs of phones (endpoint/phone, all of it) in networks of their own
// with NATs and firewalls, the simulation's relay, a second one, and a scenario. What the files
// share.
//
//     calls_main      options, and how a run fails
//     calls_network   places, NATs, wires, the core between, what may be on it
//     calls_second    the second relay
//     calls_user      a phone, its sockets, its voice and what it told
//     calls_theory    whether two places have a direct way
//     calls_scenario  what happens, and what must hold then
#pragma once

#include "endpoint/phone/phone.h"
#include "tests/lab/nat.h"
#include "tests/lab/wire.h"
#include "tests/sim/dice.h"
#include "tests/sim/sim.h"

enum {
	CALLS_PAIRS_MAX = 8,
	CALLS_USERS_MAX = 2 * CALLS_PAIRS_MAX,
	CALLS_PLACES = 2, // of a user: at home and elsewhere
	CALLS_FRAMES_MAX = 60000,
	CALLS_FRAME_MS = 20,
};

// A network that a user may be in: one NAT for IPv4, one firewall for IPv6.
struct place {
	uint16_t number;
	struct user *user;
	bool translates; // false: its users have public addresses
	struct nat_behaviour behaviour, behaviour6;
	struct nat *nat, *firewall; // firewall NULL: no IPv6
	struct net_address inside, inside6, outside;
	struct wire up, down;
};

struct user {
	uint16_t number;
	struct user *peer;
	struct phone *phone;
	struct phone_config config;
	struct dice dice; // the phone's randomness
	struct place places[CALLS_PLACES];
	unsigned at; // index of places
	bool up[PHONE_BASES_MAX];
	uint8_t family[PHONE_BASES_MAX];
	uint16_t port[PHONE_BASES_MAX];
	bool cut; // what goes directly to the peer is lost
	uint64_t tick_at, ticks;
	unsigned registered; // relays

	// The call.
	uint64_t call; // 0: none
	bool caller, answered, ended;
	enum phone_end why;
	uint64_t answered_at, engaged_at, first_at; // clock_monotonic_ms; 0: not
	uint32_t said, say_life;
	uint64_t said_at[CALLS_FRAMES_MAX], heard_at[CALLS_FRAMES_MAX]; // clock_now; 0: not
	uint64_t direct_sent_at;                                        // last datagram to no relay
};

struct calls_options {
	unsigned pairs;
	bool second_relay;
};
extern struct calls_options calls_options;

// ---- calls_network ----

void calls_network_open(uint64_t seed);
void calls_network_close(void);
void place_open(struct place *place, struct user *user, unsigned number, struct dice *dice);
void place_close(struct place *place);
// A datagram of a socket of the user's.
void calls_send(struct user *user, unsigned base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size);
// From the second relay.
void calls_second_answer(const struct net_endpoint *destination, const uint8_t *data, size_t size);
// Nobody has answered anybody: new calls begin.
void calls_forget_answers(void);
const struct net_endpoint *calls_second_relay(void);

// ---- calls_second ----

void second_open(void);
void second_alive(bool alive);
void second_receive(const struct net_endpoint *source, const uint8_t *data, size_t size);

// ---- calls_user ----

void user_open(struct user *user, unsigned number, uint64_t seed);
void user_close(struct user *user);
void user_listen(struct user *user);
void user_call(struct user *user);
void user_answer(struct user *user);
void user_hang_up(struct user *user);
void user_move(struct user *user);
void user_withdraw(struct user *user);
void user_receive(struct user *user, unsigned base, const struct net_endpoint *source,
	const uint8_t *data, size_t size);
// Frames the peer said from that time on that have not come, and when it said the first and the
// last of them; those of the last ms do not count.
unsigned user_missing(const struct user *user, uint64_t since_us, unsigned slack_ms,
	uint64_t *first_us, uint64_t *last_us);
// 0 none, 1 relay, 2 direct, 3 both.
unsigned user_path_class(const struct user *user);

// ---- calls_theory ----

// Whether what two places are lets frames go directly, in both directions.
bool theory_direct(const struct place *a, const struct place *b);

// ---- calls_scenario ----

void calls_run(void);

// Counts, for printing.
#define CALLS_COUNTS(X)                                                                            \
	X(datagrams)                                                                               \
	X(direct)                                                                                  \
	X(calls)                                                                                   \
	X(direct_calls)                                                                            \
	X(relayed_calls)                                                                           \
	X(moves)                                                                                   \
	X(rebindings)                                                                              \
	X(cuts)                                                                                    \
	X(control_kills)                                                                           \
	X(relay_kills)                                                                             \
	X(second_kills)                                                                            \
	X(switches)                                                                                \
	X(both)                                                                                    \
	X(frames)                                                                                  \
	X(frames_lost)                                                                             \
	X(checked)
#define CALLS_ENUM_COUNT(name) CALLS_##name,
enum calls_count { CALLS_COUNTS(CALLS_ENUM_COUNT) CALLS_COUNT_COUNT };
extern uint64_t calls_counts[CALLS_COUNT_COUNT];
