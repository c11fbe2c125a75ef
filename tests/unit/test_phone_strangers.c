// SPDX-License-Identifier: BSD-3-Clause
// What strangers can do who have our card, or see the wires: floods of parts, offers and
// invitations, call ids of others, keys that are not theirs. Our own calls go on and come about,
// contacts get through, and nobody is asked about, or warned of, what was only said. Virtual clock.
#include "endpoint/phone/inside.h"
#include "tests/unit/phone_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct town t;
static struct town_user *alice, *bob, *carol;
static uint64_t dice;
static unsigned asked;
static uint8_t refused_key[32], alice_key[32];

static enum phone_trust trust(void *context, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer)
{
	(void)context;
	(void)peer;
	asked++;
	if (memcmp(identity_key, refused_key, 32) == 0)
		return PHONE_REFUSED;
	return memcmp(identity_key, alice_key, 32) == 0 ? PHONE_KNOWN : PHONE_STRANGER;
}

static void begin(uint64_t seed)
{
	struct phone_contact contact;

	town_begin(&t, seed);
	dice = seed + 77;
	asked = 0;
	memset(refused_key, 0xff, sizeof(refused_key));
	t.delay_ms = 10;
	t.users[1].config.trust = trust;
	alice = town_user_make(&t, 0, NULL, 1);
	bob = town_user_make(&t, 1, NULL, 1);
	carol = town_user_make(&t, 2, NULL, 1); // the stranger
	for (unsigned i = 0; i < TOWN_USERS; i++)
		phone_listen(t.users[i].phone, town_time(&t));
	town_run(&t, 2000);
	town_contact(alice, &contact);
	memcpy(alice_key, contact.identity_key, 32);
}

static int end(void **state)
{
	(void)state;
	town_end(&t);
	return 0;
}

static void call(struct town_user *from, const struct town_user *to)
{
	struct phone_contact contact;
	town_contact(to, &contact);
	assert_int_equal(phone_call(from->phone, &contact, &from->call, town_time(&t)), 0);
}

static unsigned talks(const struct town_user *u)
{
	unsigned count = 0;
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		count += u->phone->talks[i] != NULL;
	return count;
}

static unsigned told(const struct town_user *u, enum phone_event_type type)
{
	unsigned count = 0;
	for (unsigned i = 0; i < u->event_count; i++)
		count += u->events[i].event.type == type;
	return count;
}

static void by_address(
	struct town_user *from, const struct town_user *to, const uint8_t *data, size_t size)
{
	uint8_t address[ENDPOINT_ADDRESS_SIZE];
	struct phone_contact contact;

	town_contact(to, &contact);
	uint32_t epoch = (uint32_t)(town_time(&t).wall_s / t.relays[0].relay.epoch_seconds);
	assert_int_equal(endpoint_peer_address(&contact.peer, epoch, address), 0);
	(void)endpoint_send_to_address(
		phone_core(from->phone, 0), address, data, size, town_time(&t));
}

static void fill(void *context, void *out, size_t size)
{
	town_fill(context, out, size);
}

// An offer that opens: from a new identity, with whatever peer it says to be.
static void offer(struct town_user *to, const uint8_t *call_id, const struct endpoint_peer *says)
{
	uint8_t seed[32], prologue[SETUP_PROLOGUE_SIZE], payload[105] = {1};
	uint8_t message[HANDSHAKE_OFFER_OVERHEAD + sizeof(payload)], datagram[ENDPOINT_RAW_MAX];
	const struct handshake_random random = {.fill = fill, .context = &dice};
	struct handshake_identity self;
	struct handshake handshake;
	struct phone_contact contact;

	town_contact(to, &contact);
	town_fill(&dice, seed, sizeof(seed));
	handshake_identity_make(&self, seed);
	setup_prologue(prologue, call_id, to->config.namespace_id);
	memcpy(payload + 1, says->namespace_id, 32);
	memcpy(payload + 33, says->delivery_key, 32);
	assert_int_equal(handshake_offer(&handshake, &self, contact.identity_key, prologue,
				 sizeof(prologue), &random, payload, sizeof(payload), message),
		0);
	for (unsigned i = 0; i < fragment_count(sizeof(message)); i++) {
		size_t size = fragment_make(
			datagram, call_id, FRAGMENT_OFFER, message, sizeof(message), i);
		by_address(carol, to, datagram, size);
	}
	handshake_wipe(&handshake);
}

static void invite(struct town_user *to, const uint8_t *call_id)
{
	uint8_t bytes[PHONE_OFFER_SIZE] = {PHONE_OFFER_KIND, PHONE_OFFER_VERSION};
	struct phone_contact contact;
	uint64_t id;

	town_contact(to, &contact);
	memcpy(bytes + 2, call_id, PHONE_CALL_ID_SIZE);
	(void)endpoint_open(phone_core(carol->phone, 0), &contact.peer, bytes, sizeof(bytes), &id,
		town_time(&t));
}

// One burst of everything: parts of nothing, answers to nothing, offers that open, invitations.
static void burst(struct town_user *to, bool invites)
{
	uint8_t junk[ENDPOINT_RAW_MAX], id[PHONE_CALL_ID_SIZE];

	for (unsigned i = 0; i < 12; i++) {
		town_fill(&dice, junk, sizeof(junk));
		junk[0] = FRAGMENT_FIRST_BYTE;
		junk[1] = (uint8_t)(1 + i % 2);
		junk[2] = i % 3 == 0 ? 0x02 : 0x12;
		by_address(carol, to, junk, i % 3 == 0 ? sizeof(junk) : 400);
	}
	for (unsigned i = 0; i < 2; i++) {
		town_fill(&dice, id, sizeof(id));
		offer(to, id, &carol->phone->self);
	}
	town_fill(&dice, id, sizeof(id));
	if (invites)
		invite(to, id);
}

// invitations: one with each so many bursts.
static void flood(struct town_user *to, unsigned invitations, unsigned ms, bool (*until)(void))
{
	for (unsigned i = 0; i < ms / 20 && (until == NULL || !until()); i++) {
		burst(to, i % invitations == 0);
		town_run(&t, 20);
		carol->event_count = 0; // her core tells of each invitation that ends
	}
}

static bool bob_is_through(void)
{
	return town_find(bob, 0, PHONE_ANSWERED) != NULL;
}

static bool alice_is_through(void)
{
	return town_find(alice, 0, PHONE_ANSWERED) != NULL;
}

static void floods_and_our_own_calls(void **state)
{
	(void)state;
	begin(1);
	alice->answers = true;
	flood(bob, 1, 2000, NULL);
	assert_in_range(talks(bob), 0, PHONE_CALLS_MAX / 2);
	call(bob, alice);
	flood(bob, 1, 3000, bob_is_through);
	assert_true(bob_is_through());
	alice->call = town_find(alice, 0, PHONE_INCOMING)->event.call;
	town_talk(alice);
	town_talk(bob);
	flood(bob, 1, 3000, NULL);
	assert_true(alice->heard_last_at + 100 > t.now_ms && bob->heard_last_at + 100 > t.now_ms);
	assert_true(alice->longest_gap <= 40 && bob->longest_gap <= 40);
	assert_in_range(talks(bob), 1, 1 + PHONE_CALLS_MAX / 2);
	assert_null(town_find(bob, 0, PHONE_ENDED));
	assert_int_equal(told(bob, PHONE_INCOMING), 0);
	// All of it is over half a minute later.
	town_run(&t, 30000);
	assert_int_equal(talks(bob), 1);
}

// With a wire that loses some, so that parts have to be repeated in the middle of the flood.
static void floods_and_calls_of_contacts(void **state)
{
	(void)state;
	for (uint64_t seed = 10; seed < 13; seed++) {
		begin(seed);
		bob->answers = true;
		t.loss = seed % 2 ? 10 : 0;
		flood(bob, 10, 2000, NULL);
		call(alice, bob);
		flood(bob, 10, 10000, alice_is_through);
		assert_true(alice_is_through());
		assert_int_equal(told(bob, PHONE_INCOMING), 1);
		town_end(&t);
	}
	begin(13);
}

// Who is refused, and who says what is not proven, holds no place that others need.
static void refused_callers_hold_no_place(void **state)
{
	(void)state;
	begin(2);
	struct phone_contact contact;
	town_contact(carol, &contact);
	memcpy(refused_key, contact.identity_key, 32);
	for (unsigned i = 0; i < 6; i++) {
		carol->event_count = 0;
		call(carol, bob);
		struct town_event *event = town_wait(&t, carol, 0, PHONE_ENDED, 1000);
		assert_non_null(event);
		assert_int_equal(event->event.ended.why, PHONE_END_REFUSED);
	}
	assert_int_equal(asked, 6);
	for (unsigned i = 0; i < 8; i++) {
		uint8_t id[PHONE_CALL_ID_SIZE];
		town_fill(&dice, id, sizeof(id));
		offer(bob, id, &carol->phone->self);
		town_run(&t, 100);
	}
	call(alice, bob);
	assert_non_null(town_wait(&t, bob, 0, PHONE_INCOMING, 500));
	assert_int_equal(told(bob, PHONE_INCOMING), 1);
	assert_int_equal(told(bob, PHONE_ENDED), 0);
}

// Four ring: the fifth is told at once that it is not taken.
static void more_than_can_ring(void **state)
{
	(void)state;
	begin(3);
	for (unsigned i = 0; i < PHONE_CALLS_MAX / 2; i++) {
		call(carol, bob);
		town_run(&t, 300);
	}
	assert_int_equal(told(bob, PHONE_INCOMING), PHONE_CALLS_MAX / 2);
	call(alice, bob);
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_REFUSED);
	assert_int_equal(told(bob, PHONE_ENDED), 0);
}

// Nobody is asked what to do with a caller, nor warned of it, before its delivery key is proven.
static void what_is_only_said(void **state)
{
	(void)state;
	begin(4);
	uint8_t id[PHONE_CALL_ID_SIZE];
	uint64_t before = t.direct_packets;
	unsigned states = talks(bob);
	for (unsigned i = 0; i < 5; i++) {
		town_fill(&dice, id, sizeof(id));
		offer(bob, id, &alice->phone->self); // that it is alice's place
		if (i >= 3)
			invite(bob, id); // proves another one
		town_run(&t, 500);
	}
	assert_int_equal(asked, 0);
	assert_int_equal(told(bob, PHONE_INCOMING), 0);
	assert_int_equal(t.direct_packets, before);
	assert_in_range(talks(bob), states, PHONE_CALLS_MAX / 2);
}

// Call ids can be seen on the way. Whoever comes first with one, with an invitation or an offer or
// both, does not get in the way of whose it is.
static bool keep_from_bob(struct town *town, struct town_packet *p)
{
	return town_relay_at(town, &p->source) == NULL ||
	       !net_address_equal(&p->destination.address, &bob->outside);
}

static void call_ids_of_others(void **state)
{
	(void)state;
	for (unsigned what = 1; what < 4; what++) {
		begin(5);
		t.look = keep_from_bob;
		call(alice, bob);
		town_run(&t, 300);
		t.look = NULL;
		const uint8_t *id = alice->phone->talks[0]->call_id;
		if (what & 1)
			invite(bob, id);
		if (what & 2)
			offer(bob, id, &carol->phone->self);
		struct town_event *event = town_wait(&t, alice, 0, PHONE_RINGING, 3000);
		assert_non_null(event);
		town_run(&t, 5000);
		assert_null(town_find(alice, 0, PHONE_ENDED));
		// With both it is a call of carol's, which rings as well.
		assert_int_equal(told(bob, PHONE_INCOMING), what == 3 ? 2 : 1);
		uint64_t mine = 0;
		for (unsigned i = 0; i < PHONE_CALLS_MAX; i++) {
			const struct talk *talk = bob->phone->talks[i];
			if (talk != NULL && memcmp(talk->identity_key, alice_key, 32) == 0)
				mine = talk->id;
		}
		assert_int_equal(phone_answer(bob->phone, mine, town_time(&t)), 0);
		assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 1000));
		bob->call = mine;
		town_talk(alice);
		town_talk(bob);
		town_run(&t, 2000);
		assert_true(alice->heard_last_at + 100 > t.now_ms);
		assert_true(bob->heard_last_at + 100 > t.now_ms);
		town_end(&t);
	}
	begin(6);
}

// Who rings, or is answered, opens the same leg again and again: no place in the relay's table of
// calls is lost to us by that.
static void legs_without_end(void **state)
{
	(void)state;
	for (unsigned answered = 0; answered < 2; answered++) {
		begin(8 + answered);
		bob->answers = answered;
		alice->answers = true;
		call(carol, bob);
		assert_non_null(
			town_wait(&t, carol, 0, answered ? PHONE_ANSWERED : PHONE_RINGING, 1000));
		uint8_t id[PHONE_CALL_ID_SIZE];
		memcpy(id, carol->phone->talks[0]->call_id, sizeof(id));
		for (unsigned i = 0; i < 90; i++) {
			invite(bob, id);
			town_run(&t, 5);
			carol->event_count = 0;
		}
		struct endpoint_usage usage;
		endpoint_usage(phone_core(bob->phone, 0), &usage);
		assert_in_range(usage.calls, 1, ENDPOINT_CALLS_MAX / 4);
		bob->event_count = 0;
		call(bob, alice);
		assert_non_null(town_wait(&t, bob, 0, PHONE_ANSWERED, 1000));
		assert_int_equal(told(bob, PHONE_ENDED), 0);
		town_end(&t);
	}
	begin(10);
}

// What comes to the sockets from anywhere, while there is a call and while there is none.
static void noise(void **state)
{
	(void)state;
	begin(7);
	for (unsigned round = 0; round < 2; round++) {
		uint64_t order = t.order;
		for (unsigned i = 0; i < 20000; i++) {
			uint8_t junk[1300];
			struct net_endpoint from = {.address = town_v4(203, 0, 113,
							    (unsigned)(town_random(&dice) % 256)),
				.port = (uint16_t)town_random(&dice)};
			if (i % 3 == 0)
				from = t.relays[0].address;
			struct endpoint_transport source = town_transport(&from);
			size_t size = town_random(&dice) % sizeof(junk);
			town_fill(&dice, junk, size);
			if (size > 0)
				junk[0] = (uint8_t)(junk[0] % 10);
			phone_receive(bob->phone, 0, &source, junk, size, town_time(&t));
		}
		assert_int_equal(t.order, order); // nothing is answered
		assert_int_equal(talks(bob), round);
		if (round == 1)
			break;
		bob->answers = true;
		call(alice, bob);
		assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 2000));
		town_talk(alice);
		town_talk(bob);
		town_run(&t, 1000);
	}
	town_run(&t, 1000);
	assert_true(alice->longest_gap <= 40 && bob->longest_gap <= 40);
	assert_int_equal(told(bob, PHONE_INCOMING), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, end)
		TEST(floods_and_our_own_calls),
		TEST(floods_and_calls_of_contacts),
		TEST(refused_callers_hold_no_place),
		TEST(more_than_can_ring),
		TEST(what_is_only_said),
		TEST(call_ids_of_others),
		TEST(legs_without_end),
		TEST(noise),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
