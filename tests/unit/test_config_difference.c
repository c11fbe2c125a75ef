// SPDX-License-Identifier: BSD-3-Clause
// Differences of two configurations: every key of the file has a row, every member of struct config
// belongs to exactly one, and a changed value is noticed by its own key and no other.
#include "lib/config/difference.h"
#include "lib/config/parser.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

// A line per key: its value in one file and in the other. NULL: not given there.
static const struct change {
	const char *section, *key, *before, *after;
	unsigned restart;
} changes[] = {
	{"node", "name", "one", "other", 0},
	{"node", "state", "/var/lib/a", "/var/lib/b", CONFIG_RESTART_CONTROLPLANE},
	{"node", "run", "/run/a", "/run/b", CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE},
	{"dataplane", "port", "af_xdp:eth0", "af_xdp:eth1", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "port", "memif:/run/x,id=1", "memif:/run/x,id=2", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "port", "memif:/run/x", "memif:/run/x,role=server", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "port", "tap:a,queues=1", "tap:a,queues=2", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "port", "tap:a,kernel=b", "tap:a,kernel=c", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "workers", "2", "3", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "cores", "0,1", "0,2", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "hugepages", "yes", "no", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "memory", "64", "65", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "mappings", "1001", "1002", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "allocations", "1000", "1001", CONFIG_RESTART_DATAPLANE},
	{"dataplane", "idle", "poll", "sleep", 0},
	{"address", "listen", "192.0.2.2", "192.0.2.3",
		CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE},
	{"address", "listen", NULL, "192.0.2.3",
		CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE},
	{"address", "port", "3000", "3001", CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE},
	{"address", "alternate-port", "3000", "3001",
		CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE},
	{"address", "relay-ports", "50000-50009", "50001-50009", 0},
	{"address", "relay-ports", "50000-50009", "50000-50010", 0},
	{"turn", "realm", "one", "other", 0},
	{"turn", "auth", "static", "static rest", 0},
	{"turn", "secret", "first", "second", 0},
	{"turn", "secret", NULL, "second", 0},
	{"turn", "user", "alice:one", "alice:two", 0},
	{"turn", "user", "alice:one", "alic:eone", 0},
	{"turn", "user", NULL, "alice:one", 0},
	{"turn", "channels", "rfc8656", "rfc5766", 0},
	{"turn", "max-lifetime", "700", "701", 0},
	{"turn", "quota", "7", "8", 0},
	{"turn", "prefix-quota", "7", "8", 0},
	{"peers", "allow", "10.0.0.0/8", "10.0.0.0/9", 0},
	{"peers", "allow", NULL, "10.0.0.0/9", 0},
	{"peers", "deny", "10.0.0.0-10.0.0.7", "10.0.0.0-10.0.0.8", 0},
	{"guard", "block", "10.0.0.0/8", "10.0.0.0/9", 0},
	{"guard", "block", NULL, "10.0.0.0/9", 0},
	{"guard", "allow", "10.0.0.0/8", "11.0.0.0/8", 0},
	{"guard", "reply-bytes", "2000", "2001", 0},
	{"guard", "punts", "7", "8", 0},
	{"guard", "punts-with-allocation", "7", "8", 0},
	{"guard", "punts-total", "7", "8", 0},
	{"guard", "new-allocations", "7", "8", 0},
	{"registration", "enabled", "yes", "no", 0},
	{"registration", "admission", "open", "pow", 0},
	{"registration", "lease", "60", "61", 0},
	{"registration", "keepalive", "7", "8", 0},
	{"registration", "epoch", "2", "3", CONFIG_RESTART_CONTROLPLANE},
	{"registration", "leases", "7", "8", CONFIG_RESTART_DATAPLANE},
	{"registration", "handles", "6", "8", CONFIG_RESTART_DATAPLANE},
	{"registration", "sender-bytes", "3000", "3001", 0},
	{"registration", "address-bytes", "3000", "3001", 0},
	{"registration", "new-leases", "7", "8", 0},
	{"registration", "puzzle-above", "7", "8", 0},
	{"tokens", "issue", "no", "yes", CONFIG_RESTART_CONTROLPLANE},
	{"tokens", "spent", "7", "8", CONFIG_RESTART_CONTROLPLANE},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

// The file around one key; what the key needs beside it is there in both versions.
static struct config *parse_with(const struct change *change, const char *value)
{
	char text[2048], line[256] = "", error[CONFIG_ERROR_SIZE];
	struct config *config = NULL;
	bool is_auth = strcmp(change->key, "auth") == 0;
	bool is_port = strcmp(change->section, "dataplane") == 0 && !strcmp(change->key, "port");
	if (value != NULL)
		snprintf(
			line, sizeof(line), "[%s]\n%s = %s\n", change->section, change->key, value);
	snprintf(text, sizeof(text),
		"[dataplane]\n%s[address]\nlisten = 192.0.2.1\n"
		"[turn]\nauth = static rest\nuser = bob:pass\nsecret = shared\n%s",
		is_port ? "" : "port = ring\n", line);
	// "auth = static" with a secret is refused: leave it out for that key.
	if (is_auth) {
		snprintf(text, sizeof(text),
			"[dataplane]\nport = ring\n[address]\nlisten = 192.0.2.1\n"
			"[turn]\nuser = bob:pass\n%s%s",
			strstr(value, "rest") ? "secret = shared\n" : "", line);
	}
	if (config_parse(text, "test", &config, error) != 0)
		fail_msg("%s: %s", error, text);
	return config;
}

static void test_every_key_has_a_row_and_a_line(void **state)
{
	(void)state;
	for (unsigned key = 0; key < config_keys(); key++) {
		const char *section = config_key_section(key), *name = config_key_name(key);
		assert_int_equal(config_key_find(section, name), key);
		bool found = false;
		for (unsigned i = 0; i < CHANGES; i++)
			if (!strcmp(changes[i].section, section) && !strcmp(changes[i].key, name)) {
				assert_int_equal(config_key_restart(key), changes[i].restart);
				found = true;
			}
		if (!found)
			fail_msg("[%s] %s has no line in this test", section, name);
	}
	assert_int_equal(config_key_find("turn", "workers"), -1);
	assert_int_equal(config_key_find("no", "quota"), -1);
}

#if defined(__GNUC__) && !defined(__clang__)
// What is neither padding nor part of a key would change without anybody noticing. gcc 12 misses
// padding in a struct this large, so it is asked section by section; between two sections there is
// nothing but padding.
#define SECTION(name)                                                                              \
	do {                                                                                       \
		memset(&config->name, 0xFF, sizeof(config->name));                                 \
		__builtin_clear_padding(&config->name);                                            \
		sections += sizeof(config->name);                                                  \
	} while (0)

static void test_every_member_belongs_to_one_key(void **state)
{
	(void)state;
	struct config *config = calloc(1, sizeof(*config));
	size_t sections = 0;
	assert_non_null(config);
	SECTION(node);
	SECTION(dataplane);
	SECTION(address);
	SECTION(turn);
	SECTION(peers);
	SECTION(guard);
	SECTION(registration);
	SECTION(tokens);
	// Less than the alignment between any two of them: none is missing above.
	assert_true(sizeof(*config) - sections < 8 * _Alignof(struct config));
	const uint8_t *bytes = (const uint8_t *)config;
	for (size_t offset = 0; offset < sizeof(*config); offset++) {
		unsigned owners = 0;
		for (unsigned key = 0; key < config_keys(); key++)
			owners += config_key_covers(key, offset);
		if (bytes[offset] == 0xFF && owners != 1)
			fail_msg("byte %zu of struct config belongs to %u keys: a new member wants "
				 "a row in lib/config/difference.c",
				offset, owners);
	}
	free(config);
}
#endif

static void test_only_the_changed_key_differs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CHANGES; i++) {
		struct config *before = parse_with(&changes[i], changes[i].before);
		struct config *again = parse_with(&changes[i], changes[i].before);
		struct config *after = parse_with(&changes[i], changes[i].after);
		int changed = config_key_find(changes[i].section, changes[i].key);
		assert_true(changed >= 0);
		for (unsigned key = 0; key < config_keys(); key++) {
			assert_false(config_key_differs(key, before, again));
			bool expected = (int)key == changed;
			// Without a realm of its own it is the name; "auth" comes with its secret.
			if (!strcmp(changes[i].key, "name") &&
				!strcmp(config_key_name(key), "realm"))
				expected = true;
			if (!strcmp(changes[i].key, "auth") &&
				!strcmp(config_key_name(key), "secret"))
				expected = true;
			if (config_key_differs(key, before, after) != expected)
				fail_msg("%s: %s -> %s: [%s] %s %s", changes[i].key,
					changes[i].before ? changes[i].before : "nothing",
					changes[i].after, config_key_section(key),
					config_key_name(key),
					expected ? "does not differ" : "differs");
		}
		config_free(before);
		config_free(again);
		config_free(after);
	}
}

// What an earlier, longer value left behind the end is no difference.
static void test_text_ends_at_its_end(void **state)
{
	(void)state;
	struct config *a = parse_with(&changes[0], "same"), *b = parse_with(&changes[0], "same");
	unsigned key = (unsigned)config_key_find("node", "name");
	memset(b->node.name + 5, 'x', 20);
	assert_false(config_key_differs(key, a, b));
	memset(b->node.name, 'x', sizeof(b->node.name)); // without an end
	assert_true(config_key_differs(key, a, b));
	config_free(a);
	config_free(b);
}

static void test_digests(void **state)
{
	(void)state;
	const uint8_t one[16] = {1}, two[16] = {2};
	uint8_t a[CONFIG_DIGEST_SIZE], b[CONFIG_DIGEST_SIZE];
	unsigned key = (unsigned)config_key_find("dataplane", "workers");
	struct config *config = parse_with(&changes[0], "same");
	config_key_digest(key, config, one, a);
	config_key_digest(key, config, one, b);
	assert_memory_equal(a, b, sizeof(a));
	config_key_digest(key, config, two, b);
	assert_memory_not_equal(a, b, sizeof(a));
	config->dataplane.workers++;
	config_key_digest(key, config, one, b);
	assert_memory_not_equal(a, b, sizeof(a));
	config_free(config);
}

static void test_copy(void **state)
{
	(void)state;
	for (unsigned i = 0; i < CHANGES; i++) {
		struct config *before = parse_with(&changes[i], changes[i].before);
		struct config *after = parse_with(&changes[i], changes[i].after);
		unsigned key = (unsigned)config_key_find(changes[i].section, changes[i].key);
		if (strcmp(changes[i].key, "user") != 0) {
			config_key_copy(key, after, before);
			assert_false(config_key_differs(key, before, after));
		}
		config_free(before);
		config_free(after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_has_a_row_and_a_line),
#if defined(__GNUC__) && !defined(__clang__)
		cmocka_unit_test(test_every_member_belongs_to_one_key),
#endif
		cmocka_unit_test(test_only_the_changed_key_differs),
		cmocka_unit_test(test_text_ends_at_its_end),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_copy),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
