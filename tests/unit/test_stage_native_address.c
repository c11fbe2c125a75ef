// SPDX-License-Identifier: BSD-3-Clause
// Data by address: to all devices that hold a lease and to nobody else, without the cookie, within
// the sender's and the address's budget.
#include "tests/unit/native_world.h"

static const uint8_t letter[1500] = {0x11, 0x22, 0x33, [200] = 0xAB, [1400] = 0xCD};
static uint8_t message[2048];

static size_t data_for(
	unsigned address, const struct net_endpoint *from, unsigned hops, size_t length)
{
	uint8_t cookie[12], to[32];
	cookie_of(from, cookie);
	address_of(address, to);
	// What no client may send is written over what it may.
	const struct native_by_address d = {4, cookie, to, letter, length};
	size_t size = native_by_address_build(message, sizeof(message), &d);
	assert_int_equal(size, 48 + length);
	message[2] = (uint8_t)hops;
	return size;
}

static void check_delivered(unsigned frame, unsigned address, const struct net_endpoint *to,
	unsigned hops, size_t length, enum seen_checksum checksum)
{
	struct seen s = seen_at(frame);
	struct net_endpoint server = server_of(to->address.family == NET_IPV6);
	struct native_by_address d;
	uint8_t want[32];
	address_of(address, want);
	assert_endpoint(&s.source, &server);
	assert_endpoint(&s.destination, to);
	assert_int_equal(s.checksum, checksum);
	assert_int_equal(native_delivered_parse(s.payload, s.h.payload_length, &d), 0);
	assert_int_equal(d.hops, hops);
	assert_memory_equal(d.address, want, 32);
	assert_int_equal(d.payload_size, length);
	assert_memory_equal(d.payload, letter, length);
}

static void send_data(const struct net_endpoint *from, unsigned address, size_t length,
	enum frame_checksum checksum)
{
	struct frame f = native_frame(from, message, data_for(address, from, 3, length));
	f.checksum = checksum;
	run(&f);
}

// All pairs of families, lengths around the parities, all kinds of checksums; the general way
// first, while next hops are not known, then the usual one.
static void one_device(void **state)
{
	(void)state;
	static const uint16_t lengths[] = {0, 1, 2, 3, 160, 171, 1200};
	native_open();
	for (unsigned a = 0; a < 2; a++)
		for (unsigned b = 0; b < 2; b++) {
			struct net_endpoint from = party(CALLER, a), to = party(CALLEE, b);
			unsigned address = 2 * a + b;
			lease(address, 0, &to);
			for (unsigned i = 0; i < 2 * RTE_DIM(lengths); i++) {
				unsigned length = lengths[i / 2];
				send_data(&from, address, length, FRAME_WHOLE);
				assert_int_equal(world.frame_count, 1);
				check_delivered(0, address, &to, 2, length, SEEN_RIGHT);
				assert_int_equal(
					world.workers[0].stats.event[EVENT_by_address_packets], 1);
				assert_int_equal(
					world.workers[0].stats.event[EVENT_by_address_bytes],
					length);
				world_clear();
				send_data(&from, address, length, FRAME_PARTIAL);
				check_delivered(0, address, &to, 2, length, SEEN_RIGHT);
				world_clear();
				send_data(&from, address, length, FRAME_WRONG);
				check_delivered(0, address, &to, 2, length, SEEN_WRONG);
				world_clear();
				send_data(&from, address, length, FRAME_ABSENT);
				if (a == 1) {
					assert_dropped(bad_checksum);
					continue;
				}
				check_delivered(
					0, address, &to, 2, length, b ? SEEN_RIGHT : SEEN_ABSENT);
				world_clear();
			}
		}
	world_close();
}

// Eight devices of both families: each gets one, no matter how the packet's checksum is, and the
// buffers all come back.
static void all_devices(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), devices[NATIVE_DEVICES_MAX];
	for (unsigned i = 0; i < NATIVE_DEVICES_MAX; i++) {
		devices[i] = party(CALLEE, i & 1);
		devices[i].port = (uint16_t)(7000 + i);
		lease(1, i, &devices[i]);
	}
	for (unsigned again = 0; again < 2; again++) {
		static const enum frame_checksum kinds[] = {
			FRAME_WHOLE, FRAME_PARTIAL, FRAME_WRONG};
		for (unsigned k = 0; k < RTE_DIM(kinds); k++) {
			bool got[NATIVE_DEVICES_MAX] = {false};
			send_data(&from, 1, 333, kinds[k]);
			assert_int_equal(world.frame_count, NATIVE_DEVICES_MAX);
			for (unsigned i = 0; i < NATIVE_DEVICES_MAX; i++) {
				unsigned d = seen_at(i).destination.port - 7000u;
				assert_true(d < NATIVE_DEVICES_MAX && !got[d]);
				got[d] = true;
				check_delivered(i, 1, &devices[d], 2, 333,
					kinds[k] == FRAME_WRONG ? SEEN_WRONG : SEEN_RIGHT);
			}
			assert_int_equal(world.workers[0].stats.event[EVENT_by_address_copies], 7);
			assert_int_equal(world.workers[0].stats.event[EVENT_by_address_packets], 1);
			world_clear();
		}
	}
	world_close();
}

// The cookie is the sender's: whoever gets the packet could spoof with it. Not a byte of it, nor of
// the sender's address, is anywhere in what goes out.
static void cookie_does_not_travel(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0);
	uint8_t cookie[12];
	cookie_of(&from, cookie);
	for (unsigned b = 0; b < 2; b++) {
		struct net_endpoint to = party(CALLEE, b);
		lease(b, 0, &to);
		for (unsigned again = 0; again < 2; again++) {
			send_data(&from, b, 100, FRAME_WHOLE);
			const struct world_frame *f = &world.frames[0];
			assert_null(memmem(f->bytes, f->length, cookie, 4));
			assert_null(memmem(f->bytes, f->length, cookie + 4, 4));
			assert_null(memmem(f->bytes, f->length, cookie + 8, 4));
			assert_null(memmem(f->bytes, f->length, from.address.bytes, 4));
			world_clear();
		}
	}
	world_close();
}

static void hop_limit(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), to = party(CALLEE, 0);
	lease(1, 0, &to);
	for (unsigned hops = 0; hops < 256; hops++) {
		send_from(&from, message, data_for(1, &from, hops, 20));
		if (hops >= 1 && hops <= NATIVE_HOPS_MAX) {
			check_delivered(0, 1, &to, hops - 1, 20, SEEN_RIGHT);
			world_clear();
		} else {
			assert_dropped(native_hops);
		}
	}
	world_close();
}

static void malformed(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), to = party(CALLEE, 0);
	lease(1, 0, &to);
	size_t size = data_for(1, &from, 3, 0);
	for (size_t length = 4; length < size; length++) {
		send_from(&from, message, length);
		assert_dropped(native_malformed);
	}
	message[3] = 1;
	send_from(&from, message, size);
	assert_dropped(native_malformed);
	message[3] = 0;
	for (unsigned version = 0; version < 256; version++)
		if (version != NATIVE_VERSION) {
			message[1] = (uint8_t)version;
			send_from(&from, message, size);
			assert_dropped(native_version);
		}
	world_close();
}

// Without a cookie, with somebody else's, a forged one, an old one: a challenge whose transaction
// is what was shown, and nothing to the address.
static void cookies(void **state)
{
	(void)state;
	native_open();
	for (unsigned family = 0; family < 2; family++) {
		struct net_endpoint from = party(CALLER, family), to = party(CALLEE, 0);
		struct net_endpoint other = moved(from);
		lease(family, 0, &to);
		size_t size = data_for(family, &other, 3, 100);
		send_from(&from, message, size);
		assert_challenged(&from, message + 8);
		memset(message + 4, 0, 12);
		send_from(&from, message, size);
		assert_challenged(&from, message + 8);
		data_for(family, &from, 3, 100);
		message[15] ^= 0x80;
		send_from(&from, message, size);
		assert_challenged(&from, message + 8);
		assert_int_equal(world.workers[0].stats.event[EVENT_by_address_packets], 0);
		// Data may show an older one than control.
		data_for(family, &from, 3, 100);
		world.now += seconds(55);
		send_from(&from, message, size);
		check_delivered(0, family, &to, 2, 100, SEEN_RIGHT);
		world_clear();
		world.now += seconds(NATIVE_DATA_COOKIE_S - 54);
		lease(family, 0, &to);
		send_from(&from, message, size);
		assert_challenged(&from, message + 8);
	}
	world_close();
}

static void unknown_addresses(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), to = party(CALLEE, 0);
	uint8_t cookie[12];
	size_t size = data_for(5, &from, 3, 100);
	send_from(&from, message, size);
	assert_dropped(address_unknown);
	world.native.tell_unknown = true;
	send_from(&from, message, size);
	assert_int_equal(world.native_punt_count, 1);
	assert_int_equal(world.native_punt.flags, API_NATIVE_PUNT_UNKNOWN);
	assert_int_equal(world.native_punt.issued, cookie_issued(message + 4));
	assert_endpoint(&world.native_punt.source, &from);
	cookie_of(&from, cookie);
	assert_memory_equal(world.native_punt.cookie, cookie, 12);
	assert_int_equal(world.frame_count, 0);
	world_clear();
	// It ends here, so it has to be whole.
	struct frame f = native_frame(&from, message, size);
	f.checksum = FRAME_WRONG;
	run(&f);
	assert_dropped(bad_checksum);
	// Once it is known, it is delivered; and not when its time has passed.
	lease(5, 0, &to);
	send_from(&from, message, size);
	check_delivered(0, 5, &to, 2, 100, SEEN_RIGHT);
	world_clear();
	world.now += seconds(61);
	send_from(&from, message, size);
	assert_int_equal(world.native_punt_count, 1);
	world_close();
}

// ---- budgets ----

static unsigned delivered_of(const struct net_endpoint *from, unsigned address, unsigned packets)
{
	unsigned delivered = 0;
	for (unsigned i = 0; i < packets; i++) {
		send_data(from, address, 1000 - 28 - 48, FRAME_WHOLE);
		delivered += world.frame_count;
		world.frame_count = 0;
	}
	return delivered;
}

// Of one sender, whatever ports it has; others go on.
static void sender_budget(void **state)
{
	(void)state;
	native_open();
	world.native.sender_bytes = 50000;
	struct net_endpoint from = party(CALLER, 0), to = party(CALLEE, 0);
	struct net_endpoint port = moved(from), neighbour = endpoint("198.51.100.11", 40000);
	lease(1, 0, &to);
	assert_int_equal(delivered_of(&from, 1, 60), 50);
	assert_int_equal(world.workers[0].stats.drop[DROP_sender_budget], 10);
	assert_int_equal(delivered_of(&port, 1, 10), 0);
	assert_int_equal(delivered_of(&neighbour, 1, 60), 50);
	// A tenth of a second gives back a tenth; long silence no more than a second.
	world.now += seconds(1) / 10;
	assert_in_range(delivered_of(&from, 1, 20), 4, 5);
	world.now += seconds(50);
	assert_int_equal(delivered_of(&from, 1, 60), 50);
	// A rate that falls and rises again.
	world.native.sender_bytes = 10000;
	assert_int_equal(delivered_of(&from, 1, 5), 0);
	world.now += seconds(1);
	assert_in_range(delivered_of(&from, 1, 20), 9, 10);
	world.native.sender_bytes = UINT32_MAX;
	assert_int_equal(delivered_of(&from, 1, 500), 500);
	world_close();
}

// Of one address from all senders; another address has its own.
static void address_budget(void **state)
{
	(void)state;
	native_open();
	world.native.address_bytes = 30000;
	struct net_endpoint to = party(CALLEE, 0);
	lease(1, 0, &to);
	lease(2, 0, &to);
	unsigned delivered = 0;
	for (unsigned i = 0; i < 20; i++) {
		struct net_endpoint from = endpoint("198.51.100.10", 40000);
		from.address.bytes[2] = (uint8_t)i;
		delivered += delivered_of(&from, 1, 2);
	}
	assert_int_equal(delivered, 30);
	assert_int_equal(world.workers[0].stats.drop[DROP_address_budget], 10);
	struct net_endpoint from = party(CALLER, 0);
	assert_int_equal(delivered_of(&from, 2, 40), 30);
	world_close();
}

// ---- ways ----

static void next_hops_are_found_and_kept(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), to = party(CALLEE, 0);
	struct lease_view view[NATIVE_DEVICES_MAX];
	uint8_t address[32];
	address_of(1, address);
	lease(1, 0, &to);
	send_data(&from, 1, 100, FRAME_WHOLE);
	world_clear();
	assert_int_equal(leases_look_up(world.leases, address, ticks_of(world.now), view), 1);
	assert_int_not_equal(view[0].hop, NEXT_HOP_NONE);
	// A line that is being written for longer than anybody waits.
	atomic_fetch_add(&world.leases->entries[view[0].index].sequence, 1);
	send_data(&from, 1, 100, FRAME_WHOLE);
	assert_dropped(address_busy);
	atomic_fetch_add(&world.leases->entries[view[0].index].sequence, 1);
	send_data(&from, 1, 100, FRAME_WHOLE);
	check_delivered(0, 1, &to, 2, 100, SEEN_RIGHT);
	world_close();
}

// What does not fit to one device goes to the others all the same; the sender is told.
static void mtu(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), v4 = party(CALLEE, 0), v6 = party(CALLEE, 1);
	lease(1, 0, &v4);
	lease(1, 1, &v6);
	struct frame f = native_frame(&from, message, data_for(1, &from, 3, 1500 - 48 - 28));
	f.dont_fragment = true;
	run(&f);
	assert_int_equal(world.frame_count, 2);
	assert_int_equal(world.workers[0].stats.drop[DROP_too_big], 1);
	unsigned data = seen_at(0).h.family == NET_IPV4 ? 0 : 1;
	check_delivered(data, 1, &v4, 2, 1500 - 48 - 28, SEEN_RIGHT);
	world_close();
}

// A burst of good ones, bad ones and unknown ones, and both workers.
static void bursts(void **state)
{
	(void)state;
	native_open();
	struct net_endpoint from = party(CALLER, 0), other = moved(from), to = party(CALLEE, 0);
	lease(1, 0, &to);
	lease(2, 0, &to);
	lease(2, 1, &other);
	for (unsigned w = 0; w < WORLD_WORKERS; w++) {
		struct rte_mbuf *mbufs[64];
		for (unsigned i = 0; i < 64; i++) {
			size_t size = data_for(
				i % 4 == 3 ? 9 : 1 + i % 2, i % 8 == 4 ? &other : &from, 3, 50 + i);
			struct frame f = native_frame(&from, message, size);
			mbufs[i] = frame_make(&f);
		}
		pipeline_run(&world.workers[w], 0, mbufs, 64, world.now);
		const struct stats *stats = &world.workers[w].stats;
		assert_int_equal(stats->event[EVENT_native_challenges], 8);
		assert_int_equal(stats->drop[DROP_address_unknown], 16);
		assert_int_equal(stats->event[EVENT_by_address_packets], 40);
		assert_int_equal(stats->event[EVENT_by_address_copies], 16);
		assert_int_equal(world.frame_count, 64);
		for (unsigned i = 0; i < world.frame_count; i++)
			assert_int_equal(seen_at(i).checksum, SEEN_RIGHT);
		world_clear();
	}
	world_close();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_device),
		cmocka_unit_test(all_devices),
		cmocka_unit_test(cookie_does_not_travel),
		cmocka_unit_test(hop_limit),
		cmocka_unit_test(malformed),
		cmocka_unit_test(cookies),
		cmocka_unit_test(unknown_addresses),
		cmocka_unit_test(sender_budget),
		cmocka_unit_test(address_budget),
		cmocka_unit_test(next_hops_are_found_and_kept),
		cmocka_unit_test(mtu),
		cmocka_unit_test(bursts),
	};
	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, world_setup, NULL);
}
