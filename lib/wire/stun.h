// SPDX-License-Identifier: BSD-3-Clause
// STUN messages (RFC 8489 section 5, 14) with the methods and attributes of TURN (RFC 8656 section
// 17, 18) and RFC 5780. One cursor parser and one builder for dataplane, control plane, tests and
// fuzzers. No allocation, no global state, any thread.
#pragma once

#include "lib/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STUN_MAGIC_COOKIE 0x2112A442u

enum {
	STUN_HEADER_LENGTH = 20,
	STUN_TRANSACTION_LENGTH = 12,
	STUN_FINGERPRINT_LENGTH = 8, // whole attribute
	STUN_FINGERPRINT_XOR = 0x5354554E,
};

enum stun_class {
	STUN_REQUEST = 0,
	STUN_INDICATION = 1,
	STUN_SUCCESS = 2,
	STUN_ERROR = 3,
};

enum stun_method {
	STUN_BINDING = 0x001,
	STUN_ALLOCATE = 0x003,
	STUN_REFRESH = 0x004,
	STUN_SEND = 0x006,
	STUN_DATA = 0x007,
	STUN_CREATE_PERMISSION = 0x008,
	STUN_CHANNEL_BIND = 0x009,
};

enum stun_attribute_type {
	STUN_MAPPED_ADDRESS = 0x0001,
	STUN_CHANGE_REQUEST = 0x0003,
	STUN_USERNAME = 0x0006,
	STUN_MESSAGE_INTEGRITY = 0x0008,
	STUN_ERROR_CODE = 0x0009,
	STUN_UNKNOWN_ATTRIBUTES = 0x000A,
	STUN_CHANNEL_NUMBER = 0x000C,
	STUN_LIFETIME = 0x000D,
	STUN_XOR_PEER_ADDRESS = 0x0012,
	STUN_DATA_ATTRIBUTE = 0x0013,
	STUN_REALM = 0x0014,
	STUN_NONCE = 0x0015,
	STUN_XOR_RELAYED_ADDRESS = 0x0016,
	STUN_REQUESTED_ADDRESS_FAMILY = 0x0017,
	STUN_EVEN_PORT = 0x0018,
	STUN_REQUESTED_TRANSPORT = 0x0019,
	STUN_DONT_FRAGMENT = 0x001A,
	STUN_MESSAGE_INTEGRITY_SHA256 = 0x001C,
	STUN_PASSWORD_ALGORITHM = 0x001D,
	STUN_USERHASH = 0x001E,
	STUN_XOR_MAPPED_ADDRESS = 0x0020,
	STUN_RESERVATION_TOKEN = 0x0022,
	STUN_PRIORITY = 0x0024,
	STUN_USE_CANDIDATE = 0x0025,
	STUN_PADDING = 0x0026,
	STUN_RESPONSE_PORT = 0x0027,
	STUN_ADDITIONAL_ADDRESS_FAMILY = 0x8000,
	STUN_ADDRESS_ERROR_CODE = 0x8001,
	STUN_PASSWORD_ALGORITHMS = 0x8002,
	STUN_ALTERNATE_DOMAIN = 0x8003,
	STUN_ICMP = 0x8004,
	STUN_SOFTWARE = 0x8022,
	STUN_ALTERNATE_SERVER = 0x8023,
	STUN_FINGERPRINT = 0x8028,
	STUN_ICE_CONTROLLED = 0x8029,
	STUN_ICE_CONTROLLING = 0x802A,
	STUN_RESPONSE_ORIGIN = 0x802B,
	STUN_OTHER_ADDRESS = 0x802C,
};

// REQUESTED-ADDRESS-FAMILY and the family octet of address attributes.
enum {
	STUN_FAMILY_IPV4 = 0x01,
	STUN_FAMILY_IPV6 = 0x02,
};

struct stun_attribute {
	uint16_t type;
	uint16_t length; // of value, without padding
	const uint8_t *value;
};

// A parsed message borrows the caller's buffer.
struct stun_message {
	const uint8_t *data;
	size_t length; // header + body, as the header says
	uint16_t method;
	uint8_t class;        // enum stun_class
	bool has_fingerprint; // present and last (and then verified by stun_parse)
	// Offsets from data of the attribute header, 0 when absent. What comes after the first of
	// these (but FINGERPRINT, and SHA256 after SHA1) is not seen by stun_next and stun_find:
	// RFC 8489 14.5, 14.6.
	uint16_t integrity_offset;
	uint16_t integrity_sha256_offset;
	uint16_t attributes_end; // offset where visible attributes end
};

static inline const uint8_t *stun_transaction(const struct stun_message *m)
{
	return m->data + 8;
}

// Structural check of a whole datagram payload: first two bits 0, length a multiple of 4 and equal
// to what is there, magic cookie, every attribute inside the body, FINGERPRINT only last and right
// when present. 0; -EBADMSG malformed; -EPROTO no magic cookie (RFC 3489 client); -EILSEQ wrong
// FINGERPRINT.
int stun_parse(const void *data, size_t length, struct stun_message *out);

// Walks the visible attributes: *offset starts at 0; false at the end.
bool stun_next(const struct stun_message *m, size_t *offset, struct stun_attribute *out);

// The first attribute of that type among the visible ones (first wins).
bool stun_find(const struct stun_message *m, uint16_t type, struct stun_attribute *out);

// Comprehension-required attributes (< 0x8000) among the visible ones that `known` (n entries) does
// not list. Writes up to max distinct types, returns how many.
size_t stun_unknown_attributes(const struct stun_message *m, const uint16_t *known, size_t n,
	uint16_t *unknown, size_t max);

// Value readers: 0 or -EBADMSG (wrong length, family, reserved bits are ignored as the RFC says).
int stun_read_u32(const struct stun_attribute *a, uint32_t *host_order);
// XOR-MAPPED/PEER/RELAYED-ADDRESS. The transaction id of m is needed for IPv6.
int stun_read_xor_address(
	const struct stun_message *m, const struct stun_attribute *a, struct net_endpoint *out);
// The same without XOR: MAPPED-ADDRESS, ALTERNATE-SERVER, RESPONSE-ORIGIN, OTHER-ADDRESS.
int stun_read_address(const struct stun_attribute *a, struct net_endpoint *out);
// ERROR-CODE: 300-699.
int stun_read_error(const struct stun_attribute *a, unsigned *code);

// ---- building ----

// A builder writes into the caller's buffer. Once something did not fit, failed stays true and
// stun_finish returns 0.
struct stun_builder {
	uint8_t *data;
	size_t capacity;
	size_t length;
	bool failed;
};

// transaction: 12 bytes.
struct stun_builder stun_begin(void *buffer, size_t capacity, uint16_t method,
	enum stun_class class, const uint8_t transaction[static STUN_TRANSACTION_LENGTH]);
// Padding is always zero bytes.
void stun_add(struct stun_builder *b, uint16_t type, const void *value, size_t length);
void stun_add_u32(struct stun_builder *b, uint16_t type, uint32_t host_order);
void stun_add_xor_address(
	struct stun_builder *b, uint16_t type, const struct net_endpoint *endpoint);
// MAPPED-ADDRESS form, not XORed (RFC 5780 OTHER-ADDRESS, RESPONSE-ORIGIN).
void stun_add_address(struct stun_builder *b, uint16_t type, const struct net_endpoint *endpoint);
// reason may be NULL: unauthenticated replies carry none.
void stun_add_error(struct stun_builder *b, unsigned code, const char *reason);
// CRC-32 of everything so far ^ STUN_FINGERPRINT_XOR; must be last.
void stun_add_fingerprint(struct stun_builder *b);
// Sets the header's length; returns the total length in bytes, 0 when something did not fit.
size_t stun_finish(struct stun_builder *b);
