// SPDX-License-Identifier: BSD-3-Clause
// Contact strings: what somebody has to know to reach an endpoint, as one line of text that may be
// sent by mail or shown as a code.
//
//     blindrelay:A...     the scheme, then base64url (RFC 4648 section 5, no padding) of
//
//     version        1     1
//     namespace id   32
//     delivery key   32    Ed25519, public
//     relay key      1     0: not known; 1: 32 bytes follow (X25519)
//     relays         1     1 to 4 follow, by preference:
//       kind         1     4: IPv4, 4 bytes; 6: IPv6, 16 bytes; 0: a name, 1 byte length, name
//       port         2     big endian, not 0
//     check          4     first bytes of the BLAKE3 of all before: a mistyped contact is no
//     contact
//
// One contact has one form: whatever parses is what format makes of it again.
// Plain functions of any thread; endpoint_create or sodium_init comes first.
#pragma once

#include "endpoint/endpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ENDPOINT_CONTACT_SCHEME "blindrelay:"

enum {
	ENDPOINT_CONTACT_NAME_MAX = 253,   // of a domain name
	ENDPOINT_CONTACT_TEXT_SIZE = 1536, // of the longest contact string, with its final 0
	ENDPOINT_CONTACT_PORT = 3478,      // what relays use unless told otherwise
};

// name: a domain name in lower case, to be resolved by the user of the library (transport.port is
// its port, family is 0 then); empty: transport is given.
struct endpoint_contact_relay {
	char name[ENDPOINT_CONTACT_NAME_MAX + 1];
	struct endpoint_transport transport;
};

struct endpoint_contact {
	struct endpoint_peer peer;
	bool has_relay_key;
	uint8_t relay_key[ENDPOINT_KEY_SIZE];
	struct endpoint_contact_relay relays[ENDPOINT_RELAYS_MAX];
	size_t relay_count;
};

// *out is defined only after 0. -EINVAL: not a contact string, or damaged; -EPROTONOSUPPORT: of a
// version that this library does not know; -EKEYREJECTED: whole, but the delivery key is none.
int endpoint_contact_parse(const char *text, struct endpoint_contact *out);

// Writes the contact string into text. -EINVAL: no relay or too many, a name that is none, a
// transport address that is none.
int endpoint_contact_format(
	const struct endpoint_contact *contact, char text[ENDPOINT_CONTACT_TEXT_SIZE]);

// "192.0.2.1:3478", "[2001:db8::1]:3478", "relay.example.org:3478"; without the port
// ENDPOINT_CONTACT_PORT. -EINVAL: none of these.
int endpoint_contact_relay_parse(const char *text, struct endpoint_contact_relay *out);
// The same backwards, at most 256 + 6 bytes; cut to size. Returns text.
const char *endpoint_contact_relay_format(
	const struct endpoint_contact_relay *relay, char *text, size_t size);

#ifdef __cplusplus
}
#endif
