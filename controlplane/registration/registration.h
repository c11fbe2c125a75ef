// SPDX-License-Identifier: BSD-3-Clause
// Key-free registration and the opening of pairs of handles (lib/wire/README.md) as an I/O-free
// core. Punted messages, answers of the dataplane and the time go in; installs and datagrams come
// out through struct registration_output. It keeps nothing of a client: leases and handles are the
// dataplane's, and between OPEN and ACCEPT the caller's part travels in a sealed ticket. State per
// request in flight: until the dataplane has answered. One thread (the event loop's).
#pragma once

#include "dataplane/api/messages.h"
#include "lib/config/config.h"
#include "lib/wire/native.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct registration_output {
	void *context;
	// Queues a request (API_LEASE_SET ... API_NATIVE_SETTINGS) for the dataplane. Returns its
	// id (not 0), or 0 when that is not possible now; the answer comes back by
	// registration_core_answer.
	uint32_t (*install)(void *context, enum api_type type, const void *payload, uint32_t size);
	// Queues a datagram to a client.
	void (*send)(void *context, const struct api_packet_send *send, const uint8_t *payload);
	// Tokens, for admission = token. NULL: there are none, and nobody new is admitted by them.
	// redeem checks the token's mac over what it covers and spends it. 0: done is called later,
	// with 0 once it is spent for good, or -errno; -EBADMSG: wrong, or of an unknown key;
	// -EALREADY: spent; -EAGAIN: busy.
	int (*redeem)(void *context, const struct native_token *token, const uint8_t *covered,
		size_t covered_size, void (*done)(void *context, int result), void *done_context);
	// The lease for which it was spent was not made.
	void (*give_back)(void *context, const struct native_token *token);
	// Data for an address that has no lease here (payload: punt->length bytes). NULL: nobody
	// wants it, and workers are not asked to hand it in.
	void (*unknown)(void *context, const struct api_native_punt *punt, const uint8_t *payload);
};

// The relay's X25519 key pair, which clients may pin.
struct registration_key {
	uint8_t secret[32];
	uint8_t public_key[32];
};

struct registration_core;

// config is borrowed and must outlive the core; key is copied, NULL: there is none, and nobody is
// served whatever the configuration says. NULL only without memory.
struct registration_core *registration_core_create(const struct config *config,
	const struct registration_key *key, const struct registration_output *output);
// No redemption of a token may be under way any more.
void registration_core_free(struct registration_core *core);

// Another configuration counts from here on (and must outlive the core, the earlier one may go).
// Leases and handles that live go on as they were granted.
void registration_core_reconfigure(struct registration_core *core, const struct config *config,
	uint64_t now_ms, uint64_t wall_s);

// A (new) dataplane connection: the key of tickets comes from its secret, so tickets of an earlier
// run of this program open as long as the dataplane lives. Forgets what was in flight; sends the
// settings. now_ms: CLOCK_MONOTONIC (tickets carry it over a restart of this program); wall_s: UNIX
// time.
void registration_core_connected(struct registration_core *core,
	const struct api_hello_answer *hello, uint64_t now_ms, uint64_t wall_s);

void registration_core_drain(struct registration_core *core, bool on);

// A punted datagram (payload: punt->length bytes).
void registration_core_punt(struct registration_core *core, const struct api_native_punt *punt,
	const uint8_t *payload, uint64_t now_ms, uint64_t wall_s);
// The dataplane's answer to request `id`: 0 or -errno, and its payload; -ENOTCONN when its
// connection ended first. Not from inside install().
void registration_core_answer(struct registration_core *core, uint32_t id, int result,
	const void *payload, uint32_t size, uint64_t now_ms);
// Follows epoch and load, gives up requests that waited too long. Returns ms until it wants to be
// called again.
uint64_t registration_core_tick(struct registration_core *core, uint64_t now_ms, uint64_t wall_s);

// Counters without identity, for relayctl stats. refused_*: in the order of enum native_reason.
#define REGISTRATION_REFUSALS(X)                                                                   \
	X(refused_malformed)                                                                       \
	X(refused_epoch)                                                                           \
	X(refused_key)                                                                             \
	X(refused_signature)                                                                       \
	X(refused_old)                                                                             \
	X(refused_devices)                                                                         \
	X(refused_puzzle)                                                                          \
	X(refused_token_wanted)                                                                    \
	X(refused_token_bad)                                                                       \
	X(refused_token_spent)                                                                     \
	X(refused_full)                                                                            \
	X(refused_busy)                                                                            \
	X(refused_draining)                                                                        \
	X(refused_not_registered)                                                                  \
	X(refused_no_address)                                                                      \
	X(refused_declined)                                                                        \
	X(refused_taken)                                                                           \
	X(refused_ticket)                                                                          \
	X(refused_not_served)
#define REGISTRATION_COUNTERS(X)                                                                   \
	X(registered)                                                                              \
	X(renewed)                                                                                 \
	X(withdrawn)                                                                               \
	X(invited)                                                                                 \
	X(opened)                                                                                  \
	X(declined)                                                                                \
	X(unknown_address)                                                                         \
	X(retransmissions)                                                                         \
	X(malformed)                                                                               \
	X(unexpected_type)                                                                         \
	X(in_flight_full)                                                                          \
	X(install_failed)                                                                          \
	X(settings_failed)                                                                         \
	X(tokens_redeemed)                                                                         \
	X(tokens_given_back)                                                                       \
	REGISTRATION_REFUSALS(X)
#define REGISTRATION_ENUM_COUNTER(name) REGISTRATION_COUNTER_##name,
enum registration_counter {
	REGISTRATION_COUNTERS(REGISTRATION_ENUM_COUNTER) REGISTRATION_COUNTER_COUNT
};
extern const char *const registration_counter_names[REGISTRATION_COUNTER_COUNT];
uint64_t registration_core_counter(
	const struct registration_core *core, enum registration_counter counter);

struct registration_usage {
	uint32_t in_flight;
	uint32_t epoch;
	uint32_t load;      // registrations a second that have to be admitted
	uint8_t difficulty; // zero bits that workers ask for now
	bool served;
};
void registration_core_usage(const struct registration_core *core, struct registration_usage *out);
