// SPDX-License-Identifier: BSD-3-Clause
// Which worker owns a client's allocation, for packets that came to another one: the client's
// interface or a router's choice changed, or the port cannot steer (AF_XDP sockets on two ports).
// Asked only after the worker's own tables had nothing, so it costs what is found there nothing; a
// spoofed packet costs two cache lines. Only where there are two workers or more.
//
// Buckets of 8 words in a cache line; a client has two buckets. A word is
//     1 | worker (7) | tag (56), from the top; 0: free.
// Tag and buckets come from one 64-bit hash of the 5-tuple under a random key of this start, of
// which nothing leaves the process; no address is here. A word is taken by compare-and-swap from 0
// and given back to 0 by the worker it names, so words do not change hands. A client goes into
// the emptier bucket of its two, and there are twelve words for eight allocations at least, so that
// two full buckets are next to impossible (none in 349,524 clients at that load); a client that
// meets them is not in the index, counted, and its packets on other workers are dropped.
#pragma once

#include "dataplane/table/mappings.h"

#include <stdbool.h>
#include <stdint.h>

struct client_index;

// Room for the allocations of all workers. NULL: no memory.
struct client_index *client_index_create(unsigned workers, unsigned allocations, int socket);
void client_index_free(struct client_index *index);

// key: of the allocation (channel 0). index may be NULL in all of them.
// Owner worker. False: no room.
bool client_index_add(struct client_index *index, const struct client_key *key, uint16_t worker);
// Owner worker; harmless when it is not there.
void client_index_remove(struct client_index *index, const struct client_key *key, uint16_t worker);
// Any worker. -1: nobody. *hash: tells clients apart on their way to the owner.
int client_index_find(
	const struct client_index *index, const struct client_key *key, uint32_t *hash);
