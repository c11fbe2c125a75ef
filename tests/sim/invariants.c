// SPDX-License-Identifier: BSD-3-Clause
// See invariants.h. What is looked at with every datagram and every change of a table is in
// account.c, book_*.c and ledger.c.
#include "tests/sim/invariants.h"

#include "dataplane/table/handles.h"
#include "dataplane/table/leases.h"
#include "tests/sim/book.h"
#include "tests/sim/client.h"
#include "tests/sim/control.h"
#include "tests/sim/relay.h"
#include "tests/sim/relay_memory.h"
#include "tests/sim/sim.h"

enum { SEARCHED = 24 }; // clients whose traces are looked for

static void require(unsigned long long have, unsigned long long want, const char *what)
{
	if (have != want)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "%llu %s, not %llu", have, what, want);
}

void invariants_check(void)
{
	book_compare();
	require(relay_buffers_used(), 0, "buffers are held between two turns");
	require(relay_handles()->used, book_pairs_live(), "pairs of handles are counted");
}

static void search(unsigned client, const void *bytes, size_t size, const char *what)
{
	const char *where = relay_search(bytes, size);
	if (where == NULL && control_has(bytes, size))
		where = "the control plane's slots";
	if (where != NULL)
		sim_fail(client, SIM_NOBODY, "%s of a client that has gone is in %s", what, where);
}

static void search_client(const struct client *client)
{
	// As tables hold it: an IPv4 address has twelve zeros behind it, so it is found by itself.
	search(client->number, client->host.transport.address.bytes, 16, "a transport address");
}

static void search_address(const struct book_lease *lease)
{
	search(lease->owner, lease->address, 16, "the first half of an address");
	search(lease->owner, lease->address + 16, 16, "the second half of an address");
	search(lease->owner, lease->device, NATIVE_DEVICE_SIZE, "a device");
}

static void search_pair(const struct book_pair *pair)
{
	search(pair->owner[0], pair->open_id, NATIVE_OPEN_ID_SIZE, "an open id");
}

void invariants_at_end(void)
{
	invariants_check();
	require(book_leases_live(), 0, "leases should live still");
	require(relay_leases()->used, 0, "leases are left");
	require(relay_leases()->tombstones, 0, "tombstones are left");
	require(relay_handles()->used, 0, "pairs of handles are left");
	require(control_in_flight(), 0, "requests are in flight");
	require(relay_buffers_used(), 0, "buffers are used");
	relay_memory_take();
	unsigned step = sim_options.clients / SEARCHED + 1;
	for (unsigned i = 0; i < sim_options.clients; i += step)
		search_client(client_at(i));
	book_sample(SEARCHED, search_address, search_pair);
}
