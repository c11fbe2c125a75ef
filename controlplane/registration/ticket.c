// SPDX-License-Identifier: BSD-3-Clause
// Sealing and opening of ticket.h.
#include "controlplane/registration/ticket.h"

#include "lib/crypto/blake3.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

enum {
	NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
	TAG_SIZE = crypto_aead_xchacha20poly1305_ietf_ABYTES,
	PLAIN_SIZE = NATIVE_TICKET_SIZE - NONCE_SIZE - TAG_SIZE,
	BOUND_SIZE = NATIVE_OPEN_ID_SIZE + NATIVE_ADDRESS_SIZE,

	ENDPOINT_SIZE = 19,
	AT_SERVER = ENDPOINT_SIZE,
	AT_PATH_KEY = 2 * ENDPOINT_SIZE,
	AT_TRANSACTION = AT_PATH_KEY + NATIVE_PATH_KEY_SIZE,
	AT_UNTIL = AT_TRANSACTION + NATIVE_TRANSACTION_SIZE,
	AT_WORKER = AT_UNTIL + 8,
};
static_assert(PLAIN_SIZE == 104 && AT_WORKER + 2 <= PLAIN_SIZE, "layout");
static_assert(REGISTRATION_TICKET_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "");

void registration_ticket_key(
	uint8_t key[static REGISTRATION_TICKET_KEY_SIZE], const uint8_t secret[static 32])
{
	static const char context[] = "Blindrelay 2026-11 ticket key";
	struct blake3 state;
	blake3_begin_derive(&state, context, sizeof(context) - 1);
	blake3_add(&state, secret, 32);
	blake3_finish(&state, key, REGISTRATION_TICKET_KEY_SIZE);
	blake3_wipe(&state);
}

static void write_endpoint(uint8_t *out, const struct net_endpoint *endpoint)
{
	out[0] = endpoint->address.family;
	memcpy(out + 1, &endpoint->port, 2);
	memcpy(out + 3, endpoint->address.bytes, 16);
}

static struct net_endpoint read_endpoint(const uint8_t *in)
{
	struct net_endpoint endpoint = {.address.family = in[0]};
	memcpy(&endpoint.port, in + 1, 2);
	memcpy(endpoint.address.bytes, in + 3, 16);
	return endpoint;
}

static void bind(uint8_t bound[static BOUND_SIZE], const uint8_t *open_id, const uint8_t *callee)
{
	memcpy(bound, open_id, NATIVE_OPEN_ID_SIZE);
	memcpy(bound + NATIVE_OPEN_ID_SIZE, callee, NATIVE_ADDRESS_SIZE);
}

void registration_ticket_seal(uint8_t out[static NATIVE_TICKET_SIZE],
	const struct registration_ticket *ticket,
	const uint8_t key[static REGISTRATION_TICKET_KEY_SIZE],
	const uint8_t open_id[static NATIVE_OPEN_ID_SIZE],
	const uint8_t callee[static NATIVE_ADDRESS_SIZE])
{
	uint8_t plain[PLAIN_SIZE] = {0}, bound[BOUND_SIZE];
	write_endpoint(plain, &ticket->caller.client);
	write_endpoint(plain + AT_SERVER, &ticket->caller.server);
	memcpy(plain + AT_PATH_KEY, ticket->path_key, NATIVE_PATH_KEY_SIZE);
	memcpy(plain + AT_TRANSACTION, ticket->caller.transaction, NATIVE_TRANSACTION_SIZE);
	memcpy(plain + AT_UNTIL, &ticket->until_ms, sizeof(ticket->until_ms));
	memcpy(plain + AT_WORKER, &ticket->caller.worker, sizeof(ticket->caller.worker));
	bind(bound, open_id, callee);
	randombytes_buf(out, NONCE_SIZE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
		out + NONCE_SIZE, NULL, plain, sizeof(plain), bound, sizeof(bound), NULL, out, key);
	sodium_memzero(plain, sizeof(plain));
}

int registration_ticket_open(struct registration_ticket *ticket,
	const uint8_t in[static NATIVE_TICKET_SIZE],
	const uint8_t key[static REGISTRATION_TICKET_KEY_SIZE],
	const uint8_t open_id[static NATIVE_OPEN_ID_SIZE],
	const uint8_t callee[static NATIVE_ADDRESS_SIZE], uint64_t now_ms)
{
	uint8_t plain[PLAIN_SIZE], bound[BOUND_SIZE];
	bind(bound, open_id, callee);
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, in + NONCE_SIZE,
		    NATIVE_TICKET_SIZE - NONCE_SIZE, bound, sizeof(bound), in, key) != 0)
		return -EBADMSG;
	*ticket = (struct registration_ticket){.caller.client = read_endpoint(plain),
		.caller.server = read_endpoint(plain + AT_SERVER)};
	memcpy(ticket->path_key, plain + AT_PATH_KEY, NATIVE_PATH_KEY_SIZE);
	memcpy(ticket->caller.transaction, plain + AT_TRANSACTION, NATIVE_TRANSACTION_SIZE);
	memcpy(&ticket->until_ms, plain + AT_UNTIL, sizeof(ticket->until_ms));
	memcpy(&ticket->caller.worker, plain + AT_WORKER, sizeof(ticket->caller.worker));
	sodium_memzero(plain, sizeof(plain));
	// One that is good for too long was sealed before the clock began anew.
	if (ticket->until_ms <= now_ms || ticket->until_ms - now_ms > NATIVE_TICKET_S * 1000) {
		sodium_memzero(ticket, sizeof(*ticket));
		return -ETIME;
	}
	return 0;
}
