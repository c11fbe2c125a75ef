// SPDX-License-Identifier: BSD-3-Clause
// Contact cards, both ways; see contact.h.
#include "endpoint/contact.h"
#include "endpoint/contact_name.h"

#include "lib/crypto/blake3.h"
#include "lib/net/cursor.h"
#include "lib/wire/base64.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
	VERSION_2 = 2,
	CHECK_SIZE = 4,
	KIND_NAME = 0,
	KEY_KNOWN = 0x80,
	ADDRESS_MAX = 1 + 1 + ENDPOINT_CONTACT_NAME_MAX + 2,
	RELAY_MAX = 1 + ENDPOINT_KEY_SIZE + ENDPOINT_CONTACT_ADDRESSES_MAX * ADDRESS_MAX,
	BYTES_MAX = 1 + 3 * ENDPOINT_KEY_SIZE + 1 + ENDPOINT_CONTACT_RELAYS_MAX * RELAY_MAX +
		    CHECK_SIZE,
	SCHEME_SIZE = sizeof(ENDPOINT_CONTACT_SCHEME) - 1,
};
static_assert(SCHEME_SIZE + (BYTES_MAX * 4 + 2) / 3 + 1 <= ENDPOINT_CONTACT_TEXT_SIZE, "fits");

// Letters, digits and hyphens in labels of 1 to 63 (RFC 1123 section 2.1); the last one is no
// number, so that no name is an address.
bool contact_name_valid(const char *name, size_t size)
{
	size_t label = 0;
	bool number = true;

	if (size == 0 || size > ENDPOINT_CONTACT_NAME_MAX)
		return false;
	for (size_t i = 0; i <= size; i++) {
		char c = i < size ? name[i] : '.';
		if (c == '.') {
			if (label == 0 || label > 63 || name[i - 1] == '-')
				return false;
			if (i < size)
				number = true;
			label = 0;
			continue;
		}
		bool digit = c >= '0' && c <= '9';
		if (!digit && !(c >= 'a' && c <= 'z') && (c != '-' || label == 0))
			return false;
		number = number && digit;
		label++;
	}
	return !number;
}

static bool take_address(struct cursor *c, struct endpoint_contact_address *out)
{
	uint8_t kind, size;
	const uint8_t *bytes;

	if (!cursor_u8(c, &kind))
		return false;
	if (kind == KIND_NAME) {
		if (!cursor_u8(c, &size) || (bytes = cursor_take(c, size)) == NULL ||
			!contact_name_valid((const char *)bytes, size))
			return false;
		memcpy(out->name, bytes, size);
	} else if (kind == 4 || kind == 6) {
		size = kind == 4 ? 4 : 16;
		if ((bytes = cursor_take(c, size)) == NULL)
			return false;
		memcpy(out->transport.address, bytes, size);
		out->transport.family = kind;
	} else {
		return false;
	}
	return cursor_u16(c, &out->transport.port) && out->transport.port != 0;
}

static bool take_key(struct cursor *c, uint8_t out[static ENDPOINT_KEY_SIZE])
{
	const uint8_t *bytes = cursor_take(c, ENDPOINT_KEY_SIZE);
	if (bytes != NULL)
		memcpy(out, bytes, ENDPOINT_KEY_SIZE);
	return bytes != NULL;
}

static bool take_relay(struct cursor *c, struct endpoint_contact_relay *relay)
{
	uint8_t head;

	if (!cursor_u8(c, &head))
		return false;
	relay->has_key = (head & KEY_KNOWN) != 0;
	size_t count = head & (KEY_KNOWN - 1);
	if (count == 0 || count > ENDPOINT_CONTACT_ADDRESSES_MAX ||
		(relay->has_key && !take_key(c, relay->key)))
		return false;
	for (; relay->address_count < count; relay->address_count++)
		if (!take_address(c, &relay->addresses[relay->address_count]))
			return false;
	return true;
}

static bool take_contact(struct cursor *c, struct endpoint_contact *out)
{
	uint8_t count;

	if (!take_key(c, out->peer.namespace_id) || !take_key(c, out->identity_key) ||
		!take_key(c, out->peer.delivery_key) || !cursor_u8(c, &count) || count == 0 ||
		count > ENDPOINT_CONTACT_RELAYS_MAX)
		return false;
	for (; out->relay_count < count; out->relay_count++)
		if (!take_relay(c, &out->relays[out->relay_count]))
			return false;
	return cursor_left(c) == 0;
}

int endpoint_contact_parse(const char *text, struct endpoint_contact *out)
{
	uint8_t bytes[BYTES_MAX], check[BLAKE3_HASH_LENGTH];
	size_t size;

	memset(out, 0, sizeof(*out));
	// Schemes are compared without case (RFC 3986 section 3.1), but there is one form here.
	if (strncmp(text, ENDPOINT_CONTACT_SCHEME, SCHEME_SIZE) != 0 ||
		strnlen(text, ENDPOINT_CONTACT_TEXT_SIZE) == ENDPOINT_CONTACT_TEXT_SIZE)
		return -EINVAL;
	text += SCHEME_SIZE;
	// Refuses what is not of the alphabet, padding, and bits that belong to no byte.
	if (!base64_decode(text, strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING, bytes,
		    sizeof(bytes), &size) ||
		size <= 1 + CHECK_SIZE)
		return -EINVAL;
	size -= CHECK_SIZE;
	blake3_hash(bytes, size, check);
	if (memcmp(check, bytes + size, CHECK_SIZE) != 0)
		return -EINVAL;
	if (bytes[0] != VERSION_2)
		return -EPROTONOSUPPORT;
	struct cursor c = cursor_make(bytes + 1, size - 1);
	if (!take_contact(&c, out))
		return -EINVAL;
	if (crypto_core_ed25519_is_valid_point(out->identity_key) == 0 ||
		crypto_core_ed25519_is_valid_point(out->peer.delivery_key) == 0)
		return -EKEYREJECTED;
	return 0;
}

// ---- writing ----

struct pen {
	uint8_t bytes[BYTES_MAX];
	size_t size;
};

static void put(struct pen *pen, const void *data, size_t size)
{
	assert(pen->size + size <= sizeof(pen->bytes));
	memcpy(pen->bytes + pen->size, data, size);
	pen->size += size;
}

static void put_u8(struct pen *pen, size_t number)
{
	put(pen, &(uint8_t){(uint8_t)number}, 1);
}

static bool put_address(struct pen *pen, const struct endpoint_contact_address *address)
{
	const struct endpoint_transport *t = &address->transport;
	size_t length = strnlen(address->name, sizeof(address->name));

	if (length > 0) {
		if (!contact_name_valid(address->name, length))
			return false;
		put_u8(pen, KIND_NAME);
		put_u8(pen, length);
		put(pen, address->name, length);
	} else {
		if (t->family != 4 && t->family != 6)
			return false;
		put_u8(pen, t->family);
		put(pen, t->address, t->family == 4 ? 4 : 16);
	}
	put_u8(pen, t->port >> 8);
	put_u8(pen, t->port & 0xff);
	return t->port != 0;
}

static bool put_relay(struct pen *pen, const struct endpoint_contact_relay *relay)
{
	if (relay->address_count == 0 || relay->address_count > ENDPOINT_CONTACT_ADDRESSES_MAX)
		return false;
	put_u8(pen, relay->address_count | (relay->has_key ? KEY_KNOWN : 0));
	if (relay->has_key)
		put(pen, relay->key, ENDPOINT_KEY_SIZE);
	for (size_t i = 0; i < relay->address_count; i++)
		if (!put_address(pen, &relay->addresses[i]))
			return false;
	return true;
}

int endpoint_contact_format(
	const struct endpoint_contact *contact, char text[ENDPOINT_CONTACT_TEXT_SIZE])
{
	struct pen pen = {.size = 0};
	uint8_t check[BLAKE3_HASH_LENGTH];

	if (contact->relay_count == 0 || contact->relay_count > ENDPOINT_CONTACT_RELAYS_MAX)
		return -EINVAL;
	put_u8(&pen, VERSION_2);
	put(&pen, contact->peer.namespace_id, ENDPOINT_KEY_SIZE);
	put(&pen, contact->identity_key, ENDPOINT_KEY_SIZE);
	put(&pen, contact->peer.delivery_key, ENDPOINT_KEY_SIZE);
	put_u8(&pen, contact->relay_count);
	for (size_t i = 0; i < contact->relay_count; i++)
		if (!put_relay(&pen, &contact->relays[i]))
			return -EINVAL;
	blake3_hash(pen.bytes, pen.size, check);
	put(&pen, check, CHECK_SIZE);
	memcpy(text, ENDPOINT_CONTACT_SCHEME, SCHEME_SIZE);
	sodium_bin2base64(text + SCHEME_SIZE, ENDPOINT_CONTACT_TEXT_SIZE - SCHEME_SIZE, pen.bytes,
		pen.size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return 0;
}
