// SPDX-License-Identifier: BSD-3-Clause
// What those can do who take part in a call: a relay that lies, and a peer that has proven who it
// is and then misbehaves. The one can stop a call that goes through it and no more; the other gets
// no more out of us than what is capped, learns nothing before it is answered, and costs nothing.
// Virtual clock.
#include "endpoint/phone/inside.h"
#include "tests/unit/phone_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct town t;
static struct town_user *alice, *bob, *carol;

static const struct nat_behaviour cone = {
	.mapping = NAT_ENDPOINT_INDEPENDENT,
	.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
	.allocation = NAT_RANDOM,
	.translates = true,
};

static enum phone_trust known(void *context, const uint8_t identity_key[ENDPOINT_KEY_SIZE],
	const struct endpoint_peer *peer)
{
	(void)context;
	(void)identity_key;
	(void)peer;
	return PHONE_KNOWN;
}

static void begin(uint64_t seed, const struct nat_behaviour *nat, bool relay_only, bool trusted)
{
	town_begin(&t, seed);
	t.users[1].config.relay_only = relay_only;
	for (unsigned i = 0; trusted && i < 2; i++)
		t.users[i].config.trust = known;
	alice = town_user_make(&t, 0, nat, 1);
	bob = town_user_make(&t, 1, nat, 1);
	carol = town_user_make(&t, 2, NULL, 1);
	for (unsigned i = 0; i < TOWN_USERS; i++)
		phone_listen(t.users[i].phone, town_time(&t));
	town_run(&t, 2000);
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

static void talk(void)
{
	bob->answers = true;
	call(alice, bob);
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 5000));
	town_talk(alice);
	town_talk(bob);
	town_run(&t, 2000);
}

static struct phone_call_info info(struct town_user *u)
{
	struct phone_call_info out;
	assert_int_equal(phone_call_info(u->phone, u->call, &out), 0);
	return out;
}

static struct talk *talk_of(const struct town_user *u)
{
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		if (u->phone->talks[i] != NULL && u->phone->talks[i]->id == u->call)
			return u->phone->talks[i];
	return NULL;
}

static unsigned talks(const struct town_user *u)
{
	unsigned count = 0;
	for (unsigned i = 0; i < PHONE_CALLS_MAX; i++)
		count += u->phone->talks[i] != NULL;
	return count;
}

// Voice in both directions within the last moment.
static void assert_talking(void)
{
	assert_null(town_find(alice, 0, PHONE_ENDED));
	assert_null(town_find(bob, 0, PHONE_ENDED));
	assert_true(alice->heard_last_at + 200 > t.now_ms);
	assert_true(bob->heard_last_at + 200 > t.now_ms);
}

// Datagrams by destination.
struct count {
	struct net_address address; // of interest
	uint16_t port;              // 0: any
	const struct town_user *from;
	unsigned seen, others; // others: neither relays, nor users, nor the address
	struct net_address hosts[1024];
	unsigned by_host[1024], host_count;
};

static bool count(struct town *town, struct town_packet *p)
{
	struct count *c = town->look_context;

	if (c->from != NULL && !net_address_equal(&p->source.address, &c->from->outside))
		return true;
	if (net_address_equal(&p->destination.address, &c->address))
		c->seen += c->port == 0 || c->port == p->destination.port;
	if (town_relay_at(town, &p->destination) != NULL)
		return true;
	for (unsigned i = 0; i < TOWN_USERS; i++)
		if (net_address_equal(&p->destination.address, &town->users[i].outside))
			return true;
	c->others++;
	unsigned i = 0;
	while (i < c->host_count && !net_address_equal(&c->hosts[i], &p->destination.address))
		i++;
	assert_true(i < 1024);
	c->hosts[i] = p->destination.address;
	c->by_host[i]++;
	if (i == c->host_count)
		c->host_count++;
	return true;
}

// Whatever is sealed with the keys of a call, from anywhere.
static void from_inside(const struct town_user *from, struct town_user *to,
	const struct net_endpoint *source, const uint8_t *plain, size_t size)
{
	uint8_t sealed[ENDPOINT_BARE_MAX];
	struct endpoint_transport at = town_transport(source);

	assert_int_equal(envelope_seal(&talk_of(from)->session, plain, size, sealed), 0);
	phone_receive(to->phone, 0, &at, sealed, size + ENVELOPE_OVERHEAD, town_time(&t));
}

static size_t probe(uint8_t *plain)
{
	return frame_probe((struct frame_header){.path = 2}, 0, t.now_ms, plain);
}

static struct net_endpoint place(const struct town_user *u)
{
	return (struct net_endpoint){.address = u->outside, .port = u->ports[0]};
}

// ---- a peer before it is answered, and one that is to learn nothing ----

// A stranger that rings has our credentials, and may guess where we are: nothing tells it that it
// is right, neither an answer to a check, nor to a frame, nor a report of one.
static void a_guess_is_not_confirmed(void **state)
{
	(void)state;
	begin(1, NULL, false, false);
	uint8_t plain[FRAME_SIZE_MAX];
	struct net_endpoint here = place(alice), there = place(bob);
	struct count c = {.address = alice->outside, .from = bob};
	call(alice, bob);
	assert_non_null(town_wait(&t, alice, 0, PHONE_RINGING, 1000));
	town_run(&t, 500);
	t.look = count;
	t.look_context = &c;
	struct agent_candidate guess = {
		.type = AGENT_HOST, .transport = town_transport(&there), .priority = 1000};
	assert_int_equal(agent_remote_add(talk_of(alice)->agent, &guess, t.now_ms), 0);
	for (unsigned i = 0; i < 50; i++) {
		from_inside(alice, bob, &here, plain, probe(plain));
		size_t size = frame_control(
			(struct frame_header){.path = 2}, (uint16_t)(1000 + i), 99, NULL, 0, plain);
		from_inside(alice, bob, &here, plain, size);
		town_run(&t, 40);
	}
	assert_int_equal(c.seen, 0);
	assert_int_equal(talk_of(bob)->paths.incoming[2].heard_ms, 0);
	struct agent_usage usage;
	agent_usage(talk_of(alice)->agent, &usage);
	assert_int_equal(usage.confirmed, 0);
	// When it is answered a direct path is there at once.
	assert_int_equal(phone_answer(bob->phone, bob->call, town_time(&t)), 0);
	town_run(&t, 1000);
	assert_true(info(alice).paths >> PHONE_DIRECT != 0 || info(alice).path[2].usable);
}

static void relay_only_confirms_no_guess(void **state)
{
	(void)state;
	begin(2, NULL, true, true);
	uint8_t plain[FRAME_SIZE_MAX];
	struct net_endpoint here = place(alice);
	struct count c = {.address = alice->outside, .from = bob};
	t.look = count;
	t.look_context = &c;
	talk();
	uint64_t relayed = t.relay_packets;
	alice->talks = bob->talks = false;
	uint64_t ignored = phone_counter(bob->phone, PHONE_COUNTER_ignored_envelope);
	for (unsigned i = 0; i < 20; i++) {
		from_inside(alice, bob, &here, plain, probe(plain));
		size_t size = frame_control(
			(struct frame_header){.path = 2}, (uint16_t)(1000 + i), 99, NULL, 0, plain);
		from_inside(alice, bob, &here, plain, size);
	}
	assert_int_equal(c.seen, 0);
	assert_int_equal(t.relay_packets, relayed); // no acknowledgement by the relay either
	assert_int_equal(talk_of(bob)->paths.incoming[2].heard_ms, 0);
	assert_int_equal(phone_counter(bob->phone, PHONE_COUNTER_ignored_envelope), ignored + 40);
}

// ---- a peer that misbehaves ----

static void garbage_from_inside(void **state)
{
	(void)state;
	begin(3, NULL, false, true);
	talk();
	uint8_t plain[FRAME_SIZE_MAX];
	uint64_t random = 7;
	struct net_endpoint here = place(alice);
	struct count c = {.from = bob};
	t.look = count;
	t.look_context = &c;
	for (unsigned i = 0; i < 20000; i++) {
		size_t size = town_random(&random) % (i % 4 == 0 ? sizeof(plain) : 24);
		town_fill(&random, plain, size);
		if (size > 0 && i % 8 != 0)
			plain[0] = (uint8_t)(plain[0] % 5); // kinds there are, and one there is not
		if (size > 1 && i % 16 != 0)
			plain[1] &= 3;
		if (size > 10 && plain[0] == FRAME_CONTROL && plain[10] == WORD_HANGUP)
			plain[10] = WORD_CANDIDATES; // what ends a call is no garbage
		bob->deaf = true;
		from_inside(alice, bob, &here, plain, size);
		if (i % 50 == 0)
			town_run(&t, 5);
		assert_true(phone_deadline(bob->phone) + 1 > t.now_ms);
	}
	assert_int_equal(talks(bob), 1);
	assert_int_equal(c.others, 0);
	assert_true(phone_counter(bob->phone, PHONE_COUNTER_ignored_frame) > 1000);
	town_run(&t, 1000);
	alice->deaf = true;
	assert_null(town_find(bob, 0, PHONE_ENDED));
	assert_true(info(bob).paths != 0);
	assert_true(alice->heard_last_at + 200 > t.now_ms);
	// And it is still a call that can be ended.
	assert_int_equal(phone_hangup(bob->phone, bob->call, town_time(&t)), 0);
	bob->talks = false;
	assert_non_null(town_wait(&t, alice, 0, PHONE_ENDED, 1000));
}

static bool keep_what_alice_says(struct town *town, struct town_packet *p)
{
	size_t at = p->data[0] == NATIVE_FIRST_HANDLE ? 8 : 0;
	(void)town;
	return !net_address_equal(&p->source.address, &alice->outside) ||
	       p->data[at] != ENVELOPE_FIRST_BYTE;
}

// A peer that says now that nothing of ours arrives, now that everything does, does not have us
// register, switch or repeat without end.
static void ages_that_come_and_go(void **state)
{
	(void)state;
	begin(14, NULL, false, true);
	talk();
	uint8_t plain[FRAME_SIZE_MAX];
	struct net_endpoint here = place(alice);
	struct relay *r = &t.relays[0].relay;
	unsigned registers = r->registers, solicits = r->solicits, switches = info(bob).switches;
	alice->talks = false;
	t.look = keep_what_alice_says; // in good faith
	uint64_t order = t.order;
	for (unsigned i = 0; i < 60 * 50; i++) {
		bool late = i / 40 % 2;
		struct frame_header header = {
			.path = (uint8_t)(i % 4), .clock_ms = (uint16_t)t.now_ms};
		memset(header.ages, late ? FRAME_AGE_LONGER : 1, sizeof(header.ages));
		size_t size = frame_probe(header, FRAME_PROBE_FOR_VOICE, t.now_ms, plain);
		from_inside(alice, bob, &here, plain, size);
		town_run(&t, 20);
		if (bob->event_count > TOWN_EVENTS / 2)
			bob->event_count = 0;
		if (alice->event_count > TOWN_EVENTS / 2)
			alice->event_count = 0;
	}
	assert_in_range(r->registers - registers, 1, 15);
	assert_in_range(r->solicits - solicits, 1, 15);
	assert_true(t.order - order < 20000); // of 3000 frames, each probe answered
	assert_in_range(info(bob).switches - switches, 0, 120);
	assert_null(town_find(bob, 0, PHONE_ENDED));
}

static void say_candidates(uint32_t generation, unsigned hosts, uint64_t *random)
{
	struct agent_candidate list[AGENT_LOCAL_MAX];
	uint8_t bytes[AGENT_CANDIDATES_SIZE], plain[FRAME_SIZE_MAX];
	struct net_endpoint here = place(alice);

	for (unsigned i = 0; i < AGENT_LOCAL_MAX; i++) {
		unsigned host = (unsigned)(town_random(random) % hosts);
		struct net_endpoint at = {
			.address = town_v4(203, 0, 113 + host / 250, 1 + host % 250),
			.port = (uint16_t)(1 + town_random(random) % 65535)};
		list[i] = (struct agent_candidate){.type = AGENT_HOST,
			.transport = town_transport(&at),
			.priority = 0x7e000000u + (uint32_t)i};
	}
	int size = agent_candidates_write(generation, list, AGENT_LOCAL_MAX, bytes, sizeof(bytes));
	assert_true(size > 0);
	size_t whole = frame_control((struct frame_header){.path = 2},
		(uint16_t)(generation + 5000), WORD_CANDIDATES, bytes, (size_t)size, plain);
	from_inside(alice, bob, &here, plain, whole);
}

// A list of somebody else's addresses, ever again, for a minute.
static void candidates_of_third_parties(void **state)
{
	(void)state;
	static struct count c;
	for (unsigned round = 0; round < 2; round++) {
		const unsigned hosts = round == 0 ? 3 : 900, seconds = 60;
		uint64_t random = 9;
		begin(4, NULL, false, true);
		talk();
		c = (struct count){.from = bob};
		t.look = count;
		t.look_context = &c;
		for (unsigned i = 0; i < seconds * 20; i++) {
			say_candidates(1000 + i, hosts, &random);
			town_run(&t, 50);
		}
		assert_true(c.others > 100);
		assert_true(c.others <=
			    AGENT_CHECKS_BURST + seconds * 1000 / AGENT_CHECKS_REFILL_MS + 1);
		for (unsigned i = 0; i < c.host_count; i++)
			assert_true(c.by_host[i] <=
				    AGENT_CHECKS_PER_HOST + 1 +
					    seconds * 1000 / AGENT_CHECKS_HOST_REFILL_MS);
		assert_talking();
		assert_true(info(bob).paths >> PHONE_DIRECT != 0);
		t.look = NULL;
		town_end(&t);
	}
	begin(5, NULL, false, true);
}

// The peer seals, and sends from a source that is somebody else's: what goes there is capped.
static void frames_from_third_parties(void **state)
{
	(void)state;
	begin(6, NULL, false, true);
	talk();
	uint8_t plain[FRAME_SIZE_MAX];
	struct net_endpoint victim = {.address = town_v4(203, 0, 113, 9), .port = 53};
	struct count c = {.from = bob, .address = victim.address};
	t.look = count;
	t.look_context = &c;
	for (unsigned i = 0; i < 6000; i++) {
		victim.port = (uint16_t)(1 + i % 40000);
		from_inside(alice, bob, &victim, plain, probe(plain));
		if (i % 10 == 0)
			town_run(&t, 50);
	}
	assert_true(c.seen <= AGENT_CHECKS_PER_HOST + 2 * AGENT_UNCONFIRMED_SENDS + 10);
	assert_talking();
	assert_true(info(bob).paths >> PHONE_DIRECT != 0);
}

// ---- a relay that lies ----

static void a_relay_ends_all_legs(void **state)
{
	(void)state;
	begin(7, &cone, false, true);
	talk();
	assert_true(info(alice).paths >> PHONE_DIRECT != 0);
	alice->longest_gap = bob->longest_gap = 0;
	for (unsigned round = 0; round < 20; round++) {
		struct relay *r = &t.relays[0].relay;
		for (unsigned i = 0; i < RELAY_PAIRS; i++)
			for (unsigned side = 0; side < 2; side++)
				if (r->pairs[i].live)
					relay_closed(
						r, &r->pairs[i], side, (uint8_t)(1 + round % 5));
		town_run(&t, 500);
	}
	assert_talking();
	assert_true(alice->longest_gap <= 60 && bob->longest_gap <= 60);
	// Nor can one that has gone, or sends back what it got.
	t.relays[0].dead = true;
	town_run(&t, 60000);
	assert_talking();
	assert_true(alice->longest_gap <= 60 && bob->longest_gap <= 60);
}

static struct native_handle other_handle;
static struct net_endpoint other_place;

static bool swap_handles(struct town *town, struct town_packet *p)
{
	if (town_relay_at(town, &p->source) == NULL || p->data[0] != NATIVE_FIRST_HANDLE ||
		!net_address_equal(&p->destination.address, &bob->outside))
		return true;
	struct native_by_handle m;
	uint8_t out[1400];
	assert_int_equal(native_by_handle_parse(p->data, p->size, &m), 0);
	m.handle = other_handle;
	p->size = native_by_handle_build(out, sizeof(out), &m);
	memcpy(p->data, out, p->size);
	p->destination = other_place;
	return true;
}

// What is for one is given to another who is in a call, too.
static void a_relay_swaps_handles(void **state)
{
	(void)state;
	begin(8, NULL, true, true); // bob goes by the relay alone
	talk();
	uint64_t first = alice->call;
	carol->answers = true;
	t.direct_cut = true;
	call(alice, carol);
	assert_non_null(town_wait(&t, carol, 0, PHONE_ANSWERED, 5000));
	uint64_t second = alice->call;
	alice->call = first;
	town_run(&t, 1000);
	struct relay *r = &t.relays[0].relay;
	other_place = place(carol);
	bool found = false;
	for (unsigned i = 0; i < RELAY_PAIRS; i++)
		for (unsigned side = 0; side < 2; side++)
			if (r->pairs[i].live &&
				net_endpoint_equal(&r->pairs[i].client[side], &other_place)) {
				other_handle = relay_handle_of(r, &r->pairs[i], side);
				found = true;
			}
	assert_true(found);
	uint64_t rejected = info(carol).rejected, received = info(carol).path[0].received;
	t.look = swap_handles;
	town_run(&t, 2000);
	t.look = NULL;
	assert_true(info(carol).rejected > rejected + 50);
	assert_true(info(carol).path[0].received <= received + 40); // its own probes
	town_run(&t, 2000);
	assert_talking();
	struct phone_call_info both;
	assert_int_equal(phone_call_info(alice->phone, second, &both), 0);
}

static bool misdirect(struct town *town, struct town_packet *p)
{
	if (town_relay_at(town, &p->source) != NULL &&
		net_address_equal(&p->destination.address, &bob->outside) &&
		(p->data[0] == NATIVE_FIRST_ADDRESS ||
			(p->data[0] == NATIVE_FIRST_CONTROL && p->data[2] == NATIVE_INVITE)))
		p->destination = place(carol);
	return true;
}

static void a_relay_calls_somebody_else(void **state)
{
	(void)state;
	begin(9, NULL, false, true);
	carol->answers = bob->answers = true;
	t.look = misdirect;
	call(alice, bob);
	town_run(&t, 5000);
	assert_null(town_find(carol, 0, PHONE_INCOMING));
	assert_null(town_find(bob, 0, PHONE_INCOMING));
	assert_null(town_find(alice, 0, PHONE_RINGING));
	assert_int_equal(talks(carol), 0);
	assert_int_equal(t.direct_packets, 0);
	t.look = NULL;
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 10000));
}

static unsigned lies;

// Where the relay says that we are: somewhere else each time.
static bool lie(struct town *town, struct town_packet *p)
{
	struct stun_message m;
	uint8_t out[256];
	struct net_endpoint victim = {.port = 4000};

	count(town, p);
	if (town_relay_at(town, &p->source) == NULL)
		return true;
	victim.address = town_v4(203, 0, 113, 1 + lies++ % 20);
	if (p->data[0] <= 3 && stun_parse(p->data, p->size, &m) == 0) {
		struct stun_builder b = stun_begin(
			out, sizeof(out), STUN_BINDING, STUN_SUCCESS, stun_transaction(&m));
		stun_add_xor_address(&b, STUN_XOR_MAPPED_ADDRESS, &victim);
		p->size = stun_finish(&b);
		memcpy(p->data, out, p->size);
	}
	struct native_alive alive;
	if (p->data[0] == NATIVE_FIRST_CONTROL && p->data[2] == NATIVE_ALIVE &&
		native_alive_parse(p->data, p->size, &alive) == 0) {
		alive.observed = victim;
		p->size = native_alive_build(out, sizeof(out), &alive);
		memcpy(p->data, out, p->size);
	}
	return true;
}

static void a_relay_lies_about_where_we_are(void **state)
{
	(void)state;
	static struct count c;
	begin(10, &cone, false, true);
	lies = 0;
	c = (struct count){.from = NULL};
	talk();
	t.look = lie;
	t.look_context = &c;
	const unsigned seconds = 180;
	town_run(&t, seconds * 1000);
	assert_talking();
	assert_true(lies > 0);
	// From both ends together.
	for (unsigned i = 0; i < c.host_count; i++)
		assert_true(
			c.by_host[i] <= 2 * (AGENT_CHECKS_PER_HOST + 1 +
						    seconds * 1000 / AGENT_CHECKS_HOST_REFILL_MS));
	assert_true(
		c.others <= 2 * (AGENT_CHECKS_BURST + seconds * 1000 / AGENT_CHECKS_REFILL_MS + 1));
	// When it stops to lie its word is good again.
	t.look = NULL;
	town_run(&t, 60000);
	nat_rebind(alice->nat);
	nat_rebind(bob->nat);
	alice->longest_gap = bob->longest_gap = 0;
	town_run(&t, 60000);
	assert_talking();
	assert_true(info(alice).paths >> PHONE_DIRECT != 0);
}

// Where we were is not kept as where we are, however often we move.
static void old_places_are_forgotten(void **state)
{
	(void)state;
	begin(11, &cone, false, true);
	talk();
	for (unsigned i = 0; i < 8; i++) {
		nat_rebind(alice->nat);
		nat_rebind(bob->nat);
		town_run(&t, 45000);
		assert_talking();
		struct agent_candidate list[AGENT_LOCAL_MAX];
		uint32_t generation;
		size_t size = agent_local(talk_of(alice)->agent, list, &generation);
		struct endpoint_transport seen = alice->phone->relays[0].observed;
		bool told = false;
		unsigned reflexive = 0;
		for (size_t k = 0; k < size; k++) {
			reflexive += list[k].type == AGENT_SERVER_REFLEXIVE;
			told = told || memcmp(&list[k].transport, &seen, sizeof(seen)) == 0;
		}
		assert_true(told);
		assert_in_range(reflexive, 1, 2);
		assert_true(info(alice).paths >> PHONE_DIRECT != 0);
	}
}

// A card may name anybody as its relay. Who does not answer is asked a few times.
static void silent_relays_of_a_card(void **state)
{
	(void)state;
	begin(12, NULL, false, true);
	struct phone_contact contact;
	static struct count c;
	bob->answers = true;
	town_contact(bob, &contact);
	contact.relays[0].address_count = 4;
	for (unsigned i = 1; i < 4; i++) {
		contact.relays[0].addresses[i] = contact.relays[0].addresses[0];
		contact.relays[0].addresses[i].address[3] = (uint8_t)(100 + i);
	}
	// The core is the one alice has for her own relay; for another she would make one.
	phone_withdraw(alice->phone, town_time(&t));
	town_run(&t, 3000);
	phone_free(alice->phone);
	alice->phone = NULL;
	t.users[0].config.relay_count = 0;
	alice = town_user_make(&t, 0, NULL, 0);
	c = (struct count){.from = alice};
	t.look = count;
	t.look_context = &c;
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
	assert_non_null(town_wait(&t, alice, 0, PHONE_ANSWERED, 5000));
	town_talk(alice);
	town_talk(bob);
	town_run(&t, 150 * 1000);
	assert_talking();
	assert_int_equal(c.host_count, 3);
	for (unsigned i = 0; i < c.host_count; i++)
		assert_in_range(c.by_host[i], 1, 26); // from two sockets
}

static bool keep_from_alice(struct town *town, struct town_packet *p)
{
	return town_relay_at(town, &p->source) == NULL ||
	       !net_address_equal(&p->destination.address, &alice->outside);
}

// The relay that is being left, or that a lying card names with another key, has the same address
// as the one that is wanted.
static void two_cores_at_one_relay(void **state)
{
	(void)state;
	begin(13, NULL, false, true);
	phone_free(alice->phone);
	alice->phone = NULL;
	alice = town_user_make(&t, 0, NULL, 0);
	talk();
	alice->talks = bob->talks = false;
	assert_int_equal(phone_hangup(alice->phone, alice->call, town_time(&t)), 0);
	while (talks(alice) > 0)
		assert_true(town_step(&t, t.now_ms + 2000));
	t.look = keep_from_alice; // that it has left is not heard
	town_run(&t, 100);
	t.look = NULL;
	alice->event_count = 0;
	call(alice, bob);
	assert_non_null(town_wait(&t, alice, 0, PHONE_RINGING, 350));
	assert_int_equal(phone_hangup(alice->phone, alice->call, town_time(&t)), 0);
	town_run(&t, 5000);
	// A card with a wrong key, and one with the right one, at once.
	struct phone_contact contact;
	town_contact(bob, &contact);
	contact.relays[0].has_key = true;
	memset(contact.relays[0].key, 7, sizeof(contact.relays[0].key));
	alice->event_count = bob->event_count = 0;
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
	memcpy(contact.relays[0].key, t.relays[0].relay.public_key, 32);
	assert_int_equal(phone_call(alice->phone, &contact, &alice->call, town_time(&t)), 0);
	assert_non_null(town_wait(&t, alice, 0, PHONE_RINGING, 1000));
	struct town_event *event = town_wait(&t, alice, 0, PHONE_ENDED, 1000);
	assert_non_null(event);
	assert_int_equal(event->event.ended.why, PHONE_END_RELAY);
	assert_true(event->event.call != alice->call);
	town_run(&t, 2000);
	unsigned rang = 0;
	for (unsigned i = 0; i < bob->event_count; i++)
		rang += bob->events[i].event.type == PHONE_INCOMING;
	assert_int_equal(rang, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, end)
		TEST(a_guess_is_not_confirmed),
		TEST(relay_only_confirms_no_guess),
		TEST(garbage_from_inside),
		TEST(ages_that_come_and_go),
		TEST(candidates_of_third_parties),
		TEST(frames_from_third_parties),
		TEST(a_relay_ends_all_legs),
		TEST(a_relay_swaps_handles),
		TEST(a_relay_calls_somebody_else),
		TEST(a_relay_lies_about_where_we_are),
		TEST(old_places_are_forgotten),
		TEST(silent_relays_of_a_card),
		TEST(two_cores_at_one_relay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
