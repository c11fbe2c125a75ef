// SPDX-License-Identifier: BSD-3-Clause
// Admission: puzzles whose difficulty follows the load and comes down again, tokens that buy a
// lease or come back, and devices that need neither.
#include "tests/unit/registration_desk.h"

static struct desk *desk;

static int setup_puzzle(void **state)
{
	(void)state;
	desk = desk_open("admission = pow\npuzzle-above = 10");
	return 0;
}

static int setup_token(void **state)
{
	(void)state;
	desk = desk_open("admission = token");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	desk_close(desk);
	return 0;
}

// ---- puzzles ----

// The first solution with exactly that many bits: it is no solution of the next difficulty.
static void solve(const struct desk_client *client, unsigned bits, uint8_t out[static 8])
{
	for (uint64_t i = 0;; i++) {
		memcpy(out, &i, 8);
		if (native_puzzle_bits(desk_cookie, client->address, out) == bits)
			return;
	}
}

static void load(const struct desk_client *client, unsigned registrations)
{
	for (unsigned i = 0; i < registrations; i++) {
		unsigned before = desk->installed;
		desk_register(desk, client, 300);
		if (desk->installed > before)
			desk_answer(desk, 0);
	}
}

static void settle(void)
{
	while (desk->settings_id != 0)
		desk_settings_answer(desk, 0);
}

static void nothing_to_solve_without_load(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	assert_int_equal(desk->settings.admission, NATIVE_ADMISSION_PUZZLE);
	for (unsigned second = 0; second < 5; second++) {
		load(&client, 9);
		desk_wait(desk, 1000);
		settle();
	}
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_registered), 45);
	assert_int_equal(desk->settings.difficulty, 0);
	assert_int_equal(desk->settings_told, 1);
}

static void load_asks_for_a_puzzle_at_once(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	uint32_t detail;
	load(&client, 9);
	assert_int_equal(desk->installed, 9);
	load(&client, 1);
	assert_int_equal(desk_refusal(desk, &client, &detail), NATIVE_REFUSED_PUZZLE);
	assert_int_equal(detail, 12);
	assert_int_equal(desk->installed, 9);
	settle();
	assert_int_equal(desk->settings.difficulty, 12);
	// One bit more for each doubling; flooding costs no signature check.
	load(&client, 30);
	assert_int_equal(desk_refusal(desk, &client, &detail), NATIVE_REFUSED_PUZZLE);
	assert_int_equal(detail, 14);
	settle();
	assert_int_equal(desk->settings.difficulty, 14);
	assert_int_equal(desk->installed, 9);
}

static void solution_admits(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1), other = desk_client(2);
	uint8_t solution[NATIVE_SOLUTION_SIZE];
	load(&client, 10);
	struct native_register m = desk_register_of(desk, &client, 300);
	m.admission = NATIVE_ADMISSION_PUZZLE;
	m.solution = solution;
	solve(&client, 11, solution);
	desk_register_send(desk, &client, &m);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_PUZZLE);
	solve(&other, 12, solution); // of another address
	if (native_puzzle_bits(desk_cookie, client.address, solution) < 12) {
		desk_register_send(desk, &client, &m);
		assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_PUZZLE);
	}
	unsigned before = desk->installed;
	solve(&client, 12, solution);
	desk_register_send(desk, &client, &m);
	assert_int_equal(desk->installed, before + 1);
	assert_int_equal(desk_answer(desk, 0), 1);
}

static void device_with_a_lease_solves_nothing(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	load(&client, 20);
	unsigned before = desk->installed;
	desk->flags = API_NATIVE_PUNT_KNOWN;
	for (unsigned i = 0; i < 100; i++)
		desk_register(desk, &client, 300);
	assert_int_equal(desk->installed, before + 100);
	settle();
	assert_int_equal(desk->settings.difficulty, 13); // they are no load either
}

// What was asked for when the client was told counts, not what is asked for when it is done.
static void difficulty_that_rises_meanwhile_is_no_matter(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	uint8_t solution[NATIVE_SOLUTION_SIZE];
	load(&client, 10);
	struct native_register m = desk_register_of(desk, &client, 300);
	m.admission = NATIVE_ADMISSION_PUZZLE;
	m.solution = solution;
	solve(&client, 12, solution);
	load(&client, 70);
	settle();
	assert_int_equal(desk->settings.difficulty, 15);
	unsigned before = desk->installed;
	desk_register_send(desk, &client, &m);
	assert_int_equal(desk->installed, before + 1);
	desk_answer(desk, 0);
	// Longer than a cookie lives after it was 12 last, 12 is too little.
	for (unsigned second = 0; second < REGISTRATION_LOAD_SECONDS; second++) {
		load(&client, 80);
		desk_wait(desk, 1000);
		settle();
	}
	load(&client, 80);
	before = desk->installed;
	desk_register_send(desk, &client, &m);
	assert_int_equal(desk->installed, before);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_PUZZLE);
}

static void difficulty_comes_down_with_the_load(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	load(&client, 160);
	settle();
	assert_int_equal(desk->settings.difficulty, 16);
	uint8_t last = 16;
	for (unsigned second = 0; desk->settings.difficulty > 0; second++) {
		assert_true(second < 8);
		desk_wait(desk, 1000);
		settle();
		assert_true(desk->settings.difficulty <= last);
		last = desk->settings.difficulty;
	}
	unsigned before = desk->installed;
	load(&client, 1);
	assert_int_equal(desk->installed, before + 1);
}

static void difficulty_ends_at_24_bits(void **state)
{
	(void)state;
	struct registration_load measure = {0};
	uint64_t now_ms = 5000;
	registration_load_advance(&measure, 1, now_ms);
	for (unsigned i = 0; i < 1u << 14; i++)
		registration_load_count(&measure, 1);
	assert_int_equal(measure.difficulty, REGISTRATION_PUZZLE_MOST);
	// After a gap of any length it begins anew.
	registration_load_advance(&measure, 1, now_ms + 1000000);
	assert_int_equal(measure.difficulty, 0);
	assert_int_equal(registration_load_wanted(&measure), 0);
}

static void withdrawing_without_a_lease_costs_as_much(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	load(&client, 10);
	unsigned before = desk->installed;
	desk_register(desk, &client, 0);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_PUZZLE);
	desk->flags = API_NATIVE_PUNT_KNOWN;
	desk_register(desk, &client, 0);
	assert_int_equal(desk->installed, before + 1);
	assert_int_equal(desk_last(desk)->type, API_LEASE_REMOVE);
}

// ---- tokens ----

static const uint8_t nonce[NATIVE_TOKEN_NONCE_SIZE] = "a nonce";
static const uint8_t mac[NATIVE_TOKEN_MAC_SIZE] = "a mac";

static void register_with_token(const struct desk_client *client)
{
	struct native_register m = desk_register_of(desk, client, 300);
	m.admission = NATIVE_ADMISSION_TOKEN;
	m.token = (struct native_token){.key_id = 9, .nonce = nonce, .mac = mac};
	desk_register_send(desk, client, &m);
}

static void spent(int result)
{
	const struct desk_redeem *redeem = &desk->redeems[(desk->redeemed - 1) % DESK_REDEEMS];
	redeem->done(redeem->context, result);
}

static void token_buys_a_lease(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	desk_register(desk, &client, 300);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_TOKEN_WANTED);
	register_with_token(&client);
	assert_int_equal(desk->redeemed, 1);
	assert_int_equal(desk->redeems[0].key_id, 9);
	assert_memory_equal(desk->redeems[0].nonce, nonce, sizeof(nonce));
	assert_int_equal(desk->installed, 0); // not before it is spent for good
	desk_punt(desk, &client);
	assert_int_equal(desk->redeemed, 1); // a repetition meanwhile
	spent(0);
	assert_int_equal(desk->installed, 1);
	assert_memory_equal(desk_lease(desk)->address, client.address, sizeof(client.address));
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_count(desk, REGISTRATION_COUNTER_registered), 1);
	assert_int_equal(desk_in_flight(desk), 0);
	// From here on it needs none.
	desk->flags = API_NATIVE_PUNT_KNOWN;
	desk_register(desk, &client, 300);
	assert_int_equal(desk->installed, 2);
	assert_int_equal(desk->redeemed, 1);
	assert_int_equal(desk->given_back, 0);
}

static void forger_spends_nobodys_token(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	struct native_register m = desk_register_of(desk, &client, 300);
	m.admission = NATIVE_ADMISSION_TOKEN;
	m.token = (struct native_token){.key_id = 9, .nonce = nonce, .mac = mac};
	desk_build_register(desk, &client, &m);
	desk->message[desk->size - 1] ^= 1;
	desk_punt(desk, &client);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_SIGNATURE);
	assert_int_equal(desk->redeemed, 0);
}

static void bad_tokens_are_refused(void **state)
{
	(void)state;
	static const struct {
		int result;
		enum native_reason reason;
	} cases[] = {
		{-EBADMSG, NATIVE_REFUSED_TOKEN_BAD},
		{-ESTALE, NATIVE_REFUSED_TOKEN_BAD},
		{-EALREADY, NATIVE_REFUSED_TOKEN_SPENT},
		{-EAGAIN, NATIVE_REFUSED_BUSY},
		{-ENOSPC, NATIVE_REFUSED_BUSY},
	};
	struct desk_client client = desk_client(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		desk->redeem_result = cases[i].result; // at once
		register_with_token(&client);
		assert_int_equal(desk_refusal(desk, &client, NULL), cases[i].reason);
		desk->redeem_result = 0; // or later
		register_with_token(&client);
		spent(cases[i].result);
		assert_int_equal(desk_refusal(desk, &client, NULL), cases[i].reason);
		assert_int_equal(desk_in_flight(desk), 0);
	}
	assert_int_equal(desk->installed, 0);
	assert_int_equal(desk->given_back, 0);
}

// A token is back exactly when it is certain that it has bought nothing.
static void token_comes_back_without_a_lease(void **state)
{
	(void)state;
	static const struct {
		int result;
		bool back;
	} cases[] = {
		{-ENOSPC, true}, {-EAGAIN, true}, {-EMLINK, true}, {-EINVAL, true},
		{-ESHUTDOWN, true},
		{-ESTALE, false},   // of an older message: that one has bought something
		{-ENOTCONN, false}, // perhaps it has
	};
	struct desk_client client = desk_client(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned before = desk->given_back;
		register_with_token(&client);
		spent(0);
		desk_answer(desk, cases[i].result);
		assert_int_equal(desk->given_back, before + cases[i].back);
		assert_int_equal(desk_in_flight(desk), 0);
	}
	// The link went down in between.
	unsigned before = desk->given_back;
	register_with_token(&client);
	desk->link_down = true;
	spent(0);
	assert_int_equal(desk->given_back, before + 1);
	assert_int_equal(desk->given_back_key, 9);
	assert_int_equal(desk_in_flight(desk), 0);
}

static void late_answers_do_not_lose_tokens(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	register_with_token(&client); // spending takes too long
	desk_wait(desk, REGISTRATION_IN_FLIGHT_TIMEOUT_MS);
	assert_int_equal(desk_in_flight(desk), 1);
	spent(0);
	assert_int_equal(desk->given_back, 1);
	assert_int_equal(desk->installed, 0);
	register_with_token(&client); // the dataplane does
	spent(0);
	desk_wait(desk, REGISTRATION_IN_FLIGHT_TIMEOUT_MS);
	assert_int_equal(desk_answer(desk, -ENOSPC), 0);
	assert_int_equal(desk->given_back, 2);
	register_with_token(&client); // another dataplane comes while it is being spent
	desk_connect(desk);
	assert_int_equal(desk_in_flight(desk), 1);
	spent(0);
	assert_int_equal(desk->given_back, 3);
	assert_int_equal(desk_in_flight(desk), 0);
	assert_int_equal(desk->replies, 0);
}

static void withdrawing_costs_no_token_and_no_room(void **state)
{
	(void)state;
	struct desk_client client = desk_client(1);
	struct native_registered m;
	assert_int_equal(desk_register(desk, &client, 0), 1);
	const struct desk_sent *sent = desk_reply(desk, 0);
	assert_int_equal(native_registered_parse(sent->message, sent->head.length, &m), 0);
	assert_int_equal(m.lifetime, 0);
	assert_int_equal(desk->redeemed, 0);
	assert_int_equal(desk->installed, 0);
	desk->flags = API_NATIVE_PUNT_KNOWN;
	desk_register(desk, &client, 0);
	assert_int_equal(desk->installed, 1);
	assert_int_equal(desk_last(desk)->type, API_LEASE_REMOVE);
}

static void without_a_purse_no_token_is_good(void **state)
{
	(void)state;
	const struct registration_output output = {
		.context = desk, .install = desk_on_install, .send = desk_on_send};
	struct desk_client client = desk_client(1);
	registration_core_free(desk->core);
	desk->core = registration_core_create(desk->config, &desk->key, &output);
	desk_connect(desk);
	register_with_token(&client);
	assert_int_equal(desk_refusal(desk, &client, NULL), NATIVE_REFUSED_TOKEN_BAD);
}

int main(void)
{
#define PUZZLE(name) cmocka_unit_test_setup_teardown(name, setup_puzzle, teardown)
#define TOKEN(name)  cmocka_unit_test_setup_teardown(name, setup_token, teardown)
	const struct CMUnitTest tests[] = {
		PUZZLE(nothing_to_solve_without_load),
		PUZZLE(load_asks_for_a_puzzle_at_once),
		PUZZLE(solution_admits),
		PUZZLE(device_with_a_lease_solves_nothing),
		PUZZLE(difficulty_that_rises_meanwhile_is_no_matter),
		PUZZLE(difficulty_comes_down_with_the_load),
		PUZZLE(difficulty_ends_at_24_bits),
		PUZZLE(withdrawing_without_a_lease_costs_as_much),
		TOKEN(token_buys_a_lease),
		TOKEN(forger_spends_nobodys_token),
		TOKEN(bad_tokens_are_refused),
		TOKEN(token_comes_back_without_a_lease),
		TOKEN(late_answers_do_not_lose_tokens),
		TOKEN(withdrawing_costs_no_token_and_no_room),
		TOKEN(without_a_purse_no_token_is_good),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
