// SPDX-License-Identifier: BSD-3-Clause
// See adversary.h. Of what he makes up nothing can be right but by guessing 64 bits or more; what
// he repeats was right once.
#include "tests/sim/adversary.h"

#include "lib/crypto/epoch.h"
#include "lib/wire/native.h"
#include "tests/sim/client.h"
#include "tests/sim/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/network.h"
#include "tests/sim/sim.h"

#include <sodium.h>

#include <stdlib.h>
#include <string.h>

enum {
	SEEN_MAX = 4096,         // datagrams remembered, control messages rather than data
	SEE_DATA_CHANCE = 20000, // of a million
	SEE_CONTROL_CHANCE = 300000,
	LATER_US = 45 * CLOCK_S,
	FLOOD = 48,
};

struct seen {
	struct net_endpoint source, destination;
	uint16_t size;
	bool to_relay;
	uint8_t bytes[NATIVE_MESSAGE_MAX];
};

static struct {
	struct dice dice;
	struct seen *seen;
	unsigned count;
	uint64_t every;
	uint32_t strangers; // sources that nobody has
	struct net_endpoint own[2];
	uint8_t cookie[2][NATIVE_COOKIE_SIZE]; // for them; they are sent there
} he;

void adversary_open(uint64_t seed)
{
	dice_seed(&he.dice, seed, 0xAD);
	he.seen = calloc(SEEN_MAX, sizeof(*he.seen));
	if (he.seen == NULL)
		abort();
	he.own[0] = (struct net_endpoint){
		.address = net_address_v4((uint8_t[]){66, 6, 6, 6}), .port = 666};
	he.own[1] = (struct net_endpoint){
		.address = net_address_v6((uint8_t[16]){0x2a, 0x66, [15] = 6}), .port = 666};
}

void adversary_close(void)
{
	free(he.seen);
}

void adversary_see(const struct net_endpoint *source, const struct net_endpoint *destination,
	const void *data, size_t size, bool to_relay)
{
	bool control = size > 0 && *(const uint8_t *)data == NATIVE_FIRST_CONTROL;
	for (unsigned i = 0; i < 2; i++)
		if (!to_relay && net_endpoint_equal(destination, &he.own[i])) {
			struct native_challenge m;
			if (native_challenge_parse(data, size, &m) == 0)
				memcpy(he.cookie[i], m.cookie, sizeof(he.cookie[i]));
			return;
		}
	if (he.every == 0 || size > NATIVE_MESSAGE_MAX ||
		!dice_chance(&he.dice, control ? SEE_CONTROL_CHANCE : SEE_DATA_CHANCE))
		return;
	unsigned place =
		he.count < SEEN_MAX ? he.count++ : (unsigned)dice_below(&he.dice, SEEN_MAX);
	struct seen *seen = &he.seen[place];
	*seen = (struct seen){.source = *source,
		.destination = *destination,
		.size = (uint16_t)size,
		.to_relay = to_relay};
	memcpy(seen->bytes, data, size);
}

// ---- places ----

static const struct net_endpoint *anybody(unsigned family)
{
	for (unsigned i = 0; i < 20; i++) {
		const struct client *client =
			client_at((unsigned)dice_below(&he.dice, sim_options.clients));
		if (client->host.up && client->host.family == family)
			return &client->host.transport;
	}
	return &he.own[family == NET_IPV6];
}

static struct net_endpoint stranger(unsigned family)
{
	struct net_endpoint place = {.port = (uint16_t)dice_between(&he.dice, 1024, 65535)};
	uint32_t number = ++he.strangers;
	place.address = family == NET_IPV4
				? net_address_v4((uint8_t[]){23, (uint8_t)(number >> 16),
					  (uint8_t)(number >> 8), (uint8_t)number})
				: net_address_v6((uint8_t[16]){0x2b, 0, (uint8_t)(number >> 16),
					  (uint8_t)(number >> 8), (uint8_t)number, [15] = 9});
	return place;
}

// ---- replays ----

static void replay(void)
{
	if (he.count == 0)
		return;
	const struct seen *seen = &he.seen[dice_below(&he.dice, he.count)];
	unsigned family = seen->source.address.family;
	uint64_t delay = dice_chance(&he.dice, 500000) ? dice_below(&he.dice, 5 * CLOCK_MS)
						       : dice_below(&he.dice, LATER_US);
	const struct net_endpoint *source = &seen->source, *destination = &seen->destination;
	uint64_t choice = dice_below(&he.dice, 10);
	// What the relay said, to another client or to the relay itself; what a client said, from
	// another place.
	if (choice >= 6 && seen->to_relay)
		source = choice < 8 ? anybody(family) : &he.own[family == NET_IPV6];
	else if (choice >= 6 && choice < 8)
		destination = anybody(family);
	else if (choice >= 8 && !seen->to_relay) {
		source = &seen->destination;
		destination = network_relay(family);
	}
	sim_count(COUNT_replayed);
	network_inject(source, destination, seen->bytes, seen->size, delay);
}

// A datagram of others with some bits turned, or two of them grown together.
static void alter(void)
{
	if (he.count == 0)
		return;
	const struct seen *seen = &he.seen[dice_below(&he.dice, he.count)];
	const struct seen *other = &he.seen[dice_below(&he.dice, he.count)];
	uint8_t bytes[NATIVE_MESSAGE_MAX];
	size_t size = seen->size;
	memcpy(bytes, seen->bytes, size);
	if (size == 0)
		return;
	switch (dice_below(&he.dice, 4)) {
	case 0:
		size = dice_below(&he.dice, size);
		break;
	case 1: {
		size_t from = dice_below(&he.dice, size);
		size_t most = other->size > from ? other->size : from;
		most = most < size ? most : size;
		memcpy(bytes + from, other->bytes + from, most - from);
		break;
	}
	default:
		for (unsigned i = 0; i < 3; i++)
			bytes[dice_below(&he.dice, size)] ^=
				(uint8_t)(1 << dice_below(&he.dice, 8));
	}
	// From a place that nobody has nothing may come back that is larger.
	unsigned family = seen->source.address.family;
	struct net_endpoint source = seen->source;
	if (seen->to_relay && dice_chance(&he.dice, 300000))
		source = stranger(family);
	sim_count(COUNT_forged);
	network_inject(
		&source, &seen->destination, bytes, size, dice_below(&he.dice, 50 * CLOCK_MS));
}

// ---- forgeries ----

static void from_own(unsigned way, const void *data, size_t size)
{
	sim_count(COUNT_forged);
	network_inject(
		&he.own[way], network_relay(he.own[way].address.family), data, size, 20 * CLOCK_MS);
}

static void solicit(unsigned way)
{
	uint8_t message[64], transaction[NATIVE_TRANSACTION_SIZE];
	dice_fill(&he.dice, transaction, sizeof(transaction));
	size_t size = native_solicit_build(
		message, sizeof(message), &(struct native_solicit){.transaction = transaction});
	from_own(way, message, size);
}

// Somebody's address, registered with a key of his own, properly signed; and with the owner's key,
// which he has seen, and his own signature.
static void take_address(unsigned way)
{
	const struct seen *seen = NULL;
	struct native_register theirs, m;
	for (unsigned i = 0; i < 50 && he.count > 0 && seen == NULL; i++) {
		const struct seen *s = &he.seen[dice_below(&he.dice, he.count)];
		if (s->to_relay && native_register_parse(s->bytes, s->size, &theirs) == 0)
			seen = s;
	}
	if (seen == NULL)
		return;
	uint8_t seed[32], key[32], secret[64], transaction[NATIVE_TRANSACTION_SIZE],
		message[NATIVE_MESSAGE_MAX], input[NATIVE_MESSAGE_MAX + 64];
	dice_fill(&he.dice, seed, sizeof(seed));
	dice_fill(&he.dice, transaction, sizeof(transaction));
	crypto_sign_seed_keypair(key, secret, seed);
	m = theirs;
	m.transaction = transaction;
	m.cookie = he.cookie[way];
	m.signature = NULL;
	if (dice_chance(&he.dice, 500000))
		m.lifetime = 0;
	if (dice_chance(&he.dice, 500000))
		m.key = key;
	size_t size = native_register_build(message, sizeof(message), &m);
	size_t covered = native_signature_input(input, message, size);
	crypto_sign_detached(message + size - NATIVE_SIGNATURE_SIZE, NULL, input, covered, secret);
	from_own(way, message, size);
}

// A handle that somebody has, and proofs that are none.
static void take_handle(unsigned way)
{
	uint8_t message[128], transaction[NATIVE_TRANSACTION_SIZE], token[NATIVE_PATH_TOKEN_SIZE],
		proof[NATIVE_PROOF_SIZE];
	struct native_by_handle data = {{0, 0}, NULL, 0};
	for (unsigned i = 0; i < 50 && he.count > 0; i++) {
		const struct seen *s = &he.seen[dice_below(&he.dice, he.count)];
		if (s->to_relay && native_by_handle_parse(s->bytes, s->size, &data) == 0)
			break;
	}
	if (dice_chance(&he.dice, 300000))
		data.handle.index ^= 1;
	dice_fill(&he.dice, transaction, sizeof(transaction));
	dice_fill(&he.dice, token, sizeof(token));
	dice_fill(&he.dice, proof, sizeof(proof));
	size_t size = 0;
	switch (dice_below(&he.dice, 4)) {
	case 0:
		size = native_path_response_build(message, sizeof(message),
			&(struct native_path_response){transaction, data.handle, token, proof});
		break;
	case 1:
		size = native_close_build(message, sizeof(message),
			&(struct native_close){transaction, data.handle, proof});
		break;
	case 2:
		size = native_keepalive_build(message, sizeof(message),
			&(struct native_keepalive){transaction, he.cookie[way], true, data.handle});
		break;
	default:
		data.payload = token;
		data.payload_size = sizeof(token);
		size = native_by_handle_build(message, sizeof(message), &data);
	}
	if (size > 0)
		from_own(way, message, size);
}

static void rubbish(void)
{
	uint8_t bytes[256];
	size_t size = dice_below(&he.dice, sizeof(bytes));
	unsigned family = dice_chance(&he.dice, 500000) ? NET_IPV4 : NET_IPV6;
	struct net_endpoint source =
		dice_chance(&he.dice, 500000) ? *anybody(family) : stranger(family);
	dice_fill(&he.dice, bytes, size);
	if (size > 3) {
		bytes[0] =
			(uint8_t)dice_between(&he.dice, NATIVE_FIRST_CONTROL, NATIVE_FIRST_HANDLE);
		bytes[1] = (uint8_t)dice_below(&he.dice, 3);
		bytes[2] = (uint8_t)dice_below(&he.dice, NATIVE_UNSUPPORTED + 2);
		bytes[3] = 0;
	}
	sim_count(COUNT_forged);
	network_inject(&source, network_relay(family), bytes, size, 0);
}

// Many at once, each from a place that nobody has.
static void flood(void)
{
	const struct seen *seen = &he.seen[dice_below(&he.dice, he.count ? he.count : 1)];
	for (unsigned i = 0; i < FLOOD; i++) {
		unsigned family = i % 8 ? NET_IPV4 : NET_IPV6;
		struct net_endpoint source = stranger(family);
		sim_count(COUNT_flooded);
		network_inject(&source, network_relay(family), seen->bytes, seen->size,
			dice_below(&he.dice, 20 * CLOCK_MS));
	}
}

static void work(void *object, uint64_t argument)
{
	unsigned way = (unsigned)dice_below(&he.dice, 2);
	(void)object;
	(void)argument;
	if (he.every == 0)
		return;
	switch (dice_below(&he.dice, 16)) {
	case 0:
		solicit(way);
		break;
	case 1:
		take_address(way);
		break;
	case 2:
		take_handle(way);
		break;
	case 3:
		rubbish();
		break;
	case 4:
	case 5:
		alter();
		break;
	case 6:
		if (dice_chance(&he.dice, 100000))
			flood();
		break;
	default:
		replay();
	}
	clock_after(dice_wait(&he.dice, he.every), work, NULL, 0);
}

void adversary_work(uint64_t every_us)
{
	bool idle = he.every == 0;
	he.every = every_us;
	if (idle && every_us != 0)
		clock_after(0, work, NULL, 0);
}
