// SPDX-License-Identifier: BSD-3-Clause
// Leases as they must be; see book.h. The table's functions are wrapped:
//
// wrap: leases_set
// wrap: leases_remove
// wrap: leases_end_some
#include "tests/sim/book.h"

#include "dataplane/table/leases.h"
#include "dataplane/cookies.h"
#include "tests/sim/clock.h"
#include "tests/sim/map.h"
#include "tests/sim/network.h"
#include "tests/sim/relay.h"
#include "tests/sim/sim.h"
#include "tests/sim/trace.h"

#include <stdlib.h>
#include <string.h>

enum {
	// Ticks are rounded up, and what has run out is looked at a turn later.
	ROUNDING_US = 3 * CLOCK_MS,
	// How long after it was sent a REGISTER may still have an effect: its cookie's age, and
	// what the way to the control plane takes.
	REGISTER_MOST_US = (NATIVE_CONTROL_COOKIE_S + 3) * CLOCK_S,
};

static struct map leases, addresses;
static bool ending; // the drain's deadline has come: they end one by one

static uint64_t key_of(const uint8_t *address, const uint8_t *device)
{
	uint8_t bytes[NATIVE_ADDRESS_SIZE + NATIVE_DEVICE_SIZE];
	memcpy(bytes, address, NATIVE_ADDRESS_SIZE);
	memcpy(bytes + NATIVE_ADDRESS_SIZE, device, NATIVE_DEVICE_SIZE);
	return map_hash(bytes, sizeof(bytes));
}

const struct book_address *book_address(const uint8_t *address)
{
	return map_get(&addresses, map_hash(address, NATIVE_ADDRESS_SIZE));
}

bool book_lease_live(const struct book_lease *lease)
{
	return lease->live && lease->until > clock_now();
}

static struct book_lease *lease_new(unsigned client, const struct native_register *m)
{
	struct book_lease *lease = calloc(1, sizeof(*lease));
	struct book_address *address =
		map_get(&addresses, map_hash(m->address, NATIVE_ADDRESS_SIZE));
	if (lease == NULL)
		abort();
	if (address == NULL) {
		address = calloc(1, sizeof(*address));
		if (address == NULL)
			abort();
		memcpy(address->address, m->address, NATIVE_ADDRESS_SIZE);
		map_put(&addresses, map_hash(m->address, NATIVE_ADDRESS_SIZE), address);
	}
	memcpy(lease->address, m->address, NATIVE_ADDRESS_SIZE);
	memcpy(lease->device, m->device, NATIVE_DEVICE_SIZE);
	lease->owner = (uint16_t)client;
	if (address->count == BOOK_DEVICES_MAX)
		sim_fail(client, SIM_NOBODY, "too many devices for the book");
	address->devices[address->count++] = lease;
	map_put(&leases, key_of(m->address, m->device), lease);
	return lease;
}

void book_register(
	unsigned client, const struct net_endpoint *from, const struct native_register *m)
{
	struct book_lease *lease = map_get(&leases, key_of(m->address, m->device));
	if (lease == NULL)
		lease = lease_new(client, m);
	if (lease->owner != client)
		sim_fail(client, lease->owner, "two clients have chosen one device");
	if (lease->sent_count == lease->sent_room) {
		lease->sent_room = lease->sent_room ? 2 * lease->sent_room : 4;
		lease->sent = realloc(lease->sent, lease->sent_room * sizeof(*lease->sent));
		if (lease->sent == NULL)
			abort();
	}
	lease->sent[lease->sent_count++] =
		(struct book_register){*from, cookie_issued(m->cookie), m->lifetime, clock_now()};
}

// The number of the first message that asked for just this; 0: none did.
static unsigned asked_for(
	const struct book_lease *lease, const struct api_lease *request, bool withdraws)
{
	for (unsigned i = 0; i < lease->sent_count; i++) {
		const struct book_register *sent = &lease->sent[i];
		if (sent->issued == request->issued && (sent->lifetime_s == 0) == withdraws &&
			net_endpoint_equal(&sent->from, &request->client) &&
			(uint64_t)sent->lifetime_s * 1000 >= request->lifetime_ms)
			return i + 1;
	}
	return 0;
}

// What the table holds of an address is what stands here.
static void compare(const struct book_address *address)
{
	struct lease_view views[NATIVE_DEVICES_MAX];
	int count = leases_look_up(relay_leases(), address->address, ticks_of(clock_tsc()), views);
	int found = 0;
	for (unsigned i = 0; i < address->count; i++) {
		const struct book_lease *lease = address->devices[i];
		const struct lease_view *view = NULL;
		for (int v = 0; v < count; v++)
			if (memcmp(views[v].device, lease->device, NATIVE_DEVICE_SIZE) == 0)
				view = &views[v];
		found += view != NULL;
		if (lease->live && lease->until + ROUNDING_US > clock_now() &&
			lease->until < clock_now() + ROUNDING_US)
			continue; // just running out
		if ((view != NULL) != book_lease_live(lease))
			sim_fail(lease->owner, SIM_NOBODY, "a lease is %s",
				view != NULL ? "there that nobody asked for" : "gone");
		if (view == NULL)
			continue;
		uint64_t left = (uint64_t)(view->deadline - ticks_of(clock_tsc())) * CLOCK_MS,
			 wanted = lease->until - clock_now();
		if (view->issued != lease->issued || view->client_port != lease->at.port ||
			view->family != lease->at.address.family ||
			memcmp(view->client, lease->at.address.bytes,
				view->family == NET_IPV4 ? 4 : 16) != 0)
			sim_fail(lease->owner, SIM_NOBODY, "a lease is not where it was put");
		if (left > wanted + ROUNDING_US || wanted > left + ROUNDING_US)
			sim_fail(lease->owner, SIM_NOBODY, "a lease ends in %llu ms, not in %llu",
				(unsigned long long)left / CLOCK_MS,
				(unsigned long long)wanted / CLOCK_MS);
	}
	if (found != count)
		sim_fail(SIM_NOBODY, SIM_NOBODY, "an address has a device that nobody asked for");
}

static void changed(const struct api_lease *request, bool withdraws)
{
	struct book_lease *lease = map_get(&leases, key_of(request->address, request->device));
	if (lease == NULL)
		sim_fail(network_owner(&request->client), SIM_NOBODY,
			"a lease was %s that no client ever asked for",
			withdraws ? "removed" : "made");
	bool live = book_lease_live(lease), same = net_endpoint_equal(&lease->at, &request->client);
	// A repetition, or the end of what is not there.
	if (withdraws ? !live : live && same && lease->issued == request->issued)
		return;
	unsigned number = asked_for(lease, request, withdraws);
	if (number == 0)
		sim_fail(lease->owner, network_owner(&request->client),
			"a lease was %s in a way that its client never asked for",
			withdraws ? "removed" : "made or moved");
	if (number <= lease->effective)
		sim_fail(lease->owner, SIM_NOBODY,
			"message %u of a device changed its lease after message %u had", number,
			lease->effective);
	if (lease->sent[number - 1].at + REGISTER_MOST_US < clock_now())
		sim_fail(lease->owner, SIM_NOBODY, "a REGISTER had an effect when it was too old");
	sim_count(withdraws ? COUNT_leases_removed
		  : !live   ? COUNT_leases_made
		  : same    ? COUNT_leases_renewed
			    : COUNT_leases_moved);
	lease->effective = number;
	lease->live = !withdraws;
	lease->at = request->client;
	lease->issued = request->issued;
	lease->until = clock_now() + (uint64_t)request->lifetime_ms * CLOCK_MS;
	trace(TRACE_TABLE, lease->owner, withdraws ? "lease removed" : "lease set",
		&request->client, NULL, 0);
}

static void reported(const struct api_lease *request, bool withdraws, int result)
{
	if (result == 0)
		changed(request, withdraws);
	const struct book_address *address = book_address(request->address);
	if (address != NULL)
		compare(address);
}

int __real_leases_set(struct leases *table, const struct node_addresses *node,
	const struct api_lease *lease, bool draining, uint64_t now);
int __wrap_leases_set(struct leases *table, const struct node_addresses *node,
	const struct api_lease *lease, bool draining, uint64_t now);
int __wrap_leases_set(struct leases *table, const struct node_addresses *node,
	const struct api_lease *lease, bool draining, uint64_t now)
{
	int result = __real_leases_set(table, node, lease, draining, now);
	reported(lease, false, result);
	return result;
}

int __real_leases_remove(struct leases *table, const struct api_lease *lease, uint64_t now);
int __wrap_leases_remove(struct leases *table, const struct api_lease *lease, uint64_t now);
int __wrap_leases_remove(struct leases *table, const struct api_lease *lease, uint64_t now)
{
	int result = __real_leases_remove(table, lease, now);
	reported(lease, true, result);
	return result;
}

static unsigned for_all(void (*look)(const struct book_address *address))
{
	size_t position = 0;
	unsigned live = 0;
	struct book_address *address;
	while ((address = map_next(&addresses, &position)) != NULL) {
		if (look != NULL)
			look(address);
		for (unsigned i = 0; i < address->count; i++)
			live += book_lease_live(address->devices[i]);
	}
	return live;
}

// The drain's deadline has come: from here on whatever lease is gone may be.
bool __real_leases_end_some(struct leases *table, uint32_t *position, unsigned budget);
bool __wrap_leases_end_some(struct leases *table, uint32_t *position, unsigned budget);
bool __wrap_leases_end_some(struct leases *table, uint32_t *position, unsigned budget)
{
	if (!relay_drain_is_over())
		sim_fail(SIM_NOBODY, SIM_NOBODY, "leases are ended without a drain");
	bool last = __real_leases_end_some(table, position, budget);
	size_t at = 0;
	struct book_lease *lease;
	while (last && (lease = map_next(&leases, &at)) != NULL)
		lease->live = false;
	ending = !last;
	return last;
}

void book_leases_compare(void)
{
	if (!ending)
		for_all(compare);
}

unsigned book_leases_live(void)
{
	return for_all(NULL);
}

void book_leases_sample(unsigned most, void (*look)(const struct book_lease *lease))
{
	size_t position = 0, step = leases.count / most + 1;
	const struct book_lease *lease;
	for (size_t i = 0; (lease = map_next(&leases, &position)) != NULL; i++)
		if (i % step == 0)
			look(lease);
}

void book_leases_forget(void)
{
	size_t position = 0;
	struct book_lease *lease;
	while ((lease = map_next(&leases, &position)) != NULL) {
		lease->live = false;
		lease->effective = lease->sent_count = 0;
	}
	ending = false;
}

void book_leases_close(void)
{
	size_t position = 0;
	struct book_lease *lease;
	while ((lease = map_next(&leases, &position)) != NULL) {
		free(lease->sent);
		free(lease);
	}
	map_free(&leases);
	position = 0;
	struct book_address *address;
	while ((address = map_next(&addresses, &position)) != NULL)
		free(address);
	map_free(&addresses);
}
