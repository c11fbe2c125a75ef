// SPDX-License-Identifier: BSD-3-Clause
// relaycall's transfer over a bad wire: lost, doubled, overtaken, cut for a while, on a virtual
// clock from seeds. What arrives is what was sent, byte by byte, or it is said that it is not.
#include "endpoint/relaycall/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { PACKETS = 4096 };

struct packet {
	uint64_t at, number; // of two for one moment, the earlier
	bool to_receiver, used;
	uint8_t data[ENDPOINT_DATA_MAX];
	size_t size;
};

static struct packet packets[PACKETS];
static struct transfer_sender sender;
static struct transfer_receiver receiver;
static uint64_t now, random_state;
static unsigned loss, doubled, delay, jitter;
static bool cut, change_while_read, disk_full, not_kept;
static unsigned keeps;
static uint8_t *source, *sink;
static size_t sunk;
static unsigned long sent, carried;

static unsigned random_number(unsigned below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % below;
}

static void carry(bool to_receiver, const uint8_t *data, size_t size)
{
	assert_true(size <= ENDPOINT_DATA_MAX);
	sent += size;
	for (unsigned copies = random_number(100) < doubled ? 2 : 1; copies > 0; copies--) {
		if (cut || random_number(100) < loss)
			continue;
		unsigned i = 0;
		while (i < PACKETS && packets[i].used)
			i++;
		assert_true(i < PACKETS);
		packets[i] = (struct packet){
			.number = ++carried,
			.at = now + delay + (jitter ? random_number(jitter) : 0),
			.to_receiver = to_receiver,
			.used = true,
			.size = size,
		};
		memcpy(packets[i].data, data, size);
	}
}

static void to_receiver(void *context, const uint8_t *data, size_t size)
{
	(void)context;
	carry(true, data, size);
}

static void to_sender(void *context, const uint8_t *data, size_t size)
{
	(void)context;
	carry(false, data, size);
}

static bool read_source(void *context, uint64_t offset, uint8_t *out, size_t size)
{
	(void)context;
	memcpy(out, source + offset, size);
	if (change_while_read && offset > 0)
		source[offset - 1] ^= 1;
	return true;
}

static bool write_sink(void *context, const uint8_t *data, size_t size)
{
	(void)context;
	if (disk_full && sunk > 50000)
		return false;
	memcpy(sink + sunk, data, size);
	sunk += size;
	return true;
}

static bool keep_sink(void *context)
{
	(void)context;
	keeps++;
	return !not_kept;
}

static bool step(uint64_t until)
{
	struct packet *first = NULL;
	uint64_t at = until, due = transfer_sender_tick(&sender, now);
	uint64_t other = transfer_receiver_tick(&receiver, now);
	if (other < due)
		due = other;
	for (unsigned i = 0; i < PACKETS; i++)
		if (packets[i].used && packets[i].at < until &&
			(packets[i].at < at || (first != NULL && packets[i].at == at &&
						       packets[i].number < first->number))) {
			first = &packets[i];
			at = first->at;
		}
	if (due < at) {
		at = due;
		first = NULL;
	}
	if (at >= until)
		return false;
	if (at > now)
		now = at;
	if (first == NULL)
		return true;
	struct packet p = *first;
	first->used = false;
	if (p.to_receiver)
		transfer_receiver_receive(&receiver, p.data, p.size, now);
	else
		transfer_sender_receive(&sender, p.data, p.size, now);
	return true;
}

// Runs until the sender's end, at most `ms`; returns how long it took.
static uint64_t run(uint64_t ms)
{
	uint64_t start = now;
	while (sender.state == TRANSFER_RUNNING && step(start + ms))
		;
	return now - start;
}

static void begin_transfer(size_t size, uint64_t seed)
{
	const struct transfer_output out = {.send = to_receiver, .read = read_source};
	const struct transfer_output in = {
		.send = to_sender, .write = write_sink, .keep = keep_sink};
	memset(packets, 0, sizeof(packets));
	random_state = seed;
	now = 5000;
	sunk = 0;
	keeps = 0;
	sent = 0;
	free(source);
	free(sink);
	source = malloc(size + 1);
	sink = malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		source[i] = (uint8_t)random_number(256);
	assert_int_equal(transfer_receiver_begin(&receiver, &in, size), 0);
	transfer_sender_begin(&sender, &out, size, now);
}

static void end_transfer(void)
{
	transfer_receiver_end(&receiver);
	transfer_sender_end(&sender);
}

static void assert_whole(size_t size)
{
	assert_int_equal(sender.state, TRANSFER_DONE);
	assert_int_equal(receiver.state, TRANSFER_DONE);
	assert_int_equal(keeps, 1);
	assert_int_equal(sunk, size);
	assert_memory_equal(source, sink, size);
	assert_int_equal(transfer_sender_arrived(&sender), size);
}

static int reset(void **state)
{
	(void)state;
	loss = doubled = jitter = 0;
	delay = 10;
	cut = change_while_read = disk_full = not_kept = false;
	return 0;
}

static void every_size(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 2, TRANSFER_CHUNK - 1, TRANSFER_CHUNK,
		TRANSFER_CHUNK + 1, 10 * TRANSFER_CHUNK, TRANSFER_WINDOW * TRANSFER_CHUNK,
		3 * TRANSFER_WINDOW * TRANSFER_CHUNK + 7};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		begin_transfer(sizes[i], i);
		run(60000);
		assert_whole(sizes[i]);
		assert_int_equal(sender.repetitions, 0);
		end_transfer();
	}
}

// A good wire is used well: 1 MB at 20 ms in less than a second, nothing sent twice.
static void good_wire(void **state)
{
	(void)state;
	begin_transfer(1000000, 1);
	assert_true(run(60000) < 1000);
	assert_whole(1000000);
	assert_true(sent < 1000000 * 1.15);
	end_transfer();
}

static void bad_wires(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 60; seed++) {
		reset(state);
		loss = seed % 5 * 10;
		doubled = seed % 3 * 20;
		jitter = seed % 4 * 40;
		delay = seed % 7 * 20;
		size_t size = 100000 + seed * 1000;
		begin_transfer(size, seed);
		uint64_t took = run(600000);
		if (sender.state != TRANSFER_DONE)
			fail_msg("seed %u: state %d after %u ms, %u of %u chunks", seed,
				sender.state, (unsigned)took, sender.base, sender.chunks);
		// The last RESULT may be on its way while the sender has ended; both agree.
		assert_whole(size);
		end_transfer();
	}
}

static void wire_is_cut_and_comes_back(void **state)
{
	(void)state;
	begin_transfer(400000, 1);
	run(100);
	cut = true;
	run(20000);
	assert_int_equal(sender.state, TRANSFER_RUNNING);
	cut = false;
	transfer_sender_path_changed(&sender, now);
	assert_true(run(60000) < 2000);
	assert_whole(400000);
	end_transfer();
	begin_transfer(400000, 1);
	run(100);
	cut = true;
	assert_in_range(run(100000), TRANSFER_SILENCE_MS - 100, TRANSFER_SILENCE_MS + 100);
	assert_int_equal(sender.state, TRANSFER_SILENT);
	assert_int_equal(transfer_sender_tick(&sender, now), ENDPOINT_NEVER);
	end_transfer();
}

static void source_changes(void **state)
{
	(void)state;
	loss = 10; // what is repeated is not what was hashed
	change_while_read = true;
	begin_transfer(300000, 4);
	run(60000);
	assert_int_equal(sender.state, TRANSFER_DAMAGED);
	assert_int_equal(receiver.state, TRANSFER_DAMAGED);
	end_transfer();
}

static void disk_is_full(void **state)
{
	(void)state;
	loss = 20;
	disk_full = true;
	begin_transfer(300000, 4);
	run(60000);
	assert_int_equal(sender.state, TRANSFER_UNKEPT);
	end_transfer();
	disk_full = false;
	not_kept = true;
	begin_transfer(300000, 4);
	run(60000);
	assert_int_equal(sender.state, TRANSFER_UNKEPT);
	end_transfer();
}

// The peer is proven, but need not be sane.
static void any_bytes(void **state)
{
	(void)state;
	uint8_t frame[ENDPOINT_DATA_MAX];
	begin_transfer(50000, 9);
	for (unsigned i = 0; i < 200000; i++) {
		size_t size = random_number(i % 2 ? 100 : sizeof(frame));
		for (size_t k = 0; k < size && k < 80; k++)
			frame[k] = (uint8_t)random_number(k < 9 ? 3 : 256);
		frame[0] = (uint8_t)random_number(6);
		if (frame[0] == TRANSFER_FRAME_ACK)
			size = TRANSFER_ACK_SIZE;
		if (frame[0] == TRANSFER_FRAME_FINISH)
			size = TRANSFER_FINISH_SIZE;
		if (i % 2)
			transfer_receiver_receive(&receiver, frame, size, now);
		else if (frame[0] != TRANSFER_FRAME_RESULT)
			transfer_sender_receive(&sender, frame, size, now);
		assert_true(sender.in_flight <= TRANSFER_WINDOW);
		memset(packets, 0, sizeof(packets[0]) * 16);
		packets[15].used = false;
		for (unsigned k = 0; i % 50 == 0 && k < PACKETS; k++)
			packets[k].used = false;
	}
	end_transfer();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_size, reset),
		cmocka_unit_test_setup(good_wire, reset),
		cmocka_unit_test_setup(bad_wires, reset),
		cmocka_unit_test_setup(wire_is_cut_and_comes_back, reset),
		cmocka_unit_test_setup(source_changes, reset),
		cmocka_unit_test_setup(disk_is_full, reset),
		cmocka_unit_test_setup(any_bytes, reset),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(source);
	free(sink);
	return failed;
}
