// SPDX-License-Identifier: BSD-3-Clause
// OPEN and ACCEPT: a pair of handles comes about, over a restart of the control plane too; who may
// ask for what; tickets that are forged, old, or of another dataplane; declining, doing it twice,
// and coming second.
#include "tests/unit/registration_desk.h"

static struct desk *desk;
static struct desk_client caller, callee;

static int setup(void **state)
{
	(void)state;
	desk = desk_open("");
	caller = desk_client(1);
	callee = desk_client(2);
	desk->flags = API_NATIVE_PUNT_HERE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	desk_close(desk);
	return 0;
}

// The INVITE that the last request delivers.
static struct native_invite invite_of_last(void)
{
	const struct desk_install *install = desk_last(desk);
	const struct api_native_deliver *deliver = (const void *)install->payload;
	struct native_invite invite;
	assert_int_equal(install->type, API_NATIVE_DELIVER);
	assert_int_equal(install->size, sizeof(*deliver) + deliver->length);
	assert_int_equal(deliver->worker, 3);
	assert_memory_equal(deliver->address, callee.address, sizeof(callee.address));
	assert_int_equal(
		native_invite_parse(install->payload + sizeof(*deliver), deliver->length, &invite),
		0);
	return invite;
}

static uint8_t ticket[NATIVE_TICKET_SIZE];
static uint8_t caller_transaction[NATIVE_TRANSACTION_SIZE];

// The caller has asked, and the callee was invited.
static void invite_callee(void)
{
	const struct api_native_delivered delivered = {.devices = 1};
	desk_build_open(desk, &caller, &callee, "hello");
	memcpy(caller_transaction, desk->transaction, sizeof(caller_transaction));
	assert_int_equal(desk_punt(desk, &caller), 0);
	memcpy(ticket, invite_of_last().ticket, sizeof(ticket));
	assert_int_equal(desk_answer_with(desk, 0, &delivered, sizeof(delivered)), 0);
}

static unsigned accept(void)
{
	desk_build_accept(desk, &callee, ticket, true, "welcome");
	return desk_punt(desk, &callee);
}

static const struct api_handles_installed handles = {.generation = {5, 5}, .index = {1000, 1001}};

static unsigned answer_handles(void)
{
	return desk_answer_with(desk, 0, &handles, sizeof(handles));
}

// As a client computes it.
static void path_key_of(
	const struct desk_client *client, bool is_callee, uint8_t key[static NATIVE_PATH_KEY_SIZE])
{
	uint8_t shared[32];
	assert_int_equal(
		crypto_scalarmult(shared, client->ephemeral_secret, desk->key.public_key), 0);
	native_path_key(
		key, shared, client->ephemeral, desk->key.public_key, desk_open_id, is_callee);
}

static void assert_opened(const struct desk_sent *sent, const struct desk_client *client,
	bool is_callee, const uint8_t *transaction, const char *sealed)
{
	struct native_opened m;
	uint8_t key[NATIVE_PATH_KEY_SIZE], proof[NATIVE_PROOF_SIZE];
	assert_true(net_endpoint_equal(&sent->head.destination, &client->endpoint));
	assert_int_equal(native_opened_parse(sent->message, sent->head.length, &m), 0);
	assert_memory_equal(m.transaction, transaction, NATIVE_TRANSACTION_SIZE);
	assert_memory_equal(m.open_id, desk_open_id, NATIVE_OPEN_ID_SIZE);
	assert_int_equal(m.handle.index, is_callee ? 1001 : 1000);
	assert_int_equal(m.handle.generation, 5);
	assert_int_equal(m.lifetime, 60);
	assert_int_equal(m.keepalive, 20);
	assert_int_equal(m.sealed_size, strlen(sealed));
	assert_memory_equal(m.sealed, sealed, strlen(sealed));
	path_key_of(client, is_callee, key);
	native_opened_proof(proof, key, &m);
	assert_memory_equal(m.proof, proof, sizeof(proof));
}

static void two_clients_become_a_pair(void **state)
{
	(void)state;
	uint8_t key[NATIVE_PATH_KEY_SIZE];
	invite_callee();
	assert_int_equal(desk_in_flight(desk), 0); // nothing is kept meanwhile
	assert_int_equal(accept(), 0);
	assert_int_equal(desk_last(desk)->type, API_HANDLES_INSTALL);
	assert_int_equal(desk_last(desk)->size, sizeof(struct api_handles_install));
	const struct api_handles_install *pair = (const void *)desk_last(desk)->payload;
	assert_memory_equal(pair->open_id, desk_open_id, NATIVE_OPEN_ID_SIZE);
	assert_int_equal(pair->lifetime_ms, 60000);
	assert_true(net_endpoint_equal(&pair->end[0].client, &caller.endpoint));
	assert_true(net_endpoint_equal(&pair->end[0].server, &desk->server));
	assert_true(net_endpoint_equal(&pair->end[1].client, &callee.endpoint));
	assert_true(net_endpoint_equal(&pair->end[1].server, &desk->server));
	path_key_of(&caller, false, key);
	assert_memory_equal(pair->end[0].key, key, sizeof(key));
	path_key_of(&callee, true, key);
	assert_memory_equal(pair->end[1].key, key, sizeof(key));

	assert_int_equal(answer_handles(), 2);
	assert_opened(desk_reply(desk, 1), &caller, false, caller_transaction, "welcome");
	assert_opened(desk_reply(desk, 0), &callee, true, desk->transaction, "");
	assert_int_equal(desk_in_flight(desk), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_invited), 1);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_opened), 1);
}

static bool holds(const void *bytes, size_t size, const void *part, size_t part_size)
{
	return memmem(bytes, size, part, part_size) != NULL;
}

static void callee_learns_what_was_sealed_and_nothing_else(void **state)
{
	(void)state;
	invite_callee();
	const struct native_invite invite = invite_of_last();
	const uint8_t *bytes = desk_last(desk)->payload + sizeof(struct api_native_deliver);
	size_t size = desk_last(desk)->size - sizeof(struct api_native_deliver);
	assert_int_equal(invite.sealed_size, 5);
	assert_memory_equal(invite.sealed, "hello", 5);
	assert_memory_equal(invite.open_id, desk_open_id, sizeof(desk_open_id));
	assert_memory_equal(invite.callee, callee.address, sizeof(callee.address));
	assert_false(holds(bytes, size, caller.address, 8));
	assert_false(holds(bytes, size, caller.address + 16, 8));
	assert_false(holds(bytes, size, caller.key, 8));
	assert_false(holds(bytes, size, caller.ephemeral, 8));
	assert_false(holds(bytes, size, caller_transaction, 8));
	assert_false(holds(bytes, size, caller.endpoint.address.bytes, 4));
}

static void open_needs_lease_key_and_signature(void **state)
{
	(void)state;
	struct desk_client other = desk_client(3);
	desk_build_open(desk, &caller, &callee, "hello");
	desk->size--;
	desk_punt(desk, &caller);
	assert_int_equal(desk_refusal(desk, &caller, NULL), NATIVE_REFUSED_MALFORMED);
	desk->size++;
	desk->flags = API_NATIVE_PUNT_KNOWN; // the device somewhere, not here
	desk_punt(desk, &caller);
	assert_int_equal(desk_refusal(desk, &caller, NULL), NATIVE_REFUSED_NOT_REGISTERED);
	desk->flags = API_NATIVE_PUNT_HERE;
	memcpy(other.address, caller.address, sizeof(other.address));
	desk_build_open(desk, &other, &callee, "hello");
	desk_punt(desk, &caller);
	assert_int_equal(desk_refusal(desk, &caller, NULL), NATIVE_REFUSED_KEY);
	memcpy(other.key, caller.key, sizeof(other.key));
	desk_build_open(desk, &other, &callee, "hello");
	desk_punt(desk, &caller);
	assert_int_equal(desk_refusal(desk, &caller, NULL), NATIVE_REFUSED_SIGNATURE);
	assert_int_equal(desk->installed, 0);
	assert_int_equal(desk_in_flight(desk), 0);
}

static void ephemeral_of_small_order_is_refused(void **state)
{
	(void)state;
	memset(caller.ephemeral, 0, sizeof(caller.ephemeral));
	desk_build_open(desk, &caller, &callee, "hello");
	desk_punt(desk, &caller);
	assert_int_equal(desk_refusal(desk, &caller, NULL), NATIVE_REFUSED_MALFORMED);
	assert_int_equal(desk->installed, 0);
	caller = desk_client(1);
	invite_callee();
	memset(callee.ephemeral, 0, sizeof(callee.ephemeral));
	callee.ephemeral[0] = 1;
	accept();
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_MALFORMED);
	assert_int_equal(desk->installed, 1);
}

static void nobody_there(void **state)
{
	(void)state;
	desk_build_open(desk, &caller, &callee, "hello");
	desk_punt(desk, &caller);
	assert_int_equal(desk_answer(desk, -ENOENT), 1);
	assert_int_equal(desk_refusal(desk, &caller, NULL), NATIVE_REFUSED_NO_ADDRESS);
	assert_int_equal(desk_in_flight(desk), 0);
}

static void accept_needs_lease_key_ticket_and_signature(void **state)
{
	(void)state;
	struct desk_client other = desk_client(3);
	invite_callee();
	desk_build_accept(desk, &callee, ticket, true, "welcome");
	desk->size++;
	desk_punt(desk, &callee);
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_MALFORMED);
	desk->flags = 0;
	accept();
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_NOT_REGISTERED);
	desk->flags = API_NATIVE_PUNT_HERE;
	memcpy(other.address, callee.address, sizeof(other.address));
	desk_build_accept(desk, &other, ticket, true, "welcome");
	desk_punt(desk, &callee);
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_KEY);
	memcpy(other.key, callee.key, sizeof(other.key));
	ticket[60] ^= 1;
	desk_build_accept(desk, &other, ticket, true, "welcome");
	desk_punt(desk, &callee);
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_TICKET);
	ticket[60] ^= 1;
	desk_build_accept(desk, &other, ticket, true, "welcome");
	desk_punt(desk, &callee);
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_SIGNATURE);
	assert_int_equal(desk->installed, 1);
	accept();
	assert_int_equal(desk->installed, 2);
}

static void ticket_is_for_one_callee_and_one_open_id(void **state)
{
	(void)state;
	struct desk_client other = desk_client(3);
	invite_callee();
	// Somebody else who is registered got hold of it.
	desk_build_accept(desk, &other, ticket, true, "welcome");
	desk_punt(desk, &other);
	assert_int_equal(desk_refusal(desk, &other, NULL), NATIVE_REFUSED_TICKET);
	desk_build_accept(desk, &callee, ticket, true, "welcome");
	desk->message[24] ^= 1; // open id
	desk_sign(desk, &callee);
	desk_punt(desk, &callee);
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_TICKET);
	for (unsigned i = 0; i < NATIVE_TICKET_SIZE; i++) {
		ticket[i] ^= 0x80;
		accept();
		assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_TICKET);
		ticket[i] ^= 0x80;
	}
	assert_int_equal(desk->installed, 1);
}

static void ticket_is_good_for_thirty_seconds(void **state)
{
	(void)state;
	invite_callee();
	desk->now_ms += NATIVE_TICKET_S * 1000 - 1;
	accept();
	assert_int_equal(desk->installed, 2);
	desk->now_ms += 1;
	accept();
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_TICKET);
	// A clock that began anew does not make it good for longer.
	desk->now_ms = 5;
	accept();
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_TICKET);
	assert_int_equal(desk->installed, 2);
}

static void restart_between_open_and_accept(void **state)
{
	(void)state;
	invite_callee();
	desk_restart(desk);
	assert_int_equal(accept(), 0);
	assert_int_equal(answer_handles(), 2);
	assert_opened(desk_reply(desk, 1), &caller, false, caller_transaction, "welcome");
	assert_opened(desk_reply(desk, 0), &callee, true, desk->transaction, "");
}

static void ticket_of_another_dataplane_is_refused(void **state)
{
	(void)state;
	invite_callee();
	desk->secret[31] ^= 1;
	desk_connect(desk);
	accept();
	assert_int_equal(desk_refusal(desk, &callee, NULL), NATIVE_REFUSED_TICKET);
	assert_int_equal(desk->installed, 1);
}

static void accepting_twice_gives_the_same(void **state)
{
	(void)state;
	struct api_handles_installed again = handles;
	again.again = 1;
	invite_callee();
	accept();
	answer_handles();
	accept();
	assert_int_equal(desk_answer_with(desk, 0, &again, sizeof(again)), 2);
	assert_opened(desk_reply(desk, 1), &caller, false, caller_transaction, "welcome");
	assert_opened(desk_reply(desk, 0), &callee, true, desk->transaction, "");
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_opened), 1);
}

static void second_device_comes_too_late(void **state)
{
	(void)state;
	struct desk_client second = desk_client(2); // the same keys elsewhere
	second.endpoint.port++;
	invite_callee();
	accept();
	answer_handles();
	desk_build_accept(desk, &second, ticket, true, "welcome");
	desk_punt(desk, &second);
	assert_int_equal(desk_answer(desk, -EEXIST), 1); // the caller hears nothing of it
	assert_int_equal(desk_refusal(desk, &second, NULL), NATIVE_REFUSED_TAKEN);
}

static void declining_is_told_to_both(void **state)
{
	(void)state;
	struct native_refused m;
	invite_callee();
	desk_build_accept(desk, &callee, ticket, false, "");
	assert_int_equal(desk_punt(desk, &callee), 2);
	assert_int_equal(desk->installed, 1);
	const struct desk_sent *sent = desk_reply(desk, 0);
	assert_int_equal(native_refused_parse(sent->message, sent->head.length, &m), 0);
	assert_int_equal(m.reason, NATIVE_REFUSED_DECLINED);
	assert_memory_equal(m.transaction, caller_transaction, sizeof(caller_transaction));
	assert_true(net_endpoint_equal(&sent->head.destination, &caller.endpoint));
	sent = desk_reply(desk, 1);
	assert_int_equal(native_refused_parse(sent->message, sent->head.length, &m), 0);
	assert_int_equal(m.reason, NATIVE_REFUSED_DECLINED);
	assert_memory_equal(m.transaction, desk->transaction, NATIVE_TRANSACTION_SIZE);
	assert_true(net_endpoint_equal(&sent->head.destination, &callee.endpoint));
}

static void dataplane_says_no(void **state)
{
	(void)state;
	static const struct {
		int error;
		enum native_reason reason;
		unsigned told; // how many are
	} cases[] = {
		{-EEXIST, NATIVE_REFUSED_TAKEN, 1},
		{-ENOSPC, NATIVE_REFUSED_FULL, 2},
		{-ESHUTDOWN, NATIVE_REFUSED_DRAINING, 2},
		{-EINVAL, NATIVE_REFUSED_NOT_SERVED, 1},
		{-EAGAIN, NATIVE_REFUSED_BUSY, 1},
	};
	invite_callee();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct native_refused m;
		accept();
		assert_int_equal(desk_answer(desk, cases[i].error), cases[i].told);
		const struct desk_sent *sent = desk_reply(desk, cases[i].told - 1);
		assert_int_equal(native_refused_parse(sent->message, sent->head.length, &m), 0);
		assert_int_equal(m.reason, cases[i].reason);
		assert_true(net_endpoint_equal(&sent->head.destination, &callee.endpoint));
		if (cases[i].told == 2)
			assert_true(net_endpoint_equal(
				&desk_reply(desk, 0)->head.destination, &caller.endpoint));
		assert_int_equal(desk_in_flight(desk), 0);
	}
	accept();
	assert_int_equal(desk_answer(desk, -ENOTCONN), 0);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_opened), 0);
}

static void draining_opens_nothing_new(void **state)
{
	(void)state;
	registration_core_drain(desk->core, true);
	desk_build_open(desk, &caller, &callee, "hello");
	desk_punt(desk, &caller);
	assert_int_equal(desk_refusal(desk, &caller, NULL), NATIVE_REFUSED_DRAINING);
	assert_int_equal(desk->installed, 0);
}

static void largest_sealed_parts_pass(void **state)
{
	(void)state;
	char text[NATIVE_SEALED_MAX + 1];
	memset(text, 's', NATIVE_SEALED_MAX);
	text[NATIVE_SEALED_MAX] = '\0';
	desk_build_open(desk, &caller, &callee, text);
	desk_punt(desk, &caller);
	assert_int_equal(invite_of_last().sealed_size, NATIVE_SEALED_MAX);
	memcpy(caller_transaction, desk->transaction, sizeof(caller_transaction));
	memcpy(ticket, invite_of_last().ticket, sizeof(ticket));
	// ACCEPT's own fields leave it less than that.
	text[NATIVE_MESSAGE_MAX - 348] = '\0';
	desk_build_accept(desk, &callee, ticket, true, text);
	desk_punt(desk, &callee);
	assert_int_equal(answer_handles(), 2);
	assert_opened(desk_reply(desk, 1), &caller, false, caller_transaction, text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(two_clients_become_a_pair),
		TEST(callee_learns_what_was_sealed_and_nothing_else),
		TEST(open_needs_lease_key_and_signature),
		TEST(ephemeral_of_small_order_is_refused),
		TEST(nobody_there),
		TEST(accept_needs_lease_key_ticket_and_signature),
		TEST(ticket_is_for_one_callee_and_one_open_id),
		TEST(ticket_is_good_for_thirty_seconds),
		TEST(restart_between_open_and_accept),
		TEST(ticket_of_another_dataplane_is_refused),
		TEST(accepting_twice_gives_the_same),
		TEST(second_device_comes_too_late),
		TEST(declining_is_told_to_both),
		TEST(dataplane_says_no),
		TEST(draining_opens_nothing_new),
		TEST(largest_sealed_parts_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
