// SPDX-License-Identifier: BSD-3-Clause
// The wiring of native.h.
#include "controlplane/native.h"

#include "controlplane/node.h"
#include "controlplane/status.h"
#include "lib/crypto/epoch.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

static uint64_t wall_s(void)
{
	return (uint64_t)time(NULL);
}

// ---- core -> link ----

static void answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	registration_core_answer(node->registration, answer->id, answer->result, answer->payload,
		answer->size, uv_now(node->loop));
}

static uint32_t install(void *context, enum api_type type, const void *payload, uint32_t size)
{
	struct node *node = context;
	return dataplane_link_request(node->link, type, payload, size, answered, node);
}

static void send_packet(void *context, const struct api_packet_send *send, const uint8_t *payload)
{
	struct node *node = context;
	dataplane_link_send(node->link, send, payload);
}

// ---- core -> tokens ----

static int redeem(void *context, const struct native_token *token, const uint8_t *covered,
	size_t covered_size, void (*done)(void *context, int result), void *done_context)
{
	struct node *node = context;
	if (!node->tokens)
		return -EBADMSG;
	return tokens_redeem(node->tokens, token, covered, covered_size, done, done_context);
}

static void give_back(void *context, const struct native_token *token)
{
	struct node *node = context;
	if (node->tokens)
		tokens_return(node->tokens, token);
}

// ---- life ----

int native_open(struct node *node)
{
	const struct registration_output output = {.context = node,
		.install = install,
		.send = send_packet,
		.redeem = redeem,
		.give_back = give_back};
	struct registration_key key;
	int result = node_key_open(node->config->node.state, &key, node->key_trouble);
	if (result == 0)
		memcpy(node->relay_key, key.public_key, sizeof(node->relay_key));
	node->registration =
		registration_core_create(node->config, result == 0 ? &key : NULL, &output);
	sodium_memzero(&key, sizeof(key));
	return node->registration ? 0 : -ENOMEM;
}

void native_free(struct node *node)
{
	registration_core_free(node->registration);
	node->registration = NULL;
}

void native_connected(struct node *node, const struct api_hello_answer *hello)
{
	registration_core_connected(node->registration, hello, uv_now(node->loop), wall_s());
}

void native_punt(void *context, const struct api_native_punt *punt, const uint8_t *payload)
{
	struct node *node = context;
	registration_core_punt(node->registration, punt, payload, uv_now(node->loop), wall_s());
}

void native_reconfigure(struct node *node)
{
	registration_core_reconfigure(
		node->registration, node->config, uv_now(node->loop), wall_s());
}

uint64_t native_tick(struct node *node)
{
	return registration_core_tick(node->registration, uv_now(node->loop), wall_s());
}

// ---- telling ----

void native_status(
	const struct node *node, const struct api_gauges *gauges, struct admin_status *status)
{
	const struct config *config = node->config;
	struct admin_registration *out = &status->registration;
	struct registration_usage usage;
	registration_core_usage(node->registration, &usage);
	*out = (struct admin_registration){
		.enabled = config->registration.enabled,
		.served = usage.served,
		.admission = (uint32_t)config->registration.admission,
		.epoch = epoch_at(wall_s(), config->registration.epoch),
		.epoch_seconds = config->registration.epoch,
		.load = usage.load,
		.difficulty = usage.difficulty,
		.sender_bytes = config->registration.sender_bytes,
		.address_bytes = config->registration.address_bytes,
		.new_leases = config->registration.new_leases,
		.puzzle_above = config->registration.puzzle_above,
	};
	memcpy(out->relay_key, node->relay_key, sizeof(out->relay_key));
	if (gauges) {
		out->leases = gauges->leases;
		out->leases_max = gauges->leases_max;
		out->handles = gauges->handles;
		out->handles_max = gauges->handles_max;
	}
	if (out->enabled && !out->served)
		status_warn(status, "no registrations are served: %s", node->key_trouble);
}
