// SPDX-License-Identifier: BSD-3-Clause
// The native protocol's messages between a client and its relay: registering, keeping alive, path
// checks. Each function below is a row of lib/wire/README.md's table, read and written alike
// (lib/wire/native_fields.h). No state, any thread.
#include "lib/wire/native_fields.h"

static void solicit_fields(struct native_fields *f, struct native_solicit *m)
{
	(void)m;
	field_zero(f, 28);
}
NATIVE_MESSAGE(solicit, NATIVE_SOLICIT)

static void field_admission(struct native_fields *f, uint8_t *admission)
{
	field_u8(f, admission);
	fields_require(f, *admission <= NATIVE_ADMISSION_TOKEN);
}

static void challenge_fields(struct native_fields *f, struct native_challenge *m)
{
	field_bytes(f, &m->cookie, NATIVE_COOKIE_SIZE);
	field_u8(f, &m->difficulty);
	field_admission(f, &m->admission);
	field_zero(f, 2);
	field_u32(f, &m->epoch);
	field_u32(f, &m->epoch_seconds);
}
NATIVE_MESSAGE(challenge, NATIVE_CHALLENGE)

static void token_fields(struct native_fields *f, struct native_token *token)
{
	field_u32(f, &token->key_id);
	field_bytes(f, &token->nonce, NATIVE_TOKEN_NONCE_SIZE);
	field_computed(f, &token->mac, NATIVE_TOKEN_MAC_SIZE);
}

static void register_fields(struct native_fields *f, struct native_register *m)
{
	field_bytes(f, &m->cookie, NATIVE_COOKIE_SIZE);
	field_u32(f, &m->lifetime);
	field_u32(f, &m->epoch);
	field_bytes(f, &m->device, NATIVE_DEVICE_SIZE);
	field_bytes(f, &m->address, NATIVE_ADDRESS_SIZE);
	field_bytes(f, &m->key, NATIVE_KEY_SIZE);
	field_admission(f, &m->admission);
	field_zero(f, 3);
	if (m->admission == NATIVE_ADMISSION_PUZZLE)
		field_bytes(f, &m->solution, NATIVE_SOLUTION_SIZE);
	else if (m->admission == NATIVE_ADMISSION_TOKEN)
		token_fields(f, &m->token);
	field_signature(f, &m->signature);
}
NATIVE_MESSAGE(register, NATIVE_REGISTER)

static void registered_fields(struct native_fields *f, struct native_registered *m)
{
	field_u32(f, &m->lifetime);
	field_bytes(f, &m->cookie, NATIVE_COOKIE_SIZE);
	field_observed(f, &m->observed);
	field_u16(f, &m->keepalive);
	field_u8(f, &m->devices);
	field_zero(f, 1);
	field_u16(f, &m->payload);
	field_zero(f, 2);
	field_bytes(f, &m->relay_key, NATIVE_KEY_SIZE);
}
NATIVE_MESSAGE(registered, NATIVE_REGISTERED)

static void refused_fields(struct native_fields *f, struct native_refused *m)
{
	field_u8(f, &m->reason);
	field_zero(f, 3);
	field_u32(f, &m->detail);
}
NATIVE_MESSAGE(refused, NATIVE_REFUSED)

// Zeros for none, which no handle is: it would begin with its first byte.
static void field_handle_or_none(
	struct native_fields *f, bool *has_handle, struct native_handle *handle)
{
	if (!fields_writing(f))
		*has_handle = cursor_left(&f->in) > 0 && *f->in.position != 0;
	if (*has_handle)
		field_handle(f, handle);
	else
		field_zero(f, NATIVE_HANDLE_SIZE);
}

static void keepalive_fields(struct native_fields *f, struct native_keepalive *m)
{
	field_bytes(f, &m->cookie, NATIVE_COOKIE_SIZE);
	field_handle_or_none(f, &m->has_handle, &m->handle);
	field_zero(f, 16);
}
NATIVE_MESSAGE(keepalive, NATIVE_KEEPALIVE)

static void alive_fields(struct native_fields *f, struct native_alive *m)
{
	field_bytes(f, &m->cookie, NATIVE_COOKIE_SIZE);
	field_observed(f, &m->observed);
	field_u32(f, &m->left);
}
NATIVE_MESSAGE(alive, NATIVE_ALIVE)

static void path_challenge_fields(struct native_fields *f, struct native_path_challenge *m)
{
	field_handle(f, &m->handle);
	field_bytes(f, &m->token, NATIVE_PATH_TOKEN_SIZE);
}
NATIVE_MESSAGE(path_challenge, NATIVE_PATH_CHALLENGE)

static void path_response_fields(struct native_fields *f, struct native_path_response *m)
{
	field_handle(f, &m->handle);
	field_bytes(f, &m->token, NATIVE_PATH_TOKEN_SIZE);
	field_bytes(f, &m->proof, NATIVE_PROOF_SIZE);
}
NATIVE_MESSAGE(path_response, NATIVE_PATH_RESPONSE)

static void unsupported_fields(struct native_fields *f, struct native_unsupported *m)
{
	field_u8(f, &m->lowest);
	field_u8(f, &m->highest);
	field_zero(f, 2);
}
NATIVE_MESSAGE(unsupported, NATIVE_UNSUPPORTED)
