// SPDX-License-Identifier: BSD-3-Clause
// The native protocol's messages (first bytes 4, 5 and 6), as lib/wire/README.md specifies them
// byte by byte: one parser and one builder each, used by relay, endpoint, tests and fuzzers alike.
//
// A parsed message borrows the datagram; every pointer in it has as many bytes as its comment says
// and lies inside. A builder takes the same struct, writes at most `room` bytes and returns the
// message's size, or 0 when it does not fit or a field in it is not allowed; `out` overlaps nothing
// that the struct points to, and is not looked at after 0. Numbers are in host order here. No
// state, any thread.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NATIVE_FIRST_CONTROL = 4,
	NATIVE_FIRST_ADDRESS = 5,
	NATIVE_FIRST_HANDLE = 6,
	NATIVE_VERSION = 1,
	NATIVE_DELIVERED = 0x80, // beside the version, in data by address from a relay

	NATIVE_MESSAGE_MAX = 1232, // of a control message
	NATIVE_HEADER_SIZE = 12,
	NATIVE_REQUEST_MIN = 40, // what is shorter is never answered
	NATIVE_TRANSACTION_SIZE = 8,
	NATIVE_COOKIE_SIZE = 12,
	NATIVE_ADDRESS_SIZE = 32,
	NATIVE_KEY_SIZE = 32,
	NATIVE_DEVICE_SIZE = 8,
	NATIVE_OPEN_ID_SIZE = 16,
	NATIVE_HANDLE_SIZE = 8,
	NATIVE_PATH_KEY_SIZE = 16,
	NATIVE_PATH_TOKEN_SIZE = 12,
	NATIVE_PROOF_SIZE = 16,
	NATIVE_TICKET_SIZE = 144,
	NATIVE_SIGNATURE_SIZE = 64,
	NATIVE_SOLUTION_SIZE = 8,
	NATIVE_TOKEN_SIZE = 68,
	NATIVE_TOKEN_NONCE_SIZE = 32,
	NATIVE_TOKEN_MAC_SIZE = 32,
	NATIVE_SEALED_MAX = 884, // makes the largest ACCEPT a message of NATIVE_MESSAGE_MAX
	NATIVE_DEVICES_MAX = 8,  // of an address
	NATIVE_HOPS_MAX = 8,

	NATIVE_CONTROL_COOKIE_S = 30, // how old a cookie may be
	NATIVE_DATA_COOKIE_S = 120,
	NATIVE_PATH_TOKEN_S = 10,
	NATIVE_TICKET_S = 30,

	// Data by address: where things are in a datagram to the relay and from it.
	NATIVE_BY_ADDRESS_HEADER = 48,
	NATIVE_BY_ADDRESS_COOKIE = 4,
	NATIVE_BY_ADDRESS_ADDRESS = 16,
	NATIVE_DELIVERED_HEADER = 36,
	NATIVE_DELIVERED_ADDRESS = 4,
	NATIVE_BY_HANDLE_HEADER = 8,
};

enum native_type {
	NATIVE_SOLICIT = 1,
	NATIVE_CHALLENGE,
	NATIVE_REGISTER,
	NATIVE_REGISTERED,
	NATIVE_REFUSED,
	NATIVE_KEEPALIVE,
	NATIVE_ALIVE,
	NATIVE_PATH_CHALLENGE,
	NATIVE_PATH_RESPONSE,
	NATIVE_OPEN,
	NATIVE_INVITE,
	NATIVE_ACCEPT,
	NATIVE_OPENED,
	NATIVE_CLOSE,
	NATIVE_CLOSED,
	NATIVE_UNSUPPORTED,
};

enum native_reason {
	NATIVE_REFUSED_MALFORMED = 1,
	NATIVE_REFUSED_EPOCH, // detail: the relay's epoch
	NATIVE_REFUSED_KEY,
	NATIVE_REFUSED_SIGNATURE,
	NATIVE_REFUSED_OLD,
	NATIVE_REFUSED_DEVICES,
	NATIVE_REFUSED_PUZZLE, // detail: difficulty
	NATIVE_REFUSED_TOKEN_WANTED,
	NATIVE_REFUSED_TOKEN_BAD,
	NATIVE_REFUSED_TOKEN_SPENT,
	NATIVE_REFUSED_FULL,
	NATIVE_REFUSED_BUSY, // detail: ms until it is worth trying
	NATIVE_REFUSED_DRAINING,
	NATIVE_REFUSED_NOT_REGISTERED,
	NATIVE_REFUSED_NO_ADDRESS,
	NATIVE_REFUSED_DECLINED,
	NATIVE_REFUSED_TAKEN,
	NATIVE_REFUSED_TICKET,
	NATIVE_REFUSED_NOT_SERVED,
};

enum native_close_reason {
	NATIVE_CLOSED_BY_PEER = 1,
	NATIVE_CLOSED_BY_YOU,
	NATIVE_CLOSED_PEER_SILENT,
	NATIVE_CLOSED_DRAINING,
	NATIVE_CLOSED_YOU_SILENT,
};

enum native_admission { NATIVE_ADMISSION_OPEN, NATIVE_ADMISSION_PUZZLE, NATIVE_ADMISSION_TOKEN };

// What every control message begins with. transaction: 8 bytes.
struct native_header {
	uint8_t version, type;
	const uint8_t *transaction;
};

// 0; -EBADMSG: not control, shorter than a header, longer than NATIVE_MESSAGE_MAX, or the zero is
// none; -EPROTONOSUPPORT: another version (the header is filled in all the same).
int native_header_parse(const uint8_t *data, size_t size, struct native_header *out);

// Each parser below wants a message of its type and checks everything that can be checked without
// keys: size, zeros, lengths, ranges. 0 or -EBADMSG. *out is defined only after 0.

// NATIVE_SOLICIT has no fields of its own.
struct native_solicit {
	const uint8_t *transaction; // 8, as in all that follow
};
int native_solicit_parse(const uint8_t *data, size_t size, struct native_solicit *out);
size_t native_solicit_build(uint8_t *out, size_t room, const struct native_solicit *in);

struct native_challenge {
	const uint8_t *transaction;
	const uint8_t *cookie; // 12
	uint8_t difficulty;    // zero bits
	uint8_t admission;     // enum native_admission
	uint32_t epoch, epoch_seconds;
};
int native_challenge_parse(const uint8_t *data, size_t size, struct native_challenge *out);
size_t native_challenge_build(uint8_t *out, size_t room, const struct native_challenge *in);

// mac covers the message before it.
struct native_token {
	uint32_t key_id;
	const uint8_t *nonce; // 32
	const uint8_t *mac;   // 32
};

// signature covers the message before it (native_signed). To build: with signature and token.mac
// NULL their bytes are written as zeros, for the caller to fill in (native_token_covered and
// native_signed of the finished message say where and over what).
struct native_register {
	const uint8_t *transaction;
	const uint8_t *cookie;
	uint32_t lifetime; // seconds; 0: withdraw
	uint32_t epoch;
	const uint8_t *device;     // 8
	const uint8_t *address;    // 32
	const uint8_t *key;        // 32
	uint8_t admission;         // enum native_admission; OPEN: nothing is shown
	const uint8_t *solution;   // 8, NATIVE_ADMISSION_PUZZLE
	struct native_token token; // NATIVE_ADMISSION_TOKEN
	const uint8_t *signature;  // 64
};
int native_register_parse(const uint8_t *data, size_t size, struct native_register *out);
size_t native_register_build(uint8_t *out, size_t room, const struct native_register *in);

struct native_registered {
	const uint8_t *transaction;
	uint32_t lifetime; // seconds
	const uint8_t *cookie;
	struct net_endpoint observed;
	uint16_t keepalive; // seconds
	uint8_t devices;
	uint16_t payload;         // largest of data by address
	const uint8_t *relay_key; // 32, X25519
};
int native_registered_parse(const uint8_t *data, size_t size, struct native_registered *out);
size_t native_registered_build(uint8_t *out, size_t room, const struct native_registered *in);

struct native_refused {
	const uint8_t *transaction;
	uint8_t reason; // enum native_reason
	uint32_t detail;
};
int native_refused_parse(const uint8_t *data, size_t size, struct native_refused *out);
size_t native_refused_build(uint8_t *out, size_t room, const struct native_refused *in);

// A handle as bytes 2 to 7 of data carry it.
struct native_handle {
	uint16_t generation; // 0 with index 0: no handle
	uint32_t index;
};

// The 8 bytes of a handle, in data and in control alike.
void native_handle_write(
	uint8_t out[static NATIVE_HANDLE_SIZE], const struct native_handle *handle);

struct native_keepalive {
	const uint8_t *transaction;
	const uint8_t *cookie;
	bool has_handle;
	struct native_handle handle;
};
int native_keepalive_parse(const uint8_t *data, size_t size, struct native_keepalive *out);
size_t native_keepalive_build(uint8_t *out, size_t room, const struct native_keepalive *in);

struct native_alive {
	const uint8_t *transaction;
	const uint8_t *cookie;
	struct net_endpoint observed;
	uint32_t left; // seconds of the handle
};
int native_alive_parse(const uint8_t *data, size_t size, struct native_alive *out);
size_t native_alive_build(uint8_t *out, size_t room, const struct native_alive *in);

struct native_path_challenge {
	const uint8_t *transaction;
	struct native_handle handle;
	const uint8_t *token; // 12
};
int native_path_challenge_parse(
	const uint8_t *data, size_t size, struct native_path_challenge *out);
size_t native_path_challenge_build(
	uint8_t *out, size_t room, const struct native_path_challenge *in);

struct native_path_response {
	const uint8_t *transaction;
	struct native_handle handle;
	const uint8_t *token; // 12
	const uint8_t *proof; // 16
};
int native_path_response_parse(const uint8_t *data, size_t size, struct native_path_response *out);
size_t native_path_response_build(uint8_t *out, size_t room, const struct native_path_response *in);

// signature as in struct native_register.
struct native_open {
	const uint8_t *transaction;
	const uint8_t *cookie;
	const uint8_t *open_id;   // 16
	const uint8_t *caller;    // 32, address
	const uint8_t *callee;    // 32, address
	const uint8_t *key;       // 32, of the caller's address
	const uint8_t *ephemeral; // 32, X25519
	const uint8_t *sealed;
	uint16_t sealed_size; // at most NATIVE_SEALED_MAX
	const uint8_t *signature;
};
int native_open_parse(const uint8_t *data, size_t size, struct native_open *out);
size_t native_open_build(uint8_t *out, size_t room, const struct native_open *in);

struct native_invite {
	const uint8_t *transaction;
	const uint8_t *open_id;
	const uint8_t *callee;
	const uint8_t *ticket; // 144
	const uint8_t *sealed;
	uint16_t sealed_size;
};
int native_invite_parse(const uint8_t *data, size_t size, struct native_invite *out);
size_t native_invite_build(uint8_t *out, size_t room, const struct native_invite *in);

struct native_accept {
	const uint8_t *transaction;
	const uint8_t *cookie;
	const uint8_t *open_id;
	const uint8_t *callee;
	const uint8_t *key; // of the callee's address
	const uint8_t *ephemeral;
	bool accept;
	const uint8_t *ticket;
	const uint8_t *sealed;
	uint16_t sealed_size;
	const uint8_t *signature;
};
int native_accept_parse(const uint8_t *data, size_t size, struct native_accept *out);
size_t native_accept_build(uint8_t *out, size_t room, const struct native_accept *in);

struct native_opened {
	const uint8_t *transaction;
	const uint8_t *open_id;
	struct native_handle handle;
	uint32_t lifetime;  // seconds
	uint16_t keepalive; // seconds
	const uint8_t *proof;
	const uint8_t *sealed;
	uint16_t sealed_size;
};
int native_opened_parse(const uint8_t *data, size_t size, struct native_opened *out);
size_t native_opened_build(uint8_t *out, size_t room, const struct native_opened *in);

struct native_close {
	const uint8_t *transaction;
	struct native_handle handle;
	const uint8_t *proof;
};
int native_close_parse(const uint8_t *data, size_t size, struct native_close *out);
size_t native_close_build(uint8_t *out, size_t room, const struct native_close *in);

struct native_closed {
	const uint8_t *transaction;
	struct native_handle handle;
	uint8_t reason; // enum native_close_reason
	const uint8_t *proof;
};
int native_closed_parse(const uint8_t *data, size_t size, struct native_closed *out);
size_t native_closed_build(uint8_t *out, size_t room, const struct native_closed *in);

struct native_unsupported {
	const uint8_t *transaction;
	uint8_t lowest, highest;
};
int native_unsupported_parse(const uint8_t *data, size_t size, struct native_unsupported *out);
size_t native_unsupported_build(uint8_t *out, size_t room, const struct native_unsupported *in);

// Data by address as a client sends it (1 to NATIVE_HOPS_MAX hops left), and as a relay delivers it
// (one less, so 0 is allowed; cookie NULL). -EBADMSG: not that, too short, zero is none, hops out
// of range; -EPROTONOSUPPORT: another version.
struct native_by_address {
	uint8_t hops;
	const uint8_t *cookie;
	const uint8_t *address;
	const uint8_t *payload;
	size_t payload_size;
};
int native_by_address_parse(const uint8_t *data, size_t size, struct native_by_address *out);
int native_delivered_parse(const uint8_t *data, size_t size, struct native_by_address *out);
size_t native_by_address_build(uint8_t *out, size_t room, const struct native_by_address *in);
size_t native_delivered_build(uint8_t *out, size_t room, const struct native_by_address *in);

struct native_by_handle {
	struct native_handle handle;
	const uint8_t *payload;
	size_t payload_size;
};
int native_by_handle_parse(const uint8_t *data, size_t size, struct native_by_handle *out);
size_t native_by_handle_build(uint8_t *out, size_t room, const struct native_by_handle *in);

// ---- what is computed over messages; the keys are the caller's ----

// What a signature is over: the context string and its zero byte, then the first *size bytes of the
// message. For messages of `size` bytes that end with a signature. Returns the number of bytes of
// the message that are signed.
#define NATIVE_SIGNATURE_CONTEXT "Blindrelay native 1" // with its zero byte
size_t native_signed(size_t message_size);
// Copies context and signed part into out (at least sizeof context + NATIVE_MESSAGE_MAX) and
// returns the size to sign or verify.
size_t native_signature_input(uint8_t *out, const uint8_t *message, size_t message_size);

// Bytes of a REGISTER with a token that the token's mac covers.
size_t native_token_covered(size_t message_size);

// SipHash-2-4-128 under a path key (16 bytes) over letter, transaction and parts. any may be NULL
// with size 0.
void native_proof(uint8_t proof[static 16], const uint8_t key[static 16], char letter,
	const uint8_t transaction[static 8], const void *first, size_t first_size,
	const void *second, size_t second_size);
// Proofs of the four messages, from their other fields.
void native_path_response_proof(uint8_t proof[static 16], const uint8_t key[static 16],
	const struct native_path_response *m);
void native_opened_proof(
	uint8_t proof[static 16], const uint8_t key[static 16], const struct native_opened *m);
void native_close_proof(
	uint8_t proof[static 16], const uint8_t key[static 16], const struct native_close *m);
void native_closed_proof(
	uint8_t proof[static 16], const uint8_t key[static 16], const struct native_closed *m);

// The path key of one side. shared: X25519's output; not wiped here.
void native_path_key(uint8_t key[static 16], const uint8_t shared[static 32],
	const uint8_t ephemeral[static 32], const uint8_t relay_key[static 32],
	const uint8_t open_id[static 16], bool callee);

// The puzzle: the number of zero bits that a solution (8 bytes) has.
unsigned native_puzzle_bits(const uint8_t cookie[static 12], const uint8_t address[static 32],
	const uint8_t solution[static 8]);
