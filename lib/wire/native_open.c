// SPDX-License-Identifier: BSD-3-Clause
// The native protocol's messages of a pair of handles, from OPEN to CLOSED. Each function below is
// a row of lib/wire/README.md's table, read and written alike (lib/wire/native_fields.h). No state,
// any thread.
#include "lib/wire/native_fields.h"

static void open_fields(struct native_fields *f, struct native_open *m)
{
	field_bytes(f, &m->cookie, NATIVE_COOKIE_SIZE);
	field_bytes(f, &m->open_id, NATIVE_OPEN_ID_SIZE);
	field_bytes(f, &m->caller, NATIVE_ADDRESS_SIZE);
	field_bytes(f, &m->callee, NATIVE_ADDRESS_SIZE);
	field_bytes(f, &m->key, NATIVE_KEY_SIZE);
	field_bytes(f, &m->ephemeral, NATIVE_KEY_SIZE);
	field_sealed_size(f, &m->sealed_size);
	field_zero(f, 2);
	field_bytes(f, &m->sealed, m->sealed_size);
	field_zero(f, 4);
	field_signature(f, &m->signature);
}
NATIVE_MESSAGE(open, NATIVE_OPEN)

static void invite_fields(struct native_fields *f, struct native_invite *m)
{
	field_bytes(f, &m->open_id, NATIVE_OPEN_ID_SIZE);
	field_bytes(f, &m->callee, NATIVE_ADDRESS_SIZE);
	field_sealed_size(f, &m->sealed_size);
	field_zero(f, 2);
	field_bytes(f, &m->ticket, NATIVE_TICKET_SIZE);
	field_bytes(f, &m->sealed, m->sealed_size);
}
NATIVE_MESSAGE(invite, NATIVE_INVITE)

static void accept_fields(struct native_fields *f, struct native_accept *m)
{
	field_bytes(f, &m->cookie, NATIVE_COOKIE_SIZE);
	field_bytes(f, &m->open_id, NATIVE_OPEN_ID_SIZE);
	field_bytes(f, &m->callee, NATIVE_ADDRESS_SIZE);
	field_bytes(f, &m->key, NATIVE_KEY_SIZE);
	field_bytes(f, &m->ephemeral, NATIVE_KEY_SIZE);
	field_bool(f, &m->accept);
	field_zero(f, 1);
	field_sealed_size(f, &m->sealed_size);
	field_bytes(f, &m->ticket, NATIVE_TICKET_SIZE);
	field_bytes(f, &m->sealed, m->sealed_size);
	field_signature(f, &m->signature);
}
NATIVE_MESSAGE(accept, NATIVE_ACCEPT)

static void opened_fields(struct native_fields *f, struct native_opened *m)
{
	field_bytes(f, &m->open_id, NATIVE_OPEN_ID_SIZE);
	field_handle(f, &m->handle);
	field_u32(f, &m->lifetime);
	field_u16(f, &m->keepalive);
	field_sealed_size(f, &m->sealed_size);
	field_bytes(f, &m->proof, NATIVE_PROOF_SIZE);
	field_bytes(f, &m->sealed, m->sealed_size);
}
NATIVE_MESSAGE(opened, NATIVE_OPENED)

static void close_fields(struct native_fields *f, struct native_close *m)
{
	field_handle(f, &m->handle);
	field_bytes(f, &m->proof, NATIVE_PROOF_SIZE);
	field_zero(f, 4);
}
NATIVE_MESSAGE(close, NATIVE_CLOSE)

static void closed_fields(struct native_fields *f, struct native_closed *m)
{
	field_handle(f, &m->handle);
	field_u8(f, &m->reason);
	field_zero(f, 3);
	field_bytes(f, &m->proof, NATIVE_PROOF_SIZE);
}
NATIVE_MESSAGE(closed, NATIVE_CLOSED)
