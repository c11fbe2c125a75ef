// SPDX-License-Identifier: BSD-3-Clause
// See account.h.
#include "tests/sim/account.h"

#include "lib/wire/headers.h"
#include "lib/wire/native.h"
#include "tests/sim/map.h"
#include "tests/sim/network.h"
#include "tests/sim/sim.h"

#include <stdlib.h>

enum { SHOWN = 16 };

struct account {
	uint64_t received, sent;
	uint64_t binding_received, binding_sent; // of these; sent: besides
	bool proven;
	unsigned given_count;
	uint64_t given[SHOWN]; // hashes of cookies and tokens that went there last
};

static struct map accounts;

static struct account *account_of(const struct net_endpoint *transport)
{
	uint64_t key = map_hash(transport, sizeof(*transport));
	struct account *account = map_get(&accounts, key);
	if (account == NULL) {
		account = calloc(1, sizeof(*account));
		if (account == NULL)
			abort();
		map_put(&accounts, key, account);
	}
	return account;
}

static uint64_t ip_bytes(const struct net_endpoint *transport, size_t size)
{
	return size + HEADERS_UDP_LENGTH +
	       (transport->address.family == NET_IPV4 ? HEADERS_IPV4_LENGTH : HEADERS_IPV6_LENGTH);
}

// Where a datagram has a cookie or a token that the relay gave out; NULL: nowhere.
static const uint8_t *to_client(const uint8_t *data, size_t size)
{
	struct native_header header;
	if (size == 0 || data[0] != NATIVE_FIRST_CONTROL ||
		native_header_parse(data, size, &header) != 0)
		return NULL;
	union {
		struct native_challenge challenge;
		struct native_registered registered;
		struct native_alive alive;
		struct native_path_challenge path_challenge;
	} m;
	switch (header.type) {
	case NATIVE_CHALLENGE:
		return native_challenge_parse(data, size, &m.challenge) ? NULL : m.challenge.cookie;
	case NATIVE_REGISTERED:
		return native_registered_parse(data, size, &m.registered) ? NULL
									  : m.registered.cookie;
	case NATIVE_ALIVE:
		return native_alive_parse(data, size, &m.alive) ? NULL : m.alive.cookie;
	case NATIVE_PATH_CHALLENGE:
		return native_path_challenge_parse(data, size, &m.path_challenge)
			       ? NULL
			       : m.path_challenge.token;
	default:
		return NULL;
	}
}

static const uint8_t *to_relay(const uint8_t *data, size_t size)
{
	if (size >= NATIVE_BY_ADDRESS_HEADER && data[0] == NATIVE_FIRST_ADDRESS)
		return data + NATIVE_BY_ADDRESS_COOKIE;
	if (size < NATIVE_REQUEST_MIN || data[0] != NATIVE_FIRST_CONTROL)
		return NULL;
	switch (data[2]) {
	case NATIVE_REGISTER:
	case NATIVE_KEEPALIVE:
	case NATIVE_OPEN:
	case NATIVE_ACCEPT:
		return data + NATIVE_HEADER_SIZE;
	case NATIVE_PATH_RESPONSE:
		return data + NATIVE_HEADER_SIZE + NATIVE_HANDLE_SIZE;
	default:
		return NULL;
	}
}

static_assert((int)NATIVE_COOKIE_SIZE == (int)NATIVE_PATH_TOKEN_SIZE, "one size for both");

void account_arrived(const struct net_endpoint *source, const uint8_t *data, size_t size)
{
	struct account *account = account_of(source);
	account->received += ip_bytes(source, size);
	if (size > 0 && data[0] <= 3)
		account->binding_received += ip_bytes(source, size);
	const uint8_t *shown = to_relay(data, size);
	if (account->proven || shown == NULL)
		return;
	uint64_t hash = map_hash(shown, NATIVE_COOKIE_SIZE);
	for (unsigned i = 0; i < SHOWN; i++)
		account->proven |= account->given[i] == hash;
}

void account_left(const struct net_endpoint *destination, const uint8_t *data, size_t size)
{
	struct account *account = account_of(destination);
	unsigned client = network_owner(destination);
	if (account->received == 0)
		sim_fail(client, SIM_NOBODY,
			"the relay has sent to a transport address that sent nothing");
	// A Binding reply is at most 1.4 times its request (ARCHITECTURE, flood rule).
	if (size > 0 && data[0] <= 3) {
		account->binding_sent += ip_bytes(destination, size);
		if (account->binding_sent * 5 > account->binding_received * 7)
			sim_fail(client, SIM_NOBODY, "Binding replies are too large");
		return;
	}
	account->sent += ip_bytes(destination, size);
	if (!account->proven && account->sent > account->received)
		sim_fail(client, SIM_NOBODY,
			"%llu bytes have been sent to an unproven transport address that sent %llu",
			(unsigned long long)account->sent, (unsigned long long)account->received);
	const uint8_t *given = to_client(data, size);
	if (given != NULL)
		account->given[account->given_count++ % SHOWN] =
			map_hash(given, NATIVE_COOKIE_SIZE);
}

void account_forget(void)
{
	size_t position = 0;
	struct account *account;
	while ((account = map_next(&accounts, &position)) != NULL)
		free(account);
	map_free(&accounts);
}
