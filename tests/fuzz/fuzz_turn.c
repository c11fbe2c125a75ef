// SPDX-License-Identifier: BSD-3-Clause
// The TURN core under a stream of requests, raw bytes, answers, expiries, reconnections and time,
// all chosen by the input, against a small model of the dataplane. After every step pools and
// quotas must count what is held; the model must never be asked for a port twice, nor for a peer
// that is forbidden; in the end everything returns to zero.
#include "controlplane/turn/core.h"
#include "lib/net/address_text.h"
#include "lib/net/special_ranges.h"
#include "lib/wire/stun.h"
#include "lib/wire/stun_integrity.h"
#include "tests/fuzz/reproducible.h"
#include "tests/unit/turn_invariants.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLIENTS = 6, PENDING = 64, MODES = 2 };

#define DEMAND(condition)                                                                          \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

struct pending {
	uint32_t id;
	enum api_type type;
	_Alignas(8) uint8_t payload[1024];
};

static struct world {
	struct config *config;
	struct turn_core *core;
	// the dataplane
	struct api_allocation_context live[CLIENTS];
	struct pending pending[PENDING];
	unsigned pending_count;
	uint32_t next_id;
	// the clients
	struct net_endpoint clients[CLIENTS];
	uint8_t nonce[CLIENTS][NONCE_LENGTH];
	uint8_t token[8];
	size_t request_length;
	uint64_t now_ms;
} worlds[MODES];

static const uint8_t *input;
static size_t input_left;

static uint8_t next(void)
{
	if (input_left == 0)
		return 0;
	input_left--;
	return *input++;
}

// ---- what the core asks of its neighbours ----

// From one relayed address to another is a way that clients may take, whatever range ours are in.
static bool may_be_peer(const struct world *world, const struct net_address *peer)
{
	for (unsigned i = 0; i < world->config->address.listen_count; i++)
		if (net_address_equal(&world->config->address.listen[i], peer))
			return true;
	return !special_range_denied(peer, NULL);
}

static uint32_t on_install(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct world *world = context;
	if (world->pending_count == PENDING)
		return 0;
	struct pending *pending = &world->pending[world->pending_count++];
	DEMAND(size <= sizeof(pending->payload));
	pending->id = ++world->next_id;
	pending->type = type;
	memcpy(pending->payload, payload, size);
	if (type == API_PERMISSIONS_INSTALL) {
		const struct api_permissions_install *install = (void *)pending->payload;
		DEMAND(install->count >= 1 && install->count <= API_PERMISSIONS_MAX);
		DEMAND(size == sizeof(*install) + install->count * sizeof(install->peers[0]));
		for (unsigned i = 0; i < install->count; i++)
			DEMAND(may_be_peer(world, &install->peers[i]));
	} else if (type == API_CHANNEL_BIND) {
		const struct api_channel_bind *bind = (void *)pending->payload;
		DEMAND(bind->channel >= 0x4000 && bind->channel <= 0x4FFF && bind->peer.port != 0);
		DEMAND(may_be_peer(world, &bind->peer.address));
	} else if (type == API_ALLOCATION_INSTALL) {
		const struct api_allocation_install *install = (void *)pending->payload;
		DEMAND(install->lifetime_ms >= 600000 && install->lifetime_ms <= 3600000);
		DEMAND(install->relayed[0].address.family == NET_IPV4 ||
			install->relayed[1].address.family == NET_IPV6);
	}
	return pending->id;
}

static void on_send(void *context, const struct api_packet_send *send, const uint8_t *payload)
{
	struct world *world = context;
	struct stun_message m;
	struct stun_attribute a;
	DEMAND(stun_parse(payload, send->length, &m) == 0);
	DEMAND(m.class == STUN_SUCCESS || m.class == STUN_ERROR);
	size_t ip = send->destination.address.family == NET_IPV4 ? 28 : 48;
	if (send->flags == API_SEND_UNAUTHENTICATED && world->request_length != 0)
		DEMAND((ip + send->length) * 2 <= (ip + world->request_length) * 5);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (net_endpoint_equal(&world->clients[i], &send->destination) &&
			stun_find(&m, STUN_NONCE, &a) && a.length == NONCE_LENGTH)
			memcpy(world->nonce[i], a.value, NONCE_LENGTH);
	}
	if (stun_find(&m, STUN_RESERVATION_TOKEN, &a) && a.length == 8)
		memcpy(world->token, a.value, 8);
}

// ---- the model ----

static bool port_in_use(const struct world *world, const struct net_endpoint *relayed)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		for (unsigned slot = 0; slot < 2; slot++) {
			if (world->live[i].allocation_id != 0 &&
				net_endpoint_equal(&world->live[i].relayed[slot], relayed))
				return true;
		}
	}
	return false;
}

static struct api_allocation_context *live_by_id(struct world *world, uint64_t id)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (world->live[i].allocation_id == id)
			return &world->live[i];
	}
	return NULL;
}

static int model_install(struct world *world, const struct api_allocation_install *install)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		if (install->relayed[slot].address.family != NET_UNSPECIFIED)
			DEMAND(!port_in_use(world, &install->relayed[slot]));
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (!net_endpoint_equal(&world->clients[i], &install->client))
			continue;
		if (world->live[i].allocation_id != 0)
			return -EEXIST;
		struct api_allocation_context *live = &world->live[i];
		*live = (struct api_allocation_context){.allocation_id = install->allocation_id,
			.credential_tag = install->credential_tag,
			.prefix_tag = install->prefix_tag,
			.relayed = {install->relayed[0], install->relayed[1]},
			.remaining_ms = install->lifetime_ms,
			.flags = install->flags,
			.worker = install->worker};
		memcpy(live->transaction, install->transaction, sizeof(live->transaction));
		return 0;
	}
	return -EINVAL;
}

static int model_execute(struct world *world, const struct pending *pending)
{
	if (pending->type == API_ALLOCATION_INSTALL)
		return model_install(world, (const void *)pending->payload);
	uint64_t id;
	memcpy(&id, pending->payload, sizeof(id));
	struct api_allocation_context *live = live_by_id(world, id);
	if (live == NULL)
		return -ENOENT;
	if (pending->type != API_ALLOCATION_REMOVE)
		return 0;
	const struct api_allocation_change *change = (const void *)pending->payload;
	if (change->family == 0) {
		*live = (struct api_allocation_context){0};
		return 0;
	}
	unsigned slot = change->family == NET_IPV4 ? 0 : 1;
	if (live->relayed[!slot].address.family == NET_UNSPECIFIED)
		return -EINVAL;
	live->relayed[slot] = (struct net_endpoint){0};
	return 0;
}

// Executes the oldest request, or lets it fail.
static void answer_one(struct world *world, int failure)
{
	if (world->pending_count == 0)
		return;
	struct pending pending = world->pending[0];
	memmove(world->pending, world->pending + 1,
		--world->pending_count * sizeof(world->pending[0]));
	// A removal that fails otherwise than by -ENOENT does not happen.
	if (failure != 0 && pending.type == API_ALLOCATION_REMOVE)
		failure = 0;
	if (failure == -ENOENT)
		failure = -ENOSPC;
	world->request_length = 0;
	turn_core_answer(world->core, pending.id,
		failure != 0 ? failure : model_execute(world, &pending), world->now_ms);
}

static void expire_one(struct world *world, unsigned client)
{
	uint64_t id = world->live[client].allocation_id;
	world->live[client] = (struct api_allocation_context){0};
	if (id != 0)
		turn_core_expired(world->core, id);
}

static void connect(struct world *world)
{
	struct api_hello_answer hello = {.version = API_VERSION, .workers = 1};
	world->pending_count = 0;
	turn_core_connected(world->core, &hello);
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct api_allocation_context *live = &world->live[i];
		struct api_snapshot_item item = {.allocation_id = live->allocation_id,
			.credential_tag = live->credential_tag,
			.prefix_tag = live->prefix_tag,
			.relayed = {live->relayed[0], live->relayed[1]},
			.remaining_ms = live->remaining_ms,
			.flags = live->flags};
		turn_core_snapshot_item(world->core, &item);
	}
	turn_core_snapshot_end(world->core, world->now_ms);
}

// ---- requests ----

static void add_peer(struct stun_builder *b)
{
	static const char *const peers[] = {"8.8.8.8", "2606:4700::1", "10.0.0.1", "::1",
		"::ffff:127.0.0.1", "64:ff9b::8.8.8.8", "1.1.1.1", "169.254.169.254"};
	struct net_endpoint peer = {.port = next()};
	uint8_t which = next();
	if (which < 128) {
		net_address_parse(peers[which % 8], &peer.address);
	} else {
		peer.address.family = which & 1 ? NET_IPV4 : NET_IPV6;
		for (unsigned i = 0; i < (which & 1 ? 4u : 16u); i++)
			peer.address.bytes[i] = next();
	}
	stun_add_xor_address(b, STUN_XOR_PEER_ADDRESS, &peer);
}

static void add_attribute(struct world *world, struct stun_builder *b)
{
	static const uint8_t lifetimes[] = {0, 1, 20, 60};
	uint8_t value[16];
	uint8_t kind = next();
	switch (kind % 11) {
	case 0:
		stun_add_u32(b, STUN_REQUESTED_TRANSPORT, (next() < 250 ? 17u : 6u) << 24);
		break;
	case 1:
		stun_add_u32(b, STUN_LIFETIME, lifetimes[next() % 4] * 60u);
		break;
	case 2:
		value[0] = next();
		stun_add(b, STUN_EVEN_PORT, value, 1);
		break;
	case 3:
		stun_add(b, STUN_RESERVATION_TOKEN, world->token, 8);
		break;
	case 4:
		stun_add_u32(b, STUN_REQUESTED_ADDRESS_FAMILY, (uint32_t)(next() % 4) << 24);
		break;
	case 5:
		stun_add_u32(b, kind & 0x80 ? STUN_ADDITIONAL_ADDRESS_FAMILY : 0x8032,
			(uint32_t)(next() % 4) << 24);
		break;
	case 6:
		stun_add_u32(b, STUN_CHANNEL_NUMBER, (uint32_t)(0x3FF0 + next() * 16) << 16);
		break;
	case 7:
	case 8:
		add_peer(b);
		break;
	case 9:
		stun_add(b, STUN_DONT_FRAGMENT, NULL, 0);
		break;
	default: {
		uint16_t type = (uint16_t)(next() << 8 | next());
		size_t length = next() % sizeof(value);
		for (size_t i = 0; i < length; i++)
			value[i] = next();
		stun_add(b, type, value, length);
		break;
	}
	}
}

static void add_login(struct world *world, struct stun_builder *b, unsigned client, uint8_t how)
{
	const char *name = how & 4 ? "bob" : "alice", *realm = world->config->turn.realm;
	struct stun_key key;
	bool sha256 = how & 8;
	stun_add(b, STUN_USERNAME, name, strlen(name));
	stun_add(b, STUN_REALM, realm, strlen(realm));
	stun_add(b, STUN_NONCE, world->nonce[client], NONCE_LENGTH);
	if (sha256) {
		static const uint8_t chosen[4] = {0, STUN_PASSWORD_SHA256, 0, 0};
		stun_add(b, STUN_PASSWORD_ALGORITHMS, authentication_algorithms, 8);
		stun_add(b, STUN_PASSWORD_ALGORITHM, chosen, sizeof(chosen));
	}
	if (stun_key_long_term(sha256 ? STUN_PASSWORD_SHA256 : STUN_PASSWORD_MD5, name,
		    strlen(name), realm, "password", 8, &key) != 0)
		abort();
	if (sha256)
		stun_add_integrity_sha256(b, &key);
	else
		stun_add_integrity(b, &key);
}

static void punt(struct world *world, unsigned client, const uint8_t *payload, size_t length)
{
	struct api_punt head = {.source = world->clients[client],
		.allocation = world->live[client],
		.length = (uint16_t)length};
	bool v6 = head.source.address.family == NET_IPV6;
	head.destination.address = world->config->address.listen[v6];
	head.destination.port = 3478;
	world->request_length = length;
	turn_core_punt(world->core, &head, payload, world->now_ms, 1800000000);
	world->request_length = 0;
}

static void request(struct world *world)
{
	static const uint16_t methods[] = {STUN_ALLOCATE, STUN_ALLOCATE, STUN_REFRESH,
		STUN_CREATE_PERMISSION, STUN_CHANNEL_BIND, STUN_REFRESH, STUN_ALLOCATE, STUN_SEND};
	uint8_t buffer[1500], transaction[12] = {0}, how = next();
	unsigned client = next() % CLIENTS;
	transaction[0] = next() % 8;
	struct stun_builder b =
		stun_begin(buffer, sizeof(buffer), methods[next() % 8], STUN_REQUEST, transaction);
	if (how & 1)
		stun_add_u32(&b, STUN_REQUESTED_TRANSPORT, 17u << 24);
	for (unsigned n = next() % 6; n > 0; n--)
		add_attribute(world, &b);
	if (how & 2)
		add_login(world, &b, client, how);
	if (how & 16)
		stun_add_fingerprint(&b);
	size_t length = stun_finish(&b);
	if (length != 0)
		punt(world, client, buffer, length);
}

static void raw(struct world *world)
{
	uint8_t buffer[256];
	size_t length = next();
	for (size_t i = 0; i < length; i++)
		buffer[i] = next();
	punt(world, length % CLIENTS, buffer, length);
}

static void step(struct world *world)
{
	static const int failures[] = {-EEXIST, -ENOSPC, -EAGAIN, -EADDRINUSE, -ESHUTDOWN, -EINVAL};
	uint8_t op = next();
	switch (op % 16) {
	default:
		request(world);
		break;
	case 8:
	case 9:
	case 10:
		answer_one(world, 0);
		break;
	case 11:
		answer_one(world, failures[next() % 6]);
		break;
	case 12:
		expire_one(world, next() % CLIENTS);
		break;
	case 13:
		world->now_ms += (uint64_t)next() * next() * 50;
		turn_core_tick(world->core, world->now_ms);
		break;
	case 14:
		if (op < 32)
			connect(world);
		else
			turn_core_drain(world->core, next() & 1);
		break;
	case 15:
		raw(world);
		break;
	}
	const char *broken = turn_invariant_broken(world->core);
	if (broken != NULL) {
		fprintf(stderr, "%s\n", broken);
		abort();
	}
}

static void create(struct world *world, unsigned mode)
{
	static const char *const auth[MODES] = {
		"auth = open\n", "auth = static\nuser = alice:password\nuser = bob:password\n"};
	static const char *const clients[CLIENTS] = {"192.0.2.1", "192.0.2.200", "198.51.100.9",
		"2001:db8:1::1", "2001:db8:1:ff::2", "2001:db8:2::1"};
	char text[512], error[CONFIG_ERROR_SIZE];
	snprintf(text, sizeof(text),
		"[node]\nname = fuzz\n[dataplane]\nport = ring\n[address]\n"
		"listen = 203.0.113.1\nlisten = 2001:db8::1\nrelay-ports = 50001-50010\n"
		"[turn]\nquota = 4\nprefix-quota = 5\n%s",
		auth[mode]);
	DEMAND(config_parse(text, "fuzz", &world->config, error) == 0);
	struct turn_output output = {.context = world, .install = on_install, .send = on_send};
	world->core = turn_core_create(world->config, &output);
	DEMAND(world->core != NULL);
	for (unsigned i = 0; i < CLIENTS; i++) {
		DEMAND(net_address_parse(clients[i], &world->clients[i].address) == 0);
		world->clients[i].port = (uint16_t)(1000 + i);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	randombytes_set_implementation(&reproducible);
	DEMAND(sodium_init() >= 0);
	for (unsigned mode = 0; mode < MODES; mode++)
		create(&worlds[mode], mode);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = data;
	input_left = size;
	random_state = 1;
	struct world *world = &worlds[next() % MODES];
	memset(world->live, 0, sizeof(world->live));
	memset(world->token, 0, sizeof(world->token));
	world->now_ms = 1000000;
	nonce_keys_init(&world->core->authentication.nonces);
	connect(world);
	while (input_left > 0)
		step(world);

	while (world->pending_count > 0)
		answer_one(world, 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		expire_one(world, i);
	turn_core_tick(world->core, world->now_ms + 24 * 3600 * 1000);
	struct turn_usage usage;
	turn_core_usage(world->core, &usage);
	DEMAND(usage.allocations == 0 && usage.reservations == 0 && usage.in_flight == 0);
	DEMAND(usage.ports_free == usage.ports_total);
	DEMAND(turn_invariant_sum(&world->core->credential_quota) == 0);
	DEMAND(turn_invariant_sum(&world->core->prefix_quota) == 0);
	return 0;
}
