// SPDX-License-Identifier: BSD-3-Clause
// A desk for testing the registration core: a configuration, clients with keys that build and sign
// messages, a dataplane that records requests and what is sent, a purse of tokens, and virtual
// time. One desk per test.
#pragma once

#include "controlplane/registration/core.h"
#include "lib/crypto/epoch.h"
#include "lib/net/address_text.h"

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

enum {
	DESK_EPOCH = 500000,
	DESK_WALL_S = DESK_EPOCH * 3600 + 600, // ten minutes into its epoch
	DESK_INSTALLS = 64,
	DESK_SENT = 8,
	DESK_REDEEMS = 8,
};

struct desk_install {
	uint32_t id;
	enum api_type type;
	uint32_t size;
	_Alignas(8) uint8_t payload[2048];
};

struct desk_sent {
	struct api_packet_send head;
	uint8_t message[NATIVE_MESSAGE_MAX];
};

struct desk_redeem {
	void (*done)(void *context, int result);
	void *context;
	uint32_t key_id;
	uint8_t nonce[NATIVE_TOKEN_NONCE_SIZE];
};

struct desk {
	struct config *config;
	struct registration_core *core;
	struct registration_key key;
	uint8_t secret[32]; // of the dataplane
	uint64_t now_ms, wall_s;
	struct net_endpoint server;
	uint16_t flags; // of punts: API_NATIVE_PUNT_*
	uint32_t issued;

	// what came out
	struct desk_install installs[DESK_INSTALLS];
	unsigned installed; // settings aside
	struct api_native_settings settings;
	unsigned settings_told;
	uint32_t settings_id;
	uint32_t next_id;
	bool link_down;
	struct desk_sent sent[DESK_SENT];
	unsigned replies;
	unsigned unknown;

	// tokens
	int redeem_result;
	struct desk_redeem redeems[DESK_REDEEMS];
	unsigned redeemed, given_back;
	uint32_t given_back_key;

	// the message under construction, and the last one
	uint8_t message[NATIVE_MESSAGE_MAX + 64];
	size_t size;
	uint8_t transaction[NATIVE_TRANSACTION_SIZE];
};

// A client and its keys of one epoch.
struct desk_client {
	uint8_t namespace_id[EPOCH_NAMESPACE_SIZE];
	struct blinding_secret secret;
	uint8_t public_key[BLINDING_KEY_SIZE];
	uint32_t epoch;
	struct blinding_secret epoch_secret;
	uint8_t key[BLINDING_KEY_SIZE];
	uint8_t address[EPOCH_ADDRESS_SIZE];
	uint8_t device[NATIVE_DEVICE_SIZE];
	uint8_t ephemeral_secret[32], ephemeral[32];
	struct net_endpoint endpoint;
};

static inline struct net_endpoint desk_endpoint(const char *text, uint16_t port)
{
	struct net_endpoint endpoint = {.port = port};
	assert_int_equal(net_address_parse(text, &endpoint.address), 0);
	return endpoint;
}

// ---- the dataplane ----

static inline uint32_t desk_on_install(
	void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct desk *desk = context;
	if (desk->link_down)
		return 0;
	uint32_t id = ++desk->next_id;
	if (type == API_NATIVE_SETTINGS) {
		assert_int_equal(size, sizeof(desk->settings));
		memcpy(&desk->settings, payload, size);
		desk->settings_told++;
		desk->settings_id = id;
		return id;
	}
	struct desk_install *install = &desk->installs[desk->installed++ % DESK_INSTALLS];
	assert_true(size <= sizeof(install->payload));
	install->id = id;
	install->type = type;
	install->size = size;
	memcpy(install->payload, payload, size);
	return id;
}

static inline void desk_on_send(
	void *context, const struct api_packet_send *send, const uint8_t *payload)
{
	struct desk *desk = context;
	struct desk_sent *sent = &desk->sent[desk->replies++ % DESK_SENT];
	assert_true(send->length <= sizeof(sent->message));
	sent->head = *send;
	memcpy(sent->message, payload, send->length);
}

static inline int desk_on_redeem(void *context, const struct native_token *token,
	const uint8_t *covered, size_t covered_size, void (*done)(void *context, int result),
	void *done_context)
{
	struct desk *desk = context;
	assert_ptr_equal(covered, desk->message);
	assert_int_equal(covered_size, desk->size - NATIVE_SIGNATURE_SIZE - NATIVE_TOKEN_MAC_SIZE);
	if (desk->redeem_result != 0)
		return desk->redeem_result;
	struct desk_redeem *redeem = &desk->redeems[desk->redeemed++ % DESK_REDEEMS];
	*redeem = (struct desk_redeem){
		.done = done, .context = done_context, .key_id = token->key_id};
	memcpy(redeem->nonce, token->nonce, sizeof(redeem->nonce));
	return 0;
}

static inline void desk_on_give_back(void *context, const struct native_token *token)
{
	struct desk *desk = context;
	desk->given_back++;
	desk->given_back_key = token->key_id;
	assert_memory_equal(token->nonce, desk->redeems[(desk->redeemed - 1) % DESK_REDEEMS].nonce,
		NATIVE_TOKEN_NONCE_SIZE);
}

static inline void desk_connect(struct desk *desk)
{
	struct api_hello_answer hello = {.version = API_VERSION, .workers = 1};
	memcpy(hello.secret, desk->secret, sizeof(hello.secret));
	registration_core_connected(desk->core, &hello, desk->now_ms, desk->wall_s);
}

static inline void desk_settings_answer(struct desk *desk, int result)
{
	uint32_t id = desk->settings_id;
	desk->settings_id = 0;
	assert_int_not_equal(id, 0);
	registration_core_answer(desk->core, id, result, NULL, 0, desk->now_ms);
}

// A new core, as after a restart of the program; the dataplane is the same one.
static inline void desk_restart(struct desk *desk)
{
	const struct registration_output output = {.context = desk,
		.install = desk_on_install,
		.send = desk_on_send,
		.redeem = desk_on_redeem,
		.give_back = desk_on_give_back};
	registration_core_free(desk->core);
	desk->core = registration_core_create(desk->config, &desk->key, &output);
	assert_non_null(desk->core);
	desk_connect(desk);
	desk_settings_answer(desk, 0);
}

static inline struct config *desk_configuration(const char *extra)
{
	char text[4096], error[CONFIG_ERROR_SIZE];
	struct config *config = NULL;
	snprintf(text, sizeof(text),
		"[node]\nname = test\n[dataplane]\nport = ring\n[address]\n"
		"listen = 198.51.100.1\n[turn]\nauth = open\n[registration]\n%s\n",
		extra);
	if (config_parse(text, "test", &config, error) != 0)
		fail_msg("%s", error);
	return config;
}

static inline struct desk *desk_open(const char *extra)
{
	struct desk *desk = calloc(1, sizeof(*desk));
	assert_non_null(desk);
	assert_true(sodium_init() >= 0);
	desk->config = desk_configuration(extra);
	desk->now_ms = 1000000;
	desk->wall_s = DESK_WALL_S;
	desk->issued = 77;
	desk->server = desk_endpoint("198.51.100.1", 3478);
	memset(desk->secret, 0x5E, sizeof(desk->secret));
	memset(desk->key.secret, 0x4E, sizeof(desk->key.secret));
	crypto_scalarmult_base(desk->key.public_key, desk->key.secret);
	desk_restart(desk);
	return desk;
}

static inline void desk_close(struct desk *desk)
{
	registration_core_free(desk->core);
	config_free(desk->config);
	free(desk);
}

static inline void desk_reconfigure(struct desk *desk, const char *extra)
{
	struct config *config = desk_configuration(extra);
	registration_core_reconfigure(desk->core, config, desk->now_ms, desk->wall_s);
	config_free(desk->config);
	desk->config = config;
}

// Time passes, with a tick at its end.
static inline void desk_wait(struct desk *desk, uint64_t milliseconds)
{
	uint64_t before = desk->now_ms;
	desk->now_ms += milliseconds;
	desk->wall_s += desk->now_ms / 1000 - before / 1000;
	assert_true(registration_core_tick(desk->core, desk->now_ms, desk->wall_s) > 0);
}

// ---- clients ----

static inline void desk_client_epoch(struct desk_client *client, uint32_t epoch)
{
	client->epoch = epoch;
	epoch_secret_key(&client->epoch_secret, client->key, &client->secret, client->namespace_id,
		client->public_key, epoch);
	epoch_address(client->address, client->namespace_id, client->key, epoch);
	randombytes_buf(client->device, sizeof(client->device));
}

static inline struct desk_client desk_client(unsigned number)
{
	struct desk_client client = {0};
	uint8_t seed[BLINDING_SEED_SIZE];
	memset(client.namespace_id, 0xAB, sizeof(client.namespace_id));
	memset(seed, (int)number + 1, sizeof(seed));
	blinding_secret_expand(&client.secret, seed);
	blinding_secret_public(client.public_key, &client.secret);
	client.endpoint = desk_endpoint("192.0.2.77", (uint16_t)(40000 + number));
	randombytes_buf(client.ephemeral_secret, sizeof(client.ephemeral_secret));
	crypto_scalarmult_base(client.ephemeral, client.ephemeral_secret);
	desk_client_epoch(&client, DESK_EPOCH);
	return client;
}

// ---- messages ----

static const uint8_t desk_cookie[NATIVE_COOKIE_SIZE] = "a cookie....";
static const uint8_t desk_fresh_cookie[NATIVE_COOKIE_SIZE] = "a fresh one.";
static const uint8_t desk_open_id[NATIVE_OPEN_ID_SIZE] = "the id of a call";

static inline void desk_sign(struct desk *desk, const struct desk_client *client)
{
	uint8_t input[sizeof(NATIVE_SIGNATURE_CONTEXT) + NATIVE_MESSAGE_MAX];
	size_t size = native_signature_input(input, desk->message, desk->size);
	blinding_sign(desk->message + desk->size - NATIVE_SIGNATURE_SIZE, input, size,
		&client->epoch_secret, client->key);
}

// A REGISTER as its client would fill it in; to be changed and given to desk_register_send.
static inline struct native_register desk_register_of(
	struct desk *desk, const struct desk_client *client, uint32_t lifetime)
{
	randombytes_buf(desk->transaction, sizeof(desk->transaction));
	return (struct native_register){.transaction = desk->transaction,
		.cookie = desk_cookie,
		.lifetime = lifetime,
		.epoch = client->epoch,
		.device = client->device,
		.address = client->address,
		.key = client->key};
}

static inline void desk_build_register(
	struct desk *desk, const struct desk_client *client, const struct native_register *m)
{
	desk->size = native_register_build(desk->message, sizeof(desk->message), m);
	assert_true(desk->size > 0);
	desk_sign(desk, client);
}

static inline void desk_build_open(struct desk *desk, const struct desk_client *caller,
	const struct desk_client *callee, const char *sealed)
{
	randombytes_buf(desk->transaction, sizeof(desk->transaction));
	const struct native_open m = {.transaction = desk->transaction,
		.cookie = desk_cookie,
		.open_id = desk_open_id,
		.caller = caller->address,
		.callee = callee->address,
		.key = caller->key,
		.ephemeral = caller->ephemeral,
		.sealed = (const uint8_t *)sealed,
		.sealed_size = (uint16_t)strlen(sealed)};
	desk->size = native_open_build(desk->message, sizeof(desk->message), &m);
	assert_true(desk->size > 0);
	desk_sign(desk, caller);
}

static inline void desk_build_accept(struct desk *desk, const struct desk_client *callee,
	const uint8_t *ticket, bool accept, const char *sealed)
{
	randombytes_buf(desk->transaction, sizeof(desk->transaction));
	const struct native_accept m = {.transaction = desk->transaction,
		.cookie = desk_cookie,
		.open_id = desk_open_id,
		.callee = callee->address,
		.key = callee->key,
		.ephemeral = callee->ephemeral,
		.accept = accept,
		.ticket = ticket,
		.sealed = (const uint8_t *)sealed,
		.sealed_size = (uint16_t)strlen(sealed)};
	desk->size = native_accept_build(desk->message, sizeof(desk->message), &m);
	assert_true(desk->size > 0);
	desk_sign(desk, callee);
}

// Hands the message in as a punt from the client's transport address. Returns the number of replies
// it drew at once.
static inline unsigned desk_punt(struct desk *desk, const struct desk_client *client)
{
	unsigned before = desk->replies;
	struct api_native_punt punt = {.source = client->endpoint,
		.destination = desk->server,
		.issued = desk->issued,
		.flags = desk->flags,
		.worker = 3,
		.length = (uint16_t)desk->size};
	memcpy(punt.cookie, desk_fresh_cookie, sizeof(punt.cookie));
	registration_core_punt(desk->core, &punt, desk->message, desk->now_ms, desk->wall_s);
	return desk->replies - before;
}

static inline unsigned desk_register_send(
	struct desk *desk, const struct desk_client *client, const struct native_register *m)
{
	desk_build_register(desk, client, m);
	return desk_punt(desk, client);
}

static inline unsigned desk_register(
	struct desk *desk, const struct desk_client *client, uint32_t lifetime)
{
	const struct native_register m = desk_register_of(desk, client, lifetime);
	return desk_register_send(desk, client, &m);
}

// ---- what came out ----

static inline struct desk_install *desk_last(struct desk *desk)
{
	assert_true(desk->installed > 0);
	return &desk->installs[(desk->installed - 1) % DESK_INSTALLS];
}

static inline const struct api_lease *desk_lease(struct desk *desk)
{
	assert_int_equal(desk_last(desk)->size, sizeof(struct api_lease));
	return (const struct api_lease *)desk_last(desk)->payload;
}

// Answers the last request. Returns the number of replies it drew.
static inline unsigned desk_answer_with(
	struct desk *desk, int result, const void *payload, uint32_t size)
{
	unsigned before = desk->replies;
	registration_core_answer(
		desk->core, desk_last(desk)->id, result, payload, size, desk->now_ms);
	return desk->replies - before;
}

static inline unsigned desk_answer(struct desk *desk, int result)
{
	return desk_answer_with(desk, result, NULL, 0);
}

// The n-th last reply, from 0.
static inline const struct desk_sent *desk_reply(const struct desk *desk, unsigned n)
{
	assert_true(n < desk->replies && n < DESK_SENT);
	return &desk->sent[(desk->replies - 1 - n) % DESK_SENT];
}

// The reason of the last reply, which must be REFUSED to that client; detail may be NULL.
static inline unsigned desk_refusal(
	const struct desk *desk, const struct desk_client *client, uint32_t *detail)
{
	const struct desk_sent *sent = desk_reply(desk, 0);
	struct native_refused m;
	assert_int_equal(native_refused_parse(sent->message, sent->head.length, &m), 0);
	assert_memory_equal(m.transaction, desk->transaction, NATIVE_TRANSACTION_SIZE);
	assert_true(net_endpoint_equal(&sent->head.destination, &client->endpoint));
	assert_true(net_endpoint_equal(&sent->head.source, &desk->server));
	assert_int_equal(sent->head.worker, 3);
	assert_int_equal(sent->head.flags, 0);
	assert_true(sent->head.length <= desk->size);
	if (detail != NULL)
		*detail = m.detail;
	return m.reason;
}

static inline uint64_t desk_count(const struct desk *desk, enum registration_counter counter)
{
	return registration_core_counter(desk->core, counter);
}

static inline uint32_t desk_in_flight(const struct desk *desk)
{
	struct registration_usage usage;
	registration_core_usage(desk->core, &usage);
	return usage.in_flight;
}
