// SPDX-License-Identifier: BSD-3-Clause
// Users by token through the TURN core: paid before it is installed, one allocation for one token,
// what is given back, and how much work strangers can make.
#include "tests/unit/turn_desk.h"

#define TOKEN  "[turn]\nrealm = relay.example\nauth = token\n"
#define STATIC "[turn]\nrealm = relay.example\nauth = static\nuser = alice:secret\n"

enum { KEY_ID = 0x01020304 };

// The desk's store: what was asked of it, and what it says.
static struct {
	bool accepts, recognises; // the key, for new users and for old ones
	int spend_result;
	unsigned evaluations, spendings, given_back;
	uint64_t purchase;
	uint8_t nonce[TOKEN_NONCE_SIZE];
} store;

static bool known(void *context, uint32_t key_id, bool retired)
{
	(void)context;
	return key_id == KEY_ID && (store.accepts || (retired && store.recognises));
}

// Stands in for the VOPRF.
static int key_of(void *context, uint32_t key_id, const uint8_t *nonce, bool retired, uint8_t *key)
{
	store.evaluations++;
	if (!known(context, key_id, retired))
		return -EBADMSG;
	crypto_generichash(key, TOKEN_KEY_SIZE, nonce, TOKEN_NONCE_SIZE, NULL, 0);
	return 0;
}

static int spend(void *context, uint64_t purchase, uint32_t key_id, const uint8_t *nonce)
{
	(void)context;
	assert_int_equal(key_id, KEY_ID);
	if (store.spend_result != 0)
		return store.spend_result;
	store.spendings++;
	store.purchase = purchase;
	memcpy(store.nonce, nonce, sizeof(store.nonce));
	return 0;
}

static void give_back(void *context, uint32_t key_id, const uint8_t *nonce)
{
	(void)context;
	assert_int_equal(key_id, KEY_ID);
	assert_memory_equal(nonce, store.nonce, sizeof(store.nonce));
	store.given_back++;
}

static char name[TOKEN_USERNAME_LENGTH + 1], password[TOKEN_PASSWORD_LENGTH + 1];

// Another token in hand.
static void take_token(struct desk *desk)
{
	uint8_t nonce[TOKEN_NONCE_SIZE], key[TOKEN_KEY_SIZE];
	randombytes_buf(nonce, sizeof(nonce));
	crypto_generichash(key, sizeof(key), nonce, sizeof(nonce), NULL, 0);
	token_username(name, KEY_ID, nonce);
	token_password(password, key);
	desk->name = name;
	desk->password = password;
}

static struct desk *open_with(const char *configuration)
{
	struct desk *desk = desk_open(configuration);
	memset(&store, 0, sizeof(store));
	store.accepts = store.recognises = true;
	desk->tokens = (struct turn_tokens){
		.known = known, .key = key_of, .spend = spend, .give_back = give_back};
	desk_restart(desk);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	desk_challenge(desk);
	take_token(desk);
	return desk;
}

static bool signed_by_us(const struct desk *desk)
{
	struct stun_message m = desk_reply(desk);
	struct stun_key key = desk_key(desk);
	return stun_verify_integrity(&m, &key) == 0;
}

static struct turn_usage usage_of(const struct desk *desk)
{
	struct turn_usage usage;
	turn_core_usage(desk->core, &usage);
	return usage;
}

// Asks for an allocation, up to where the disk is waited for.
static void begin(struct desk *desk)
{
	unsigned installed = desk->installed;
	desk->context = (struct api_allocation_context){0};
	desk_allocate(desk);
	assert_int_equal(desk_send(desk), 0);
	assert_int_equal(desk->installed, installed);
}

static void buy(struct desk *desk)
{
	begin(desk);
	assert_true(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_error(desk), 0);
	desk_adopt(desk);
}

static void paid_then_installed_then_answered(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	unsigned installed = desk->installed, replies = desk->replies;
	begin(desk);
	assert_int_equal(store.spendings, 1);
	assert_true(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(desk->installed, installed + 1);
	assert_int_equal(desk->replies, replies);
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_error(desk), 0);
	assert_true(signed_by_us(desk));
	// Told twice, it is nobody's.
	assert_false(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(store.given_back, 0);
	desk_close(desk);
}

static void all_else_needs_no_token_and_no_evaluation(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	buy(desk);
	unsigned spendings = store.spendings, evaluations = store.evaluations;
	for (int i = 0; i < 20; i++) {
		desk_request(desk, STUN_REFRESH);
		desk_succeed(desk);
		assert_true(signed_by_us(desk));
	}
	assert_int_equal(store.spendings, spendings);
	assert_int_equal(store.evaluations, evaluations);
	// Also under a key that was retired meanwhile, and after a restart.
	store.accepts = false;
	desk_restart(desk);
	struct api_snapshot_item item = desk_snapshot(&desk->context);
	turn_core_snapshot_item(desk->core, &item);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	desk_request(desk, STUN_REFRESH);
	desk_refuse(desk, 438);
	desk_learn(desk);
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	store.recognises = false;
	desk_request(desk, STUN_REFRESH);
	desk_refuse(desk, 401);
	desk_close(desk);
}

static void retransmissions_buy_nothing(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	begin(desk);
	assert_int_equal(desk_repeat(desk), 0); // while the disk is waited for
	assert_true(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(desk_repeat(desk), 0); // while the dataplane is
	assert_int_equal(desk_answer(desk, 0), 1);
	desk_adopt(desk);
	assert_int_equal(desk_repeat(desk), 1); // its answer was lost
	assert_int_equal(desk_error(desk), 0);
	assert_int_equal(store.spendings, 1);
	assert_int_equal(usage_of(desk).allocations, 1);
	desk_close(desk);
}

static void a_spent_token(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	store.spend_result = -EALREADY;
	desk_allocate(desk);
	desk_refuse(desk, 486);
	assert_true(signed_by_us(desk));
	// Found out by the commit.
	store.spend_result = 0;
	begin(desk);
	unsigned replies = desk->replies;
	assert_true(turn_core_spent(desk->core, store.purchase, -EALREADY, desk->now_ms));
	assert_int_equal(desk->replies, replies + 1);
	assert_int_equal(desk_error(desk), 486);
	assert_int_equal(usage_of(desk).allocations, 0);
	assert_int_equal(usage_of(desk).ports_free, usage_of(desk).ports_total);
	desk_close(desk);
}

static void what_cannot_be_spent_now(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	store.spend_result = -EAGAIN;
	desk_allocate(desk);
	desk_refuse(desk, 508);
	store.spend_result = -EBADMSG;
	desk_allocate(desk);
	desk_refuse(desk, 401);
	store.spend_result = 0;
	begin(desk);
	assert_true(turn_core_spent(desk->core, store.purchase, -ENOSPC, desk->now_ms));
	assert_int_equal(desk_error(desk), 508);
	// Nobody is told by a program that stops.
	begin(desk);
	unsigned replies = desk->replies;
	assert_true(turn_core_spent(desk->core, store.purchase, -ECANCELED, desk->now_ms));
	assert_int_equal(desk->replies, replies);
	assert_int_equal(usage_of(desk).allocations, 0);
	assert_int_equal(usage_of(desk).in_flight, 0);
	assert_int_equal(store.given_back, 0);
	desk_close(desk);
}

static void given_back(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	// The dataplane is full.
	begin(desk);
	assert_true(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(desk_answer(desk, -ENOSPC), 1);
	assert_int_equal(desk_error(desk), 508);
	assert_int_equal(store.given_back, 1);
	// There is no connection to install it over.
	begin(desk);
	desk->link_down = true;
	assert_false(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	desk->link_down = false;
	// The disk took so long that the client was given up; its address is gone.
	begin(desk);
	desk->now_ms += TURN_IN_FLIGHT_TIMEOUT_MS + 1;
	turn_core_tick(desk->core, desk->now_ms);
	unsigned installed = desk->installed;
	assert_false(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(desk->installed, installed);
	// The dataplane went away before, and everything was forgotten.
	begin(desk);
	desk_connect(desk);
	turn_core_snapshot_end(desk->core, desk->now_ms);
	assert_false(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	// It went away while it was asked: it may have got it, so the token stays spent.
	begin(desk);
	assert_true(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(desk_answer(desk, -ENOTCONN), 0);
	assert_int_equal(store.given_back, 1);
	assert_int_equal(usage_of(desk).allocations, 0);
	desk_close(desk);
}

// A port that is taken: another one, for the same money.
static void paid_once_for_several_tries(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	begin(desk);
	assert_true(turn_core_spent(desk->core, store.purchase, 0, desk->now_ms));
	assert_int_equal(desk_answer(desk, -EADDRINUSE), 0);
	assert_int_equal(desk_answer(desk, 0), 1);
	assert_int_equal(desk_error(desk), 0);
	assert_int_equal(store.spendings, 1);
	assert_int_equal(store.given_back, 0);
	desk_close(desk);
}

static void strangers(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	desk->password = "wrong";
	desk_allocate(desk);
	desk_refuse(desk, 401);
	// No token at all.
	desk->name = "t.abc";
	desk_allocate(desk);
	desk_refuse(desk, 401);
	desk->name = "alice";
	desk_allocate(desk);
	desk_refuse(desk, 401);
	assert_int_equal(store.evaluations, 1);
	// A key of somebody else.
	take_token(desk);
	store.accepts = store.recognises = false;
	desk_allocate(desk);
	desk_refuse(desk, 401);
	assert_int_equal(store.evaluations, 1);
	assert_int_equal(store.spendings, 0);
	desk_close(desk);
	// Where tokens are not configured they are nothing.
	desk = open_with(STATIC);
	desk_allocate(desk);
	desk_refuse(desk, 401);
	assert_int_equal(store.evaluations, 0);
	desk_close(desk);
}

// Whoever has not received a nonce of ours at the source shown makes no evaluation.
static void no_evaluation_without_a_good_nonce(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	desk->nonce[20] ^= 1;
	desk_allocate(desk);
	desk_refuse(desk, 438);
	desk->nonce[20] ^= 1;
	desk->client.port++;
	desk_allocate(desk);
	desk_refuse(desk, 438);
	desk->client.port--;
	desk->now_ms += 2 * NONCE_LIFETIME_MS;
	desk_allocate(desk);
	desk_refuse(desk, 438);
	assert_int_equal(store.evaluations, 0);
	desk_close(desk);
}

static void evaluations_are_rationed(void **state)
{
	(void)state;
	struct desk *desk = open_with(TOKEN);
	struct net_endpoint there = desk->client;
	buy(desk);
	struct api_allocation_context bought = desk->context;
	const char *owner = strdup(name), *word = strdup(password);
	desk->context = (struct api_allocation_context){0};
	// One prefix gets its eighth, many get the whole, and what is beyond is dropped.
	for (unsigned i = 0; i < 2 * TOKEN_KEYS_RATION; i++) {
		desk->client = there;
		if (i >= TOKEN_KEYS_RATION)
			desk->client.address.bytes[2] = (uint8_t)(i % 64);
		if (i % 64 == 0 || i >= TOKEN_KEYS_RATION)
			desk_challenge(desk);
		take_token(desk);
		desk->password = "guess";
		desk_allocate(desk);
		desk_send(desk);
		if (i + 1 == TOKEN_KEYS_RATION)
			assert_int_equal(store.evaluations, TOKEN_KEYS_PREFIX_RATION);
	}
	assert_int_equal(store.evaluations, TOKEN_KEYS_RATION);
	assert_true(turn_core_counter(desk->core, TURN_COUNTER_token_rationed) > 0);
	// Who has an allocation is not touched by it, whoever else is behind that prefix.
	desk->client = there;
	desk_challenge(desk);
	desk->name = owner;
	desk->password = word;
	desk->context = bought;
	desk_request(desk, STUN_REFRESH);
	desk_succeed(desk);
	// The next second is another one.
	desk->now_ms += 1000;
	desk->context = (struct api_allocation_context){0};
	take_token(desk);
	begin(desk);
	free((void *)(uintptr_t)owner);
	free((void *)(uintptr_t)word);
	desk_close(desk);
}

// A REST or token user cannot be found by hash: clients must not be told to hide their names.
static void names_are_not_hidden(void **state)
{
	(void)state;
	struct desk *desk =
		open_with("[turn]\nrealm = r\nauth = static token\nuser = alice:secret\n");
	assert_memory_equal(desk->nonce, "obMatJos2gAAA", 13);
	desk->name = "alice";
	desk->password = "secret";
	desk_allocate(desk);
	desk_succeed(desk);
	assert_int_equal(store.evaluations, 0);
	take_token(desk);
	buy(desk);
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paid_then_installed_then_answered),
		cmocka_unit_test(all_else_needs_no_token_and_no_evaluation),
		cmocka_unit_test(retransmissions_buy_nothing),
		cmocka_unit_test(a_spent_token),
		cmocka_unit_test(what_cannot_be_spent_now),
		cmocka_unit_test(given_back),
		cmocka_unit_test(paid_once_for_several_tries),
		cmocka_unit_test(strangers),
		cmocka_unit_test(no_evaluation_without_a_good_nonce),
		cmocka_unit_test(evaluations_are_rationed),
		cmocka_unit_test(names_are_not_hidden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
