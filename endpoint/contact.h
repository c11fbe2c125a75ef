// SPDX-License-Identifier: BSD-3-Clause
// Contact cards: who somebody is and where they are reached, as one line of text that may be sent
// by mail or shown as a code.
//
//     blindrelay:A...     the scheme, then base64url (RFC 4648 section 5, no padding) of
//
//     version        1     2
//     namespace id   32
//     identity key   32    Ed25519, public: who somebody is
//     delivery key   32    Ed25519, public: where they are reached; may become another one
//     relays         1     1 or 2 follow, by preference:
//       addresses    1     low seven bits: 1 to 4; the highest bit: its key is known
//       key          32    X25519; only where it is known
//       and for each address, by preference:
//       kind         1     4: IPv4, 4 bytes; 6: IPv6, 16 bytes; 0: a name, 1 byte length, name
//       port         2     big endian, not 0
//     check          4     first bytes of the BLAKE3 of all before: a mistyped card is no card
//
// One contact has one form: whatever parses is what format makes of it again. A card is not signed:
// it is worth what the way is worth on which it came.
// Plain functions of any thread; endpoint_create or sodium_init comes first.
#pragma once

#include "endpoint/endpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ENDPOINT_CONTACT_SCHEME "blindrelay:"

enum {
	ENDPOINT_CONTACT_NAME_MAX = 253,   // of a domain name
	ENDPOINT_CONTACT_TEXT_SIZE = 3072, // of the longest card, with its final 0
	ENDPOINT_CONTACT_PORT = 3478,      // what relays use unless told otherwise
	ENDPOINT_CONTACT_RELAYS_MAX = 2,
	ENDPOINT_CONTACT_ADDRESSES_MAX = ENDPOINT_RELAYS_MAX, // of one relay
};

// name: a domain name in lower case, to be resolved by the user of the library (transport.port is
// its port, family is 0 then); empty: transport is given.
struct endpoint_contact_address {
	char name[ENDPOINT_CONTACT_NAME_MAX + 1];
	struct endpoint_transport transport;
};

// One relay under 1 to 4 addresses.
struct endpoint_contact_relay {
	bool has_key;
	uint8_t key[ENDPOINT_KEY_SIZE]; // X25519; zero where it is not known
	struct endpoint_contact_address addresses[ENDPOINT_CONTACT_ADDRESSES_MAX];
	size_t address_count;
};

struct endpoint_contact {
	struct endpoint_peer peer; // namespace id and delivery key
	uint8_t identity_key[ENDPOINT_KEY_SIZE];
	struct endpoint_contact_relay relays[ENDPOINT_CONTACT_RELAYS_MAX];
	size_t relay_count;
};

// *out is defined only after 0; what is not used of it is zero, so that two contacts can be
// compared byte by byte. -EINVAL: not a card, or damaged; -EPROTONOSUPPORT: of a version that this
// library does not know; -EKEYREJECTED: whole, but the identity key or the delivery key is none.
int endpoint_contact_parse(const char *text, struct endpoint_contact *out);

// Writes the card into text. -EINVAL: no relay or too many, one without an address or with too
// many, a name that is none, a transport address that is none.
int endpoint_contact_format(
	const struct endpoint_contact *contact, char text[ENDPOINT_CONTACT_TEXT_SIZE]);

// "192.0.2.1:3478", "[2001:db8::1]:3478", "relay.example.org:3478"; without the port
// ENDPOINT_CONTACT_PORT. -EINVAL: none of these.
int endpoint_contact_address_parse(const char *text, struct endpoint_contact_address *out);
// The same backwards, at most 256 + 6 bytes; cut to size. Returns text.
const char *endpoint_contact_address_format(
	const struct endpoint_contact_address *address, char *text, size_t size);

#ifdef __cplusplus
}
#endif
