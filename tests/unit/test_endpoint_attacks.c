// SPDX-License-Identifier: BSD-3-Clause
// What others than the relay and the peer can do to an endpoint: nothing. Forged messages of every
// type, replays of everything that came, other sources; and what an observer can link.
#include "tests/unit/endpoint_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct world w;
static struct world_client *alice, *bob;
static uint64_t call_id;

static void accept_all(struct world_client *c, const struct endpoint_event *event)
{
	if (event->type == ENDPOINT_INVITE)
		endpoint_accept(c->endpoint, event->call, "welcome", 7, world_time(c));
}

// What went over the wires.
static struct kept {
	bool to_relay;
	uint8_t data[1400];
	size_t size;
} kept[4096];
static unsigned kept_count;

static bool keep(struct world *world, bool to_relay, const uint8_t *data, size_t size)
{
	(void)world;
	if (kept_count < sizeof(kept) / sizeof(kept[0])) {
		struct kept *k = &kept[kept_count++];
		k->to_relay = to_relay;
		k->size = size;
		memcpy(k->data, data, size);
	}
	return true;
}

static int begin(void **state)
{
	(void)state;
	world_begin(&w, 3);
	kept_count = 0;
	w.look = keep;
	alice = world_client_make(&w, 0);
	bob = world_client_make(&w, 1);
	bob->react = accept_all;
	endpoint_register(alice->endpoint, world_time(alice));
	endpoint_register(bob->endpoint, world_time(bob));
	world_run(&w, 500);
	return endpoint_open(alice->endpoint, &bob->peer, "hello", 5, &call_id, world_time(alice));
}

static int end(void **state)
{
	(void)state;
	world_end(&w);
	return 0;
}

static uint64_t counted(struct world_client *c, enum endpoint_counter counter)
{
	return endpoint_counter(c->endpoint, counter);
}

static void inject_from(struct world_client *c, const struct endpoint_transport *source,
	const uint8_t *data, size_t size)
{
	endpoint_receive(c->endpoint, source, data, size, world_time(c));
}

// Gives alice a message and expects that nothing follows but one more of a counter.
static void without_effect(
	const uint8_t *data, size_t size, enum endpoint_counter counter, const char *what)
{
	unsigned events = alice->event_count;
	uint64_t sent = counted(alice, ENDPOINT_COUNTER_sent), before = counted(alice, counter);
	uint64_t deadline = endpoint_deadline(alice->endpoint);
	inject_from(alice, &world_relay_address, data, size);
	if (alice->event_count != events)
		fail_msg("%s: an event %d", what, alice->events[events].event.type);
	if (counted(alice, ENDPOINT_COUNTER_sent) != sent)
		fail_msg("%s: something was sent", what);
	if (counted(alice, counter) != before + 1)
		fail_msg("%s: not counted as %s", what, endpoint_counter_name(counter));
	if (endpoint_deadline(alice->endpoint) != deadline)
		fail_msg("%s: another deadline", what);
}

#define FORGE(counter, kind, ...)                                                                  \
	do {                                                                                       \
		size_t size = native_##kind##_build(                                               \
			out, sizeof(out), &(struct native_##kind){__VA_ARGS__});                   \
		assert_true(size > 0);                                                             \
		without_effect(out, size, ENDPOINT_COUNTER_##counter, #kind);                      \
	} while (0)

// One struct, two builders.
#define native_delivered_message       native_by_address
#define native_delivered_message_build native_delivered_build

static void forge_all(void)
{
	uint8_t out[NATIVE_MESSAGE_MAX], junk[NATIVE_SEALED_MAX], own[32];
	const struct native_handle handle = {.generation = 77, .index = 12345};
	randombytes_buf(junk, sizeof(junk));
	uint32_t epoch = epoch_at(world_time(alice).wall_s, 3600);
	endpoint_peer_address(&alice->peer, epoch, own);

	FORGE(ignored_transaction, challenge, .transaction = junk, .cookie = junk, .epoch = epoch,
		.epoch_seconds = 3600);
	FORGE(ignored_transaction, registered, .transaction = junk, .lifetime = 1, .cookie = junk,
		.observed = alice->outside, .keepalive = 1, .devices = 1, .payload = 1,
		.relay_key = junk);
	for (uint8_t reason = 1; reason <= NATIVE_REFUSED_NOT_SERVED; reason++)
		FORGE(ignored_transaction, refused, .transaction = junk, .reason = reason);
	FORGE(ignored_transaction, alive, .transaction = junk, .cookie = junk,
		.observed = bob->outside, .left = 0);
	FORGE(ignored_handle, path_challenge, .transaction = junk, .handle = handle, .token = junk);
	FORGE(ignored_address, invite, .transaction = junk, .open_id = junk, .callee = junk,
		.ticket = junk, .sealed = junk, .sealed_size = 300);
	FORGE(ignored_sealed, invite, .transaction = junk, .open_id = junk, .callee = own,
		.ticket = junk, .sealed = junk, .sealed_size = 300);
	FORGE(ignored_sealed, invite, .transaction = junk, .open_id = junk, .callee = own,
		.ticket = junk, .sealed = junk, .sealed_size = 3);
	FORGE(ignored_transaction, opened, .transaction = junk, .open_id = junk, .handle = handle,
		.lifetime = 60, .keepalive = 20, .proof = junk, .sealed = junk, .sealed_size = 50);
	FORGE(ignored_handle, closed, .transaction = junk, .handle = handle, .reason = 1,
		.proof = junk);
	FORGE(ignored_transaction, unsupported, .transaction = junk, .lowest = 9, .highest = 9);
	FORGE(ignored_address, delivered_message, .hops = 3, .address = junk, .payload = junk,
		.payload_size = 100);
	FORGE(ignored_handle, by_handle, .handle = handle, .payload = junk, .payload_size = 100);
	// Clients' own messages, sent back.
	FORGE(ignored_type, solicit, .transaction = junk);
	FORGE(ignored_type, keepalive, .transaction = junk, .cookie = junk);
	FORGE(ignored_type, close, .transaction = junk, .handle = handle, .proof = junk);
	static const uint8_t odd[] = {0, 1, 2, 3, 7, 8, 64, 255};
	for (unsigned i = 0; i < sizeof(odd); i++) {
		junk[0] = odd[i];
		without_effect(junk, 60, ENDPOINT_COUNTER_ignored_type, "another first byte");
	}
	without_effect(junk, 0, ENDPOINT_COUNTER_ignored_malformed, "nothing");
}

static void forged_while_registering(void **state)
{
	(void)state;
	world_end(&w);
	world_begin(&w, 3);
	alice = world_client_make(&w, 0);
	bob = world_client_make(&w, 1);
	endpoint_register(alice->endpoint, world_time(alice));
	for (unsigned i = 0; i < 5; i++) {
		uint8_t out[NATIVE_MESSAGE_MAX], junk[32] = {1};
		FORGE(ignored_transaction, challenge, .transaction = junk, .cookie = junk,
			.epoch_seconds = 1);
		FORGE(ignored_transaction, refused, .transaction = junk, .reason = 4);
		FORGE(ignored_transaction, unsupported, .transaction = junk, .lowest = 9,
			.highest = 9);
		world_run(&w, 10);
	}
	world_run(&w, 100);
	assert_non_null(world_find(alice, 0, ENDPOINT_REGISTERED));
}

// Somebody on the way sends altered copies ahead of the real requests: what the relay says of them
// bears the real transactions.
static bool refuse_copies(struct world *world, bool to_relay, const uint8_t *data, size_t size)
{
	static const uint8_t reasons[] = {
		NATIVE_REFUSED_MALFORMED, NATIVE_REFUSED_KEY, NATIVE_REFUSED_SIGNATURE};
	struct native_header h;
	uint8_t out[64];
	if (!to_relay || data[0] != NATIVE_FIRST_CONTROL ||
		native_header_parse(data, size, &h) != 0)
		return true;
	if (h.type != NATIVE_REGISTER && h.type != NATIVE_OPEN && h.type != NATIVE_ACCEPT)
		return true;
	unsigned *count = world->look_context;
	const struct world_client *sender = h.type == NATIVE_ACCEPT ? bob : alice;
	size_t refused = native_refused_build(out, sizeof(out),
		&(struct native_refused){
			.transaction = h.transaction, .reason = reasons[*count % 3]});
	world_carry_one(world, false, &sender->outside, out, refused);
	return ++*count % 2 == 0; // and every other request is lost
}

static void copies_refused(void **state)
{
	(void)state;
	unsigned count = 0;
	for (uint64_t seed = 1; seed <= 8; seed++) {
		world_end(&w);
		world_begin(&w, seed);
		alice = world_client_make(&w, 0);
		bob = world_client_make(&w, 1);
		endpoint_register(bob->endpoint, world_time(bob));
		assert_non_null(world_wait(&w, bob, 0, ENDPOINT_REGISTERED, 1000));
		w.look = refuse_copies;
		w.look_context = &count;
		endpoint_register(alice->endpoint, world_time(alice));
		assert_non_null(world_wait(&w, alice, 0, ENDPOINT_REGISTERED, 2000));
		uint64_t call;
		assert_int_equal(endpoint_open(alice->endpoint, &bob->peer, NULL, 0, &call,
					 world_time(alice)),
			0);
		struct world_event *invite = world_wait(&w, bob, 0, ENDPOINT_INVITE, 3000);
		assert_non_null(invite);
		assert_int_equal(endpoint_accept(bob->endpoint, invite->event.call, NULL, 0,
					 world_time(bob)),
			0);
		assert_non_null(world_wait(&w, alice, 0, ENDPOINT_OPENED, 5000));
		assert_null(world_find(alice, 0, ENDPOINT_REFUSED));
		assert_null(world_find(alice, 0, ENDPOINT_ENDED));
	}
	assert_true(count > 24);
}

static void forged_in_each_state(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++) { // OPEN, INVITE, ACCEPT and OPENED on their way
		forge_all();
		world_run(&w, 5);
	}
	assert_non_null(world_find(alice, 0, ENDPOINT_OPENED));
	forge_all();
	assert_int_equal(endpoint_send(alice->endpoint, call_id, "x", 1, world_time(alice)), 0);
	world_run(&w, 50);
	assert_int_equal(world_count(bob, ENDPOINT_DATA), 1);
}

// Somebody on the path sees OPENED, and tells of another handle under the same transaction.
static struct kept caught[2]; // alice's, bob's

static bool catch_opened(struct world *world, bool to_relay, const uint8_t *data, size_t size)
{
	(void)world;
	if (to_relay || size < 60 || data[0] != NATIVE_FIRST_CONTROL || data[2] != NATIVE_OPENED)
		return true;
	struct kept *k = &caught[size == 60]; // nothing is sealed for the callee
	k->size = size;
	memcpy(k->data, data, size);
	return false;
}

static void forged_opened(void **state)
{
	(void)state;
	memset(caught, 0, sizeof(caught));
	w.look = catch_opened;
	world_run(&w, 100);
	for (unsigned i = 0; i < 2; i++) {
		struct world_client *c = i == 0 ? alice : bob;
		assert_true(caught[i].size > 0);
		for (size_t at = 12; at < caught[i].size; at++) {
			if (at == 40 || at == 41)
				continue; // the keepalive, which the lifetime bounds
			caught[i].data[at] ^= 1;
			inject_from(c, &world_relay_address, caught[i].data, caught[i].size);
			caught[i].data[at] ^= 1;
		}
		assert_null(world_find(c, 0, ENDPOINT_OPENED));
		assert_null(world_find(c, 0, ENDPOINT_ENDED));
		// Id, length and the handle's first bytes are looked at first; all else is proven.
		assert_int_equal(counted(c, ENDPOINT_COUNTER_ignored_proof),
			caught[i].size - 12 - 16 - 2 - 2 - 2);
		inject_from(c, &world_relay_address, caught[i].data, caught[i].size);
		assert_non_null(world_find(c, 0, ENDPOINT_OPENED));
	}
	w.look = keep;
	assert_int_equal(endpoint_send(alice->endpoint, call_id, "x", 1, world_time(alice)), 0);
	world_run(&w, 50);
	assert_int_equal(world_count(bob, ENDPOINT_DATA), 1);
}

// With the right handle, but without the keys.
static void forged_for_a_live_handle(void **state)
{
	(void)state;
	world_run(&w, 500);
	uint8_t out[NATIVE_MESSAGE_MAX], junk[128];
	randombytes_buf(junk, sizeof(junk));
	const struct native_handle handle = relay_handle_of(&w.relay, &w.relay.pairs[0], 0);
	for (uint8_t reason = 1; reason <= NATIVE_CLOSED_YOU_SILENT; reason++)
		FORGE(ignored_proof, closed, .transaction = junk, .handle = handle,
			.reason = reason, .proof = junk);
	FORGE(ignored_sealed, by_handle, .handle = handle, .payload = junk, .payload_size = 100);
	FORGE(ignored_sealed, by_handle, .handle = handle, .payload = junk, .payload_size = 3);
	// Path checks are answered to the relay, and moderately; nothing else follows.
	unsigned events = alice->event_count;
	uint64_t sent = counted(alice, ENDPOINT_COUNTER_sent);
	for (unsigned i = 0; i < 1000; i++) {
		size_t size = native_path_challenge_build(out, sizeof(out),
			&(struct native_path_challenge){
				.transaction = junk, .handle = handle, .token = junk});
		inject_from(alice, &world_relay_address, out, size);
		world_run(&w, 1);
	}
	assert_int_equal(alice->event_count, events);
	assert_in_range(counted(alice, ENDPOINT_COUNTER_sent) - sent, 1, 52);
	assert_true(counted(alice, ENDPOINT_COUNTER_ignored_rate) > 900);
	// The call is still there, also where it was.
	assert_int_equal(endpoint_send(alice->endpoint, call_id, "x", 1, world_time(alice)), 0);
	world_run(&w, 50);
	assert_int_equal(world_count(bob, ENDPOINT_DATA), 1);
}

static void from_elsewhere(void **state)
{
	(void)state;
	struct endpoint_transport other = world_relay_address;
	world_run(&w, 500);
	other.port++;
	unsigned events = alice->event_count;
	uint64_t sent = counted(alice, ENDPOINT_COUNTER_sent);
	for (unsigned i = 0; i < kept_count; i++)
		inject_from(alice, &other, kept[i].data, kept[i].size);
	other = world_relay_address;
	other.address[3]++;
	for (unsigned i = 0; i < kept_count; i++)
		inject_from(alice, &other, kept[i].data, kept[i].size);
	assert_int_equal(alice->event_count, events);
	assert_int_equal(counted(alice, ENDPOINT_COUNTER_sent), sent);
	assert_int_equal(counted(alice, ENDPOINT_COUNTER_ignored_source), 2 * kept_count);
}

// Everything that either client ever got, again, from the relay's address: during the call, after
// it, and to the other one.
static void replayed(void **state)
{
	(void)state;
	world_run(&w, 500);
	for (unsigned i = 0; i < 20; i++) {
		endpoint_send(alice->endpoint, call_id, &i, sizeof(i), world_time(alice));
		endpoint_send_to_peer(alice->endpoint, &bob->peer, "note", 4, world_time(alice));
		world_run(&w, 1000);
	}
	bob->outside.port++;
	endpoint_network_changed(bob->endpoint, world_time(bob));
	world_run(&w, 1000);
	assert_int_equal(world_count(bob, ENDPOINT_DATA), 20);
	assert_int_equal(world_count(bob, ENDPOINT_MESSAGE), 20);
	for (unsigned round = 0; round < 2; round++) {
		unsigned to = kept_count;
		bob->react = NULL;
		for (unsigned i = 0; i < to; i++) {
			inject_from(alice, &world_relay_address, kept[i].data, kept[i].size);
			inject_from(bob, &world_relay_address, kept[i].data, kept[i].size);
			world_run(&w, 1);
		}
		world_run(&w, 5000);
		assert_int_equal(world_count(bob, ENDPOINT_DATA), 20);
		assert_int_equal(world_count(bob, ENDPOINT_MESSAGE), 20);
		assert_int_equal(world_count(bob, ENDPOINT_INVITE), 1);
		assert_int_equal(world_count(alice, ENDPOINT_ENDED), 0);
		assert_int_equal(world_count(alice, ENDPOINT_OPENED), 1);
		if (round == 0) {
			endpoint_close(alice->endpoint, call_id, world_time(alice));
			world_run(&w, 1000);
			assert_int_equal(world_count(bob, ENDPOINT_ENDED), 1);
		}
	}
	assert_int_equal(world_count(bob, ENDPOINT_ENDED), 1);
	assert_int_equal(w.relay.made, 1);
	// And to the relay: what the clients sent, from where they are.
	unsigned live = relay_lease_count(&w.relay);
	for (unsigned i = 0; i < kept_count; i++)
		if (kept[i].to_relay)
			relay_receive(&w.relay, &alice->outside, kept[i].data, kept[i].size);
	world_run(&w, 5000);
	assert_int_equal(w.relay.made, 1);
	assert_int_equal(relay_lease_count(&w.relay), live);
}

// ---- what can be linked ----

// Bytes of a REGISTER that are the same for everybody, or belong to the transport (the cookie).
static bool is_constant(size_t offset)
{
	return offset < 4 || (offset >= 12 && offset < 32) || (offset >= 104 && offset < 108);
}

static bool window(const struct kept *k, size_t at)
{
	for (size_t i = 0; i < 4; i++)
		if (is_constant(at + i))
			return false;
	return at + 4 <= k->size;
}

static unsigned shared_windows(const struct kept *a, const struct kept *b)
{
	unsigned count = 0;
	for (size_t i = 0; i + 4 <= a->size; i++)
		for (size_t j = 0; window(a, i) && j + 4 <= b->size; j++)
			count += window(b, j) && memcmp(a->data + i, b->data + j, 4) == 0;
	return count;
}

static bool keep_registers(struct world *world, bool to_relay, const uint8_t *data, size_t size)
{
	return !to_relay || size < 100 || data[2] != NATIVE_REGISTER ||
	       keep(world, to_relay, data, size);
}

static void epochs_cannot_be_linked(void **state)
{
	(void)state;
	world_end(&w);
	world_begin(&w, 5);
	memset(w.relay.hash_key, 5, sizeof(w.relay.hash_key)); // the same bytes in every run
	kept_count = 0;
	w.look = keep_registers;
	alice = world_client_make(&w, 0);
	endpoint_register(alice->endpoint, world_time(alice));
	world_run(&w, 6 * 3600 * 1000);
	unsigned same = 0, other = 0;
	for (unsigned i = 0; i < kept_count; i++)
		for (unsigned k = i + 1; k < kept_count; k++) {
			bool one_epoch = memcmp(kept[i].data + 28, kept[k].data + 28, 4) == 0;
			unsigned shared = shared_windows(&kept[i], &kept[k]);
			if (one_epoch)
				same += shared;
			else if (shared != 0)
				fail_msg("registrations %u and %u share %u strings", i, k, shared);
			other += !one_epoch;
		}
	assert_true(other > 500);
	assert_true(same > 0); // what is looked for can be found
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(forged_while_registering),
		TEST(copies_refused),
		TEST(forged_in_each_state),
		TEST(forged_opened),
		TEST(forged_for_a_live_handle),
		TEST(from_elsewhere),
		TEST(replayed),
		TEST(epochs_cannot_be_linked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
