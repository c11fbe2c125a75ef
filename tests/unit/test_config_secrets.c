// SPDX-License-Identifier: BSD-3-Clause
// lib/config: files that cannot be used or that others may read, and that secrets leave no trace in
// freed memory. wrap: free wrap: ini_parse_stream
#include "tests/unit/config_text.h"

#include "lib/config/parser.h"

#include <ini.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- what is left in memory that is given back ----

static const char *needle; // looked for in every freed block while set
static unsigned blocks_freed, traces_found;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	if (memory != NULL && needle != NULL) {
		blocks_freed++;
		if (memmem(memory, malloc_usable_size(memory), needle, strlen(needle)) != NULL)
			traces_found++;
	}
	__real_free(memory);
}

static ini_reader real_reader;
static bool line_buffer_held_secret, line_buffer_wiped;

static char *watched_reader(char *buffer, int size, void *stream)
{
	char *line = real_reader(buffer, size, stream);

	if (needle != NULL && line != NULL && strstr(line, needle) != NULL)
		line_buffer_held_secret = true;
	if (line == NULL) {
		line_buffer_wiped = true;
		for (int i = 0; i < size; i++)
			if (buffer[i] != 0)
				line_buffer_wiped = false;
	}
	return line;
}

int __real_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user);
int __wrap_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user);

int __wrap_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
	real_reader = reader;
	return __real_ini_parse_stream(watched_reader, stream, handler, user);
}

// ---- files ----

static char path[] = "/tmp/test_config.XXXXXX";

static void write_file(const char *text, size_t length, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), (ssize_t)length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int load(char error[static CONFIG_ERROR_SIZE])
{
	struct config *config = NULL;
	int rc = config_load(path, &config, error);

	assert_int_equal(rc == 0, config != NULL);
	config_free(config);
	return rc;
}

static void test_secrets_that_others_may_read_are_refused(void **state)
{
	static const char open_text[] = DATAPLANE ADDRESS "[turn]\nauth = open\n";
	static const char rest_text[] = DATAPLANE ADDRESS "[turn]\nauth = rest\nsecret = s\n";
	char error[CONFIG_ERROR_SIZE];

	(void)state;
	write_file(MINIMAL, strlen(MINIMAL), 0640);
	assert_int_equal(load(error), 0);
	write_file(MINIMAL, strlen(MINIMAL), 0644);
	assert_int_equal(load(error), -EACCES);
	assert_non_null(strstr(error, path));
	assert_non_null(strstr(error, "; expected mode 0640"));
	write_file(rest_text, strlen(rest_text), 0604);
	assert_int_equal(load(error), -EACCES);
	write_file(open_text, strlen(open_text), 0644);
	assert_int_equal(load(error), 0);
	write_file(open_text, strlen(open_text), 0646);
	assert_int_equal(load(error), -EACCES);
	assert_non_null(strstr(error, "may write"));
}

static void test_unusable_files(void **state)
{
	char error[CONFIG_ERROR_SIZE];
	struct config *config = NULL;

	(void)state;
	assert_int_equal(config_load("/nonexistent/relay.conf", &config, error), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent/relay.conf: cannot open: "));
	assert_int_equal(config_load("/", &config, error), -EISDIR);
	assert_non_null(strstr(error, "/: cannot read: "));
	assert_null(config);

	char *big = malloc(CONFIG_FILE_MAX + 1);
	assert_non_null(big);
	memset(big, '\n', CONFIG_FILE_MAX + 1);
	write_file(big, CONFIG_FILE_MAX + 1, 0600);
	assert_int_equal(load(error), -EFBIG);
	free(big);
	write_file("[node]\nname = a\0b\n", 18, 0600);
	assert_int_equal(load(error), -EINVAL);
	assert_non_null(strstr(error, ":2: control character in byte 9"));
	write_file("", 0, 0600);
	assert_int_equal(load(error), -EINVAL);
}

// ---- secrets ----

static void test_secrets_are_wiped(void **state)
{
	static const char secret[] = "Tr4ce-Of-A-Secret";
	static const char text[] =
		DATAPLANE ADDRESS "[turn]\nauth = static rest\nsecret = Tr4ce-Of-A-Secret\n"
				  "user = alice:Tr4ce-Of-A-Secret\n";
	static const char broken[] =
		DATAPLANE "[turn]\nauth = static rest\nuser = alice:Tr4ce-Of-A-Secret\n"
			  "secret = Tr4ce-Of-A-Secret Tr4ce-Of-A-Secret #\n";
	char error[CONFIG_ERROR_SIZE];

	(void)state;
	write_file(text, strlen(text), 0600);
	needle = secret;
	blocks_freed = traces_found = 0;
	line_buffer_held_secret = line_buffer_wiped = false;
	assert_int_equal(load(error), 0);
	needle = NULL;
	assert_true(blocks_freed >= 3); // the text, the users, the configuration
	assert_int_equal(traces_found, 0);
	assert_true(line_buffer_held_secret);
	assert_true(line_buffer_wiped);

	write_file(broken, strlen(broken), 0600);
	needle = secret;
	blocks_freed = traces_found = 0;
	line_buffer_held_secret = line_buffer_wiped = false;
	assert_int_equal(load(error), -EINVAL);
	needle = NULL;
	assert_true(blocks_freed >= 3);
	assert_int_equal(traces_found, 0);
	assert_true(line_buffer_held_secret);
	assert_true(line_buffer_wiped);
	assert_null(strstr(error, secret));
}

// Every error that can be made with a secret or a password in the value keeps it to itself.
static void test_errors_hold_no_secret(void **state)
{
	static const char *const texts[] = {
		"[turn]\nsecret = Tr4ce\nsecret = Tr4ce\n",
		"[turn]\nuser = Tr4ce\n",
		"[turn]\nuser = :Tr4ce\n",
		"[turn]\nuser = a:Tr4ce\nuser = a:Tr4ce\n",
		"[turn]\nuser = a:Tr4ce" LONG_256 "\n",
		"[turn]\nsecret = Tr4ce" LONG_256 "\n",
		"[turn]\nsecret = Tr4ce ; x\n",
		"[turn]\nsecret = Tr4ce\xff\n",
		"[turn]\nsecret = Tr4ce\x01\n",
		"[turn]\nsecret Tr4ce\n",
		"[turn]\nsecrets = Tr4ce\n",
	};
	char error[CONFIG_ERROR_SIZE];
	struct config *config;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(config_parse(texts[i], "f", &config, error), -EINVAL);
		assert_null(strstr(error, "Tr4ce"));
	}
}

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secrets_that_others_may_read_are_refused),
		cmocka_unit_test(test_unusable_files),
		cmocka_unit_test(test_secrets_are_wiped),
		cmocka_unit_test(test_errors_hold_no_secret),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
