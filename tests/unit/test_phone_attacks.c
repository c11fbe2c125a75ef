// SPDX-License-Identifier: BSD-3-Clause
// What those on the wire can do to a call: every byte of it altered, every datagram of it said
// again, by itself and from elsewhere, at once and later. Nothing of it is an event, a state, or a
// second ringing, and the genuine copies bring the call about. Virtual clock.
#include "endpoint/phone/inside.h"
#include "tests/unit/phone_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { RECORDS = 6000, FOREVER_MS = 3600 * 1000 };

// What came to a phone.
struct record {
	unsigned user;
	struct endpoint_transport source;
	size_t size;
	uint8_t data[1400];
};

static struct town t;
static struct town_user *alice, *bob;
static struct record *records;
static unsigned record_count;

static const struct nat_behaviour symmetric = {
	.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.allocation = NAT_RANDOM,
	.translates = true,
};

// Both can be reached by everybody, so that whatever others send arrives.
static void begin(uint64_t seed, bool direct)
{
	records = calloc(RECORDS, sizeof(*records));
	record_count = 0;
	town_begin(&t, seed);
	t.direct_cut = !direct;
	for (unsigned i = 0; i < 2; i++)
		t.users[i].config.ring_timeout_ms = FOREVER_MS;
	alice = town_user_make(&t, 0, NULL, 1);
	bob = town_user_make(&t, 1, NULL, 1);
	phone_listen(bob->phone, town_time(&t));
	phone_listen(alice->phone, town_time(&t));
	town_run(&t, 2000);
}

static int end(void **state)
{
	(void)state;
	free(records);
	town_end(&t);
	return 0;
}

static void call(void)
{
	struct phone_contact contact;
	town_contact(bob, &contact);
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
}

static void talk(void)
{
	bob->answers = true;
	call();
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 5000));
	town_talk(alice);
	town_talk(bob);
	town_run(&t, 2000);
}

static unsigned told(const struct town_user *u, enum phone_event_type type)
{
	unsigned count = 0;
	for (unsigned i = 0; i < u->event_count; i++)
		count += u->events[i].event.type == type;
	return count;
}

// All events but those of relay cores.
static unsigned told_of_calls(const struct town_user *u)
{
	unsigned count = 0;
	for (unsigned i = 0; i < u->event_count; i++)
		count += u->events[i].event.call != 0;
	return count;
}

static unsigned heard(const struct town_user *u)
{
	unsigned count = 0;
	for (unsigned i = 0; i < TOWN_FRAMES; i++)
		count += u->heard[i];
	return count;
}

static unsigned talks(const struct town_user *u)
{
	unsigned count = 0;
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		count += u->phone->talks[i] != NULL;
	return count;
}

static struct town_user *user_at(const struct net_endpoint *at)
{
	for (unsigned i = 0; i < TOWN_USERS; i++)
		if (t.users[i].phone != NULL &&
			net_address_equal(&t.users[i].outside, &at->address))
			return &t.users[i];
	return NULL;
}

static void deliver(struct town_user *u, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	phone_receive(u->phone, 0, source, data, size, town_time(&t));
}

static void record(const struct town_packet *p)
{
	const struct town_user *u = user_at(&p->destination);
	if (u == NULL)
		return;
	assert_true(record_count < RECORDS);
	struct record *r = &records[record_count++];
	r->user = u->number;
	r->source = town_transport(&p->source);
	r->size = p->size;
	memcpy(r->data, p->data, p->size);
}

// ---- every byte ----

// Where a part of a handshake begins in a datagram from a relay; 0: it is none.
static size_t part_at(const struct town_packet *p)
{
	enum { BY_HANDLE = 8 };
	size_t at = p->data[0] == NATIVE_FIRST_ADDRESS  ? NATIVE_DELIVERED_HEADER
		    : p->data[0] == NATIVE_FIRST_HANDLE ? BY_HANDLE
							: 0;
	return at != 0 && p->size > at && p->data[at] == FRAGMENT_FIRST_BYTE ? at : 0;
}

struct held {
	const struct town_user *user; // what is for this one
	bool invitations;             // these as well
	bool legs;
	size_t at;
};

// Keeps the parts of a message that are by address for somebody; all else goes on.
static bool hold(struct town *town, struct town_packet *p)
{
	struct held *held = town->look_context;
	bool invitation = p->data[0] == NATIVE_FIRST_CONTROL && p->data[2] == NATIVE_INVITE;
	bool theirs =
		town_relay_at(town, &p->source) != NULL && user_at(&p->destination) == held->user;

	if (!theirs || (invitation && !held->invitations))
		return true;
	size_t at = part_at(p);
	if (invitation)
		return false;
	if (at == 0)
		return true;
	unsigned index = p->data[at + 2] >> 4;
	if (p->data[0] == NATIVE_FIRST_ADDRESS && index == record_count && record_count < 3) {
		held->at = at;
		record(p);
	}
	return false;
}

// The altered part goes first: what is kept of the others never makes up the whole message.
static void deliver_held(struct town_user *u, const uint8_t *altered, unsigned which)
{
	deliver(u, &records[which].source, altered, records[which].size);
	for (unsigned i = 0; i < record_count; i++)
		if (i != which)
			deliver(u, &records[i].source, records[i].data, records[i].size);
}

// Each byte of each part of the message that is held back.
static void flip(struct town_user *u, size_t step, unsigned pause_ms, void (*look)(void))
{
	const struct held *held = t.look_context;
	uint8_t altered[1400];

	assert_true(record_count >= 2);
	for (unsigned part = 0; part < record_count; part++) {
		for (size_t i = held->at; i < records[part].size; i += step) {
			memcpy(altered, records[part].data, records[part].size);
			altered[i] ^= (uint8_t)(1u << i % 8);
			deliver_held(u, altered, part);
			look();
			town_run(&t, pause_ms);
		}
		u->phone->fragments = (struct fragments){0};
	}
}

static void nothing_at_bob(void)
{
	assert_int_equal(talks(bob), 0);
	assert_int_equal(told_of_calls(bob), 0);
}

static void every_byte_of_an_offer(void **state)
{
	(void)state;
	begin(1, true);
	struct held held = {.user = bob, .invitations = true};
	t.look = hold;
	t.look_context = &held;
	call();
	town_run(&t, 1000);
	// So many that the budget of offers is always there.
	flip(bob, 1, 100, nothing_at_bob);
	assert_true(phone_counter(bob->phone, PHONE_COUNTER_ignored_handshake) > 1700);
	assert_int_equal(phone_counter(bob->phone, PHONE_COUNTER_handshakes), 0);
	assert_int_equal(told_of_calls(alice), 0);
	t.look = NULL;
	assert_non_null(town_wait(&t, bob, 0, PHONE_INCOMING, 5000));
	assert_non_null(town_wait(&t, alice, 0, PHONE_RINGING, 1000));
}

static void not_rung_at_bob(void)
{
	assert_int_equal(told_of_calls(bob), 0);
	assert_int_equal(told_of_calls(alice), 0);
}

// The invitation is there: who alters the offer must not be able to have the call declined.
static void an_altered_offer_declines_nothing(void **state)
{
	(void)state;
	begin(2, true);
	struct held held = {.user = bob};
	t.look = hold;
	t.look_context = &held;
	call();
	town_run(&t, 500);
	flip(bob, 150, 50, not_rung_at_bob);
	t.look = NULL;
	assert_non_null(town_wait(&t, bob, 0, PHONE_INCOMING, 5000));
	assert_non_null(town_wait(&t, alice, 0, PHONE_RINGING, 1000));
	town_run(&t, 30000);
	assert_null(town_find(alice, 0, PHONE_ENDED));
}

static void nothing_at_alice(void)
{
	assert_int_equal(told_of_calls(alice), 0);
	assert_false(alice->phone->talks[0]->has_session);
}

static void every_byte_of_an_answer(void **state)
{
	(void)state;
	begin(3, true);
	struct held held = {.user = alice};
	t.look = hold;
	t.look_context = &held;
	call();
	town_run(&t, 1000);
	flip(alice, 1, 1, nothing_at_alice);
	assert_true(phone_counter(alice->phone, PHONE_COUNTER_ignored_handshake) > 1600);
	t.look = NULL;
	assert_non_null(town_wait(&t, alice, 0, PHONE_RINGING, 5000));
}

// What an envelope of somebody's voice, held back, does before and after.
static bool hold_voice(struct town *town, struct town_packet *p)
{
	const struct held *held = town->look_context;
	size_t at = p->data[0] == NATIVE_FIRST_HANDLE ? 8 : 0;

	if (user_at(&p->destination) != held->user || p->data[at] != ENVELOPE_FIRST_BYTE ||
		p->size < at + ENVELOPE_OVERHEAD + FRAME_HEADER_SIZE + 44)
		return true;
	record(p);
	return false;
}

static void every_byte_of_an_envelope(void **state)
{
	(void)state;
	for (unsigned direct = 0; direct < 2; direct++) {
		begin(4, direct != 0);
		talk();
		bob->talks = false;
		struct held held = {.user = bob};
		t.look = hold_voice;
		t.look_context = &held;
		while (record_count == 0)
			assert_true(town_step(&t, t.now_ms + 100));
		alice->talks = false;
		t.look = NULL;
		unsigned before = heard(bob), events = bob->event_count;
		struct phone_call_info was, is;
		struct endpoint_transport other = records[0].source;
		other.address[3] ^= 0x40;
		phone_call_info(bob->phone, bob->call, &was);
		uint64_t sent = t.order;
		size_t begins = direct ? 0 : 8;
		for (size_t i = 0; i < records[0].size; i++) {
			uint8_t altered[1400];
			memcpy(altered, records[0].data, records[0].size);
			altered[i] ^= (uint8_t)(1u << i % 8);
			if (i < begins) // the handle is the relay's; another one is nobody's
				altered[i] ^= 0xff;
			deliver(bob, &records[0].source, altered, records[0].size);
			deliver(bob, &other, altered, records[0].size);
		}
		phone_call_info(bob->phone, bob->call, &is);
		assert_int_equal(heard(bob), before);
		assert_int_equal(bob->event_count, events);
		assert_int_equal(t.order, sent); // nothing was answered
		assert_int_equal(is.paths, was.paths);
		for (unsigned i = 0; i < PHONE_PATHS; i++)
			assert_memory_equal(&is.path[i], &was.path[i], sizeof(is.path[i]));
		deliver(bob, &records[0].source, records[0].data, records[0].size);
		assert_int_equal(heard(bob), before + 1);
		deliver(bob, &records[0].source, records[0].data, records[0].size);
		assert_int_equal(heard(bob), before + 1);
		town_end(&t);
		free(records);
	}
	begin(5, true);
}

// ---- said again ----

static bool record_all(struct town *town, struct town_packet *p)
{
	(void)town;
	record(p);
	return true;
}

// Each datagram to a phone comes twice: the copy just behind it, from its own source or another.
static bool twice(struct town *town, struct town_packet *p)
{
	const bool *elsewhere = town->look_context;
	struct town_packet *copy = town->packets;

	record(p);
	while (copy->used)
		copy++;
	*copy = *p;
	copy->order = town->order++;
	if (*elsewhere)
		copy->source.address.bytes[3] ^= 0x40;
	return true;
}

static void one_call(void)
{
	assert_int_equal(told(bob, PHONE_INCOMING), 1);
	assert_int_equal(told(bob, PHONE_ANSWERED), 1);
	assert_int_equal(told(alice, PHONE_RINGING), 1);
	assert_int_equal(told(alice, PHONE_ANSWERED), 1);
	assert_int_equal(told(alice, PHONE_INCOMING), 0);
	assert_int_equal(told(alice, PHONE_ENDED) + told(bob, PHONE_ENDED), 0);
}

static void each_frame_once(void)
{
	// A planned switch doubles five frames, a silence some more.
	assert_in_range(heard(bob), alice->next_frame - 5, alice->next_frame + 30);
	assert_in_range(heard(alice), bob->next_frame - 5, bob->next_frame + 30);
}

static void said_twice_at_once(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		bool elsewhere = variant & 1;
		begin(6, variant < 2);
		t.look = twice;
		t.look_context = &elsewhere;
		talk();
		town_run(&t, 1000);
		one_call();
		each_frame_once();
		assert_int_equal(talks(alice), 1);
		assert_int_equal(talks(bob), 1);
		assert_true(phone_counter(bob->phone, PHONE_COUNTER_ignored_replay) > 100 ||
			    !t.direct_packets);
		t.look = NULL;
		town_end(&t);
		free(records);
	}
	begin(7, true);
}

// All that was ever said to both, once more, in the order it came.
static void say_again(unsigned flip_source, unsigned every_ms)
{
	for (unsigned i = 0; i < record_count; i++) {
		struct record *r = &records[i];
		struct endpoint_transport source = r->source;
		source.address[3] ^= (uint8_t)flip_source;
		deliver(&t.users[r->user], &source, r->data, r->size);
		if (i % 8 == 0)
			town_run(&t, every_ms);
	}
}

static void said_again_in_the_middle(void **state)
{
	(void)state;
	begin(8, true);
	t.look = record_all;
	talk();
	t.look = NULL;
	assert_true(record_count > 200);
	say_again(0, 1);
	say_again(0x40, 1);
	town_run(&t, 1000);
	one_call();
	each_frame_once();
	struct phone_call_info info;
	assert_int_equal(phone_call_info(alice->phone, alice->call, &info), 0);
	assert_true(info.paths >> PHONE_DIRECT != 0);
}

static void said_again_when_it_is_over(void **state)
{
	(void)state;
	begin(9, true);
	t.look = record_all;
	talk();
	alice->talks = bob->talks = false;
	phone_hangup(alice->phone, alice->call, town_time(&t));
	assert_non_null(town_wait(&t, bob, 0, PHONE_ENDED, 1000));
	town_run(&t, 3000);
	t.look = NULL;
	for (unsigned later = 0; later < 3; later++) {
		unsigned a = told_of_calls(alice), b = told_of_calls(bob);
		uint64_t direct = t.direct_packets;
		say_again(later == 1 ? 0x40 : 0, 5);
		assert_int_equal(talks(alice), 0);
		assert_int_equal(talks(bob), 0);
		town_run(&t, 25000);
		assert_int_equal(told_of_calls(alice), a);
		assert_int_equal(told_of_calls(bob), b);
		assert_int_equal(t.direct_packets, direct); // nothing was answered
	}
	// And both can still call.
	alice->event_count = bob->event_count = 0;
	call();
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 5000));
}

// ---- numbers ----

enum { NUMBERS = 1 << 16 };

struct numbers {
	bool used[2][NUMBERS];
	unsigned count, phases;
};

// Each envelope that leaves a phone has a number that none before had, whatever its path and key.
static bool number_it(struct town *town, struct town_packet *p)
{
	struct numbers *n = town->look_context;
	const struct town_user *from = user_at(&p->source);
	size_t at = p->data[0] == NATIVE_FIRST_HANDLE ? 8 : 0;
	uint64_t number = 0;

	if (from == NULL || from->number > 1 || p->data[at] != ENVELOPE_FIRST_BYTE)
		return true;
	for (unsigned i = 0; i < 8; i++)
		number = number << 8 | p->data[at + 2 + i];
	assert_true(number < NUMBERS);
	assert_false(n->used[from->number][number]);
	n->used[from->number][number] = true;
	n->count++;
	n->phases = p->data[at + 1] > n->phases ? p->data[at + 1] : n->phases;
	return true;
}

static void no_number_twice(void **state)
{
	(void)state;
	static struct numbers n;
	begin(12, true);
	t.look = number_it;
	t.look_context = &n;
	talk();
	for (unsigned i = 0; i < 26; i++) {
		if (i % 4 == 1)
			t.direct_cut = !t.direct_cut; // to the relay and back
		if (i % 7 == 3)
			relay_restart(&t.relays[0].relay);
		t.loss = i % 5 == 2 ? 30 : 0;
		town_run(&t, 5000);
	}
	one_call();
	assert_true(n.phases >= 1); // the key was another one in between
	assert_true(n.count > 10000);
	assert_true(talks(alice) == 1 && talks(bob) == 1);
}

// ---- who it is ----

static bool no_media(struct town *town, struct town_packet *p)
{
	(void)town;
	assert_true(p->data[0] != ENVELOPE_FIRST_BYTE);
	assert_true(p->data[0] != NATIVE_FIRST_HANDLE || p->data[8] != ENVELOPE_FIRST_BYTE);
	return true;
}

static enum phone_trust refuses(void *context, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer)
{
	(void)identity_key;
	(void)peer;
	++*(unsigned *)context;
	return PHONE_REFUSED;
}

static void a_wrong_identity_gets_no_media(void **state)
{
	(void)state;
	// The callee is not who is called.
	begin(10, true);
	struct phone_contact contact;
	uint8_t secret[64], seed[32] = {9};
	t.look = no_media;
	bob->answers = true;
	town_contact(bob, &contact);
	crypto_sign_seed_keypair(contact.identity_key, secret, seed);
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 10000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_REFUSED);
	assert_int_equal(told_of_calls(alice), 1);
	assert_int_equal(told_of_calls(bob), 0);
	assert_int_equal(t.direct_packets, 0);
	town_end(&t);
	free(records);
	// The caller is not who it should be.
	unsigned asked = 0;
	memset(&t, 0, sizeof(t));
	records = NULL;
	town_begin(&t, 11);
	t.users[1].config.trust = refuses;
	t.users[1].config.trust_context = &asked;
	alice = town_user_make(&t, 0, &symmetric, 1);
	bob = town_user_make(&t, 1, NULL, 1);
	phone_listen(bob->phone, town_time(&t));
	town_run(&t, 1000);
	t.look = no_media;
	call();
	event = town_wait(&t, alice, 0, PHONE_ENDED, 5000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_REFUSED);
	assert_int_equal(asked, 1);
	assert_int_equal(told_of_calls(bob), 0);
	assert_int_equal(t.direct_packets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, end)
		TEST(every_byte_of_an_offer),
		TEST(an_altered_offer_declines_nothing),
		TEST(every_byte_of_an_answer),
		TEST(every_byte_of_an_envelope),
		TEST(said_twice_at_once),
		TEST(said_again_in_the_middle),
		TEST(said_again_when_it_is_over),
		TEST(no_number_twice),
		TEST(a_wrong_identity_gets_no_media),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
