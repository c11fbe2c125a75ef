// SPDX-License-Identifier: BSD-3-Clause
// Tokens are spent once: within a batch, across batches, across restarts, whatever happens to keys
// and disk; what bought nothing can be returned.
#include "tests/unit/token_purse.h"

static int setup(void **state)
{
	struct purse *purse = malloc(sizeof(*purse));
	assert_non_null(purse);
	purse_open(purse, 100000);
	*state = purse;
	return 0;
}

static int teardown(void **state)
{
	purse_close(*state);
	free(*state);
	return 0;
}

static uint64_t counter(const struct purse *purse, enum tokens_counter which)
{
	return tokens_counter(purse->tokens, which);
}

static void a_token_buys_once(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse), other = purse_token(purse);
	assert_int_equal(purse_buy(purse, &token, "this"), 0);
	assert_int_equal(purse_buy(purse, &token, "that"), -EALREADY);
	assert_int_equal(purse_buy(purse, &other, "that"), 0);
	assert_int_equal(counter(purse, TOKENS_COUNTER_spent), 2);
	assert_int_equal(counter(purse, TOKENS_COUNTER_refused_spent), 1);
}

static void a_spent_token_costs_no_evaluation(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	assert_int_equal(purse_buy(purse, &token, "this"), 0);
	uint64_t before = counter(purse, TOKENS_COUNTER_evaluations);
	assert_int_equal(purse_buy(purse, &token, "that"), -EALREADY);
	assert_int_equal(counter(purse, TOKENS_COUNTER_evaluations), before);
}

static void two_purchases_of_one_batch(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	struct purse_outcome first, second;
	assert_int_equal(purse_show(purse, &token, "this", &first), 0);
	assert_int_equal(purse_show(purse, &token, "that", &second), 0);
	purse_wait(purse, &second);
	assert_int_equal(first.times, 1);
	assert_int_equal(first.result, 0);
	assert_int_equal(second.result, -EALREADY);
	assert_int_equal(counter(purse, TOKENS_COUNTER_commits), 1);
}

static void two_purchases_of_neighbouring_batches(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	struct purse_outcome first, second;
	assert_int_equal(purse_show(purse, &token, "this", &first), 0);
	// The batch goes on its way, its end is not seen yet.
	while (!purse->tokens->committing)
		uv_run(&purse->loop, UV_RUN_NOWAIT);
	int rc = purse_show(purse, &token, "that", &second);
	purse_wait(purse, &first);
	assert_int_equal(first.result, 0);
	if (rc == 0) {
		purse_wait(purse, &second);
		rc = second.result;
	}
	assert_int_equal(rc, -EALREADY);
}

// A message that comes again is the same purchase, not a second one; and only if it is the same.
static void a_repetition_is_told_again(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	struct purse_outcome first, second;
	assert_int_equal(purse_show(purse, &token, "this", &first), 0);
	assert_int_equal(purse_show(purse, &token, "this", &second), 0);
	purse_wait(purse, &second);
	assert_int_equal(first.result, 0);
	assert_int_equal(second.result, 0);
	purse_shut(purse);
	purse_reopen(purse);
	assert_int_equal(purse_buy(purse, &token, "this"), 0);
	assert_int_equal(counter(purse, TOKENS_COUNTER_repeated), 1);
	// The mac of the message that was paid for, above another one.
	token_mac(token.mac, token.key, "this", 4);
	struct native_token shown = purse_shown(&token);
	assert_int_equal(tokens_redeem(purse->tokens, &shown, (const uint8_t *)"that", 4,
				 purse_done, &first),
		-EBADMSG);
}

static void returned_once_for_each_time(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	assert_int_equal(purse_buy(purse, &token, "this"), 0);
	assert_int_equal(purse_buy(purse, &token, "this"), 0);
	// The repetition was refused what the first one had got.
	purse_return(purse, &token);
	assert_int_equal(purse_buy(purse, &token, "that"), -EALREADY);
	purse_return(purse, &token);
	assert_int_equal(purse_buy(purse, &token, "that"), 0);
	// More returns than purchases are none.
	purse_return(purse, &token);
	purse_return(purse, &token);
	assert_int_equal(purse_buy(purse, &token, "this"), 0);
	assert_int_equal(purse_buy(purse, &token, "that"), -EALREADY);
}

static void spent_across_restarts(void **state)
{
	struct purse *purse = *state;
	struct purse_token spent = purse_token(purse), returned = purse_token(purse),
			   fresh = purse_token(purse);
	assert_int_equal(purse_buy(purse, &spent, "this"), 0);
	assert_int_equal(purse_buy(purse, &returned, "this"), 0);
	purse_return(purse, &returned);
	for (int i = 0; i < 3; i++) {
		purse_shut(purse);
		purse_reopen(purse);
		assert_int_equal(purse_buy(purse, &spent, "that"), -EALREADY);
	}
	assert_int_equal(purse_buy(purse, &returned, "that"), 0);
	assert_int_equal(purse_buy(purse, &fresh, "that"), 0);
	assert_int_equal(purse_buy(purse, &fresh, "this"), -EALREADY);
}

static void forged_tokens(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse), good = token;
	token.key[5] ^= 1;
	assert_int_equal(purse_buy(purse, &token, "this"), -EBADMSG);
	token = good;
	token.nonce[31] ^= 0x80;
	assert_int_equal(purse_buy(purse, &token, "this"), -EBADMSG);
	token = good;
	token.key_id ^= 1;
	assert_int_equal(purse_buy(purse, &token, "this"), -EBADMSG);
	// Another issuer's token of the same nonce.
	struct voprf_key strange;
	struct voprf_output output;
	voprf_key_generate(&strange);
	assert_int_equal(voprf_evaluate(&output, &strange, good.nonce, sizeof(good.nonce)), 0);
	token = good;
	token_key(token.key, &output);
	assert_int_equal(purse_buy(purse, &token, "this"), -EBADMSG);
	assert_int_equal(counter(purse, TOKENS_COUNTER_refused_bad), 4);
	assert_int_equal(counter(purse, TOKENS_COUNTER_spent), 0);
	// None of it has spent the good one.
	assert_int_equal(purse_buy(purse, &good, "this"), 0);
}

static void as_a_turn_user(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	struct purse_outcome outcome = {0};
	char name[TOKEN_USERNAME_LENGTH + 1];
	uint32_t key_id;
	uint8_t nonce[TOKEN_NONCE_SIZE];
	token_username(name, token.key_id, token.nonce);
	assert_int_equal(strlen(name), TOKEN_USERNAME_LENGTH);
	assert_int_equal(token_username_parse(name, strlen(name), &key_id, nonce), 0);
	assert_int_equal(key_id, token.key_id);
	assert_memory_equal(nonce, token.nonce, sizeof(nonce));
	assert_int_equal(tokens_spend(purse->tokens, key_id, nonce, purse_done, &outcome), 0);
	purse_wait(purse, &outcome);
	assert_int_equal(outcome.result, 0);
	// Neither as a user nor as a lease again.
	assert_int_equal(
		tokens_spend(purse->tokens, key_id, nonce, purse_done, &outcome), -EALREADY);
	assert_int_equal(purse_buy(purse, &token, "lease"), -EALREADY);
	// One token has one name: what libsodium takes for '_' is none.
	for (unsigned i = 0; i < TOKEN_USERNAME_LENGTH; i++)
		for (unsigned c = 128; c < 256; c++) {
			char right = name[i];
			name[i] = (char)c;
			assert_int_equal(
				token_username_parse(name, strlen(name), &key_id, nonce), -EBADMSG);
			name[i] = right;
		}
	name[10] = '+';
	assert_int_equal(token_username_parse(name, strlen(name), &key_id, nonce), -EBADMSG);
	assert_int_equal(token_username_parse("t.", 2, &key_id, nonce), -EBADMSG);
}

// ---- keys ----

static void rotation(void **state)
{
	struct purse *purse = *state;
	struct purse_token first = purse_token(purse), spent = purse_token(purse);
	assert_int_equal(purse_buy(purse, &spent, "this"), 0);
	assert_int_equal(purse_rotate(purse), 0);
	struct purse_token second = purse_token(purse);
	assert_int_not_equal(first.key_id, second.key_id);
	assert_int_equal(purse_buy(purse, &first, "this"), 0);
	assert_int_equal(purse_buy(purse, &spent, "that"), -EALREADY);
	assert_int_equal(purse_buy(purse, &second, "this"), 0);
	// What the first has spent is forgotten with it, and it buys nothing more.
	struct purse_token late = {.key_id = first.key_id};
	assert_int_equal(tokens_key(purse->tokens, late.key_id, late.nonce, false, late.key), 0);
	assert_int_equal(purse_rotate(purse), 0);
	struct tokens_key_info keys[TOKEN_STORE_KEYS_MAX];
	assert_int_equal(tokens_keys(purse->tokens, keys), 3);
	assert_int_equal(keys[0].id, first.key_id);
	assert_int_equal(keys[0].state, TOKEN_KEY_RETIRED);
	assert_int_equal(keys[0].spent, 0);
	assert_int_equal(keys[1].state, TOKEN_KEY_ACCEPTING);
	assert_int_equal(keys[1].spent, 1);
	assert_int_equal(keys[2].state, TOKEN_KEY_ISSUING);
	assert_int_equal(purse_buy(purse, &late, "this"), -EBADMSG);
	assert_int_equal(purse_buy(purse, &spent, "that"), -EBADMSG);
	// It still serves what it has bought.
	assert_int_equal(
		tokens_key(purse->tokens, late.key_id, late.nonce, false, late.key), -EBADMSG);
	assert_int_equal(tokens_key(purse->tokens, late.key_id, late.nonce, true, late.key), 0);
	purse_shut(purse);
	purse_reopen(purse);
	assert_int_equal(purse_buy(purse, &late, "this"), -EBADMSG);
	assert_int_equal(purse_buy(purse, &second, "that"), -EALREADY);
}

static void retiring(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	assert_int_equal(purse_retire(purse, token.key_id), -EINVAL);
	assert_int_equal(purse_retire(purse, token.key_id ^ 1), -ENOENT);
	assert_int_equal(purse_rotate(purse), 0);
	// It is retired while a purchase waits.
	struct purse_outcome outcome, retired = {0};
	assert_int_equal(tokens_retire(purse->tokens, token.key_id, purse_done, &retired), 0);
	assert_int_equal(tokens_rotate(purse->tokens, purse_done, &retired), -EBUSY);
	assert_int_equal(purse_show(purse, &token, "this", &outcome), 0);
	purse_wait(purse, &outcome);
	if (retired.times == 0)
		purse_wait(purse, &retired);
	assert_int_equal(retired.result, 0);
	assert_true(outcome.result == -ESTALE || outcome.result == 0);
	assert_int_equal(purse_buy(purse, &token, "this"), -EBADMSG);
	assert_int_equal(purse_retire(purse, token.key_id), -EINVAL);
}

static void many_rotations_are_bounded(void **state)
{
	struct purse *purse = *state;
	struct tokens_key_info keys[TOKEN_STORE_KEYS_MAX];
	for (int i = 0; i < 3 * TOKEN_STORE_KEYS_MAX; i++) {
		struct purse_token token = purse_token(purse);
		assert_int_equal(purse_buy(purse, &token, "this"), 0);
		assert_int_equal(purse_rotate(purse), 0);
		assert_int_equal(purse_buy(purse, &token, "that"), -EALREADY);
	}
	assert_int_equal(tokens_keys(purse->tokens, keys), TOKEN_STORE_KEYS_MAX);
	unsigned in_state[4] = {0};
	for (unsigned i = 0; i < TOKEN_STORE_KEYS_MAX; i++)
		in_state[keys[i].state]++;
	assert_int_equal(in_state[TOKEN_KEY_ISSUING], 1);
	assert_int_equal(in_state[TOKEN_KEY_ACCEPTING], 1);
	assert_int_equal(purse->tokens->spent, 1);
}

// ---- limits ----

static void a_full_store(void **unused)
{
	(void)unused;
	struct purse purse;
	purse_open(&purse, 3);
	struct purse_token tokens[4];
	for (int i = 0; i < 4; i++)
		tokens[i] = purse_token(&purse);
	struct purse_outcome outcomes[4];
	// All in one batch: the commit itself must notice.
	for (int i = 0; i < 4; i++)
		assert_int_equal(purse_show(&purse, &tokens[i], "this", &outcomes[i]), 0);
	purse_wait(&purse, &outcomes[3]);
	for (int i = 0; i < 3; i++)
		assert_int_equal(outcomes[i].result, 0);
	assert_int_equal(outcomes[3].result, -ENOSPC);
	assert_int_equal(purse_buy(&purse, &tokens[3], "this"), -EAGAIN);
	assert_non_null(strstr(tokens_trouble(purse.tokens), "full"));
	assert_int_equal(purse_buy(&purse, &tokens[0], "that"), -EALREADY);
	purse_return(&purse, &tokens[0]);
	assert_null(tokens_trouble(purse.tokens));
	assert_int_equal(purse_buy(&purse, &tokens[3], "this"), 0);
	assert_int_equal(purse_rotate(&purse), 0);
	struct purse_token next = purse_token(&purse);
	assert_int_equal(purse_buy(&purse, &next, "this"), -EAGAIN);
	assert_int_equal(purse_retire(&purse, tokens[0].key_id), 0);
	assert_int_equal(purse_buy(&purse, &next, "this"), 0);
	purse_close(&purse);
}

static void too_many_wait(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse);
	struct purse_outcome outcome = {0}, refused;
	for (int i = 0; i < TOKENS_WAITING_MAX; i++) {
		randombytes_buf(token.nonce, sizeof(token.nonce));
		assert_int_equal(tokens_spend(purse->tokens, token.key_id, token.nonce, purse_done,
					 &outcome),
			0);
	}
	assert_int_equal(purse_show(purse, &token, "this", &refused), -EAGAIN);
	// What is to be returned has room all the same.
	struct native_token shown = purse_shown(&token);
	tokens_return(purse->tokens, &shown);
	while (outcome.times < TOKENS_WAITING_MAX)
		uv_run(&purse->loop, UV_RUN_ONCE);
	assert_int_equal(outcome.result, 0);
	assert_int_equal(counter(purse, TOKENS_COUNTER_returned), 1);
	assert_int_equal(purse->tokens->spent, TOKENS_WAITING_MAX - 1);
}

static void closed_while_some_wait(void **state)
{
	struct purse *purse = *state;
	struct purse_token token = purse_token(purse), other = purse_token(purse);
	struct purse_outcome on_its_way, gathered;
	assert_int_equal(purse_show(purse, &token, "this", &on_its_way), 0);
	while (!purse->tokens->committing)
		uv_run(&purse->loop, UV_RUN_NOWAIT);
	assert_int_equal(purse_show(purse, &other, "this", &gathered), 0);
	purse_shut(purse);
	assert_int_equal(on_its_way.times, 1);
	assert_int_equal(gathered.times, 1);
	assert_int_equal(gathered.result, -ECANCELED);
	purse_reopen(purse);
	assert_int_equal(purse_buy(purse, &other, "that"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_token_buys_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_spent_token_costs_no_evaluation, setup, teardown),
		cmocka_unit_test_setup_teardown(two_purchases_of_one_batch, setup, teardown),
		cmocka_unit_test_setup_teardown(
			two_purchases_of_neighbouring_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(a_repetition_is_told_again, setup, teardown),
		cmocka_unit_test_setup_teardown(returned_once_for_each_time, setup, teardown),
		cmocka_unit_test_setup_teardown(spent_across_restarts, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(as_a_turn_user, setup, teardown),
		cmocka_unit_test_setup_teardown(rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(retiring, setup, teardown),
		cmocka_unit_test_setup_teardown(many_rotations_are_bounded, setup, teardown),
		cmocka_unit_test(a_full_store),
		cmocka_unit_test_setup_teardown(too_many_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(closed_while_some_wait, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
