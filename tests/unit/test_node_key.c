// SPDX-License-Identifier: BSD-3-Clause
// <state>/node.key: made once, the same ever after, and refused in words when it cannot be what it
// should.
#include "controlplane/node_key.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], state[128], file[160];
static struct registration_key key;
static char trouble[NODE_KEY_TEXT_SIZE];

static int setup(void **unused)
{
	(void)unused;
	snprintf(folder, sizeof(folder), "/tmp/test_node_key.XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(state, sizeof(state), "%s/state", folder);
	snprintf(file, sizeof(file), "%s/node.key", state);
	return sodium_init() < 0 ? -1 : 0;
}

static int teardown(void **unused)
{
	(void)unused;
	unlink(file);
	rmdir(file);
	rmdir(state);
	return rmdir(folder); // nothing else is left
}

static void put(const void *bytes, size_t size, mode_t mode)
{
	mkdir(state, 0700);
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void assert_trouble(int result, const char *words)
{
	assert_int_equal(node_key_open(state, &key, trouble), result);
	assert_non_null(strstr(trouble, words));
	assert_non_null(strstr(trouble, state));
	assert_true(sodium_is_zero((const uint8_t *)&key, sizeof(key)));
}

static void first_start_makes_it(void **unused)
{
	(void)unused;
	struct registration_key again;
	struct stat st;
	uint8_t public_key[32];
	assert_int_equal(node_key_open(state, &key, trouble), 0);
	assert_string_equal(trouble, "");
	assert_int_equal(stat(state, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 32);
	assert_int_equal(st.st_nlink, 1);
	assert_false(sodium_is_zero(key.secret, sizeof(key.secret)));
	crypto_scalarmult_base(public_key, key.secret);
	assert_memory_equal(key.public_key, public_key, sizeof(public_key));
	assert_int_equal(node_key_open(state, &again, trouble), 0);
	assert_memory_equal(&again, &key, sizeof(key));
}

static void key_from_elsewhere_is_taken(void **unused)
{
	(void)unused;
	uint8_t secret[32];
	memset(secret, 0x77, sizeof(secret));
	put(secret, sizeof(secret), 0400);
	assert_int_equal(node_key_open(state, &key, trouble), 0);
	assert_memory_equal(key.secret, secret, sizeof(secret));
}

static void start_that_was_killed_in_the_middle_is_no_matter(void **unused)
{
	(void)unused;
	char left[192];
	mkdir(state, 0700);
	snprintf(left, sizeof(left), "%s/.node.key.%ld", state, (long)getpid());
	int fd = open(left, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "half", 4), 4);
	close(fd);
	assert_int_equal(node_key_open(state, &key, trouble), 0);
	assert_int_equal(access(left, F_OK), -1);
}

static void wrong_size_is_refused(void **unused)
{
	(void)unused;
	put("a key of thirty-one bytes, alas", 31, 0600);
	assert_trouble(-EINVAL, "expected a file of 32 bytes");
	unlink(file);
	put("a key of thirty-three bytes, alas", 33, 0600);
	assert_trouble(-EINVAL, "expected a file of 32 bytes");
	unlink(file);
	mkdir(file, 0700);
	assert_trouble(-EINVAL, "expected a file of 32 bytes");
}

static void key_that_others_may_read_is_refused(void **unused)
{
	(void)unused;
	static const mode_t modes[] = {0640, 0604, 0660, 0601};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		put("a key, 32 bytes: 32 bytes: alas.", 32, modes[i]);
		assert_trouble(-EACCES, "expected 0600");
		unlink(file);
	}
}

static void key_of_somebody_else_is_refused(void **unused)
{
	(void)unused;
	if (geteuid() != 0)
		skip();
	put("a key, 32 bytes: 32 bytes: alas.", 32, 0600);
	assert_int_equal(chown(file, 1, 1), 0);
	assert_trouble(-EPERM, "belongs to user 1, expected 0");
}

static void link_is_not_followed(void **unused)
{
	(void)unused;
	mkdir(state, 0700);
	assert_int_equal(symlink("/etc/hostname", file), 0);
	assert_trouble(-ELOOP, "cannot open");
}

static void folder_that_cannot_be_made_is_told(void **unused)
{
	(void)unused;
	snprintf(state, sizeof(state), "%s/missing/state", folder);
	assert_trouble(-ENOENT, "[node] state");
	snprintf(state, sizeof(state), "/proc/self/state");
	assert_trouble(-ENOENT, "cannot make");
	snprintf(state, sizeof(state), "/proc/self/status");
	assert_trouble(-ENOTDIR, "cannot open");
	snprintf(state, sizeof(state), "%s/state", folder);
}

static void folder_that_takes_no_files_is_told(void **unused)
{
	(void)unused;
	char kept[sizeof(state)];
	memcpy(kept, state, sizeof(kept));
	snprintf(state, sizeof(state), "/proc/self");
	assert_trouble(-ENOENT, "cannot make");
	memcpy(state, kept, sizeof(state));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(first_start_makes_it),
		TEST(key_from_elsewhere_is_taken),
		TEST(start_that_was_killed_in_the_middle_is_no_matter),
		TEST(wrong_size_is_refused),
		TEST(key_that_others_may_read_is_refused),
		TEST(key_of_somebody_else_is_refused),
		TEST(link_is_not_followed),
		TEST(folder_that_cannot_be_made_is_told),
		TEST(folder_that_takes_no_files_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
