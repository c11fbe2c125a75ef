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

static struct endpoint_contact example(void)
{
	struct endpoint_contact c = {.has_relay_key = true, .relay_count = 3};
	for (unsigned i = 0; i < 32; i++) {
		c.peer.namespace_id[i] = (uint8_t)i;
		c.relay_key[i] = (uint8_t)(0x80 + i);
	}
	const uint8_t seed[32] = {1};
	uint8_t secret[64];
	crypto_sign_seed_keypair(c.peer.delivery_key, secret, seed);
	assert_int_equal(endpoint_contact_relay_parse("192.0.2.1:3478", &c.relays[0]), 0);
	assert_int_equal(endpoint_contact_relay_parse("[2001:db8::1]:5000", &c.relays[1]), 0);
	assert_int_equal(endpoint_contact_relay_parse("Relay.Example.org", &c.relays[2]), 0);
	return c;
}

// By another program, from the layout in contact.h; all but the check at the end.
static const char golden[] =
	"blindrelay:"
	"AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fzswVB9wd3XKVlRwpCIjwla25BE0bc9aW5t8G"
	"XWg71PwBgIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8DBMAAAgENlgYgAQ24AAAAAAAAAAAA"
	"AAABE4gAEXJlbGF5LmV4YW1wbGUub3JnDZ";

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
	c.has_relay_key = false;
	memset(c.relay_key, 0, 32);
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_int_equal(endpoint_contact_parse(text, &back), 0);
	assert_memory_equal(&c, &back, sizeof(c));
	// The longest.
	c = example();
	c.relay_count = 4;
	for (unsigned i = 0; i < 4; i++) {
		memset(&c.relays[i], 0, sizeof(c.relays[i]));
		for (unsigned k = 0; k < ENDPOINT_CONTACT_NAME_MAX; k++)
			c.relays[i].name[k] = k % 50 == 49 ? '.' : 'a';
		c.relays[i].transport.port = 65535;
	}
	assert_int_equal(endpoint_contact_format(&c, text), 0);
	assert_int_equal(endpoint_contact_parse(text, &back), 0);
	assert_memory_equal(&c, &back, sizeof(c));
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
		for (int wrong = 1; wrong < 128; wrong++) {
			text[i] = (char)wrong;
			if (wrong != right && endpoint_contact_parse(text, &back) == 0)
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
	uint8_t good[256] = {1};
	struct endpoint_contact c = example();
	memcpy(good + 33, c.peer.delivery_key, 32);
	good[65] = 0; // no relay key
	good[66] = 1;
	memcpy(good + 67, "\x04\xc0\x00\x02\x01\x0d\x96", 7);
	const size_t size = 74;
	assert_int_equal(parse_bytes(good, size), 0);
	for (size_t cut = 1; cut < size; cut++)
		assert_int_equal(parse_bytes(good, cut), -EINVAL);
	assert_int_equal(parse_bytes(good, size + 1), -EINVAL);
	static const struct {
		size_t at;
		uint8_t value;
		int result;
	} rows[] = {
		{0, 0, -EPROTONOSUPPORT},
		{0, 2, -EPROTONOSUPPORT},
		{65, 2, -EINVAL},
		{66, 0, -EINVAL},
		{66, 5, -EINVAL},
		{66, 2, -EINVAL},
		{67, 5, -EINVAL},
		{67, 6, -EINVAL},
		{67, 0, -EINVAL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bad[256];
		memcpy(bad, good, sizeof(bad));
		bad[rows[i].at] = rows[i].value;
		assert_int_equal(parse_bytes(bad, size), rows[i].result);
	}
	good[72] = good[73] = 0; // the port
	assert_int_equal(parse_bytes(good, size), -EINVAL);
	good[73] = 1;
	memset(good + 33, 0, 32);
	assert_int_equal(parse_bytes(good, size), -EKEYREJECTED);
	uint8_t huge[2040] = {1};
	assert_int_equal(parse_bytes(huge, 1500), -EINVAL);
}

static void relays(void **state)
{
	(void)state;
	static const char *const good[] = {"192.0.2.1:1", "192.0.2.1:65535", "[::1]:3478",
		"relay.example.org:3478", "a:3478", "1.example:2", "xn--bcher-kva.example:3478"};
	static const char *const bad[] = {"", ":", ":3478", "192.0.2.1:", "192.0.2.1:0",
		"192.0.2.1:65536", "192.0.2.1:03478x", "192.0.2.256:1", "192.0.2:1", "[::1",
		"[::1]x", "[::1]:", "[192.0.2.1]:1", "[relay]:1", "-a:1", "a-:1", "a..b:1", ".a:1",
		"a.:1", "a_b:1", "a b:1", "1.2.3:4", "a.1:5", "a:1:2"};
	struct endpoint_contact_relay relay;
	char text[ENDPOINT_CONTACT_TEXT_SIZE];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(endpoint_contact_relay_parse(good[i], &relay), 0);
		assert_string_equal(
			endpoint_contact_relay_format(&relay, text, sizeof(text)), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (endpoint_contact_relay_parse(bad[i], &relay) != -EINVAL)
			fail_msg("\"%s\" is taken", bad[i]);
	assert_int_equal(endpoint_contact_relay_parse("2001:db8::1", &relay), 0);
	assert_int_equal(relay.transport.port, 3478);
	char longest[400];
	memset(longest, 'a', sizeof(longest));
	longest[64] = 0;
	assert_int_equal(endpoint_contact_relay_parse(longest, &relay), -EINVAL);
	longest[63] = 0;
	assert_int_equal(endpoint_contact_relay_parse(longest, &relay), 0);
	struct endpoint_contact c = example();
	c.relay_count = 0;
	assert_int_equal(endpoint_contact_format(&c, text), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(every_wrong_character),
		cmocka_unit_test(whole_but_wrong),
		cmocka_unit_test(relays),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
