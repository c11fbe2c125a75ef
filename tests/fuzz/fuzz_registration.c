// SPDX-License-Identifier: BSD-3-Clause
// The registration core under raw bytes, good messages of clients with real keys, the same with
// changed bytes, answers, tokens, reconnections and time, all chosen by the input. Only what a
// client signed, unchanged, may become a lease or a pair; answers go to those who asked; what is
// sent can be parsed; in the end nothing is in flight and every slot is wiped.
#include "controlplane/registration/core.h"
#include "lib/crypto/epoch.h"
#include "lib/net/address_text.h"
#include "tests/fuzz/reproducible.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 3, PENDING = 64, MODES = 3, EPOCH = 500000 };

#define DEMAND(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static struct client {
	struct net_endpoint endpoint;
	uint8_t device[NATIVE_DEVICE_SIZE];
	uint8_t ephemeral[32];
	struct {
		struct blinding_secret secret;
		uint8_t key[BLINDING_KEY_SIZE], address[EPOCH_ADDRESS_SIZE];
	} epochs[3]; // EPOCH - 1 to EPOCH + 1
} clients[CLIENTS];

struct pending {
	uint32_t id;
	enum api_type type;
};

static struct world {
	struct config *config;
	struct registration_core *core;
	struct pending pending[PENDING];
	unsigned pending_count;
	struct {
		void (*done)(void *context, int result);
		void *context;
	} redeems[PENDING];
	unsigned redeem_count;
	uint32_t next_id;
	uint64_t now_ms, wall_s;
	uint8_t ticket[NATIVE_TICKET_SIZE]; // of the last INVITE
	struct net_endpoint caller;         // whom that ticket names

	uint8_t message[NATIVE_MESSAGE_MAX + 1];
	size_t size;
	bool honest; // the message is as its client signed it
	const struct client *sender;
} worlds[MODES];

static const struct net_endpoint server = {
	.address = {.bytes = {198, 51, 100, 1}, .family = NET_IPV4}, .port = 3478};

static const uint8_t *input;
static size_t input_left;

static uint8_t next(void)
{
	if (input_left == 0)
		return 0;
	input_left--;
	return *input++;
}

// One at a time: what an expression takes first is the compiler's choice.
static size_t next_size(void)
{
	size_t high = next();
	return high * 256 + next();
}

// ---- what the core asks of its neighbours ----

static void check_lease(const struct world *world, const struct api_lease *lease, bool set)
{
	bool known = false;
	DEMAND(world->honest || world->redeem_count > 0);
	DEMAND(net_endpoint_equal(&lease->server, &server));
	DEMAND(set ? lease->lifetime_ms >= 1000 && lease->lifetime_ms <= 600000
		   : lease->lifetime_ms == 0);
	for (unsigned c = 0; c < CLIENTS; c++)
		for (unsigned e = 0; e < 3; e++)
			known = known ||
				(memcmp(lease->address, clients[c].epochs[e].address,
					 sizeof(lease->address)) == 0 &&
					net_endpoint_equal(&lease->client, &clients[c].endpoint));
	DEMAND(known);
}

static uint32_t on_install(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct world *world = context;
	if (world->pending_count == PENDING)
		return 0;
	const struct api_native_deliver *deliver = payload;
	const struct api_handles_install *pair = payload;
	const struct api_native_settings *settings = payload;
	struct native_invite invite;
	switch (type) {
	case API_LEASE_SET:
	case API_LEASE_REMOVE:
		DEMAND(size == sizeof(struct api_lease));
		check_lease(world, payload, type == API_LEASE_SET);
		break;
	case API_NATIVE_DELIVER:
		DEMAND(world->honest && size == sizeof(*deliver) + deliver->length);
		DEMAND(native_invite_parse(
			       (const uint8_t *)(deliver + 1), deliver->length, &invite) == 0);
		memcpy(world->ticket, invite.ticket, sizeof(world->ticket));
		world->caller = world->sender->endpoint;
		break;
	case API_HANDLES_INSTALL:
		DEMAND(world->honest && size == sizeof(*pair) && pair->lifetime_ms == 60000);
		DEMAND(net_endpoint_equal(&pair->end[0].client, &world->caller));
		DEMAND(net_endpoint_equal(&pair->end[1].client, &world->sender->endpoint));
		break;
	default:
		DEMAND(type == API_NATIVE_SETTINGS && size == sizeof(*settings));
		DEMAND(settings->difficulty <= REGISTRATION_PUZZLE_MOST);
		DEMAND(settings->difficulty == 0 || settings->admission == NATIVE_ADMISSION_PUZZLE);
	}
	world->pending[world->pending_count++] = (struct pending){++world->next_id, type};
	return world->next_id;
}

static void on_send(void *context, const struct api_packet_send *send, const uint8_t *payload)
{
	const struct world *world = context;
	union {
		struct native_registered registered;
		struct native_refused refused;
		struct native_opened opened;
	} m;
	bool asked = false;
	DEMAND(native_registered_parse(payload, send->length, &m.registered) == 0 ||
		native_refused_parse(payload, send->length, &m.refused) == 0 ||
		native_opened_parse(payload, send->length, &m.opened) == 0);
	DEMAND(net_endpoint_equal(&send->source, &server));
	for (unsigned c = 0; c < CLIENTS; c++)
		asked = asked || net_endpoint_equal(&send->destination, &clients[c].endpoint);
	DEMAND(asked);
	(void)world;
}

static int on_redeem(void *context, const struct native_token *token, const uint8_t *covered,
	size_t covered_size, void (*done)(void *context, int result), void *done_context)
{
	struct world *world = context;
	static const int results[] = {0, 0, 0, -EBADMSG, -EALREADY, -EAGAIN};
	DEMAND(world->honest && covered == world->message && covered_size < world->size);
	DEMAND(token->nonce != NULL && token->mac != NULL);
	int result = results[next() % 6];
	if (world->redeem_count == PENDING)
		result = -EAGAIN;
	if (result != 0)
		return result;
	world->redeems[world->redeem_count].done = done;
	world->redeems[world->redeem_count++].context = done_context;
	return 0;
}

static void on_give_back(void *context, const struct native_token *token)
{
	(void)context;
	DEMAND(token->nonce != NULL);
}

static void on_unknown(void *context, const struct api_native_punt *punt, const uint8_t *payload)
{
	const struct world *world = context;
	DEMAND(punt->length == world->size && payload == world->message);
}

// ---- messages ----

static void sign(struct world *world, const struct client *client, unsigned epoch)
{
	uint8_t bytes[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	size_t size = native_signature_input(bytes, world->message, world->size);
	blinding_sign(world->message + world->size - NATIVE_SIGNATURE_SIZE, bytes, size,
		&client->epochs[epoch].secret, client->epochs[epoch].key);
}

static void build(struct world *world, unsigned kind, const struct client *client)
{
	static const uint8_t zeros[NATIVE_TOKEN_MAC_SIZE];
	static const uint8_t open_id[NATIVE_OPEN_ID_SIZE] = "the id of a call";
	uint8_t transaction[NATIVE_TRANSACTION_SIZE] = {next()}, sealed[256] = {0};
	unsigned epoch = next() % 3, other = next() % CLIENTS;
	uint8_t option = next();
	const uint8_t *key = client->epochs[epoch].key, *own = client->epochs[epoch].address;
	const struct native_register registration = {.transaction = transaction,
		.cookie = zeros,
		.lifetime = option % 4 ? option * 10u : 0,
		.epoch = EPOCH - 1 + epoch,
		.device = client->device,
		.address = own,
		.key = key,
		.admission = option % 3,
		.solution = zeros,
		.token = {.nonce = zeros, .mac = zeros}};
	const struct native_open opening = {.transaction = transaction,
		.cookie = zeros,
		.open_id = open_id,
		.caller = own,
		.callee = clients[other].epochs[epoch].address,
		.key = key,
		.ephemeral = client->ephemeral,
		.sealed = sealed,
		.sealed_size = option};
	const struct native_accept acceptance = {.transaction = transaction,
		.cookie = zeros,
		.open_id = open_id,
		.callee = own,
		.key = key,
		.ephemeral = client->ephemeral,
		.accept = option % 4 != 0,
		.ticket = world->ticket,
		.sealed = sealed,
		.sealed_size = option};
	world->size =
		kind == 0 ? native_register_build(
				    world->message, sizeof(world->message), &registration)
		: kind == 1
			? native_open_build(world->message, sizeof(world->message), &opening)
			: native_accept_build(world->message, sizeof(world->message), &acceptance);
	DEMAND(world->size > 0);
	sign(world, client, epoch);
	world->honest = true;
}

static void change(struct world *world)
{
	uint8_t mask = next();
	size_t at = next_size() % world->size;
	if (mask == 0) {
		world->size = at; // cut off
	} else {
		world->message[at] ^= mask;
	}
	world->honest = false;
}

static void punt(struct world *world)
{
	uint16_t flags = next() & 7;
	uint32_t issued = next();
	struct api_native_punt punt = {.source = world->sender->endpoint,
		.destination = server,
		.flags = flags,
		.issued = issued,
		.length = (uint16_t)world->size};
	registration_core_punt(world->core, &punt, world->message, world->now_ms, world->wall_s);
}

static void raw(struct world *world)
{
	world->size = next_size() % sizeof(world->message);
	if (world->size > input_left)
		world->size = input_left;
	memcpy(world->message, input, world->size);
	input += world->size;
	input_left -= world->size;
	world->honest = false;
}

// ---- answers and time ----

static void answer(struct world *world, unsigned index, int result)
{
	const struct api_handles_installed installed = {.generation = {1, 1}, .index = {2, 3}};
	const struct api_native_delivered delivered = {.devices = 1};
	struct pending pending = world->pending[index];
	world->pending[index] = world->pending[--world->pending_count];
	const void *payload = pending.type == API_HANDLES_INSTALL  ? &installed
			      : pending.type == API_NATIVE_DELIVER ? (const void *)&delivered
								   : NULL;
	uint32_t size = pending.type == API_HANDLES_INSTALL  ? sizeof(installed)
			: pending.type == API_NATIVE_DELIVER ? sizeof(delivered)
							     : 0;
	registration_core_answer(world->core, pending.id, result, result == 0 ? payload : NULL,
		result == 0 ? size : 0, world->now_ms);
}

static void redeemed(struct world *world, int result)
{
	// Still counted while it calls: what it installs was honest when it came.
	unsigned index = world->redeem_count - 1;
	void (*done)(void *context, int result) = world->redeems[index].done;
	done(world->redeems[index].context, result);
	world->redeem_count--;
}

static void connect(struct world *world, uint8_t secret)
{
	struct api_hello_answer hello = {.version = API_VERSION, .workers = 1};
	memset(hello.secret, secret, sizeof(hello.secret));
	while (world->pending_count > 0)
		answer(world, 0, -ENOTCONN);
	registration_core_connected(world->core, &hello, world->now_ms, world->wall_s);
}

static void step(struct world *world)
{
	static const int results[] = {0, 0, 0, 0, -ESTALE, -EMLINK, -ENOSPC, -EAGAIN, -EINVAL,
		-ESHUTDOWN, -EEXIST, -ENOENT, -EIO, -ENOTCONN};
	uint8_t operation = next();
	world->sender = &clients[next() % CLIENTS];
	switch (operation % 10) {
	case 0:
		raw(world);
		punt(world);
		break;
	case 1:
	case 2:
	case 3:
		build(world, operation % 10u - 1, world->sender);
		punt(world);
		break;
	case 4:
		build(world, next() % 3, world->sender);
		change(world);
		punt(world);
		break;
	case 5:
	case 6:
		if (world->pending_count > 0) {
			unsigned index = next() % world->pending_count;
			answer(world, index, results[next() % 14]);
		}
		break;
	case 7:
		world->now_ms += next() * 50u;
		world->wall_s += next() % 16;
		DEMAND(registration_core_tick(world->core, world->now_ms, world->wall_s) > 0);
		break;
	case 8:
		if (world->redeem_count > 0)
			redeemed(world, next() % 3 ? 0 : -ENOSPC);
		break;
	default:
		if (next() % 4 == 0)
			connect(world, next() % 2);
		else
			registration_core_drain(world->core, next() % 4 == 0);
		break;
	}
}

static void end(struct world *world)
{
	struct registration_usage usage;
	while (world->redeem_count > 0)
		redeemed(world, 0);
	// Settings that were refused are sent again with a tick only.
	while (world->pending_count > 0)
		answer(world, 0, world->pending_count % 2 ? 0 : -ENOSPC);
	registration_core_usage(world->core, &usage);
	DEMAND(usage.in_flight == 0);
	DEMAND(sodium_is_zero((const uint8_t *)world->core->flight.slots,
		world->core->flight.touched * sizeof(*world->core->flight.slots)));
	DEMAND(world->core->flight.by_install.count == 0);
	DEMAND(world->core->flight.by_duplicate.count == 0);
}

// ---- set-up ----

static void make_client(struct client *client, unsigned number)
{
	static const uint8_t namespace_id[EPOCH_NAMESPACE_SIZE] = "a namespace";
	uint8_t seed[BLINDING_SEED_SIZE], public_key[BLINDING_KEY_SIZE];
	struct blinding_secret secret;
	memset(seed, (int)number + 1, sizeof(seed));
	blinding_secret_expand(&secret, seed);
	blinding_secret_public(public_key, &secret);
	client->endpoint = server;
	client->endpoint.address.bytes[3] = (uint8_t)(10 + number);
	memset(client->device, (int)number, sizeof(client->device));
	crypto_scalarmult_base(client->ephemeral, seed);
	for (unsigned e = 0; e < 3; e++) {
		epoch_secret_key(&client->epochs[e].secret, client->epochs[e].key, &secret,
			namespace_id, public_key, EPOCH - 1 + e);
		epoch_address(client->epochs[e].address, namespace_id, client->epochs[e].key,
			EPOCH - 1 + e);
	}
}

static void make_world(struct world *world, const char *admission)
{
	char text[512], error[CONFIG_ERROR_SIZE];
	struct registration_key key;
	const struct registration_output output = {.context = world,
		.install = on_install,
		.send = on_send,
		.redeem = on_redeem,
		.give_back = on_give_back,
		.unknown = on_unknown};
	// The slots are made once: they are large, and wiped by whoever came before.
	if (world->core == NULL) {
		snprintf(text, sizeof(text),
			"[dataplane]\nport = ring\n[address]\nlisten = 198.51.100.1\n[turn]\n"
			"auth = open\n[registration]\nadmission = %s\npuzzle-above = 4\n",
			admission);
		DEMAND(config_parse(text, "fuzz", &world->config, error) == 0);
		memset(key.secret, 7, sizeof(key.secret));
		crypto_scalarmult_base(key.public_key, key.secret);
		world->core = registration_core_create(world->config, &key, &output);
		DEMAND(world->core != NULL);
	}
	world->core->load = (struct registration_load){0};
	registration_core_drain(world->core, false);
	world->pending_count = world->redeem_count = 0;
	world->now_ms = 1000000;
	world->wall_s = EPOCH * UINT64_C(3600) + 600;
	memset(world->ticket, 0, sizeof(world->ticket));
	connect(world, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const admissions[MODES] = {"open", "pow", "token"};
	if (clients[0].endpoint.port == 0) {
		randombytes_set_implementation(&reproducible);
		DEMAND(sodium_init() >= 0);
		for (unsigned i = 0; i < CLIENTS; i++)
			make_client(&clients[i], i);
	}
	input = data;
	input_left = size;
	random_state = 1;
	unsigned mode = next() % MODES;
	struct world *world = &worlds[mode];
	make_world(world, admissions[mode]);
	while (input_left > 0)
		step(world);
	end(world);
	return 0;
}
