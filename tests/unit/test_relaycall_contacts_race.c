// SPDX-License-Identifier: BSD-3-Clause
// Processes that change one contacts book at once, and one that is killed at random instants:
// nothing that was done is lost, and whoever reads finds a whole book at any time.
#include "endpoint/relaycall/contacts.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS = 6, ADDS = 12, KILLS = 25, KILL_ADDS = 200, LIFE_US = 6000 };

static char folder[64], path[96], error[CONTACTS_ERROR_SIZE];

static int set_up(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_contacts_XXXXXX");
	snprintf(path, sizeof(path), "%s/contacts", mkdtemp(folder) != NULL ? folder : "");
	return 0;
}

// What a killed process was writing stays there.
static int tear_down(void **state)
{
	(void)state;
	DIR *directory = opendir(folder);
	for (struct dirent *e; (e = readdir(directory)) != NULL;)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(directory), e->d_name, 0);
	closedir(directory);
	return rmdir(folder);
}

static void name_of(char name[16], unsigned writer, unsigned number)
{
	snprintf(name, 16, "w%u-%u", writer, number);
}

static int add(unsigned writer, unsigned number)
{
	struct endpoint_contact c = {.relay_count = 1, .relays = {{.address_count = 1}}};
	uint8_t seed[32] = {(uint8_t)writer, (uint8_t)number, (uint8_t)(number >> 8)}, secret[64];
	char name[16];
	crypto_sign_seed_keypair(c.identity_key, secret, seed);
	seed[31] = 1;
	crypto_sign_seed_keypair(c.peer.delivery_key, secret, seed);
	endpoint_contact_address_parse("192.0.2.1", &c.relays[0].addresses[0]);
	name_of(name, writer, number);
	return contacts_add(path, name, &c, error);
}

static void load(struct contacts *book)
{
	if (contacts_load(book, path, error) != 0)
		fail_msg("%s", error);
}

// Each adds, and removes every other one of its own again.
static void writers(void **state)
{
	(void)state;
	struct contacts book;
	char name[16];
	for (unsigned w = 0; w < WRITERS; w++) {
		if (fork() != 0)
			continue;
		for (unsigned i = 0; i < ADDS; i++) {
			name_of(name, w, i - 1);
			if (add(w, i) != 0 ||
				(i % 2 == 1 && contacts_remove(path, name, error) != 0))
				_exit(1);
		}
		_exit(0);
	}
	unsigned ended = 0, seen = 0;
	for (int status; ended<WRITERS; ended += waitpid(-1, &status, WNOHANG)> 0) {
		load(&book);
		seen = (unsigned)book.count > seen ? (unsigned)book.count : seen;
		contacts_free(&book);
	}
	assert_true(seen > 0);
	load(&book);
	assert_int_equal(book.count, WRITERS * ADDS / 2);
	for (unsigned w = 0; w < WRITERS; w++)
		for (unsigned i = 1; i < ADDS; i += 2) {
			name_of(name, w, i);
			assert_non_null(contacts_find_name(&book, name));
		}
	contacts_free(&book);
}

static void killed(void **state)
{
	(void)state;
	atomic_uint *told = mmap(
		NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(told, MAP_FAILED);
	srand(1);
	// Longer lives where the disk is slow.
	for (unsigned kills = 0; (kills < KILLS || *told < 5) && *told < KILL_ADDS; kills++) {
		pid_t child = fork();
		if (child == 0) {
			// The one that was cut off may be there or not: adding it again is
			// harmless.
			while (*told < KILL_ADDS && add(0, *told) == 0)
				atomic_fetch_add(told, 1);
			_exit(0);
		}
		const struct timespec life = {
			.tv_nsec = 1000L * (rand() % LIFE_US) * (1 + kills / KILLS)};
		nanosleep(&life, NULL);
		kill(child, SIGKILL);
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) || *told == KILL_ADDS);
		struct contacts book;
		load(&book);
		assert_true(book.count == *told || book.count == *told + 1);
		for (unsigned i = 0; i < *told; i++) {
			char name[16];
			name_of(name, 0, i);
			assert_non_null(contacts_find_name(&book, name));
		}
		contacts_free(&book);
	}
	assert_true(*told > 0);
	munmap(told, sizeof(*told));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(killed, set_up, tear_down),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
