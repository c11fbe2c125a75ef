// SPDX-License-Identifier: BSD-3-Clause
// What happened: the last events of the run, to be printed when it fails, and a digest over all of
// them, which two runs of one seed have in common.
#pragma once

#include "lib/net/address.h"

#include <stddef.h>
#include <stdint.h>

enum trace_kind {
	TRACE_SENT,      // by a client (or spoofed for it)
	TRACE_ARRIVED,   // at the relay
	TRACE_ANSWERED,  // left the relay
	TRACE_DELIVERED, // at a client
	TRACE_NOWHERE,   // nobody has that transport address any more
	TRACE_TABLE,     // a lease or a handle changed
	TRACE_TOLD,      // an event of the endpoint, or a wish of the user
	TRACE_SCENE,     // of the relay or the scenario
};

// client: SIM_NOBODY, SIM_ADVERSARY or a number. what: static text. remote: NULL or a transport
// address; data: NULL or a datagram.
void trace(enum trace_kind kind, unsigned client, const char *what,
	const struct net_endpoint *transport, const void *data, size_t size);
uint64_t trace_digest(void);
uint64_t trace_count(void);
// Prints up to `most` of the last events of two clients, or of everybody.
void trace_print(unsigned client, unsigned other, unsigned most);
