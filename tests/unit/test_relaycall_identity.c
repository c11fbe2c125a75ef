// SPDX-License-Identifier: BSD-3-Clause
// The identity file: made once, upgraded from version 1 without losing anything, changed whole or
// not at all, by many processes at once; and everything that is none. wrap: write wrap: rename
#include "endpoint/relaycall/identity.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[96];
static bool disk_full, no_rename;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (!disk_full)
		return __real_write(fd, data, size);
	if (size > 40) // what still fits
		return __real_write(fd, data, 40);
	errno = ENOSPC;
	return -1;
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to)
{
	if (!no_rename)
		return __real_rename(from, to);
	errno = EIO;
	return -1;
}

// ---- a folder for each test ----

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_identity_XXXXXX");
	snprintf(path, sizeof(path), "%s/identity", mkdtemp(folder) != NULL ? folder : "");
	return 0;
}

// How many files there are.
static unsigned files(bool remove)
{
	DIR *directory = opendir(folder);
	unsigned count = 0;
	for (struct dirent *e; (e = readdir(directory)) != NULL;) {
		if (e->d_name[0] == '.')
			continue;
		count++;
		if (remove)
			unlinkat(dirfd(directory), e->d_name, 0);
	}
	closedir(directory);
	return count;
}

static int tear_down(void **state)
{
	(void)state;
	files(true);
	return rmdir(folder);
}

static void put_file(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(__real_write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void expect_file(const char *text)
{
	char there[8192] = "";
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fread(there, 1, sizeof(there) - 1, file), strlen(text));
	fclose(file);
	assert_string_equal(there, text);
}

static struct identity load(bool is_made)
{
	char error[IDENTITY_ERROR_SIZE] = "";
	struct identity identity;
	bool made;
	if (identity_load(&identity, path, &made, error) != 0)
		fail_msg("%s", error);
	assert_int_equal(made, is_made);
	return identity;
}

static void refuse(int result, const char *words)
{
	char error[IDENTITY_ERROR_SIZE] = "";
	struct identity identity;
	const struct identity nothing = {.upgraded = false};
	bool made;
	assert_int_equal(identity_load(&identity, path, &made, error), result);
	if (strstr(error, words) == NULL)
		fail_msg("not \"%s\": %s", words, error);
	assert_false(made);
	assert_memory_equal(identity.delivery_seed, nothing.delivery_seed, 32);
	assert_memory_equal(identity.identity_seed, nothing.identity_seed, 32);
}

static void made_once(void **state)
{
	(void)state;
	struct identity first = load(true), second = load(false);
	struct stat stat_of;
	assert_memory_equal(&first, &second, sizeof(first));
	assert_int_equal(stat(path, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 07777, 0600);
	assert_int_equal(files(false), 1);
	// Three independent numbers, and another person's are others.
	assert_memory_not_equal(first.identity_seed, first.delivery_seed, 32);
	assert_memory_not_equal(first.identity_seed, first.namespace_id, 32);
	unlink(path);
	second = load(true);
	assert_memory_not_equal(first.identity_seed, second.identity_seed, 32);
	assert_memory_not_equal(first.delivery_seed, second.delivery_seed, 32);
	// The keys are those of the seeds.
	struct endpoint_contact contact;
	uint8_t key[32], secret[64];
	identity_contact(&second, &contact);
	crypto_sign_seed_keypair(key, secret, second.identity_seed);
	assert_memory_equal(contact.identity_key, key, 32);
	crypto_sign_seed_keypair(key, secret, second.delivery_seed);
	assert_memory_equal(contact.peer.delivery_key, key, 32);
	identity_wipe(&second);
	for (size_t i = 0; i < sizeof(second); i++)
		assert_int_equal(((uint8_t *)&second)[i], 0);
}

// ---- version 1 ----

#define V1_NAMESPACE "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define V1_SEED      "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8"
static const char version_1[] = "# An identity of relaycall(1).\n"
				"namespace = " V1_NAMESPACE "\n"
				"seed = " V1_SEED "\n"
				"relay = 192.0.2.1:3478\n"
				"relay = [2001:db8::1]:5000\n"
				"relay-key = " V1_SEED "\n";

static void upgraded(void **state)
{
	(void)state;
	uint8_t expected[32];
	struct stat stat_of;
	put_file(version_1, 0600);
	struct identity first = load(false);
	assert_true(first.upgraded);
	assert_true(identity_key_parse(V1_SEED, expected));
	assert_memory_equal(first.delivery_seed, expected, 32);
	assert_memory_not_equal(first.identity_seed, expected, 32);
	assert_int_equal(sodium_is_zero(first.identity_seed, 32), 0);
	assert_memory_equal(first.relays[0].key, expected, 32);
	assert_true(identity_key_parse(V1_NAMESPACE, expected));
	assert_memory_equal(first.namespace_id, expected, 32);
	assert_int_equal(first.relay_count, 1);
	assert_int_equal(first.relays[0].address_count, 2);
	struct identity second = load(false);
	assert_false(second.upgraded);
	second.upgraded = true;
	assert_memory_equal(&first, &second, sizeof(first));
	assert_int_equal(stat(path, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 07777, 0600);
	assert_int_equal(files(false), 1);
}

static void note_relay(struct identity *identity, const void *context)
{
	struct endpoint_contact_relay *relay = &identity->relays[identity->relay_count++];
	assert_int_equal(endpoint_contact_address_parse(context, &relay->addresses[0]), 0);
	relay->address_count = 1;
}

static void nothing_is_lost(void **state)
{
	(void)state;
	char error[IDENTITY_ERROR_SIZE];
	put_file(version_1, 0600);
	disk_full = true;
	refuse(-ENOSPC, "cannot write");
	disk_full = false;
	expect_file(version_1);
	no_rename = true;
	refuse(-EIO, "cannot write");
	no_rename = false;
	expect_file(version_1);
	assert_int_equal(files(false), 1);

	struct identity before = load(false), after;
	after = before;
	disk_full = true;
	assert_int_equal(identity_change(&after, note_relay, "r.example.org", error), -ENOSPC);
	disk_full = false;
	after = load(false);
	before.upgraded = false;
	assert_memory_equal(&before, &after, sizeof(after));
	assert_int_equal(identity_change(&after, note_relay, "r.example.org", error), 0);
	before = load(false);
	assert_int_equal(before.relay_count, 2);
	assert_memory_equal(&before, &after, sizeof(after));

	unlink(path);
	disk_full = true;
	refuse(-ENOSPC, "cannot write");
	disk_full = false;
	assert_int_equal(files(false), 0);
}

// ---- many at once ----

// All children begin when the pipe's writing end is closed; each writes what it has got.
static void at_once(const char *text, void (*check)(const struct endpoint_contact *contact))
{
	enum { CHILDREN = 8 };
	int start[2], results[2];
	assert_int_equal(pipe(start) | pipe(results), 0);
	if (text != NULL)
		put_file(text, 0600);
	for (unsigned i = 0; i < CHILDREN; i++) {
		if (fork() != 0)
			continue;
		char error[IDENTITY_ERROR_SIZE], byte;
		struct identity identity;
		struct endpoint_contact contact;
		bool made;
		close(start[1]);
		(void)!read(start[0], &byte, 1);
		if (identity_load(&identity, path, &made, error) != 0)
			_exit(1);
		identity_contact(&identity, &contact);
		_exit(__real_write(results[1], contact.identity_key, 32) != 32);
	}
	close(start[0]);
	close(start[1]);
	close(results[1]);
	uint8_t keys[CHILDREN][32];
	for (unsigned i = 0; i < CHILDREN; i++) {
		int status;
		assert_int_equal(read(results[0], keys[i], 32), 32);
		assert_memory_equal(keys[i], keys[0], 32);
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	close(results[0]);
	struct identity identity = load(false);
	struct endpoint_contact contact;
	identity_contact(&identity, &contact);
	assert_memory_equal(contact.identity_key, keys[0], 32);
	assert_int_equal(files(false), 1);
	if (check != NULL)
		check(&contact);
	unlink(path);
}

static void has_relay(const struct endpoint_contact *contact)
{
	assert_int_equal(contact->relays[0].address_count, 2);
}

static void one_identity(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		at_once(NULL, NULL);
		at_once(version_1, has_relay);
	}
}

// ---- what is none ----

#define HEAD  "version = 2\nnamespace = " V1_NAMESPACE "\n"
#define SEEDS "identity-seed = " V1_SEED "\ndelivery-seed = " V1_SEED "\n"

static void wrong(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"", "lacks its namespace"},
		{"namespace = " V1_NAMESPACE "\n", "lacks its seed"},
		{"version = 2\n" SEEDS, "lacks its namespace"},
		{HEAD "delivery-seed = " V1_SEED "\n", "lacks its identity-seed"},
		{HEAD "identity-seed = " V1_SEED "\n", "lacks its delivery-seed"},
		{HEAD SEEDS "second-relay = a\n", "lacks its relay"},
		{HEAD SEEDS "relay-key = " V1_SEED "\n", "lacks its relay"},
		{HEAD SEEDS "relay = a\nsecond-relay-key = " V1_SEED "\n",
			"lacks its second-relay"},
		{"version = 3\n" HEAD SEEDS, "is of another version"},
		{"version = 1\n" HEAD SEEDS, "is of another version"},
		{HEAD "version = 2\n" SEEDS, "line 3: not understood"},
		{HEAD SEEDS "seed = " V1_SEED "\n", "line 5: not understood"},
		{HEAD SEEDS "identity-seed = " V1_SEED "\n", "line 5: not understood"},
		{HEAD SEEDS "namespace = " V1_NAMESPACE "\n", "line 5: not understood"},
		{HEAD SEEDS "relay = a\nrelay = b\nrelay = c\nrelay = d\nrelay = e\n",
			"line 9: not understood"},
		{HEAD SEEDS "relay = \n", "line 5: not understood"},
		{HEAD SEEDS "relay\n", "line 5: not understood"},
		{HEAD SEEDS "= a\n", "line 5: not understood"},
		{HEAD "identity-seed = AAAA\n", "line 3: not understood"},
		{"namespace = " V1_NAMESPACE "\n" SEEDS, "line 2: not understood"},
		{"seed = " V1_SEED "\nsecond-relay = a\n", "line 2: not understood"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_file(rows[i].text, 0600);
		refuse(-EINVAL, rows[i].words);
		expect_file(rows[i].text);
	}
	put_file(HEAD SEEDS "relay = a\r\n \t# a comment\r\n\n  second-relay=b  ", 0600);
	struct identity identity = load(false);
	assert_int_equal(identity.relay_count, 2);
	static const mode_t open_to_others[] = {0640, 0620, 0610, 0604, 0602, 0601};
	for (size_t i = 0; i < sizeof(open_to_others) / sizeof(open_to_others[0]); i++) {
		put_file(version_1, open_to_others[i]);
		refuse(-EPERM, "chmod 600");
	}
	char *large = malloc(20000);
	memset(large, '\n', 19999);
	large[19999] = 0;
	put_file(large, 0600);
	free(large);
	refuse(-EFBIG, "too large");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refuse(-EISDIR, "is not a file"); // at once, although nobody writes
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refuse(-EISDIR, "is not a file");
	rmdir(path);
}

// A character elsewhere: refused, or another identity that is written as it was read; never the
// same.
static void other_characters(void **state)
{
	(void)state;
	static struct identity right, read, again;
	char text[IDENTITY_TEXT_SIZE], copy[IDENTITY_TEXT_SIZE], error[IDENTITY_ERROR_SIZE];
	unsigned version;
	right = load(true);
	assert_int_equal(identity_change(&right, note_relay, "192.0.2.1", error), 0);
	assert_int_equal(identity_change(&right, note_relay, "relay.example.org", error), 0);
	size_t size = identity_format(&right, text);
	size_t begin = (size_t)(strstr(text, "version") - text);
	for (size_t i = begin; i < size; i++)
		for (int c = 0; c < 256; c++) {
			if ((char)c == text[i])
				continue;
			memcpy(copy, text, size + 1);
			copy[i] = (char)c;
			memset(&read, 0, sizeof(read));
			if (identity_parse(&read, copy, size, &version, error) != 0)
				continue;
			size_t length = identity_format(&read, copy);
			memset(&again, 0, sizeof(again));
			assert_int_equal(identity_parse(&again, copy, length, &version, error), 0);
			assert_memory_equal(&read, &again, sizeof(read));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(made_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(upgraded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nothing_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_identity, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_characters, set_up, tear_down),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
