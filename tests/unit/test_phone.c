// SPDX-License-Identifier: BSD-3-Clause
// Calls from one phone to another: direct, by the relay, declined, refused, given up, to nobody and
// to somebody else than was meant; what is lost and comes again; paths that are cut, relays that
// die. Virtual clock, NATs of tests/lab, relays of endpoint_relay.h.
#include "tests/unit/phone_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct town t;
static struct town_user *alice, *bob;

static const struct nat_behaviour cone = {
	.mapping = NAT_ENDPOINT_INDEPENDENT,
	.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.allocation = NAT_RANDOM,
	.translates = true,
};
static const struct nat_behaviour symmetric = {
	.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.allocation = NAT_RANDOM,
	.translates = true,
};

static void begin(uint64_t seed, const struct nat_behaviour *a, const struct nat_behaviour *b,
	unsigned relays)
{
	town_begin(&t, seed);
	alice = town_user_make(&t, 0, a, relays);
	bob = town_user_make(&t, 1, b, relays);
	phone_listen(bob->phone, town_time(&t));
	phone_listen(alice->phone, town_time(&t));
	town_run(&t, 2000);
}

static int end(void **state)
{
	(void)state;
	town_end(&t);
	return 0;
}

static uint64_t call(struct town_user *from, const struct town_user *to)
{
	struct phone_contact contact;
	town_contact(to, &contact);
	assert_int_equal(phone_call(from->phone, &contact, &from->call, town_time(&t)), 0);
	return from->call;
}

// A call that is answered at once; both talk from then on.
static void talk(void)
{
	bob->answers = true;
	call(alice, bob);
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 5000));
	assert_non_null(town_find(bob, 0, PHONE_ANSWERED));
	town_talk(alice);
	town_talk(bob);
}

static struct phone_call_info info(struct town_user *u)
{
	struct phone_call_info out;
	assert_int_equal(phone_call_info(u->phone, u->call, &out), 0);
	return out;
}

static void goes_direct(void **state)
{
	(void)state;
	begin(1, &cone, &cone, 1);
	uint64_t start = t.now_ms;
	talk();
	struct town_event *incoming = town_find(bob, 0, PHONE_INCOMING);
	assert_non_null(incoming);
	assert_int_equal(incoming->event.incoming.trust, PHONE_STRANGER);
	assert_non_null(town_find(alice, 0, PHONE_RINGING));
	uint64_t answered = town_find(bob, 0, PHONE_ANSWERED)->at;
	assert_true(answered - start <= 60 + 50); // rings when its leg is open
	town_run(&t, 3000);
	assert_true(info(alice).direct_ms != 0 && info(bob).direct_ms != 0);
	assert_int_equal(info(alice).relay_ms, 0);
	assert_int_equal(info(bob).relay_ms, 0);
	// 1.5 round trips by the relay (4 x 25 ms) after the answer, and 40 ms.
	assert_true(info(alice).direct_ms - answered <= 190);
	assert_true(info(bob).direct_ms - answered <= 190);
	assert_true(alice->next_frame > 100);
	town_run(&t, 200);
	alice->talks = bob->talks = false;
	town_run(&t, 200);
	assert_int_equal(town_lost(alice, bob, 0), 0);
	assert_int_equal(town_lost(bob, alice, 0), 0);
}

static void goes_by_the_relay(void **state)
{
	(void)state;
	begin(2, &symmetric, &symmetric, 1);
	talk();
	uint64_t answered = town_find(bob, 0, PHONE_ANSWERED)->at;
	uint64_t heard = town_find(alice, 0, PHONE_ANSWERED)->at;
	town_run(&t, 3000);
	assert_int_equal(info(alice).direct_ms, 0);
	assert_in_range(info(bob).relay_ms, answered + 800, answered + 820);
	assert_in_range(info(alice).relay_ms, heard + 800, heard + 820);
	alice->talks = bob->talks = false;
	town_run(&t, 200);
	assert_int_equal(town_lost(alice, bob, 0), 0);
	assert_int_equal(town_lost(bob, alice, 0), 0);
}

static void relay_only_tells_nothing(void **state)
{
	(void)state;
	alice = &t.users[0];
	town_begin(&t, 3);
	t.users[0].config.relay_only = true;
	alice = town_user_make(&t, 0, &cone, 1);
	bob = town_user_make(&t, 1, &cone, 1);
	phone_listen(bob->phone, town_time(&t));
	phone_listen(alice->phone, town_time(&t));
	town_run(&t, 2000);
	talk();
	town_run(&t, 3000);
	assert_int_equal(t.direct_packets, 0);
	assert_true(info(alice).relay_ms != 0);
	assert_int_equal(town_lost(alice, bob, 0) > 3, 0);
}

static void hangs_up(void **state)
{
	(void)state;
	begin(4, &cone, &cone, 1);
	talk();
	town_run(&t, 1000);
	assert_int_equal(phone_hangup(alice->phone, alice->call, town_time(&t)), 0);
	alice->talks = false;
	struct town_event *event = town_wait(&t, bob, 0, PHONE_ENDED, 500);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_BY_PEER);
	bob->talks = false;
	assert_null(town_find(alice, 0, PHONE_ENDED));
	assert_int_equal(phone_hangup(alice->phone, alice->call, town_time(&t)), -ENOENT);
	town_run(&t, 3000);
	for (unsigned i = 0; i < 2; i++) {
		struct endpoint_usage usage;
		endpoint_usage(phone_core(t.users[i].phone, 0), &usage);
		assert_int_equal(usage.calls, 0);
	}
	// And again.
	bob->event_count = alice->event_count = 0;
	talk();
	town_run(&t, 1000);
	assert_int_equal(town_lost(alice, bob, 60) > 5, 0);
}

// The call before is not forgotten yet, and numbers its frames alike.
static void calls_again_at_once(void **state)
{
	(void)state;
	begin(22, &cone, &cone, 1);
	talk();
	town_run(&t, 2000);
	phone_hangup(alice->phone, alice->call, town_time(&t));
	alice->talks = bob->talks = false;
	assert_non_null(town_wait(&t, bob, 0, PHONE_ENDED, 500));
	bob->event_count = alice->event_count = 0;
	talk();
	uint64_t answered = t.now_ms;
	town_run(&t, 2000);
	for (unsigned i = 0; i < 2; i++) {
		assert_in_range(t.users[i].heard_first_at, answered, answered + 300);
		assert_in_range(t.users[i].longest_gap, 0, 40);
	}
}

static unsigned leases(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < RELAY_LEASES; i++)
		count += t.relays[0].relay.leases[i].live;
	return count;
}

static unsigned withdrawn(const struct town_user *u)
{
	unsigned count = 0;
	for (unsigned i = 0; i < u->event_count; i++)
		count += u->events[i].event.type == PHONE_OTHER &&
			 u->events[i].inner == ENDPOINT_WITHDRAWN;
	return count;
}

// Also one that only calls has a lease at the relay of whom it calls: it is given back.
static void leaves_in_the_middle_of_a_call(void **state)
{
	(void)state;
	town_begin(&t, 21);
	alice = town_user_make(&t, 0, &cone, 1);
	bob = town_user_make(&t, 1, &cone, 1);
	phone_listen(bob->phone, town_time(&t));
	town_run(&t, 2000);
	unsigned before = leases();
	assert_true(before > 0);
	talk();
	town_run(&t, 1000);
	assert_true(leases() > before);
	alice->talks = bob->talks = false;
	uint64_t from = t.now_ms;
	assert_false(phone_withdraw(alice->phone, town_time(&t)));
	struct town_event *event = town_wait(&t, bob, 0, PHONE_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_BY_PEER);
	while (withdrawn(alice) == 0)
		assert_true(town_step(&t, from + 1000));
	assert_true(phone_withdraw(alice->phone, town_time(&t)));
	assert_int_equal(leases(), before);
	// Whom nobody answers any more waits no longer than it was told.
	t.relays[0].dead = true;
	assert_false(phone_withdraw(bob->phone, town_time(&t)));
	town_run(&t, 3000);
	assert_int_equal(withdrawn(bob), 1);
	assert_true(phone_withdraw(bob->phone, town_time(&t)));
}

static void is_declined(void **state)
{
	(void)state;
	begin(5, &cone, &symmetric, 1);
	call(alice, bob);
	assert_non_null(town_wait(&t, bob, 0, PHONE_INCOMING, 1000));
	assert_int_equal(phone_hangup(bob->phone, bob->call, town_time(&t)), 0);
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_DECLINED);
}

static void is_given_up(void **state)
{
	(void)state;
	begin(6, &cone, &cone, 1);
	call(alice, bob);
	assert_non_null(town_wait(&t, bob, 0, PHONE_INCOMING, 1000));
	assert_int_equal(phone_hangup(alice->phone, alice->call, town_time(&t)), 0);
	struct town_event *event = town_wait(&t, bob, 0, PHONE_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_CANCELLED);
	// Nobody answers.
	bob->event_count = alice->event_count = 0;
	call(alice, bob);
	event = town_wait(&t, alice, 0, PHONE_ENDED, 70000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_NO_ANSWER);
	assert_non_null(town_wait(&t, bob, 0, PHONE_ENDED, 1000));
}

static void nobody_there(void **state)
{
	(void)state;
	begin(7, &cone, &cone, 1);
	struct phone_contact contact;
	town_contact(bob, &contact);
	phone_withdraw(bob->phone, town_time(&t));
	town_run(&t, 1000);
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 5000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_UNREACHABLE);
	// Nor a relay.
	t.relays[0].dead = true;
	alice->event_count = 0;
	contact.relays[0].addresses[0].address[3] = 77;
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
	event = town_wait(&t, alice, 0, PHONE_ENDED, 65000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_UNREACHABLE);
}

// Who is called is who has the identity key, whoever answers at the address.
static void not_who_was_called(void **state)
{
	(void)state;
	begin(8, &cone, &cone, 1);
	struct phone_contact contact;
	bob->answers = true;
	town_contact(bob, &contact);
	uint8_t secret[64], seed[32] = {7};
	crypto_sign_seed_keypair(contact.identity_key, secret, seed);
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 5000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_REFUSED);
	assert_null(town_find(alice, 0, PHONE_RINGING));
	assert_null(town_find(bob, 0, PHONE_INCOMING));
	assert_int_equal(t.direct_packets, 0);
}

static enum phone_trust trust_answer;
static uint8_t trust_asked[32];

static enum phone_trust trust(void *context, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer)
{
	struct town_user *caller = context;
	struct phone_contact contact;
	town_contact(caller, &contact);
	assert_memory_equal(&contact.peer, peer, sizeof(*peer));
	memcpy(trust_asked, identity_key, sizeof(trust_asked));
	return trust_answer;
}

static void begin_trusting(uint64_t seed, enum phone_trust answer)
{
	town_begin(&t, seed);
	trust_answer = answer;
	t.users[1].config.trust = trust;
	t.users[1].config.trust_context = &t.users[0];
	// Where everybody gets through, so that all that is sent to her counts.
	alice = town_user_make(&t, 0, NULL, 1);
	bob = town_user_make(&t, 1, &cone, 1);
	phone_listen(bob->phone, town_time(&t));
	phone_listen(alice->phone, town_time(&t));
	town_run(&t, 2000);
}

static void a_refused_caller(void **state)
{
	(void)state;
	begin_trusting(9, PHONE_REFUSED);
	struct phone_contact self;
	call(alice, bob);
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 5000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_REFUSED);
	town_contact(alice, &self);
	assert_memory_equal(trust_asked, self.identity_key, 32);
	assert_null(town_find(bob, 0, PHONE_INCOMING));
	assert_int_equal(t.direct_packets, 0);
}

// A stranger learns where we are only with the answer, a known caller before.
static void candidates_before_the_answer(void **state)
{
	(void)state;
	begin_trusting(10, PHONE_STRANGER);
	call(alice, bob);
	assert_non_null(town_wait(&t, bob, 0, PHONE_INCOMING, 1000));
	town_run(&t, 2000);
	struct phone_call_info a = info(alice);
	assert_false(a.path[2].usable || a.path[3].usable);
	assert_int_equal(t.direct_packets, 0); // not even a check
	assert_int_equal(phone_answer(bob->phone, bob->call, town_time(&t)), 0);
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 1000));
	town_run(&t, 1000);
	a = info(alice);
	assert_true(a.path[2].usable || a.path[3].usable);
	town_end(&t);

	begin_trusting(11, PHONE_KNOWN);
	call(alice, bob);
	assert_non_null(town_wait(&t, bob, 0, PHONE_INCOMING, 1000));
	town_run(&t, 2000);
	a = info(alice);
	assert_true(a.path[2].usable || a.path[3].usable);
}

static void in_bad_weather(void **state)
{
	(void)state;
	for (uint64_t seed = 20; seed < 40; seed++) {
		begin(seed, &cone, &cone, 1);
		t.loss = 20;
		bob->answers = true;
		call(alice, bob);
		assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 15000));
		town_talk(alice);
		town_talk(bob);
		town_run(&t, 5000);
		assert_null(town_find(alice, 0, PHONE_ENDED));
		assert_true(info(alice).direct_ms != 0);
		assert_true(alice->heard_last_at + 500 > t.now_ms);
		assert_true(bob->heard_last_at + 500 > t.now_ms);
		town_end(&t);
		memset(&t, 0, sizeof(t));
	}
	begin(40, &cone, &cone, 1);
}

static void direct_path_is_cut(void **state)
{
	(void)state;
	begin(12, &cone, &cone, 1);
	talk();
	town_run(&t, 3000);
	alice->longest_gap = bob->longest_gap = 0;
	t.direct_cut = true;
	town_run(&t, 3000);
	assert_true(alice->longest_gap <= 300);
	assert_true(bob->longest_gap <= 300);
	assert_true(alice->heard_last_at + 100 > t.now_ms);
	assert_true(bob->heard_last_at + 100 > t.now_ms);
	// And comes back, in the background.
	t.direct_cut = false;
	alice->longest_gap = bob->longest_gap = 0;
	uint32_t first = alice->next_frame;
	town_run(&t, 60000);
	assert_true(info(alice).paths >> 2 != 0);
	assert_true(info(bob).paths >> 2 != 0);
	assert_true(alice->longest_gap <= 40 && bob->longest_gap <= 40);
	alice->talks = bob->talks = false;
	town_run(&t, 200);
	assert_int_equal(town_lost(alice, bob, first), 0);
}

static void the_nat_rebinds(void **state)
{
	(void)state;
	begin(13, &cone, &cone, 1);
	talk();
	town_run(&t, 3000);
	alice->longest_gap = bob->longest_gap = 0;
	nat_rebind(alice->nat);
	town_run(&t, 3000);
	assert_true(alice->longest_gap <= 300);
	assert_true(bob->longest_gap <= 300);
	assert_true(info(alice).paths >> 2 != 0);
	assert_true(info(bob).paths >> 2 != 0);
	// Both at once.
	nat_rebind(alice->nat);
	nat_rebind(bob->nat);
	town_run(&t, 10000);
	assert_true(alice->heard_last_at + 100 > t.now_ms);
	assert_true(bob->heard_last_at + 100 > t.now_ms);
	assert_null(town_find(alice, 0, PHONE_ENDED));
}

static void a_relay_dies(void **state)
{
	(void)state;
	begin(14, &symmetric, &symmetric, 2);
	talk();
	town_run(&t, 3000);
	assert_int_equal(info(alice).paths, 1);
	alice->longest_gap = bob->longest_gap = 0;
	t.relays[0].dead = true;
	town_run(&t, 5000);
	assert_true(alice->longest_gap <= 1000);
	assert_true(bob->longest_gap <= 1000);
	assert_int_equal(info(alice).paths, 2);
	assert_int_equal(info(bob).paths, 2);
}

// A relay that lost all it knew: the leg is opened again.
static void a_relay_starts_again(void **state)
{
	(void)state;
	begin(15, &symmetric, &symmetric, 1);
	talk();
	town_run(&t, 3000);
	relay_restart(&t.relays[0].relay);
	town_run(&t, 30000);
	assert_null(town_find(alice, 0, PHONE_ENDED));
	assert_true(alice->heard_last_at + 100 > t.now_ms);
	assert_true(bob->heard_last_at + 100 > t.now_ms);
}

// What was in the way is gone after minutes: the search was never given up.
static void the_way_opens_late(void **state)
{
	(void)state;
	begin(41, &cone, &cone, 1);
	t.direct_cut = true;
	talk();
	town_run(&t, 3 * 60 * 1000);
	assert_int_equal(info(alice).paths, 1);
	uint64_t searched = t.direct_packets;
	t.direct_cut = false;
	town_run(&t, 70 * 1000);
	assert_true(t.direct_packets > searched);
	assert_true(info(alice).paths >> 2 != 0 && info(bob).paths >> 2 != 0);
	assert_true(alice->longest_gap <= 40 && bob->longest_gap <= 40);
}

// Minutes on a direct path: keys are replaced, a second mapping is made, nothing is lost.
static void a_long_call(void **state)
{
	(void)state;
	begin(18, &cone, &cone, 1);
	talk();
	town_run(&t, 1000);
	uint32_t first = alice->next_frame;
	for (unsigned minute = 0; minute < 2; minute++) {
		town_run(&t, 70 * 1000);
		alice->talks = bob->talks = false;
		town_run(&t, 200);
		assert_int_equal(town_lost(alice, bob, first), 0);
		assert_int_equal(town_lost(bob, alice, first), 0);
		assert_true(alice->longest_gap <= 40 && bob->longest_gap <= 40);
		town_talk(alice);
		town_talk(bob);
	}
	assert_true(alice->up[1] || bob->up[1]);
	struct phone_call_info a = info(alice);
	assert_true(a.path[2].usable && a.path[3].usable);
	// The first mapping is forgotten, and its port never given again.
	alice->longest_gap = bob->longest_gap = 0;
	nat_rebind(alice->nat);
	town_run(&t, 2000);
	assert_true(alice->longest_gap <= 300 && bob->longest_gap <= 300);
	assert_int_equal(phone_hangup(alice->phone, alice->call, town_time(&t)), 0);
	alice->talks = bob->talks = false;
	town_run(&t, 3000);
	assert_false(alice->up[1] || bob->up[1]);
}

static void a_long_call_by_relay_only(void **state)
{
	(void)state;
	town_begin(&t, 19);
	t.users[0].config.relay_only = true;
	alice = town_user_make(&t, 0, &cone, 1);
	bob = town_user_make(&t, 1, &cone, 1);
	phone_listen(bob->phone, town_time(&t));
	phone_listen(alice->phone, town_time(&t));
	town_run(&t, 2000);
	talk();
	town_run(&t, 130 * 1000);
	assert_true(alice->heard_last_at + 100 > t.now_ms);
}

static void the_peer_is_told_its_losses(void **state)
{
	(void)state;
	begin(43, &cone, &cone, 1);
	assert_int_equal(phone_report_loss(alice->phone, 1, 5, town_time(&t)), -ENOENT);
	call(alice, bob);
	assert_int_equal(phone_report_loss(alice->phone, alice->call, 5, town_time(&t)), -ENOTCONN);
	assert_int_equal(phone_hangup(alice->phone, alice->call, town_time(&t)), 0);
	town_run(&t, 3000);
	talk();
	town_run(&t, 500);
	assert_int_equal(phone_report_loss(alice->phone, alice->call, 101, town_time(&t)), -EINVAL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(phone_report_loss(alice->phone, alice->call, 7, town_time(&t)), 0);
	town_run(&t, 500);
	struct town_event *event = town_find(bob, 0, PHONE_LOSS);
	assert_non_null(event);
	assert_int_equal(event->event.loss.percent, 7);
	assert_null(town_find(bob, (unsigned)(event - bob->events) + 1, PHONE_LOSS));
}

static void all_is_lost(void **state)
{
	(void)state;
	begin(16, &cone, &cone, 1);
	talk();
	town_run(&t, 1000);
	t.loss = 100;
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 40000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_LOST);
	assert_non_null(town_wait(&t, bob, 0, PHONE_ENDED, 1000));
}

// Whatever is altered on its way changes nothing, and no byte of it is in clear.
static bool flips(struct town *town, struct town_packet *p)
{
	static const char secret[] = "\x0a\x00\x00\x02"; // the host's own address
	unsigned *each = town->look_context;

	assert_null(memmem(p->data, p->size, secret, 4));
	++*each;
	if (town_random(&town->random_state) % 4 == 0 && p->size > 8)
		p->data[town_random(&town->random_state) % p->size] ^= (uint8_t)(1u << (*each % 8));
	return true;
}

static void altered_on_its_way(void **state)
{
	(void)state;
	unsigned each = 0;
	begin(17, &cone, &cone, 1);
	t.look = flips;
	t.look_context = &each;
	bob->answers = true;
	call(alice, bob);
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 30000));
	town_talk(alice);
	town_talk(bob);
	town_run(&t, 5000); // town_heard looks at what comes
	assert_true(alice->heard_last_at + 500 > t.now_ms);
	assert_true(phone_counter(alice->phone, PHONE_COUNTER_ignored_envelope) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, end)
		TEST(goes_direct),
		TEST(goes_by_the_relay),
		TEST(relay_only_tells_nothing),
		TEST(hangs_up),
		TEST(calls_again_at_once),
		TEST(leaves_in_the_middle_of_a_call),
		TEST(is_declined),
		TEST(is_given_up),
		TEST(nobody_there),
		TEST(not_who_was_called),
		TEST(a_refused_caller),
		TEST(candidates_before_the_answer),
		TEST(in_bad_weather),
		TEST(direct_path_is_cut),
		TEST(the_nat_rebinds),
		TEST(a_relay_dies),
		TEST(a_relay_starts_again),
		TEST(the_way_opens_late),
		TEST(a_long_call),
		TEST(a_long_call_by_relay_only),
		TEST(the_peer_is_told_its_losses),
		TEST(all_is_lost),
		TEST(altered_on_its_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
