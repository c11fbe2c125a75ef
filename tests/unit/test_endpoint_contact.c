// SPDX-License-Identifier: BSD-3-Clause
// Contact strings: there and back, golden, and everything that is none.
#include "endpoint/contact.h"
#include "lib/crypto/blake3.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

static void key_of(uint8_t out[32], uint8_t number)
{
	const uint8_t seed[32] = {number};
	uint8_t secret[64];
	crypto_sign_seed_keypair(out, secret, seed);
}

// Two relays, one with a key and two addresses, one with a name and without a key.
static struct endpoint_contact example(void)
{
	struct endpoint_contact c = {.relay_count = 2,
		.relays = {{.has_key = true, .address_count = 2}, {.address_count = 1}}};
	for (unsigned i = 0; i < 32; i++) {
		c.peer.namespace_id[i] = (uint8_t)i;
		c.relays[0].key[i] = (uint8_t)(0x80 + i);
	}
	key_of(c.peer.delivery_key, 1);
	key_of(c.identity_key, 2);
	struct endpoint_contact_address *first = c.relays[0].addresses,
					*second = c.relays[1].addresses;
	assert_int_equal(endpoint_contact_address_parse("192.0.2.1:3478", &first[0]), 0);
	assert_int_equal(endpoint_contact_address_parse("[2001:db8::1]:5000", &first[1]), 0);
	assert_int_equal(endpoint_contact_address_parse("Relay.Example.org", &second[0]), 0);
	return c;
}

// By another program, from the layout in contact.h; all but the check at the end.
static const char golden[] =
	"blindrelay:"
	"AgABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fa3nFfmoJUjkoLASBjpYRLz8DpAAbqXpWTCOF"
	"Kj8epfzOzBUH3B3dcpWVHCkIiPCVrbkETRtz1pbm3wZdaDvU_AKCgIGCg4SFhoeIiYqLjI2Oj5CRkpOU"
	"lZaXmJmam5ydnp8EwAACAQ2WBiABDbgAAAAAAAAAAAAAAAETiAEAEXJlbGF5LmV4YW1wbGUub3JnDZ";

static void there_and_back(void **state)
{
	(void)state;
	struct endpoint_contact c = example(), back;
	char text[ENDPOINT_CONTACT_TEXT_SIZE], again[ENDPOINT_CONTACT_TEXT_SIZE];
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_memory_equal(text, golden, sizeof(golden) - 1);
	assert_int_equal(endpoint_contact_parse(text, &back), 0);
	assert_memory_equal(&c, &back, sizeof(c));
	assert_int_equal(endpoint_contact_format(&back, again), 0);
	assert_string_equal(text, again);
	c.relays[0].has_key = false;
	memset(c.relays[0].key, 0, 32);
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_int_equal(endpoint_contact_parse(text, &back), 0);
	assert_memory_equal(&c, &back, sizeof(c));
	// The longest.
	c = example();
	c.relays[1].has_key = true;
	for (unsigned r = 0; r < 2; r++) {
		c.relays[r].address_count = 4;
		for (unsigned i = 0; i < 4; i++) {
			struct endpoint_contact_address *address = &c.relays[r].addresses[i];
			memset(address, 0, sizeof(*address));
			for (unsigned k = 0; k < ENDPOINT_CONTACT_NAME_MAX; k++)
				address->name[k] = k % 50 == 49 ? '.' : 'a';
			address->transport.port = 65535;
		}
	}
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_int_equal(endpoint_contact_parse(text, &back), 0);
	assert_memory_equal(&c, &back, sizeof(c));
}

// What people get to see: one relay with its key has to stay a small code.
static void length(void **state)
{
	(void)state;
	struct endpoint_contact c = example();
	char text[ENDPOINT_CONTACT_TEXT_SIZE];
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_int_equal(strlen(text), 255);
	c.relay_count = 1;
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_int_equal(strlen(text), 226);
	c.relays[0].address_count = 1;
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_int_equal(strlen(text), 201);
}

static void every_wrong_character(void **state)
{
	(void)state;
	struct endpoint_contact c = example(), back;
	char text[ENDPOINT_CONTACT_TEXT_SIZE + 8];
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	size_t length = strlen(text);
	for (size_t i = 0; i < length; i++) {
		char right = text[i];
		for (int wrong = 1; wrong < 256; wrong++) {
			text[i] = (char)wrong;
			if (text[i] != right && endpoint_contact_parse(text, &back) == 0)
				fail_msg("%zu: %d instead of %d is taken", i, wrong, right);
		}
		text[i] = 0;
		assert_int_not_equal(endpoint_contact_parse(text, &back), 0);
		text[i] = right;
	}
	strcat(text, "A");
	assert_int_not_equal(endpoint_contact_parse(text, &back), 0);
	text[length] = '=';
	assert_int_not_equal(endpoint_contact_parse(text, &back), 0);
	text[length] = ' ';
	assert_int_not_equal(endpoint_contact_parse(text, &back), 0);
	text[length] = '\n';
	assert_int_not_equal(endpoint_contact_parse(text, &back), 0);
	assert_int_not_equal(endpoint_contact_parse("", &back), 0);
	assert_int_not_equal(endpoint_contact_parse("blindrelay:", &back), 0);
}

// Any bytes with a right check.
static int parse_bytes(const uint8_t *bytes, size_t size)
{
	uint8_t whole[2048], check[32];
	char text[4096] = ENDPOINT_CONTACT_SCHEME;
	struct endpoint_contact out;
	memcpy(whole, bytes, size);
	blake3_hash(bytes, size, check);
	memcpy(whole + size, check, 4);
	size_t scheme = strlen(text);
	sodium_bin2base64(text + scheme, sizeof(text) - scheme, whole, size + 4,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return endpoint_contact_parse(text, &out);
}

static void whole_but_wrong(void **state)
{
	(void)state;
	enum {
		IDENTITY = 33,
		DELIVERY = 65,
		RELAYS = 97,
		HEAD,
		KIND,
		PORT = KIND + 5,
		SIZE = PORT + 2
	};
	uint8_t good[256] = {2};
	key_of(good + IDENTITY, 2);
	key_of(good + DELIVERY, 1);
	good[RELAYS] = 1;
	good[HEAD] = 1; // no key
	memcpy(good + KIND, "\x04\xc0\x00\x02\x01\x0d\x96", 7);
	assert_int_equal(parse_bytes(good, SIZE), 0);
	for (size_t cut = 1; cut < SIZE; cut++)
		assert_int_equal(parse_bytes(good, cut), -EINVAL);
	assert_int_equal(parse_bytes(good, SIZE + 1), -EINVAL);
	static const struct {
		size_t at;
		uint8_t value;
		int result;
	} rows[] = {
		{0, 0, -EPROTONOSUPPORT},
		{0, 1, -EPROTONOSUPPORT},
		{0, 3, -EPROTONOSUPPORT},
		{RELAYS, 0, -EINVAL},
		{RELAYS, 2, -EINVAL},
		{RELAYS, 3, -EINVAL},
		{HEAD, 0, -EINVAL},
		{HEAD, 2, -EINVAL},
		{HEAD, 5, -EINVAL},
		{HEAD, 0x41, -EINVAL},
		{HEAD, 0x80, -EINVAL},
		{HEAD, 0x81, -EINVAL},
		{KIND, 5, -EINVAL},
		{KIND, 6, -EINVAL},
		{KIND, 0, -EINVAL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bad[256];
		memcpy(bad, good, sizeof(bad));
		bad[rows[i].at] = rows[i].value;
		assert_int_equal(parse_bytes(bad, SIZE), rows[i].result);
	}
	good[PORT] = good[PORT + 1] = 0;
	assert_int_equal(parse_bytes(good, SIZE), -EINVAL);
	good[PORT + 1] = 1;
	assert_int_equal(parse_bytes(good, SIZE), 0);
	// Of small order, and no point at all.
	static const size_t keys[] = {IDENTITY, DELIVERY};
	for (size_t i = 0; i < 2; i++) {
		uint8_t bad[256];
		memcpy(bad, good, sizeof(bad));
		memset(bad + keys[i], 0, 32);
		assert_int_equal(parse_bytes(bad, SIZE), -EKEYREJECTED);
		memset(bad + keys[i], 0xff, 32);
		assert_int_equal(parse_bytes(bad, SIZE), -EKEYREJECTED);
	}
	uint8_t huge[2040] = {2};
	assert_int_equal(parse_bytes(huge, 1500), -EINVAL);
}

static void addresses(void **state)
{
	(void)state;
	static const char *const good[] = {"192.0.2.1:1", "192.0.2.1:65535", "[::1]:3478",
		"relay.example.org:3478", "a:3478", "1.example:2", "xn--bcher-kva.example:3478"};
	static const char *const bad[] = {"", ":", ":3478", "192.0.2.1:", "192.0.2.1:0",
		"192.0.2.1:65536", "192.0.2.1:03478x", "192.0.2.256:1", "192.0.2:1", "[::1",
		"[::1]x", "[::1]:", "[192.0.2.1]:1", "[relay]:1", "-a:1", "a-:1", "a..b:1", ".a:1",
		"a.:1", "a_b:1", "a b:1", "1.2.3:4", "a.1:5", "a:1:2"};
	struct endpoint_contact_address address;
	char text[ENDPOINT_CONTACT_TEXT_SIZE];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(endpoint_contact_address_parse(good[i], &address), 0);
		assert_string_equal(
			endpoint_contact_address_format(&address, text, sizeof(text)), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (endpoint_contact_address_parse(bad[i], &address) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
	assert_int_equal(endpoint_contact_address_parse("2001:db8::1", &address), 0);
	assert_int_equal(address.transport.port, 3478);
	char longest[400];
	memset(longest, 'a', sizeof(longest));
	longest[64] = 0;
	assert_int_equal(endpoint_contact_address_parse(longest, &address), -EINVAL);
	longest[63] = 0;
	assert_int_equal(endpoint_contact_address_parse(longest, &address), 0);
	struct endpoint_contact c = example();
	c.relay_count = 0;
	assert_int_equal(endpoint_contact_format(&c, text), -EINVAL);
	c.relay_count = 3;
	assert_int_equal(endpoint_contact_format(&c, text), -EINVAL);
	c = example();
	c.relays[1].address_count = 0;
	assert_int_equal(endpoint_contact_format(&c, text), -EINVAL);
	c.relays[1].address_count = 5;
	assert_int_equal(endpoint_contact_format(&c, text), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(every_wrong_character),
		cmocka_unit_test(whole_but_wrong),
		cmocka_unit_test(length),
		cmocka_unit_test(addresses),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
