// SPDX-License-Identifier: BSD-3-Clause
// What clients send, read into the book; and what leaves the relay, held against it; see book.h.
//
// Data is let out only if it lies in the burst that workers look at: to the consented peer's place
// if it came from the place that the handle is bound to, or to a place where a device of the
// address has a lease. So nothing is delivered across, whoever sent it and however it was made.
#include "tests/sim/book.h"

#include "tests/sim/network.h"
#include "tests/sim/sim.h"

#include <string.h>

static struct network_packet *const *burst;
static unsigned burst_count;

void book_burst(struct network_packet *const *packets, unsigned count)
{
	burst = packets;
	burst_count = count;
	book_pairs_burst();
}

void book_burst_end(void)
{
	burst_count = 0;
	book_pairs_burst();
}

void book_sent(unsigned client, const struct net_endpoint *from, const uint8_t *data, size_t size)
{
	struct native_header header;
	if (size == 0 || data[0] != NATIVE_FIRST_CONTROL ||
		native_header_parse(data, size, &header) != 0)
		return;
	union {
		struct native_register registration;
		struct native_open open;
		struct native_accept accept;
		struct native_path_response response;
		struct native_close close;
	} m;
	switch (header.type) {
	case NATIVE_REGISTER:
		if (native_register_parse(data, size, &m.registration) == 0)
			book_register(client, from, &m.registration);
		break;
	case NATIVE_OPEN:
		if (native_open_parse(data, size, &m.open) == 0)
			book_open(client, from, &m.open);
		break;
	case NATIVE_ACCEPT:
		if (native_accept_parse(data, size, &m.accept) == 0)
			book_accept(client, from, &m.accept);
		break;
	case NATIVE_PATH_RESPONSE:
		if (native_path_response_parse(data, size, &m.response) == 0)
			book_path_response(client, from, &m.response);
		break;
	case NATIVE_CLOSE:
		if (native_close_parse(data, size, &m.close) == 0)
			book_asks_close(client, &m.close);
		break;
	default:
		break;
	}
}

// ---- what leaves ----

static bool same(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
	return a_size == b_size && memcmp(a, b, a_size) == 0;
}

static void by_handle(const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	unsigned owner = network_owner(to);
	struct native_by_handle out, in;
	if (native_by_handle_parse(data, size, &out) != 0)
		sim_fail(owner, SIM_NOBODY, "the relay has sent malformed data by handle");
	const struct book_pair *pair = book_pair_of(out.handle);
	if (pair == NULL)
		sim_fail(owner, SIM_NOBODY, "data was delivered by a handle that is not there");
	unsigned side = out.handle.index & 1;
	if (!net_endpoint_equal(to, book_pair_at(pair, side)) || owner != pair->owner[side])
		sim_fail(owner, pair->owner[side],
			"data was delivered to another place than the handle's");
	for (unsigned i = 0; i < burst_count; i++)
		if (native_by_handle_parse(burst[i]->bytes, burst[i]->size, &in) == 0 &&
			in.handle.index == (out.handle.index ^ 1) &&
			in.handle.generation == out.handle.generation &&
			net_endpoint_equal(&burst[i]->source, book_pair_at(pair, !side)) &&
			same(in.payload, in.payload_size, out.payload, out.payload_size))
			return;
	sim_fail(owner, pair->owner[!side],
		"data was delivered by handle that its peer did not send from its place");
}

static void by_address(const struct net_endpoint *to, const uint8_t *data, size_t size)
{
	unsigned owner = network_owner(to);
	struct native_by_address out, in;
	if (native_delivered_parse(data, size, &out) != 0)
		sim_fail(owner, SIM_NOBODY, "the relay has sent malformed data by address");
	const struct book_address *address = book_address(out.address);
	bool leased = false;
	for (unsigned i = 0; address != NULL && i < address->count; i++)
		leased |= book_lease_live(address->devices[i]) &&
			  net_endpoint_equal(&address->devices[i]->at, to);
	if (!leased)
		sim_fail(owner, SIM_NOBODY,
			"data was delivered to a place that has no lease of its address");
	for (unsigned i = 0; i < burst_count; i++)
		if (native_by_address_parse(burst[i]->bytes, burst[i]->size, &in) == 0 &&
			in.hops == out.hops + 1 &&
			memcmp(in.address, out.address, NATIVE_ADDRESS_SIZE) == 0 &&
			same(in.payload, in.payload_size, out.payload, out.payload_size))
			return;
	sim_fail(owner, SIM_NOBODY, "data was delivered to an address that nobody sent to it");
}

static void invite(const struct net_endpoint *to, const struct native_invite *m)
{
	const struct book_address *address = book_address(m->callee);
	for (unsigned i = 0; address != NULL && i < address->count; i++)
		if (book_lease_live(address->devices[i]) &&
			net_endpoint_equal(&address->devices[i]->at, to))
			return;
	sim_fail(network_owner(to), SIM_NOBODY,
		"INVITE was sent to a place that has no lease of the called address");
}

// Where caller or callee asked for it; the handle may have moved on since.
static void opened(const struct net_endpoint *to, const struct native_opened *m)
{
	const struct book_pair *pair = book_pair_opened(m->open_id);
	unsigned owner = network_owner(to), side = m->handle.index & 1;
	if (pair == NULL || !pair->made || pair->handle.generation != m->handle.generation ||
		pair->handle.index != m->handle.index - side)
		sim_fail(owner, SIM_NOBODY, "OPENED was sent for a pair that is not there");
	for (unsigned i = 0; i < pair->asked_count; i++)
		if (pair->asked[i].type != NATIVE_PATH_RESPONSE && pair->asked[i].side == side &&
			pair->asked[i].client == pair->owner[side] &&
			net_endpoint_equal(&pair->asked[i].from, to))
			return;
	sim_fail(owner, pair->owner[side], "OPENED was sent to another than asked for it");
}

void book_left(const struct net_endpoint *destination, const uint8_t *data, size_t size)
{
	union {
		struct native_invite invite;
		struct native_opened opened;
	} m;
	if (size > 0 && data[0] == NATIVE_FIRST_HANDLE)
		by_handle(destination, data, size);
	else if (size > 0 && data[0] == NATIVE_FIRST_ADDRESS)
		by_address(destination, data, size);
	else if (size < NATIVE_HEADER_SIZE || data[0] != NATIVE_FIRST_CONTROL)
		sim_fail(network_owner(destination), SIM_NOBODY,
			"the relay has sent something that is no message");
	else if (data[2] == NATIVE_INVITE && native_invite_parse(data, size, &m.invite) == 0)
		invite(destination, &m.invite);
	else if (data[2] == NATIVE_OPENED && native_opened_parse(data, size, &m.opened) == 0)
		opened(destination, &m.opened);
}

void book_compare(void)
{
	book_leases_compare();
	book_pairs_compare();
}

void book_sample(unsigned most, void (*lease)(const struct book_lease *lease),
	void (*pair)(const struct book_pair *pair))
{
	book_leases_sample(most, lease);
	book_pairs_sample(most, pair);
}

void book_forget(void)
{
	book_leases_forget();
	book_pairs_forget();
}

void book_close(void)
{
	book_leases_close();
	book_pairs_close();
}
