// SPDX-License-Identifier: BSD-3-Clause
// A desk for testing the TURN core: a configuration, a client that builds requests, a dataplane
// that records installs and what is sent, and virtual time. One desk per test.
#pragma once

#include "controlplane/turn/core.h"
#include "lib/net/address_text.h"
#include "lib/wire/stun.h"
#include "lib/wire/stun_integrity.h"
#include "tests/unit/turn_invariants.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DESK_INSTALLS = 64, DESK_WALL_S = 1800000000 };

struct desk_install {
	uint32_t id;
	enum api_type type;
	uint32_t size;
	_Alignas(8) uint8_t payload[1024];
};

struct desk {
	struct config *config;
	struct turn_core *core;
	uint64_t now_ms, wall_s;
	struct net_endpoint client, server;
	struct api_allocation_context context;

	// what came out
	struct desk_install installs[DESK_INSTALLS];
	unsigned installed;
	uint32_t next_id;
	bool link_down;
	struct api_packet_send sent;
	uint8_t reply[1024];
	unsigned replies;

	struct turn_tokens tokens; // none, unless a test sets them before desk_restart

	// the client's credentials; name NULL: sends none
	const char *name, *password;
	bool userhash, sha256, only_sha256_integrity;
	uint8_t nonce[128];
	size_t nonce_length;
	uint8_t algorithms[32];
	size_t algorithms_length;

	// the request under construction, and the last one
	uint8_t request[2048];
	struct stun_builder builder;
	size_t request_length;
	uint8_t transaction[12];
};

static const uint8_t desk_tag_key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static inline struct net_address desk_address(const char *text)
{
	struct net_address address;
	assert_int_equal(net_address_parse(text, &address), 0);
	return address;
}

static inline struct net_endpoint desk_endpoint(const char *text, uint16_t port)
{
	return (struct net_endpoint){.address = desk_address(text), .port = port};
}

static inline uint32_t desk_on_install(
	void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct desk *desk = context;
	if (desk->link_down)
		return 0;
	struct desk_install *install = &desk->installs[desk->installed++ % DESK_INSTALLS];
	assert_true(size <= sizeof(install->payload));
	install->id = ++desk->next_id;
	install->type = type;
	install->size = size;
	memcpy(install->payload, payload, size);
	return install->id;
}

static inline void desk_on_send(
	void *context, const struct api_packet_send *send, const uint8_t *payload)
{
	struct desk *desk = context;
	assert_true(send->length <= sizeof(desk->reply));
	desk->sent = *send;
	memcpy(desk->reply, payload, send->length);
	desk->replies++;
}

static inline void desk_connect(struct desk *desk)
{
	struct api_hello_answer hello = {.version = API_VERSION, .workers = 1};
	memcpy(hello.tag_key, desk_tag_key, sizeof(hello.tag_key));
	turn_core_connected(desk->core, &hello);
}

static inline struct turn_output desk_output(struct desk *desk)
{
	return (struct turn_output){.context = desk,
		.install = desk_on_install,
		.send = desk_on_send,
		.tokens = desk->tokens};
}

// A new core on the same configuration, as after a restart of the program; no snapshot yet.
static inline void desk_restart(struct desk *desk)
{
	struct turn_output output = desk_output(desk);
	turn_core_free(desk->core);
	desk->core = turn_core_create(desk->config, &output);
	assert_non_null(desk->core);
	desk_connect(desk);
}

static inline struct config *desk_configuration(const char *extra)
{
	char text[4096], error[CONFIG_ERROR_SIZE];
	struct config *config = NULL;
	snprintf(text, sizeof(text),
		"[node]\nname = test\n[dataplane]\nport = ring\n[address]\n"
		"listen = 198.51.100.1\n%s\n",
		extra);
	if (config_parse(text, "test", &config, error) != 0)
		fail_msg("%s", error);
	return config;
}

// The core goes on with another configuration.
static inline void desk_reconfigure(struct desk *desk, const char *extra)
{
	struct config *config = desk_configuration(extra);
	struct turn_change *change = turn_core_prepare(desk->core, config);
	assert_non_null(change);
	turn_core_reconfigure(desk->core, change);
	config_free(desk->config);
	desk->config = config;
}

static inline struct desk *desk_open(const char *extra)
{
	struct desk *desk = calloc(1, sizeof(*desk));
	assert_non_null(desk);
	assert_true(sodium_init() >= 0);
	desk->config = desk_configuration(extra);
	desk->now_ms = 1000000;
	desk->wall_s = DESK_WALL_S;
	desk->client = desk_endpoint("192.0.2.77", 40000);
	desk->server = desk_endpoint("198.51.100.1", 3478);
	desk_restart(desk);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	return desk;
}

static inline void desk_close(struct desk *desk)
{
	turn_core_free(desk->core);
	config_free(desk->config);
	free(desk);
}

// ---- requests ----

// Starts a request with a new random transaction id.
static inline struct stun_builder *desk_request(struct desk *desk, uint16_t method)
{
	randombytes_buf(desk->transaction, sizeof(desk->transaction));
	desk->builder = stun_begin(
		desk->request, sizeof(desk->request), method, STUN_REQUEST, desk->transaction);
	return &desk->builder;
}

static inline struct stun_builder *desk_allocate(struct desk *desk)
{
	struct stun_builder *b = desk_request(desk, STUN_ALLOCATE);
	stun_add_u32(b, STUN_REQUESTED_TRANSPORT, 17u << 24);
	return b;
}

static inline struct stun_key desk_key(const struct desk *desk)
{
	struct stun_key key;
	enum stun_password_algorithm algorithm =
		desk->sha256 ? STUN_PASSWORD_SHA256 : STUN_PASSWORD_MD5;
	assert_int_equal(
		stun_key_long_term(algorithm, desk->name, strlen(desk->name),
			desk->config->turn.realm, desk->password, strlen(desk->password), &key),
		0);
	return key;
}

static inline void desk_add_credentials(struct desk *desk)
{
	struct stun_builder *b = &desk->builder;
	const char *realm = desk->config->turn.realm;
	if (desk->name == NULL)
		return;
	if (desk->userhash) {
		uint8_t hash[STUN_USERHASH_LENGTH];
		stun_userhash(desk->name, strlen(desk->name), realm, hash);
		stun_add(b, STUN_USERHASH, hash, sizeof(hash));
	} else {
		stun_add(b, STUN_USERNAME, desk->name, strlen(desk->name));
	}
	stun_add(b, STUN_REALM, realm, strlen(realm));
	stun_add(b, STUN_NONCE, desk->nonce, desk->nonce_length);
	if (desk->sha256) {
		const uint8_t chosen[4] = {0, STUN_PASSWORD_SHA256, 0, 0};
		stun_add(b, STUN_PASSWORD_ALGORITHMS, desk->algorithms, desk->algorithms_length);
		stun_add(b, STUN_PASSWORD_ALGORITHM, chosen, sizeof(chosen));
	}
	struct stun_key key = desk_key(desk);
	if (desk->sha256 || desk->only_sha256_integrity)
		stun_add_integrity_sha256(b, &key);
	else
		stun_add_integrity(b, &key);
}

// Hands raw bytes in as a punt of the desk's client.
static inline void desk_punt_bytes(struct desk *desk, const void *bytes, size_t length)
{
	struct api_punt punt = {.source = desk->client,
		.destination = desk->server,
		.allocation = desk->context,
		.worker = 3,
		.length = (uint16_t)length};
	turn_core_punt(desk->core, &punt, bytes, desk->now_ms, desk->wall_s);
}

// Sends the finished request as it is. Returns the number of replies it drew at once.
static inline unsigned desk_punt(struct desk *desk)
{
	unsigned before = desk->replies;
	desk->request_length = stun_finish(&desk->builder);
	assert_true(desk->request_length > 0);
	desk_punt_bytes(desk, desk->request, desk->request_length);
	return desk->replies - before;
}

// The same bytes once more.
static inline unsigned desk_repeat(struct desk *desk)
{
	unsigned before = desk->replies;
	desk_punt_bytes(desk, desk->request, desk->request_length);
	return desk->replies - before;
}

static inline unsigned desk_send(struct desk *desk)
{
	desk_add_credentials(desk);
	return desk_punt(desk);
}

// ---- replies ----

static inline struct stun_message desk_reply(const struct desk *desk)
{
	struct stun_message m;
	assert_true(desk->replies > 0);
	assert_int_equal(stun_parse(desk->reply, desk->sent.length, &m), 0);
	assert_memory_equal(stun_transaction(&m), desk->transaction, 12);
	assert_true(net_endpoint_equal(&desk->sent.destination, &desk->client));
	assert_true(net_endpoint_equal(&desk->sent.source, &desk->server));
	return m;
}

static inline unsigned desk_error(const struct desk *desk)
{
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	unsigned code = 0;
	if (m.class == STUN_SUCCESS)
		return 0;
	assert_int_equal(m.class, STUN_ERROR);
	assert_true(stun_find(&m, STUN_ERROR_CODE, &a));
	assert_int_equal(stun_read_error(&a, &code), 0);
	return code;
}

static inline bool desk_has(const struct desk *desk, uint16_t type)
{
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	return stun_find(&m, type, &a);
}

static inline uint32_t desk_u32(const struct desk *desk, uint16_t type)
{
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	uint32_t value;
	assert_true(stun_find(&m, type, &a));
	assert_int_equal(stun_read_u32(&a, &value), 0);
	return value;
}

// The n-th address of that type in the reply.
static inline struct net_endpoint desk_xor_address(
	const struct desk *desk, uint16_t type, unsigned n)
{
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	struct net_endpoint out = {0};
	size_t offset = 0;
	while (stun_next(&m, &offset, &a)) {
		if (a.type == type && n-- == 0)
			assert_int_equal(stun_read_xor_address(&m, &a, &out), 0);
	}
	return out;
}

// Takes realm, nonce and algorithms from a 401 or 438, as a client does.
static inline void desk_learn(struct desk *desk)
{
	struct stun_message m = desk_reply(desk);
	struct stun_attribute a;
	assert_true(stun_find(&m, STUN_NONCE, &a));
	assert_true(a.length <= sizeof(desk->nonce));
	memcpy(desk->nonce, a.value, a.length);
	desk->nonce_length = a.length;
	desk->algorithms_length = 0;
	if (stun_find(&m, STUN_PASSWORD_ALGORITHMS, &a)) {
		memcpy(desk->algorithms, a.value, a.length);
		desk->algorithms_length = a.length;
	}
}

// Draws a challenge.
static inline void desk_challenge(struct desk *desk)
{
	const char *name = desk->name;
	desk->name = NULL;
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 1);
	assert_int_equal(desk_error(desk), 401);
	desk_learn(desk);
	desk->name = name;
}

// ---- the dataplane ----

static inline struct desk_install *desk_last(struct desk *desk)
{
	assert_true(desk->installed > 0);
	return &desk->installs[(desk->installed - 1) % DESK_INSTALLS];
}

// Answers the last install. Returns the number of replies it drew.
static inline unsigned desk_answer(struct desk *desk, int result)
{
	unsigned before = desk->replies;
	turn_core_answer(desk->core, desk_last(desk)->id, result, desk->now_ms);
	return desk->replies - before;
}

// What the worker would say of the allocation that was installed last.
static inline void desk_adopt(struct desk *desk)
{
	const struct api_allocation_install *install = (void *)desk_last(desk)->payload;
	assert_int_equal(desk_last(desk)->type, API_ALLOCATION_INSTALL);
	desk->context = (struct api_allocation_context){.allocation_id = install->allocation_id,
		.credential_tag = install->credential_tag,
		.prefix_tag = install->prefix_tag,
		.relayed = {install->relayed[0], install->relayed[1]},
		.remaining_ms = install->lifetime_ms,
		.flags = install->flags,
		.worker = install->worker};
	memcpy(desk->context.transaction, install->transaction, 12);
}

static inline struct api_snapshot_item desk_snapshot(const struct api_allocation_context *context)
{
	return (struct api_snapshot_item){.allocation_id = context->allocation_id,
		.credential_tag = context->credential_tag,
		.prefix_tag = context->prefix_tag,
		.relayed = {context->relayed[0], context->relayed[1]},
		.remaining_ms = context->remaining_ms,
		.worker = context->worker,
		.flags = context->flags};
}

// Sends the request under construction and lets the dataplane accept its install.
static inline void desk_succeed(struct desk *desk)
{
	unsigned before = desk->installed;
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk->installed, before + 1);
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_error(desk), 0);
}

// Sends the request under construction, which must be refused at once with that code.
static inline void desk_refuse(struct desk *desk, unsigned code)
{
	unsigned before = desk->installed;
	assert_int_equal(desk_send(desk), 1);
	assert_int_equal(desk->installed, before);
	assert_int_equal(desk_error(desk), code);
}

// A plain allocation, adopted.
static inline void desk_have_allocation(struct desk *desk)
{
	desk->context = (struct api_allocation_context){0};
	desk_allocate(desk);
	desk_succeed(desk);
	desk_adopt(desk);
}

static inline struct turn_usage desk_usage(const struct desk *desk)
{
	struct turn_usage usage;
	turn_core_usage(desk->core, &usage);
	return usage;
}

// Everything the core counts, counted afresh.
static inline void desk_check(const struct desk *desk)
{
	const char *broken = turn_invariant_broken(desk->core);
	if (broken != NULL)
		fail_msg("%s", broken);
}
