// SPDX-License-Identifier: BSD-3-Clause
// What the relay's tables must hold, kept beside them from the outside: by what honest clients sent
// (from where, in which order) and by which changes the tables report. A change that no honest
// client asked for, or asked for before something that has already had its effect, is a failure,
// whoever brought the datagram: a replay, a forgery or a duplicate may change nothing.
//
// Late is not false: a datagram of an honest client that the network lost and that the adversary
// brings, from its own source and before anything newer had an effect, is the client's word.
//
// Leases: book_leases.c. Handles: book_pairs.c. What leaves the relay: book_answers.c.
#pragma once

#include "dataplane/api/messages.h"
#include "lib/net/address.h"
#include "lib/wire/native.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct network_packet;

enum { BOOK_DEVICES_MAX = 64 }; // of an address, over time

// An honest client has sent something, from there.
void book_sent(unsigned client, const struct net_endpoint *from, const uint8_t *data, size_t size);

// What workers look at from here to book_burst_end: what data leaves in between must be one of
// these.
void book_burst(struct network_packet *const *packets, unsigned count);
void book_burst_end(void);
// A datagram leaves the relay.
void book_left(const struct net_endpoint *destination, const uint8_t *data, size_t size);

// The tables hold what is written here, of all addresses and handles.
void book_compare(void);
// The dataplane was started anew: nothing holds any more.
void book_forget(void);
void book_close(void);
// Leases and pairs that must be there now.
unsigned book_leases_live(void);
unsigned book_pairs_live(void);

struct book_lease;
struct book_pair;
// Shows about so many leases and pairs of all that ever were.
void book_sample(unsigned most, void (*lease)(const struct book_lease *lease),
	void (*pair)(const struct book_pair *pair));

// ---- leases ----

struct book_lease {
	uint8_t address[NATIVE_ADDRESS_SIZE], device[NATIVE_DEVICE_SIZE];
	uint16_t owner;
	bool live;
	struct net_endpoint at;
	uint64_t until; // clock_now
	uint32_t issued;
	unsigned effective; // the message that made it so: 1 is the first one, 0 none
	unsigned sent_count, sent_room;
	struct book_register {
		struct net_endpoint from;
		uint32_t issued, lifetime_s;
		uint64_t at;
	} * sent; // in the order of sending
};

struct book_address {
	uint8_t address[NATIVE_ADDRESS_SIZE];
	unsigned count;
	struct book_lease *devices[BOOK_DEVICES_MAX];
};

void book_register(
	unsigned client, const struct net_endpoint *from, const struct native_register *message);
// NULL: nobody ever asked for it.
const struct book_address *book_address(const uint8_t *address);
bool book_lease_live(const struct book_lease *lease);
void book_leases_compare(void);
void book_leases_forget(void);
void book_leases_close(void);
void book_leases_sample(unsigned most, void (*look)(const struct book_lease *lease));

// ---- pairs of handles ----

struct book_pair {
	uint8_t open_id[NATIVE_OPEN_ID_SIZE];
	uint16_t owner[2]; // of caller and callee, once installed; before it the caller's alone
	bool made, live;
	uint64_t made_at, lifetime_ms;
	struct native_handle handle; // the caller's
	struct net_endpoint at[2];
	uint64_t until[2];
	unsigned effective[2]; // of answers to path checks
	bool close_asked;
	// Workers look at data before they look at what ends or moves a handle, so what leaves with
	// a burst goes by how things were when it began.
	uint64_t changed_in; // number of the last burst that changed it
	struct net_endpoint was_at[2];
	unsigned asked_count, asked_room;
	struct book_asked {
		struct net_endpoint from;
		uint16_t client;
		uint8_t type; // NATIVE_OPEN, NATIVE_ACCEPT, NATIVE_PATH_RESPONSE
		uint8_t side;
		uint32_t issued; // of a path check's token
		uint64_t at;
	} * asked; // in the order of sending
};

void book_open(unsigned client, const struct net_endpoint *from, const struct native_open *m);
void book_accept(unsigned client, const struct net_endpoint *from, const struct native_accept *m);
void book_path_response(
	unsigned client, const struct net_endpoint *from, const struct native_path_response *m);
void book_asks_close(unsigned client, const struct native_close *m);
// NULL: none was live when the burst began.
const struct book_pair *book_pair_of(struct native_handle handle);
const struct net_endpoint *book_pair_at(const struct book_pair *pair, unsigned side);
void book_pairs_burst(void); // another one begins
const struct book_pair *book_pair_opened(const uint8_t *open_id);
void book_pairs_compare(void);
void book_pairs_forget(void);
void book_pairs_close(void);
void book_pairs_sample(unsigned most, void (*look)(const struct book_pair *pair));
