// SPDX-License-Identifier: BSD-3-Clause
// Leases: every rule of struct api_lease, that a table can be filled, drained and filled again
// without losing an entry, and that nothing stays. Readers beside the writer: test_leases_race.c.
#include "dataplane/table/next_hops.h"
#include "tests/unit/leases_open.h"

static void assert_empty(struct leases *leases)
{
	assert_true(leases_empty(leases));
	assert_int_equal(leases->used, 0);
	assert_int_equal(leases->tombstones, 0);
	for (uint64_t i = 0; i < (leases->mask + 1) * LEASES_SLOTS; i++)
		assert_int_equal(leases->words[i], 0);
	for (uint32_t i = 0; i < leases->capacity; i++) {
		struct lease empty = {.sequence = leases->entries[i].sequence};
		assert_int_equal(empty.sequence & 1, 0);
		assert_memory_equal(&leases->entries[i], &empty, sizeof(empty));
	}
}

static void test_made_renewed_moved_withdrawn(void **state)
{
	(void)state;
	struct leases *leases = leases_for_test(16);
	struct lease_view view[NATIVE_DEVICES_MAX];
	struct api_lease first = lease_of(1, 1, 10, 100), moved = lease_of(1, 1, 21, 102);
	assert_int_equal(found(leases, 1, view), 0);
	assert_int_equal(set(leases, first), 0);
	assert_int_equal(found(leases, 1, view), 1);
	assert_int_equal(found(leases, 2, view), 0);
	assert_true(is_at(&view[0], &first));
	assert_int_equal(view[0].issued, 100);
	assert_int_equal(view[0].hop, NEXT_HOP_NONE);
	assert_in_range(ticks_left_ms(view[0].deadline, now, rte_get_tsc_hz()), 599000, 600100);
	leases_hop_set(leases, &view[0], 7, 9);
	assert_int_equal(found(leases, 1, view), 1);
	assert_int_equal(view[0].hop, 7);
	assert_int_equal(view[0].hop_epoch, 9);
	// Renewed: the next hop stays.
	now += seconds(300);
	first.issued = 101;
	assert_int_equal(set(leases, first), 0);
	assert_int_equal(found(leases, 1, view), 1);
	assert_int_equal(view[0].hop, 7);
	assert_in_range(ticks_left_ms(view[0].deadline, now, rte_get_tsc_hz()), 599000, 600100);
	// Moved, to the other family: it does not, and a next hop for where it was is not taken.
	struct lease_view before = view[0];
	assert_int_equal(set(leases, moved), 0);
	leases_hop_set(leases, &before, 8, 9);
	assert_int_equal(found(leases, 1, view), 1);
	assert_true(is_at(&view[0], &moved));
	assert_false(is_at(&view[0], &first));
	assert_int_equal(view[0].hop, NEXT_HOP_NONE);
	assert_int_equal(leases->used, 1);
	moved.issued = 103;
	assert_int_equal(withdraw(leases, moved), 0);
	assert_int_equal(found(leases, 1, view), 0);
	assert_int_equal(leases->used, 0);
	now += seconds(LEASES_TOMBSTONE_S + 1);
	assert_int_equal(expire_all(leases), 0);
	assert_empty(leases);
	leases_free(leases);
}

static void test_wrong_ones(void **state)
{
	(void)state;
	struct leases *leases = leases_for_test(16);
	const struct api_lease good = lease_of(1, 1, 10, 100);
	struct api_lease bad = good;
	bad.server.port = 3479; // answers there with behaviour discovery only
	assert_int_equal(set(leases, bad), -EINVAL);
	bad = good;
	bad.server.address = ours.listen[1];
	assert_int_equal(set(leases, bad), -EINVAL);
	bad = good;
	bad.server.address.bytes[3] = 9;
	assert_int_equal(set(leases, bad), -EINVAL);
	bad = good;
	bad.client.address = ours.listen[0];
	assert_int_equal(set(leases, bad), -EINVAL);
	bad = good;
	bad.client.port = 0;
	assert_int_equal(set(leases, bad), -EINVAL);
	bad = good;
	bad.client.address.family = bad.server.address.family = 5;
	assert_int_equal(set(leases, bad), -EINVAL);
	bad = good;
	bad.lifetime_ms = 0;
	assert_int_equal(set(leases, bad), -EINVAL);
	assert_empty(leases);
	leases_free(leases);
}

// What is older, or equal and from elsewhere, changes nothing; what is equal and from the same
// place has been done already. Across the wrap of `issued`, too.
static void test_order(void **state)
{
	(void)state;
	const unsigned bases[] = {1000, UINT32_MAX, INT32_MAX};
	for (unsigned b = 0; b < 3; b++) {
		struct leases *leases = leases_for_test(16);
		struct lease_view view[NATIVE_DEVICES_MAX];
		unsigned t = bases[b];
		assert_int_equal(set(leases, lease_of(1, 1, 10, t)), 0);
		assert_int_equal(set(leases, lease_of(1, 1, 20, t + 2)), 0);
		now += seconds(1);
		assert_int_equal(set(leases, lease_of(1, 1, 10, t)), -ESTALE);
		assert_int_equal(set(leases, lease_of(1, 1, 10, t + 1)), -ESTALE);
		assert_int_equal(set(leases, lease_of(1, 1, 10, t + 2)), -ESTALE);
		assert_int_equal(withdraw(leases, lease_of(1, 1, 20, t + 1)), -ESTALE);
		assert_int_equal(withdraw(leases, lease_of(1, 1, 10, t + 2)), -ESTALE);
		assert_int_equal(found(leases, 1, view), 1);
		uint32_t deadline = view[0].deadline;
		assert_int_equal(set(leases, lease_of(1, 1, 20, t + 2)), 0);
		assert_int_equal(found(leases, 1, view), 1);
		assert_int_equal(view[0].deadline, deadline);
		// Another device of the address has an order of its own.
		assert_int_equal(set(leases, lease_of(1, 2, 30, t - 5)), 0);
		assert_int_equal(found(leases, 1, view), 2);
		leases_free(leases);
	}
}

// A withdrawal holds against everything that was said before it, as long as that could be said
// again: whether there was a lease or not, and after its time as well.
static void test_withdrawn_and_replayed(void **state)
{
	(void)state;
	struct leases *leases = leases_for_test(16);
	struct lease_view view[NATIVE_DEVICES_MAX];
	for (unsigned round = 0; round < 2; round++) {
		if (round == 0)
			assert_int_equal(set(leases, lease_of(1, 1, 10, 100)), 0);
		assert_int_equal(withdraw(leases, lease_of(1, 1, 10, 105)), 0);
		assert_int_equal(withdraw(leases, lease_of(1, 1, 10, 105)), 0);
		assert_int_equal(withdraw(leases, lease_of(1, 1, 10, 104)), -ESTALE);
		for (unsigned s = 0; s < LEASES_TOMBSTONE_S; s += 5) {
			assert_int_equal(set(leases, lease_of(1, 1, 10, 100)), -ESTALE);
			assert_int_equal(set(leases, lease_of(1, 1, 10, 105)), -ESTALE);
			assert_int_equal(set(leases, lease_of(1, 1, 20, 104)), -ESTALE);
			assert_int_equal(expire_all(leases), 0);
			assert_int_equal(found(leases, 1, view), 0);
			assert_int_equal(leases->tombstones, 1);
			now += seconds(5);
		}
		now += seconds(1);
		expire_all(leases);
		assert_empty(leases);
	}
	// Newer than the withdrawal: it may come back.
	assert_int_equal(withdraw(leases, lease_of(1, 1, 10, 105)), 0);
	assert_int_equal(set(leases, lease_of(1, 1, 10, 106)), 0);
	assert_int_equal(leases->tombstones, 0);
	// A short lease that has passed unscanned, then scanned: its own REGISTER does not prolong
	// it.
	struct api_lease brief = lease_of(2, 1, 10, 100);
	brief.lifetime_ms = 2000;
	assert_int_equal(set(leases, brief), 0);
	now += seconds(3);
	assert_int_equal(found(leases, 2, view), 0);
	assert_int_equal(set(leases, brief), -ESTALE);
	assert_int_equal(expire_all(leases), 0);
	assert_int_equal(set(leases, brief), -ESTALE);
	brief.issued++;
	assert_int_equal(set(leases, brief), 0);
	assert_int_equal(found(leases, 2, view), 1);
	// A long one leaves nothing: its cookie has passed long before.
	now += seconds(700);
	assert_int_equal(expire_all(leases), 2);
	assert_empty(leases);
	leases_free(leases);
}

static void test_devices(void **state)
{
	(void)state;
	struct leases *leases = leases_for_test(64);
	struct lease_view view[NATIVE_DEVICES_MAX];
	for (unsigned d = 0; d < NATIVE_DEVICES_MAX; d++)
		assert_int_equal(set(leases, lease_of(1, d, 10 + d, 100)), 0);
	assert_int_equal(set(leases, lease_of(1, 100, 100, 100)), -EMLINK);
	assert_int_equal(set(leases, lease_of(2, 100, 100, 100)), 0);
	assert_int_equal(found(leases, 1, view), NATIVE_DEVICES_MAX);
	unsigned seen = 0;
	for (unsigned i = 0; i < NATIVE_DEVICES_MAX; i++)
		for (unsigned d = 0; d < NATIVE_DEVICES_MAX; d++) {
			struct api_lease lease = lease_of(1, d, 10 + d, 100);
			if (is_at(&view[i], &lease))
				seen |= 1u << d;
		}
	assert_int_equal(seen, 0xFF);
	// From the middle, from the head, from the end.
	const unsigned order[] = {4, 7, 0, 1, 6, 3, 2, 5};
	for (unsigned i = 0; i < NATIVE_DEVICES_MAX; i++) {
		assert_int_equal(withdraw(leases, lease_of(1, order[i], 10 + order[i], 101)), 0);
		assert_int_equal(found(leases, 1, view), NATIVE_DEVICES_MAX - 1 - i);
		for (unsigned v = 0; v < NATIVE_DEVICES_MAX - 1 - i; v++)
			for (unsigned gone = 0; gone <= i; gone++) {
				struct api_lease lease =
					lease_of(1, order[gone], 10 + order[gone], 0);
				assert_false(is_at(&view[v], &lease));
			}
	}
	// Devices whose time has come make room, scanned or not.
	for (unsigned d = 0; d < NATIVE_DEVICES_MAX; d++)
		assert_int_equal(set(leases, lease_of(3, d, 10 + d, 100)), 0);
	now += seconds(601);
	assert_int_equal(found(leases, 3, view), 0);
	assert_int_equal(set(leases, lease_of(3, 100, 100, 100)), 0);
	assert_int_equal(found(leases, 3, view), 1);
	leases_free(leases);
}

static void test_full_draining_and_rate(void **state)
{
	(void)state;
	struct leases *leases = leases_for_test(8);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(set(leases, lease_of(i, 1, 10, 100)), 0);
	assert_int_equal(set(leases, lease_of(9, 1, 10, 100)), -ENOSPC);
	assert_int_equal(withdraw(leases, lease_of(9, 1, 10, 100)), -ENOSPC);
	assert_int_equal(set(leases, lease_of(7, 1, 12, 101)), 0);
	// A tombstone is an entry; its device may have it back.
	assert_int_equal(withdraw(leases, lease_of(7, 1, 12, 102)), 0);
	assert_int_equal(set(leases, lease_of(9, 1, 10, 100)), -ENOSPC);
	struct api_lease back = lease_of(7, 1, 12, 103);
	assert_int_equal(leases_set(leases, &ours, &back, true, now), -ESHUTDOWN);
	assert_int_equal(leases_set(leases, &ours, &back, false, now), 0);
	// Renewals and withdrawals go on in a drain.
	back.issued = 104;
	assert_int_equal(leases_set(leases, &ours, &back, true, now), 0);
	now += seconds(1000);
	assert_int_equal(expire_all(leases), 8);
	assert_empty(leases);
	leases_rate_set(leases, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(set(leases, lease_of(i, 1, 10, 100)), 0);
	assert_int_equal(set(leases, lease_of(4, 1, 10, 100)), -EAGAIN);
	assert_int_equal(withdraw(leases, lease_of(4, 1, 10, 100)), -EAGAIN);
	assert_int_equal(set(leases, lease_of(3, 1, 12, 101)), 0); // not a new one
	now += seconds(1) / 2;
	assert_int_equal(set(leases, lease_of(4, 1, 10, 100)), 0);
	assert_int_equal(set(leases, lease_of(5, 1, 10, 100)), 0);
	assert_int_equal(set(leases, lease_of(6, 1, 10, 100)), -EAGAIN);
	leases_free(leases);
}

// A network that has its share gets no more, by withdrawing neither, until it gives something back;
// others do. Moving elsewhere gives nothing back.
static void test_share_of_a_network(void **state)
{
	(void)state;
	enum { SHARE = 40 };
	struct leases *leases = leases_for_test(256);
	leases_share_set(leases, SHARE);
	for (unsigned i = 0; i < SHARE; i++)
		assert_int_equal(set(leases, lease_of(i, 1, 10 + 2 * (i << 16), 100)), 0);
	assert_int_equal(set(leases, lease_of(90, 1, 10, 100)), -ENOSPC);
	assert_int_equal(withdraw(leases, lease_of(90, 1, 10, 100)), -ENOSPC);
	assert_int_equal(set(leases, lease_of(91, 1, 10 + (2 << 8), 100)), 0); // the next /24
	assert_int_equal(set(leases, lease_of(92, 1, 11, 100)), 0);
	// What is there goes on: renewed, moved to another network, withdrawn and taken back.
	assert_int_equal(set(leases, lease_of(0, 1, 10, 101)), 0);
	assert_int_equal(set(leases, lease_of(0, 1, 11, 102)), 0);
	assert_int_equal(withdraw(leases, lease_of(1, 1, 10, 101)), 0);
	assert_int_equal(set(leases, lease_of(90, 1, 10, 100)), -ENOSPC);
	assert_int_equal(set(leases, lease_of(1, 1, 10, 102)), 0);
	assert_int_equal(withdraw(leases, lease_of(1, 1, 10, 103)), 0);
	now += seconds(LEASES_TOMBSTONE_S + 1);
	expire_all(leases);
	assert_int_equal(set(leases, lease_of(90, 1, 10, 100)), 0);
	assert_int_equal(set(leases, lease_of(93, 1, 10, 100)), -ENOSPC);
	now += seconds(1000);
	expire_all(leases);
	assert_empty(leases);
	for (unsigned i = 0; i < SHARE; i++)
		assert_int_equal(set(leases, lease_of(i, 2, 10, 200)), 0);
	assert_int_equal(set(leases, lease_of(94, 1, 10, 200)), -ENOSPC);
	leases_free(leases);
}

// A whole burst, with repetitions, strangers, and addresses in second buckets.
static void test_burst(void **state)
{
	(void)state;
	enum { ADDRESSES = 4000 };
	struct leases *leases = leases_for_test(ADDRESSES);
	for (unsigned i = 0; i < ADDRESSES; i++)
		assert_int_equal(set(leases, lease_of(i, i % 3, 2 * i, 100)), 0);
	for (unsigned base = 0; base < ADDRESSES; base += BURST_MAX) {
		struct api_lease asked[BURST_MAX];
		struct lease_place places[BURST_MAX];
		for (unsigned i = 0; i < BURST_MAX; i++) {
			unsigned address = i % 8 == 7 ? base : base + i;
			asked[i] = lease_of(address, address % 3, 2 * address, 100);
			places[i] = place_of(leases, asked[i].address);
		}
		for (unsigned i = 0; i < BURST_MAX; i++) {
			struct lease_view view[NATIVE_DEVICES_MAX];
			unsigned address = i % 8 == 7 ? base : base + i;
			int count = leases_devices(
				leases, asked[i].address, &places[i], ticks_of(now), view);
			assert_int_equal(count, address < ADDRESSES);
			if (count == 1)
				assert_true(is_at(&view[0], &asked[i]));
		}
	}
	leases_free(leases);
}

// To the last entry, some hundred times over: the index has room for all of them, and none is lost.
static void test_fill_drain_refill(void **state)
{
	(void)state;
	enum { CAPACITY = 4096, ROUNDS = 100 };
	struct leases *leases = leases_for_test(CAPACITY);
	struct lease_view view[NATIVE_DEVICES_MAX];
	unsigned first = 0;
	for (unsigned round = 0; round < ROUNDS; round++) {
		randombytes_buf(&leases->key, sizeof(leases->key)); // as at another start
		for (unsigned i = 0; i < CAPACITY; i++)
			assert_int_equal(set(leases, lease_of(round * CAPACITY + i, 1, i, 100)), 0);
		assert_int_equal(leases->used, CAPACITY);
		if (round == 0)
			assert_int_equal(found(leases, 5, view), 1);
		for (unsigned i = 0; i < CAPACITY; i++) {
			struct api_lease lease = lease_of(round * CAPACITY + i, 1, i, 100);
			uint64_t hash = leases_hash(leases, lease.address);
			const _Atomic uint64_t *bucket = leases_bucket(leases, hash, 0);
			for (unsigned s = 0; s < LEASES_SLOTS; s++)
				if (bucket[s] >> 32 == leases_tag(hash)) {
					first++;
					break;
				}
		}
		if (round % 2) {
			now += seconds(1000);
			assert_int_equal(expire_all(leases), CAPACITY);
		} else {
			uint32_t position = 0;
			while (!leases_end_some(leases, &position, 100))
				;
			assert_int_equal(leases->used, 0);
			assert_int_equal(leases->tombstones, CAPACITY);
			now += seconds(LEASES_TOMBSTONE_S + 1);
			assert_int_equal(expire_all(leases), 0);
		}
		assert_empty(leases);
	}
	print_message("full table: %.1f %% of addresses in their first bucket\n",
		100.0 * first / (ROUNDS * CAPACITY));
	leases_free(leases);
}

// Random operations beside a plain model of what must be there.
static void test_model(void **state)
{
	(void)state;
	enum { ADDRESSES = 20, DEVICES = 10, STEPS = 40000 };
	struct {
		bool lives;
		unsigned client, issued, withdrawn;
	} model[ADDRESSES][DEVICES] = {0};
	struct leases *leases = leases_for_test(ADDRESSES * DEVICES);
	unsigned live = 0;
	for (unsigned step = 1; step <= STEPS; step++) {
		unsigned a = randombytes_uniform(ADDRESSES), d = randombytes_uniform(DEVICES);
		unsigned client = randombytes_uniform(1000), devices = 0;
		struct api_lease lease = lease_of(a, d, client, step);
		for (unsigned i = 0; i < DEVICES; i++)
			devices += model[a][i].lives;
		if (randombytes_uniform(3)) {
			int expected = !model[a][d].lives && devices == 8 ? -EMLINK : 0;
			assert_int_equal(set(leases, lease), expected);
			if (expected == 0) {
				live += !model[a][d].lives;
				model[a][d].lives = true;
				model[a][d].client = client;
			}
		} else {
			assert_int_equal(withdraw(leases, lease), 0);
			live -= model[a][d].lives;
			model[a][d].lives = false;
		}
		assert_int_equal(leases->used, live);
		struct lease_view view[NATIVE_DEVICES_MAX];
		int count = found(leases, a, view);
		for (unsigned i = 0, left = (unsigned)count; i < DEVICES; i++) {
			struct api_lease want = lease_of(a, i, model[a][i].client, 0);
			bool there = false;
			for (int v = 0; v < count; v++)
				there |= is_at(&view[v], &want);
			assert_int_equal(there, model[a][i].lives);
			left -= there;
			if (i == DEVICES - 1)
				assert_int_equal(left, 0);
		}
	}
	leases_free(leases);
}

// ---- nothing stays ----

static bool holds(const void *memory, size_t size, const void *what, size_t length)
{
	return memmem(memory, size, what, length) != NULL;
}

static bool table_holds(const struct leases *leases, const void *what, size_t length)
{
	return holds(leases->entries, leases->capacity * sizeof(struct lease), what, length) ||
	       holds(leases->words, (leases->mask + 1) * LEASES_SLOTS * 8, what, length);
}

static void test_wiped(void **state)
{
	(void)state;
	struct leases *leases = leases_for_test(64);
	struct api_lease lease = lease_of(1, 1, 11, 100);
	randombytes_buf(lease.address, sizeof(lease.address));
	randombytes_buf(lease.device, sizeof(lease.device));
	randombytes_buf(lease.client.address.bytes, 16);
	for (unsigned round = 0; round < 3; round++) {
		lease.issued = 100 + 2 * round;
		assert_int_equal(set(leases, lease), 0);
		// The search finds what is there.
		assert_true(table_holds(leases, lease.address + 4, 8));
		assert_true(table_holds(leases, lease.device, 8));
		assert_true(table_holds(leases, lease.client.address.bytes, 8));
		uint32_t position = 0;
		if (round == 0) {
			now += seconds(700);
			expire_all(leases);
		} else if (round == 1) {
			lease.issued++;
			assert_int_equal(withdraw(leases, lease), 0);
		} else {
			leases_end_some(leases, &position, UINT32_MAX);
		}
		for (unsigned i = 0; i + 4 <= 32; i += 4)
			assert_false(table_holds(leases, lease.address + i, 4));
		assert_false(table_holds(leases, lease.device, 8));
		for (unsigned i = 0; i + 4 <= 16; i += 4)
			assert_false(table_holds(leases, lease.client.address.bytes + i, 4));
	}
	leases_free(leases);
}

static void test_memory(void **state)
{
	(void)state;
	const uint32_t capacity = 65536;
	struct leases *leases = leases_for_test(capacity);
	double words = (double)(leases->mask + 1) * LEASES_SLOTS * 8 / capacity;
	struct flow_table devices;
	assert_int_equal(flow_table_open(&devices, capacity, -1), 0);
	double main_index = (double)(devices.mask + 1) * sizeof(struct flow_bucket) / capacity;
	flow_table_close(&devices);
	double all = (double)sizeof(struct lease) + words + main_index + 10;
	print_message("bytes per lease: %.1f (entry %zu, index %.1f, devices %.1f, lists 10)\n",
		all, sizeof(struct lease), words, main_index);
	assert_true(all <= 187);
	leases_free(leases);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_renewed_moved_withdrawn),
		cmocka_unit_test(test_wrong_ones),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_withdrawn_and_replayed),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_full_draining_and_rate),
		cmocka_unit_test(test_share_of_a_network),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_fill_drain_refill),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_wiped),
		cmocka_unit_test(test_memory),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
