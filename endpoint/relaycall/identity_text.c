// SPDX-License-Identifier: BSD-3-Clause
// What is in an identity file, both ways; see identity.h.
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/lines.h"

#include "lib/wire/base64.h"

#include <sodium.h>

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { KEY_TEXT_SIZE = 44 };

static const char opening[] = "# An identity of relaycall(1). Keep it to yourself and keep a copy: "
			      "who has it is you, and\n"
			      "# receives what is meant for you.\n";

// The longest: both relays with four names each.
static_assert(
	sizeof(opening) + 128 + 5 * (32 + KEY_TEXT_SIZE) +
			2 * ENDPOINT_CONTACT_ADDRESSES_MAX * (32 + ENDPOINT_CONTACT_NAME_MAX) <
		IDENTITY_TEXT_SIZE,
	"fits");

bool identity_key_parse(const char *text, uint8_t out[ENDPOINT_KEY_SIZE])
{
	static const int variants[] = {sodium_base64_VARIANT_URLSAFE_NO_PADDING,
		sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_URLSAFE,
		sodium_base64_VARIANT_ORIGINAL_NO_PADDING};
	size_t size;

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (base64_decode(text, strlen(text), variants[i], out, ENDPOINT_KEY_SIZE, &size) &&
			size == ENDPOINT_KEY_SIZE)
			return true;
	return false;
}

// ---- reading ----

enum {
	HAS_VERSION = 1,
	HAS_NAMESPACE = 2,
	HAS_IDENTITY = 4,
	HAS_DELIVERY = 8,
	HAS_KEY = 16,
	HAS_SECOND_KEY = 32,
};

// A key that may stand there once.
static bool take_key(unsigned *seen, unsigned bit, const char *value, uint8_t *out)
{
	if (*seen & bit)
		return false;
	*seen |= bit;
	return identity_key_parse(value, out);
}

static bool take_address(struct endpoint_contact_relay *relay, const char *value)
{
	return relay->address_count < ENDPOINT_CONTACT_ADDRESSES_MAX &&
	       endpoint_contact_address_parse(value, &relay->addresses[relay->address_count++]) ==
		       0;
}

static bool take_relay_key(
	struct endpoint_contact_relay *relay, unsigned *seen, unsigned bit, const char *value)
{
	return relay->has_key = take_key(seen, bit, value, relay->key);
}

// A line of either version: true when it was understood.
static bool take_line(struct identity *id, unsigned *seen, const char *key, const char *value)
{
	if (strcmp(key, "namespace") == 0)
		return take_key(seen, HAS_NAMESPACE, value, id->namespace_id);
	if (strcmp(key, "relay") == 0)
		return take_address(&id->relays[0], value);
	if (strcmp(key, "relay-key") == 0)
		return take_relay_key(&id->relays[0], seen, HAS_KEY, value);
	if (!(*seen & HAS_VERSION))
		return strcmp(key, "seed") == 0 &&
		       take_key(seen, HAS_DELIVERY, value, id->delivery_seed);
	if (strcmp(key, "identity-seed") == 0)
		return take_key(seen, HAS_IDENTITY, value, id->identity_seed);
	if (strcmp(key, "delivery-seed") == 0)
		return take_key(seen, HAS_DELIVERY, value, id->delivery_seed);
	if (strcmp(key, "second-relay") == 0)
		return take_address(&id->relays[1], value);
	if (strcmp(key, "second-relay-key") == 0)
		return take_relay_key(&id->relays[1], seen, HAS_SECOND_KEY, value);
	return false;
}

static __attribute__((format(printf, 3, 4))) int refuse(
	char error[IDENTITY_ERROR_SIZE], const struct identity *identity, const char *format, ...)
{
	char what[160];
	va_list list;

	va_start(list, format);
	vsnprintf(what, sizeof(what), format, list);
	va_end(list);
	snprintf(error, IDENTITY_ERROR_SIZE, "%.300s%s", identity->path, what);
	return -EINVAL;
}

static const char *missing_of(unsigned seen)
{
	if (!(seen & HAS_NAMESPACE))
		return "namespace";
	if (!(seen & HAS_VERSION))
		return seen & HAS_DELIVERY ? NULL : "seed";
	if (!(seen & HAS_IDENTITY))
		return "identity-seed";
	return seen & HAS_DELIVERY ? NULL : "delivery-seed";
}

int identity_parse(struct identity *identity, char *text, size_t size, unsigned *version,
	char error[IDENTITY_ERROR_SIZE])
{
	struct lines lines = lines_make(text, size);
	unsigned seen = 0;
	char *key, *value;
	int more;

	while ((more = lines_next(&lines, &key, &value)) > 0) {
		if (seen == 0 && strcmp(key, "version") == 0) {
			if (strcmp(value, "2") != 0)
				return refuse(error, identity,
					" is of another version than this relaycall knows");
			seen |= HAS_VERSION;
			continue;
		}
		if (!take_line(identity, &seen, key, value))
			break;
	}
	if (more != 0)
		return refuse(error, identity,
			", line %u: not understood (namespace, identity-seed, delivery-seed, "
			"relay, "
			"relay-key, second-relay, second-relay-key = ...)",
			lines.number);
	const char *missing = missing_of(seen);
	if (missing != NULL)
		return refuse(error, identity, " lacks its %s", missing);
	const struct endpoint_contact_relay *relays = identity->relays;
	for (size_t i = 0; i < ENDPOINT_CONTACT_RELAYS_MAX; i++)
		if (relays[i].address_count == 0 &&
			(relays[i].has_key || (i == 0 && relays[1].address_count > 0)))
			return refuse(
				error, identity, " lacks its %srelay", i == 0 ? "" : "second-");
	identity->relay_count = relays[1].address_count > 0 ? 2 : relays[0].address_count > 0;
	*version = seen & HAS_VERSION ? 2 : 1;
	return 0;
}

// ---- writing ----

struct pen {
	char *text;
	size_t size;
};

static __attribute__((format(printf, 2, 3))) void put(struct pen *pen, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	int length = vsnprintf(pen->text + pen->size, IDENTITY_TEXT_SIZE - pen->size, format, list);
	va_end(list);
	assert(length >= 0 && (size_t)length < IDENTITY_TEXT_SIZE - pen->size);
	pen->size += (size_t)length;
}

static void put_key(struct pen *pen, const char *name, const uint8_t key[ENDPOINT_KEY_SIZE])
{
	char text[KEY_TEXT_SIZE];

	sodium_bin2base64(text, sizeof(text), key, ENDPOINT_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	put(pen, "%s = %s\n", name, text);
	sodium_memzero(text, sizeof(text));
}

size_t identity_format(const struct identity *identity, char text[IDENTITY_TEXT_SIZE])
{
	struct pen pen = {.text = text};
	char address[ENDPOINT_CONTACT_NAME_MAX + 8];

	put(&pen, "%sversion = 2\n", opening);
	put_key(&pen, "namespace", identity->namespace_id);
	put_key(&pen, "identity-seed", identity->identity_seed);
	put_key(&pen, "delivery-seed", identity->delivery_seed);
	for (size_t i = 0; i < identity->relay_count; i++) {
		const struct endpoint_contact_relay *relay = &identity->relays[i];
		for (size_t k = 0; k < relay->address_count; k++)
			put(&pen, "%srelay = %s\n", i == 0 ? "" : "second-",
				endpoint_contact_address_format(
					&relay->addresses[k], address, sizeof(address)));
		if (relay->has_key)
			put_key(&pen, i == 0 ? "relay-key" : "second-relay-key", relay->key);
	}
	return pen.size;
}
