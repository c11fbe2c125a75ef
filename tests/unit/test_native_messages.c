// SPDX-License-Identifier: BSD-3-Clause
// The native protocol's control messages against the table of their specification
// (tests/unit/native_rows.h): golden bytes both ways, and each byte that is not as it must be.
#include "tests/unit/native_rows.h"

#include <sodium.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// A message alone in memory of its size, so that the sanitizers see each byte read too far.
static uint8_t *copy_of(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	assert_non_null(copy);
	memcpy(copy, data, size);
	return copy;
}

static int parse(const struct row *row, const uint8_t *data, size_t size, union native_any *out)
{
	return native_codecs[row->type].parse(data, size, out);
}

static size_t build(const struct row *row, uint8_t *out, size_t room, const union native_any *in)
{
	return native_codecs[row->type].build(out, room, in);
}

static bool refused(const struct row *row, const uint8_t *data, size_t size)
{
	union native_any m;
	uint8_t *copy = copy_of(data, size);
	int result = parse(row, copy, size, &m);
	free(copy);
	assert_true(result == 0 || result == -EBADMSG);
	return result != 0;
}

// The row's message. Returns its size.
static size_t golden(const struct row *row, uint8_t out[static NATIVE_MESSAGE_MAX])
{
	size_t size;
	assert_int_equal(sodium_hex2bin(out, NATIVE_MESSAGE_MAX, row->golden, strlen(row->golden),
				 " ", &size, NULL),
		0);
	return size;
}

static uint32_t number_at(const uint8_t *p, unsigned size)
{
	uint32_t number = 0;
	for (unsigned i = 0; i < size; i++)
		number = number << 8 | p[i];
	return number;
}

static uint32_t member_number(const void *member, unsigned size)
{
	uint16_t two;
	uint32_t four;
	if (size <= 1)
		return *(const uint8_t *)member;
	memcpy(&two, member, 2);
	if (size == 2)
		return two;
	memcpy(&four, member, 4);
	return four;
}

static void member_number_set(void *member, unsigned size, uint32_t value)
{
	uint16_t two = (uint16_t)value;
	if (size <= 1)
		*(uint8_t *)member = (uint8_t)value;
	else
		memcpy(member, size == 2 ? (void *)&two : (void *)&value, size);
}

static size_t sealed_size(const struct row *row, const union native_any *m)
{
	for (const struct row_field *f = row->fields; f->kind != END; f++) {
		if (f->kind == LENGTH)
			return member_number((const uint8_t *)m + f->member, 2);
	}
	return 0;
}

static void assert_observed(
	const uint8_t *p, const uint8_t *transaction, const struct net_endpoint *observed)
{
	uint8_t plain[18];
	for (unsigned i = 0; i < sizeof(plain); i++)
		plain[i] = p[2 + i] ^ transaction[i % 8];
	assert_int_equal(observed->address.family, p[0]);
	assert_int_equal(observed->port, number_at(plain, 2));
	assert_memory_equal(observed->address.bytes, plain + 2, 16);
}

// What was parsed from data is, field by field, what stands at the row's offsets.
static void assert_parsed(
	const struct row *row, const uint8_t *data, size_t size, const union native_any *m)
{
	size_t sealed = sealed_size(row, m);
	assert_int_equal(size, row->size + sealed);
	assert_ptr_equal(m->transaction, data + 4);
	for (const struct row_field *f = row->fields; f->kind != END; f++) {
		const uint8_t *at = data + f->at;
		const void *member = (const uint8_t *)m + f->member;
		const struct native_handle *handle = member;
		switch (f->kind) {
		case BEHIND:
			assert_ptr_equal(*(const uint8_t *const *)member, at + sealed);
			break;
		case BYTES:
		case SEALED:
			assert_ptr_equal(*(const uint8_t *const *)member, at);
			break;
		case NUMBER:
		case LENGTH:
			assert_int_equal(member_number(member, f->size),
				f->size ? number_at(at, f->size) : f->lowest);
			break;
		case HANDLE:
			assert_memory_equal(at, "\x06\x00", 2);
			assert_int_equal(handle->generation, number_at(at + 2, 2));
			assert_int_equal(handle->index, number_at(at + 4, 4));
			break;
		case OBSERVED:
			assert_observed(at, m->transaction, member);
			break;
		case END:
			break;
		}
	}
}

static void golden_bytes(void **unused)
{
	(void)unused;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		uint8_t data[NATIVE_MESSAGE_MAX], again[NATIVE_MESSAGE_MAX];
		union native_any m;
		size_t size = golden(row, data);
		assert_int_equal(parse(row, data, size, &m), 0);
		assert_parsed(row, data, size, &m);
		assert_int_equal(build(row, again, sizeof(again), &m), size);
		assert_memory_equal(again, data, size);
	}
}

static void other_types_are_refused(void **unused)
{
	(void)unused;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		uint8_t data[NATIVE_MESSAGE_MAX];
		size_t size = golden(row, data);
		for (unsigned type = 0; type <= UINT8_MAX; type++) {
			data[2] = (uint8_t)type;
			assert_int_equal(refused(row, data, size), type != row->type);
		}
	}
}

static void shorter_and_longer_are_refused(void **unused)
{
	(void)unused;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		uint8_t data[NATIVE_MESSAGE_MAX + 1] = {0};
		size_t size = golden(row, data);
		for (size_t other = 0; other <= sizeof(data); other++)
			assert_int_equal(refused(row, data, other), other != size);
	}
}

// How a byte of a golden message may change: not at all, into anything, or into other values that
// a test of their own looks at.
enum freedom { FIXED, FREE, CHOICE };

static void freedoms(const struct row *row, const union native_any *m, enum freedom *out)
{
	size_t sealed = sealed_size(row, m);
	for (unsigned i = 0; i < NATIVE_MESSAGE_MAX; i++)
		out[i] = i >= 4 && i < 12 ? FREE : FIXED;
	for (const struct row_field *f = row->fields; f->kind != END; f++) {
		bool any = f->kind == NUMBER && f->highest - f->lowest >= UINT8_MAX;
		const struct net_endpoint *observed =
			(const void *)((const uint8_t *)m + f->member);
		for (unsigned i = 0; i < f->size; i++) {
			if (f->kind == BYTES || any || (f->kind == HANDLE && i >= 2))
				out[f->at + i] = FREE;
			else if (f->kind == BEHIND)
				out[f->at + sealed + i] = FREE;
			else if (f->kind == NUMBER)
				out[f->at + i] = CHOICE;
			else if (f->kind == OBSERVED && i >= 2)
				out[f->at + i] = i < 8 || observed->address.family == NET_IPV6
							 ? FREE
							 : FIXED;
		}
		for (unsigned i = 0; f->kind == SEALED && i < sealed; i++)
			out[f->at + i] = FREE;
		// The mask of what was observed.
		for (unsigned i = 4; f->kind == OBSERVED && i < 12; i++)
			out[i] = CHOICE;
		if (f->kind == OBSERVED && observed->address.family == NET_IPV4)
			out[f->at] = CHOICE;
	}
}

// Every bit that must be as it is, and every one that need not: what is not zero where zero is
// specified, a length or a handle that is none, is refused; anything else is read and written.
static void each_bit(void **unused)
{
	(void)unused;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		uint8_t data[NATIVE_MESSAGE_MAX], again[NATIVE_MESSAGE_MAX];
		enum freedom free_bytes[NATIVE_MESSAGE_MAX];
		union native_any m;
		size_t size = golden(row, data);
		assert_int_equal(parse(row, data, size, &m), 0);
		freedoms(row, &m, free_bytes);
		for (unsigned bit = 0; bit < 8 * size; bit++) {
			if (free_bytes[bit / 8] == CHOICE)
				continue;
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(refused(row, data, size), free_bytes[bit / 8] == FIXED);
			if (free_bytes[bit / 8] == FREE) {
				assert_int_equal(parse(row, data, size, &m), 0);
				assert_parsed(row, data, size, &m);
				assert_int_equal(build(row, again, sizeof(again), &m), size);
				assert_memory_equal(again, data, size);
			}
			data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
}

// Whatever the room, nothing is written behind it, and less than the message's size is too little.
static void too_little_room(void **unused)
{
	(void)unused;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		uint8_t data[NATIVE_MESSAGE_MAX];
		union native_any m;
		size_t size = golden(row, data);
		assert_int_equal(parse(row, data, size, &m), 0);
		for (size_t room = 0; room <= size + 1; room++) {
			uint8_t *out = malloc(room + 1);
			assert_non_null(out);
			out[room] = 0x5A;
			assert_int_equal(build(row, out, room, &m), room < size ? 0 : size);
			assert_int_equal(out[room], 0x5A);
			free(out);
		}
	}
}

// Any value in each member, its bytes somewhere in a pool of random ones.
static void random_message(
	const struct row *row, const uint8_t *pool, size_t pool_size, union native_any *m)
{
	memset(m, 0, sizeof(*m));
	m->transaction = pool + randombytes_uniform(64);
	for (const struct row_field *f = row->fields; f->kind != END; f++) {
		void *member = (uint8_t *)m + f->member;
		const uint8_t *bytes = pool + randombytes_uniform((uint32_t)pool_size - 1024);
		uint32_t span = f->highest - f->lowest;
		uint32_t number =
			span == UINT32_MAX ? randombytes_random() : randombytes_uniform(span + 1);
		struct net_endpoint v4 = {net_address_v4(bytes), (uint16_t)number_at(bytes, 2), 0};
		struct net_endpoint v6 = {net_address_v6(bytes), (uint16_t)number_at(bytes, 2), 0};
		if (f->kind == NUMBER || f->kind == LENGTH)
			member_number_set(member, f->size, f->lowest + number);
		else if (f->kind == HANDLE)
			*(struct native_handle *)member = (struct native_handle){
				(uint16_t)randombytes_random(), randombytes_random()};
		else if (f->kind == OBSERVED)
			*(struct net_endpoint *)member = bytes[0] & 1 ? v4 : v6;
		else
			memcpy(member, &bytes, sizeof(bytes));
	}
}

static void assert_same(const struct row *row, const union native_any *a, const union native_any *b)
{
	assert_memory_equal(a->transaction, b->transaction, 8);
	for (const struct row_field *f = row->fields; f->kind != END; f++) {
		const void *first = (const uint8_t *)a + f->member;
		const void *second = (const uint8_t *)b + f->member;
		const struct native_handle *handle = first, *other = second;
		const uint8_t *const *bytes = first, *const *others = second;
		if (f->kind == NUMBER || f->kind == LENGTH) {
			assert_int_equal(
				member_number(first, f->size), member_number(second, f->size));
		} else if (f->kind == HANDLE) {
			assert_int_equal(handle->generation, other->generation);
			assert_int_equal(handle->index, other->index);
		} else if (f->kind == OBSERVED) {
			assert_true(net_endpoint_equal(first, second));
		} else {
			assert_memory_equal(
				*bytes, *others, f->kind == SEALED ? sealed_size(row, a) : f->size);
		}
	}
}

static void random_messages_come_back(void **unused)
{
	(void)unused;
	uint8_t pool[4096];
	randombytes_buf(pool, sizeof(pool));
	for (unsigned round = 0; round < 2000; round++) {
		const struct row *row = &native_rows[round % NATIVE_ROWS];
		union native_any m, back;
		uint8_t data[NATIVE_MESSAGE_MAX];
		random_message(row, pool, sizeof(pool), &m);
		size_t size = build(row, data, sizeof(data), &m);
		assert_int_equal(size, row->size + sealed_size(row, &m));
		uint8_t *copy = copy_of(data, size);
		assert_int_equal(parse(row, copy, size, &back), 0);
		assert_parsed(row, copy, size, &back);
		assert_same(row, &m, &back);
		free(copy);
	}
}

// Each number with a range, at every value a byte has, both ways.
static void ranges(void **unused)
{
	(void)unused;
	unsigned seen = 0;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		for (const struct row_field *f = row->fields; f->kind != END; f++) {
			uint8_t data[NATIVE_MESSAGE_MAX], out[NATIVE_MESSAGE_MAX];
			union native_any m;
			size_t size = golden(row, data);
			if (f->kind != NUMBER || f->size != 1 || f->highest == UINT8_MAX)
				continue;
			seen++;
			assert_int_equal(parse(row, data, size, &m), 0);
			for (uint32_t value = 0; value <= UINT8_MAX; value++) {
				data[f->at] = (uint8_t)value;
				assert_int_equal(refused(row, data, size),
					value < f->lowest || value > f->highest);
			}
			// An admission of REGISTER's other rows is built as theirs.
			if (row->type != NATIVE_CHALLENGE)
				continue;
			for (unsigned value = 0; value <= UINT8_MAX; value++) {
				m.challenge.admission = (uint8_t)value;
				assert_int_equal(build(row, out, sizeof(out), &m),
					value > f->highest ? 0 : size);
			}
		}
	}
	assert_int_equal(seen, 5);
}

static void register_with_no_such_admission_is_not_built(void **unused)
{
	(void)unused;
	uint8_t data[NATIVE_MESSAGE_MAX], out[NATIVE_MESSAGE_MAX];
	struct native_register m;
	const struct row *row = native_rows;
	while (row->size != 240 || row->type != NATIVE_REGISTER)
		row++;
	assert_int_equal(native_register_parse(data, golden(row, data), &m), 0);
	static const size_t sizes[] = {172, 180, 240};
	m.solution = m.device;
	for (unsigned admission = 0; admission <= UINT8_MAX; admission++) {
		m.admission = (uint8_t)admission;
		assert_int_equal(native_register_build(out, sizeof(out), &m),
			admission < 3 ? sizes[admission] : 0);
	}
}

static void longest_sealed_part(void **unused)
{
	(void)unused;
	static const uint8_t pool[1024];
	unsigned seen = 0;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		for (const struct row_field *f = row->fields; f->kind != END; f++) {
			uint8_t data[NATIVE_MESSAGE_MAX], out[2 * NATIVE_MESSAGE_MAX];
			union native_any m;
			if (f->kind != LENGTH)
				continue;
			seen++;
			size_t size = golden(row, data);
			assert_int_equal(parse(row, data, size, &m), 0);
			for (const struct row_field *g = f; g->kind != END; g++) {
				const uint8_t *bytes = pool;
				if (g->kind == SEALED)
					memcpy((uint8_t *)&m + g->member, &bytes, sizeof(bytes));
			}
			void *length = (uint8_t *)&m + f->member;
			member_number_set(length, 2, NATIVE_SEALED_MAX + 1);
			assert_int_equal(build(row, out, sizeof(out), &m), 0);
			member_number_set(length, 2, UINT16_MAX);
			assert_int_equal(build(row, out, sizeof(out), &m), 0);
			member_number_set(length, 2, NATIVE_SEALED_MAX);
			size = build(row, out, sizeof(out), &m);
			assert_int_equal(size, row->size + NATIVE_SEALED_MAX);
			assert_true(size <= NATIVE_MESSAGE_MAX);
			assert_false(refused(row, out, size));
			// One more, in a message that is as long as it says.
			out[size] = 0;
			out[f->at + 1]++;
			assert_true(refused(row, out, size + 1));
		}
	}
	assert_int_equal(seen, 4);
}

static void observed_addresses(void **unused)
{
	(void)unused;
	uint8_t data[NATIVE_MESSAGE_MAX];
	struct native_registered r;
	struct native_alive a;
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		if (row->type == NATIVE_REGISTERED) {
			static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
			assert_int_equal(native_registered_parse(data, golden(row, data), &r), 0);
			assert_int_equal(r.observed.port, 3478);
			assert_int_equal(r.observed.address.family, NET_IPV6);
			assert_memory_equal(r.observed.address.bytes, v6, 16);
			// As IPv4 it would have something behind its four bytes.
			data[28] = NET_IPV4;
			assert_true(refused(row, data, row->size));
		} else if (row->type == NATIVE_ALIVE) {
			static const uint8_t v4[16] = {192, 0, 2, 33};
			assert_int_equal(native_alive_parse(data, golden(row, data), &a), 0);
			assert_int_equal(a.observed.port, 65535);
			assert_int_equal(a.observed.address.family, NET_IPV4);
			assert_memory_equal(a.observed.address.bytes, v4, 16);
			for (unsigned family = 0; family <= UINT8_MAX; family++) {
				data[24] = (uint8_t)family;
				assert_int_equal(refused(row, data, row->size),
					family != NET_IPV4 && family != NET_IPV6);
				struct native_alive other = a;
				uint8_t out[48];
				other.observed.address.family = (uint8_t)family;
				assert_int_equal(native_alive_build(out, sizeof(out), &other),
					family == NET_IPV4 || family == NET_IPV6 ? 48 : 0);
			}
			data[24] = NET_IPV4;
			// Another mask, and the bytes behind IPv4's four are not zero any more.
			data[11] ^= 1;
			assert_true(refused(row, data, row->size));
		}
	}
}

// To be signed and to be proven later: zeros where that goes.
static void computed_later(void **unused)
{
	(void)unused;
	static const uint8_t zeros[64];
	for (const struct row *row = native_rows; row < native_rows + NATIVE_ROWS; row++) {
		uint8_t data[NATIVE_MESSAGE_MAX], out[NATIVE_MESSAGE_MAX];
		union native_any m;
		size_t size = golden(row, data), whole = size - 64;
		assert_int_equal(parse(row, data, size, &m), 0);
		if (row->type == NATIVE_REGISTER)
			m.registering.signature = NULL;
		else if (row->type == NATIVE_OPEN)
			m.open.signature = NULL;
		else if (row->type == NATIVE_ACCEPT)
			m.accept.signature = NULL;
		else
			continue;
		if (size == 240 && row->type == NATIVE_REGISTER) {
			m.registering.token.mac = NULL;
			whole -= 32;
		}
		memset(out, 0xFF, sizeof(out));
		assert_int_equal(build(row, out, sizeof(out), &m), size);
		assert_memory_equal(out, data, whole);
		assert_memory_equal(out + whole, zeros, size - whole < 64 ? size - whole : 64);
		assert_memory_equal(out + size - 64, zeros, 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(other_types_are_refused),
		cmocka_unit_test(shorter_and_longer_are_refused),
		cmocka_unit_test(each_bit),
		cmocka_unit_test(too_little_room),
		cmocka_unit_test(random_messages_come_back),
		cmocka_unit_test(ranges),
		cmocka_unit_test(register_with_no_such_admission_is_not_built),
		cmocka_unit_test(longest_sealed_part),
		cmocka_unit_test(observed_addresses),
		cmocka_unit_test(computed_later),
	};
	return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
