// SPDX-License-Identifier: BSD-3-Clause
// The shared index of clients against a model, full, and from two threads; and that nothing stays.
#include "dataplane/table/client_index.h"

#include "tests/unit/dpdk_env.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CLIENTS = 4000 };

static struct client_key key_of(unsigned client)
{
	struct client_key key = {{0}};
	uint8_t address[16] = {
		10, (uint8_t)(client >> 16), (uint8_t)(client >> 8), (uint8_t)client};
	client_key_set(&key, address, NET_IPV4, 40000, 0, 0);
	return key;
}

static int find(const struct client_index *index, unsigned client)
{
	uint32_t hash;
	struct client_key key = key_of(client);
	return client_index_find(index, &key, &hash);
}

static void test_against_a_model(void **state)
{
	(void)state;
	static int owner[CLIENTS];
	struct client_index *index = client_index_create(4, CLIENTS / 4, -1);
	assert_non_null(index);
	for (unsigned i = 0; i < CLIENTS; i++)
		owner[i] = -1;
	for (unsigned step = 0; step < 200000; step++) {
		unsigned c = (unsigned)random() % CLIENTS;
		struct client_key key = key_of(c);
		if (owner[c] < 0) {
			owner[c] = (int)random() % 64;
			assert_true(client_index_add(index, &key, (uint16_t)owner[c]));
		} else {
			// Another worker's remove does nothing.
			client_index_remove(index, &key, (uint16_t)(owner[c] + 1) % 64);
			assert_int_equal(find(index, c), owner[c]);
			client_index_remove(index, &key, (uint16_t)owner[c]);
			owner[c] = -1;
		}
		unsigned other = (unsigned)random() % CLIENTS;
		assert_int_equal(find(index, other), owner[other]);
	}
	// Strangers are not found.
	for (unsigned i = 0; i < 200000; i++)
		assert_int_equal(find(index, CLIENTS + i), -1);
	client_index_free(index);
}

// Filled to what was promised nobody is left out; beyond it adding fails, and finding goes on.
static void test_full(void **state)
{
	(void)state;
	// As full as it gets: 3 * total is just below a power of two.
	enum { EACH = 174762 };
	struct client_index *index = client_index_create(2, EACH, -1);
	unsigned missed = 0, total = 2 * EACH;
	for (unsigned i = 0; i < total; i++) {
		struct client_key key = key_of(i);
		missed += !client_index_add(index, &key, 1);
	}
	assert_int_equal(missed, 0);
	for (unsigned i = total; i < 3 * total; i++) {
		struct client_key key = key_of(i);
		missed += !client_index_add(index, &key, 2);
	}
	assert_true(missed > 0);
	for (unsigned i = 0; i < total; i++)
		assert_int_equal(find(index, i), 1);
	for (unsigned i = 0; i < 3 * total; i++) {
		struct client_key key = key_of(i);
		client_index_remove(index, &key, 1);
		client_index_remove(index, &key, 2);
	}
	for (unsigned i = 0; i < 3 * total; i++)
		assert_int_equal(find(index, i), -1);
	client_index_free(index);
}

static struct client_index *shared;

static void *worker(void *argument)
{
	unsigned id = (unsigned)(uintptr_t)argument;
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 500; i++) {
			struct client_key key = key_of(i * 2 + id);
			if (!client_index_add(shared, &key, (uint16_t)id) ||
				find(shared, i * 2 + id) != (int)id)
				return argument;
		}
		for (unsigned i = 0; i < 500; i++) {
			struct client_key key = key_of(i * 2 + id);
			int other = find(shared, i * 2 + !id);
			client_index_remove(shared, &key, (uint16_t)id);
			if (find(shared, i * 2 + id) != -1 || (other != -1 && other != (int)!id))
				return argument;
		}
	}
	return NULL;
}

static void test_two_workers_at_once(void **state)
{
	(void)state;
	pthread_t thread;
	void *failed;
	shared = client_index_create(2, 500, -1);
	assert_int_equal(pthread_create(&thread, NULL, worker, (void *)(uintptr_t)1), 0);
	void *here = worker((void *)(uintptr_t)0);
	pthread_join(thread, &failed);
	assert_null(failed);
	assert_null(here);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(find(shared, i), -1);
	client_index_free(shared);
}

static void test_one_worker_has_none(void **state)
{
	(void)state;
	struct client_key key = key_of(1);
	uint32_t hash;
	assert_true(client_index_add(NULL, &key, 0));
	client_index_remove(NULL, &key, 0);
	assert_int_equal(client_index_find(NULL, &key, &hash), -1);
	client_index_free(NULL);
}

static int setup(void **state)
{
	(void)state;
	dpdk_env_start();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_model),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_two_workers_at_once),
		cmocka_unit_test(test_one_worker_has_none),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
