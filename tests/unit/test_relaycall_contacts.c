// SPDX-License-Identifier: BSD-3-Clause
// The contacts book: names bound to identities, what contradicts them refused in words that help,
// and files that are none. wrap: write
#include "endpoint/relaycall/contacts.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], path[96], error[CONTACTS_ERROR_SIZE];
static struct contacts book;
static bool disk_full;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (!disk_full)
		return __real_write(fd, data, size);
	errno = ENOSPC;
	return -1;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_contacts_XXXXXX");
	snprintf(path, sizeof(path), "%s/contacts", mkdtemp(folder) != NULL ? folder : "");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	contacts_free(&book);
	unlink(path);
	return rmdir(folder); // fails where anything else was left
}

// Somebody with the numbered keys.
static struct endpoint_contact person(uint8_t identity, uint8_t delivery)
{
	struct endpoint_contact c = {.relay_count = 1, .relays = {{.address_count = 1}}};
	uint8_t seed[32] = {identity, 1}, secret[64];
	crypto_sign_seed_keypair(c.identity_key, secret, seed);
	seed[0] = delivery;
	seed[1] = 2;
	crypto_sign_seed_keypair(c.peer.delivery_key, secret, seed);
	assert_int_equal(endpoint_contact_address_parse("192.0.2.1", &c.relays[0].addresses[0]), 0);
	return c;
}

static void load(size_t count)
{
	contacts_free(&book);
	if (contacts_load(&book, path, error) != 0)
		fail_msg("%s", error);
	assert_int_equal(book.count, count);
}

static void says(const char *words)
{
	if (strstr(error, words) == NULL)
		fail_msg("not \"%s\": %s", words, error);
}

static void add(const char *name, const struct endpoint_contact *contact)
{
	if (contacts_add(path, name, contact, error) != 0)
		fail_msg("%s", error);
}

static void pinned(void **state)
{
	(void)state;
	const struct endpoint_contact alice = person(1, 1), other = person(2, 2),
				      moved = person(1, 3), there = person(4, 1);
	char known[CONTACTS_FINGERPRINT_SIZE], shown[CONTACTS_FINGERPRINT_SIZE];
	struct stat stat_of;
	load(0);
	add("alice", &alice);
	assert_int_equal(stat(path, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 07777, 0600);
	add("alice", &alice);
	add("Alice", &alice);
	load(1);
	assert_memory_equal(&book.entries[0].contact, &alice, sizeof(alice));
	contacts_fingerprint(alice.identity_key, known);
	assert_int_equal(strlen(known), CONTACTS_FINGERPRINT_SIZE - 1);

	// Another identity under the name.
	assert_int_equal(contacts_add(path, "alice", &other, error), -EEXIST);
	says("alice is somebody else now");
	says(known);
	says(contacts_fingerprint(other.identity_key, shown));
	says("relaycall contacts accept alice CARD");
	assert_string_not_equal(known, shown);
	// Another identity where alice is reached.
	assert_int_equal(contacts_add(path, "eve", &there, error), -EEXIST);
	says("alice is somebody else now");
	// Alice under another name, and elsewhere.
	assert_int_equal(contacts_add(path, "bob", &alice, error), -EEXIST);
	says("this is alice");
	assert_int_equal(contacts_add(path, "alice", &moved, error), -EEXIST);
	says("another place");
	load(1);
	assert_memory_equal(&book.entries[0].contact, &alice, sizeof(alice));

	// On purpose.
	add("bob", &other);
	assert_int_equal(contacts_accept(path, "carol", &alice, error), -ENOENT);
	says("no contact \"carol\"");
	assert_int_equal(contacts_accept(path, "bob", &alice, error), -EEXIST);
	says("relaycall contacts remove alice");
	assert_int_equal(contacts_accept(path, "bob", &there, error), -EEXIST);
	assert_int_equal(contacts_accept(path, "alice", &there, error), 0);
	load(2);
	assert_memory_equal(&contacts_find_name(&book, "ALICE")->contact, &there, sizeof(there));
	assert_int_equal(contacts_accept(path, "alice", &alice, error), 0);

	// What alice itself has said.
	assert_int_equal(contacts_update(path, &moved, error), 0);
	load(2);
	assert_memory_equal(&contacts_find_name(&book, "alice")->contact, &moved, sizeof(moved));
	const struct endpoint_contact thief = person(1, 2), stranger = person(9, 9);
	assert_int_equal(contacts_update(path, &thief, error), -EEXIST);
	assert_int_equal(contacts_update(path, &stranger, error), -ENOENT);

	assert_int_equal(contacts_remove(path, "carol", error), -ENOENT);
	assert_int_equal(contacts_remove(path, "alice", error), 0);
	load(1);
	assert_string_equal(book.entries[0].name, "bob");
	assert_int_equal(contacts_remove(path, "bob", error), 0);
	load(0);
}

static void standing(void **state)
{
	(void)state;
	const struct endpoint_contact alice = person(1, 1), bob = person(2, 2);
	const struct contacts_entry *entry;
	add("alice", &alice);
	add("bob", &bob);
	load(2);
	const struct contacts_entry *a = &book.entries[0];
	struct {
		uint8_t identity, delivery;
		bool other_namespace;
		enum contacts_standing standing;
		const struct contacts_entry *entry;
	} rows[] = {
		{1, 1, false, CONTACTS_KNOWN, a},
		{2, 2, false, CONTACTS_KNOWN, a + 1},
		{1, 1, true, CONTACTS_MOVED, a},
		{1, 3, false, CONTACTS_MOVED, a},
		{3, 3, false, CONTACTS_UNKNOWN, NULL},
		{3, 1, false, CONTACTS_CHANGED, a},
		{3, 1, true, CONTACTS_CHANGED, a},
		{1, 2, false, CONTACTS_CHANGED, a + 1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint_contact c = person(rows[i].identity, rows[i].delivery);
		c.peer.namespace_id[0] = rows[i].other_namespace;
		assert_int_equal(
			contacts_check(&book, c.identity_key, &c.peer, &entry), rows[i].standing);
		assert_ptr_equal(entry, rows[i].entry);
	}
	assert_ptr_equal(contacts_find_identity(&book, bob.identity_key), a + 1);
	assert_ptr_equal(contacts_find_delivery(&book, bob.peer.delivery_key), a + 1);
	assert_null(contacts_find_identity(&book, bob.peer.delivery_key));
}

static void meant(void **state)
{
	(void)state;
	const struct endpoint_contact alice = person(1, 1);
	struct endpoint_contact out;
	char card[ENDPOINT_CONTACT_TEXT_SIZE];
	const char *name;
	add("alice", &alice);
	load(1);
	assert_int_equal(contacts_meant(&book, "aLICE", &out, &name, error), 0);
	assert_string_equal(name, "alice");
	assert_memory_equal(&out, &alice, sizeof(out));
	assert_int_equal(contacts_meant(&book, "bob", &out, &name, error), -ENOENT);
	says("no contact \"bob\"");
	assert_null(name);
	static const struct {
		uint8_t identity, delivery;
		int result;
		const char *words;
	} rows[] = {
		{1, 1, 0, NULL},
		{2, 2, 0, NULL},
		{2, 1, -EKEYREJECTED, "somebody else"},
		{1, 2, -EKEYREJECTED, "another place"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct endpoint_contact c = person(rows[i].identity, rows[i].delivery);
		assert_int_equal(endpoint_contact_format(&c, card), 0);
		assert_int_equal(contacts_meant(&book, card, &out, &name, error), rows[i].result);
		if (rows[i].words != NULL)
			says(rows[i].words);
		else
			assert_memory_equal(&out, &c, sizeof(c));
		assert_int_equal(name != NULL, i == 0);
	}
	card[strlen(card) - 1] ^= 1;
	assert_int_equal(contacts_meant(&book, card, &out, &name, error), -EINVAL);
	says("no contact card");
}

static void names(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "alice", "Alice.B", "a@b", "+49-30-1",
		"\u00e9l\u00e8ne", "\u674e", "a#b", "1", "blindrelay"};
	static const char *const bad[] = {"", "a b", "a=b", "-a", "#a", ".a", " a", "a\t", "a\n",
		"a\x7f", "\x1b[31m", "\xc3", "\xff", "\xc2\x85", "a\u202e", "\u2066a",
		"blindrelay:A",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	const struct endpoint_contact alice = person(1, 1);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		add(good[i], &alice);
		load(1);
		assert_string_equal(book.entries[0].name, good[i]);
		assert_int_equal(contacts_remove(path, good[i], error), 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (contacts_add(path, bad[i], &alice, error) != -EINVAL)
			fail_msg("row %zu is taken", i);
		says("cannot be a name");
	}
	load(0);
	static const struct {
		const char *identity, *contacts;
	} paths[] = {
		{"identity", "contacts"},
		{"/a/identity", "/a/contacts"},
		{"/a/my-identity", "/a/my-identity.contacts"},
		{"bob.id", "bob.id.contacts"},
	};
	char out[PATH_MAX], longest[PATH_MAX];
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(contacts_path(paths[i].identity, out), 0);
		assert_string_equal(out, paths[i].contacts);
	}
	memset(longest, 'a', sizeof(longest));
	longest[PATH_MAX - 1] = 0;
	assert_int_equal(contacts_path(longest, out), -ENAMETOOLONG);
}

// ---- files ----

static void put_file(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(__real_write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void wrong_files(void **state)
{
	(void)state;
	const struct endpoint_contact alice = person(1, 1), there = person(2, 1),
				      bob = person(2, 2);
	char card[ENDPOINT_CONTACT_TEXT_SIZE], other[ENDPOINT_CONTACT_TEXT_SIZE], text[4096];
	char second[ENDPOINT_CONTACT_TEXT_SIZE];
	endpoint_contact_format(&alice, card);
	endpoint_contact_format(&there, other);
	endpoint_contact_format(&bob, second);
	const struct {
		const char *first, *name, *card, *words;
	} rows[] = {
		{"a", "b", card, "line 2: the name or a key"},
		{"a", "A", second, "line 2: the name or a key"},
		{"a", "b", other, "line 2: the name or a key"},
		{"a", "b", "blindrelay:", "line 2: not understood"},
		{"a", "-b", second, "line 2: not understood"},
		{"a b", "c", second, "line 1: not understood"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "%s = %s\n%s = %s\n", rows[i].first, card,
			rows[i].name, rows[i].card);
		put_file(text, 0600);
		assert_int_equal(contacts_load(&book, path, error), -EINVAL);
		says(rows[i].words);
		assert_int_equal(contacts_add(path, "x", &bob, error), -EINVAL);
		says(rows[i].words);
		assert_int_equal(contacts_remove(path, "a", error), -EINVAL);
	}
	put_file("# nobody\n\n", 0600);
	load(0);
	put_file("", 0644);
	assert_int_equal(contacts_load(&book, path, error), -EPERM);
	says("chmod 600");
	assert_int_equal(contacts_add(path, "x", &bob, error), -EPERM);
	unlink(path);
	mkfifo(path, 0600);
	assert_int_equal(contacts_load(&book, path, error), -EISDIR);
	assert_int_equal(contacts_add(path, "x", &bob, error), -EISDIR);
	unlink(path);
	assert_int_equal(contacts_remove(path, "x", error), -ENOENT);
	says("no contacts yet");

	add("alice", &alice);
	disk_full = true;
	assert_int_equal(contacts_add(path, "bob", &bob, error), -ENOSPC);
	says("cannot write");
	assert_int_equal(contacts_remove(path, "alice", error), -ENOSPC);
	disk_full = false;
	load(1);
}

// A character elsewhere in a card: the book is refused.
static void other_characters(void **state)
{
	(void)state;
	const struct endpoint_contact alice = person(1, 1);
	struct contacts read = {.path = "book"};
	char copy[4096];
	size_t size;
	add("alice", &alice);
	load(1);
	char *text = contacts_format(&book, &size);
	assert_true(size < sizeof(copy));
	size_t begin = (size_t)(strstr(text, "blindrelay:") - text);
	for (size_t i = begin; i + 1 < size; i++)
		for (int c = 0; c < 256; c++) {
			memcpy(copy, text, size + 1);
			copy[i] = (char)c;
			if (c == text[i])
				continue;
			if (contacts_parse(&read, copy, size, error) == 0 && read.count > 0)
				fail_msg("%zu: %d is taken", i, c);
			contacts_free(&read);
		}
	// Cut short, and with a card more than there may be.
	for (size_t cut = begin; cut + 1 < size; cut++) {
		memcpy(copy, text, cut);
		copy[cut] = 0;
		assert_int_equal(contacts_parse(&read, copy, cut, error), -EINVAL);
		contacts_free(&read);
	}
	free(text);
}

static void full(void **state)
{
	(void)state;
	char name[16];
	struct contacts many = {.path = "many"}, back = {.path = "back"};
	// Not by contacts_add, which would write the book 4,096 times.
	size_t size = 0, room = (size_t)CONTACTS_MAX * 256 + 512;
	char *text = malloc(room), card[ENDPOINT_CONTACT_TEXT_SIZE];
	for (unsigned i = 0; i <= CONTACTS_MAX; i++) {
		struct endpoint_contact c = person((uint8_t)i, (uint8_t)(i >> 8));
		uint8_t secret[64], seed[32] = {(uint8_t)i, (uint8_t)(i >> 8), 9};
		crypto_sign_seed_keypair(c.identity_key, secret, seed);
		seed[31] = 1;
		crypto_sign_seed_keypair(c.peer.delivery_key, secret, seed);
		endpoint_contact_format(&c, card);
		snprintf(name, sizeof(name), "n%u", i);
		if (i == CONTACTS_MAX) {
			put_file(text, 0600);
			assert_int_equal(contacts_add(path, name, &c, error), -ENOSPC);
			says("is full");
		}
		size += (size_t)snprintf(text + size, room - size, "%s = %s\n", name, card);
	}
	assert_int_equal(contacts_parse(&many, text, size, error), -ENOSPC);
	free(text);
	text = contacts_format(&many, &size);
	assert_int_equal(contacts_parse(&back, text, size, error), 0);
	assert_int_equal(back.count, CONTACTS_MAX);
	assert_memory_equal(back.entries, many.entries, CONTACTS_MAX * sizeof(*many.entries));
	free(text);
	contacts_free(&many);
	contacts_free(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pinned, set_up, tear_down),
		cmocka_unit_test_setup_teardown(standing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(meant, set_up, tear_down),
		cmocka_unit_test_setup_teardown(names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wrong_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_characters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full, set_up, tear_down),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
