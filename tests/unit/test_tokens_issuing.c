// SPDX-License-Identifier: BSD-3-Clause
// Tokens from a client's request over the issuer to what is spent: the formats of their files,
// lying issuers, and that what the issuer saw has nothing to do with what is shown later.
#include "endpoint/tokens.h"
#include "tests/unit/token_purse.h"

struct issued {
	unsigned times;
	int result;
	struct token_answer answer;
};

static void issue_done(void *context, int result, const struct token_answer *answer)
{
	struct issued *issued = context;
	issued->times++;
	issued->result = result;
	if (answer != NULL)
		issued->answer = *answer;
}

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

static int issue(struct purse *purse, const struct token_request *request, struct issued *issued)
{
	*issued = (struct issued){0};
	int rc = tokens_issue(purse->tokens, request, issue_done, issued);
	while (rc == 0 && issued->times == 0)
		uv_run(&purse->loop, UV_RUN_ONCE);
	return rc != 0 ? rc : issued->result;
}

// What a client has on its disk, and what went over the wire.
struct client {
	char request[ENDPOINT_TOKENS_FILE_MAX], pending[ENDPOINT_TOKENS_FILE_MAX];
	char answer[ENDPOINT_TOKENS_FILE_MAX], tokens[2 * ENDPOINT_TOKENS_FILE_MAX];
	size_t answer_size, tokens_size;
	struct token_request seen;
	struct issued issued;
};

static void ask(struct purse *purse, struct client *client, unsigned count)
{
	unsigned line;
	assert_int_equal(endpoint_tokens_request(count, client->request, client->pending), 0);
	assert_int_equal(
		token_request_parse(client->request, strlen(client->request), &client->seen, &line),
		0);
	assert_int_equal(client->seen.count, count);
	assert_int_equal(issue(purse, &client->seen, &client->issued), 0);
	client->answer_size =
		token_answer_build(client->answer, sizeof(client->answer), &client->issued.answer);
	assert_true(client->answer_size > 0);
}

static int take(struct client *client, const uint8_t *public_key)
{
	unsigned count;
	return endpoint_tokens_take(client->pending, strlen(client->pending), client->answer,
		client->answer_size, public_key, client->tokens, sizeof(client->tokens),
		&client->tokens_size, &count);
}

static struct purse_token shown(const struct endpoint_token *token)
{
	struct purse_token out = {.key_id = token->key_id};
	struct voprf_output output;
	memcpy(out.nonce, token->nonce, sizeof(out.nonce));
	memcpy(output.bytes, token->output, sizeof(output.bytes));
	token_key(out.key, &output);
	return out;
}

static void asked_issued_taken_spent(void **state)
{
	struct purse *purse = *state;
	static struct client client;
	memset(&client, 0, sizeof(client));
	ask(purse, &client, 64);
	assert_int_equal(take(&client, client.issued.answer.public_key), 0);
	// More are appended.
	ask(purse, &client, 1);
	assert_int_equal(take(&client, NULL), 0);
	assert_int_equal(endpoint_tokens_count(client.tokens, client.tokens_size), 65);
	assert_int_equal(client.tokens_size, 20 + 65 * ENDPOINT_TOKENS_LINE_SIZE);
	struct endpoint_token token;
	assert_int_equal(
		endpoint_tokens_next(client.tokens, &client.tokens_size, 1, &token), -ENOENT);
	for (unsigned i = 0; i < 65; i++) {
		assert_int_equal(
			endpoint_tokens_next(client.tokens, &client.tokens_size, 0, &token), 0);
		struct purse_token spent = shown(&token);
		assert_int_equal(purse_buy(purse, &spent, "this"), 0);
		assert_int_equal(purse_buy(purse, &spent, "that"), -EALREADY);
		char user[ENDPOINT_TOKENS_USER_SIZE], password[ENDPOINT_TOKENS_PASSWORD_SIZE];
		char expected[TOKEN_PASSWORD_LENGTH + 1];
		endpoint_tokens_turn_user(&token, user, password);
		token_password(expected, spent.key);
		assert_string_equal(password, expected);
	}
	assert_int_equal(
		endpoint_tokens_next(client.tokens, &client.tokens_size, 0, &token), -ENOENT);
	assert_int_equal(client.tokens_size, 20);
	// What was taken out is not left behind.
	for (size_t i = client.tokens_size; i < sizeof(client.tokens); i++)
		assert_int_equal(client.tokens[i], 0);
	struct tokens_key_info keys[TOKEN_STORE_KEYS_MAX];
	assert_int_equal(tokens_keys(purse->tokens, keys), 1);
	assert_int_equal(keys[0].issued, 65);
	assert_int_equal(keys[0].spent, 65);
	purse_shut(purse);
	purse_reopen(purse);
	assert_int_equal(tokens_keys(purse->tokens, keys), 1);
	assert_int_equal(keys[0].issued, 65);
}

// ---- unlinkable ----

static bool shares(const void *a, size_t a_size, const void *b, size_t b_size)
{
	for (size_t i = 0; i + 6 <= a_size; i++)
		if (memmem(b, b_size, (const uint8_t *)a + i, 6) != NULL)
			return true;
	return false;
}

// Over a batch: no six bytes of what the issuer saw or said are in anything that is shown later.
// (Random strings of this length share four of them once in 2,700 runs, six never.)
static void nothing_of_the_issuing_is_in_the_spending(void **state)
{
	struct purse *purse = *state;
	static struct client client;
	memset(&client, 0, sizeof(client));
	ask(purse, &client, 16);
	assert_int_equal(take(&client, NULL), 0);
	for (unsigned i = 0; i < 16; i++) {
		struct endpoint_token token;
		struct {
			uint8_t nonce[32], key[32], mac[32];
		} spent;
		assert_int_equal(
			endpoint_tokens_next(client.tokens, &client.tokens_size, 0, &token), 0);
		struct purse_token out = shown(&token);
		token_mac(out.mac, out.key, "what", 4);
		memcpy(spent.nonce, out.nonce, 32);
		memcpy(spent.key, out.key, 32);
		memcpy(spent.mac, out.mac, 32);
		assert_false(shares(&spent, sizeof(spent), client.seen.blinded,
			client.seen.count * sizeof(client.seen.blinded[0])));
		assert_false(shares(&spent, sizeof(spent), client.issued.answer.evaluated,
			client.seen.count * sizeof(client.seen.blinded[0])));
		assert_false(shares(&spent, sizeof(spent), client.issued.answer.proof,
			sizeof(client.issued.answer.proof)));
	}
}

// One token, had from many requests: whichever it was, the issuer saw another element and gave
// another answer, and the token is the same. So no request fits it better than another (README.md
// has the argument for all requests there can be).
static void any_request_could_have_been_this_tokens(void **state)
{
	struct purse *purse = *state;
	enum { REQUESTS = 32 };
	static struct voprf_pending pending[REQUESTS];
	struct token_request request = {.count = REQUESTS};
	struct voprf_output outputs[REQUESTS];
	struct issued issued;
	uint8_t nonce[TOKEN_NONCE_SIZE];
	randombytes_buf(nonce, sizeof(nonce));
	for (unsigned i = 0; i < REQUESTS; i++) {
		assert_int_equal(voprf_blind(&pending[i], nonce, sizeof(nonce)), 0);
		request.blinded[i] = pending[i].blinded;
	}
	assert_int_equal(issue(purse, &request, &issued), 0);
	assert_int_equal(voprf_finalize(outputs, pending, issued.answer.evaluated, REQUESTS,
				 issued.answer.proof, issued.answer.public_key),
		0);
	for (unsigned i = 1; i < REQUESTS; i++) {
		assert_memory_equal(&outputs[i], &outputs[0], sizeof(outputs[0]));
		for (unsigned j = 0; j < i; j++) {
			assert_memory_not_equal(
				&request.blinded[i], &request.blinded[j], VOPRF_ELEMENT_SIZE);
			assert_memory_not_equal(&issued.answer.evaluated[i],
				&issued.answer.evaluated[j], VOPRF_ELEMENT_SIZE);
		}
	}
}

// An answer unblinded with another request's blind is refused; made by force, it is nobody's token.
static void anothers_blind(void **state)
{
	struct purse *purse = *state;
	uint8_t nonces[2][TOKEN_NONCE_SIZE];
	struct voprf_pending pending[2], swapped[2];
	struct token_request request = {.count = 2};
	struct voprf_output outputs[2];
	struct issued issued;
	randombytes_buf(nonces, sizeof(nonces));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(voprf_blind(&pending[i], nonces[i], TOKEN_NONCE_SIZE), 0);
		request.blinded[i] = pending[i].blinded;
	}
	assert_int_equal(issue(purse, &request, &issued), 0);
	swapped[0] = pending[1];
	swapped[1] = pending[0];
	assert_int_equal(voprf_finalize(outputs, swapped, issued.answer.evaluated, 2,
				 issued.answer.proof, issued.answer.public_key),
		-EKEYREJECTED);
	// The proof is held against what was sent, the blind is not: this is the swap by force.
	swapped[0] = pending[0];
	swapped[1] = pending[1];
	memcpy(swapped[0].blind, pending[1].blind, sizeof(swapped[0].blind));
	memcpy(swapped[1].blind, pending[0].blind, sizeof(swapped[1].blind));
	assert_int_equal(voprf_finalize(outputs, swapped, issued.answer.evaluated, 2,
				 issued.answer.proof, issued.answer.public_key),
		0);
	for (unsigned i = 0; i < 2; i++) {
		struct purse_token token = {.key_id = issued.answer.key_id};
		token_key(token.key, &outputs[i]);
		for (unsigned j = 0; j < 2; j++) {
			memcpy(token.nonce, nonces[j], sizeof(token.nonce));
			assert_int_equal(purse_buy(purse, &token, "this"), -EBADMSG);
		}
	}
}

// ---- lies and accidents ----

static void a_lying_issuer(void **state)
{
	struct purse *purse = *state;
	static struct client client;
	memset(&client, 0, sizeof(client));
	ask(purse, &client, 3);
	struct token_answer good = client.issued.answer, bad = good;
	uint8_t pinned[VOPRF_ELEMENT_SIZE];
	memcpy(pinned, good.public_key, sizeof(pinned));
	// A key of this client's own, with a proof that holds.
	struct voprf_key own;
	voprf_key_generate(&own);
	assert_int_equal(
		voprf_blind_evaluate(bad.evaluated, bad.proof, &own, client.seen.blinded, 3), 0);
	memcpy(bad.public_key, own.public_key, sizeof(bad.public_key));
	bad.key_id = token_key_id(own.public_key);
	client.answer_size = token_answer_build(client.answer, sizeof(client.answer), &bad);
	assert_int_equal(take(&client, pinned), -EKEYREJECTED);
	// The pinned key's name on another key's work.
	memcpy(bad.public_key, good.public_key, sizeof(bad.public_key));
	bad.key_id = good.key_id;
	client.answer_size = token_answer_build(client.answer, sizeof(client.answer), &bad);
	assert_int_equal(take(&client, pinned), -EKEYREJECTED);
	bad = good;
	bad.key_id++;
	client.answer_size = token_answer_build(client.answer, sizeof(client.answer), &bad);
	assert_int_equal(take(&client, pinned), -EBADMSG);
	bad = good;
	bad.count = 2;
	client.answer_size = token_answer_build(client.answer, sizeof(client.answer), &bad);
	assert_int_equal(take(&client, pinned), -EBADMSG);
	assert_int_equal(client.tokens_size, 0);
	client.answer_size = token_answer_build(client.answer, sizeof(client.answer), &good);
	assert_int_equal(take(&client, pinned), 0);
}

static void no_room_for_tokens(void **state)
{
	struct purse *purse = *state;
	static struct client client;
	memset(&client, 0, sizeof(client));
	ask(purse, &client, 2);
	size_t size = 0;
	unsigned count;
	for (size_t room = 0; room <= 20 + 2 * ENDPOINT_TOKENS_LINE_SIZE; room++) {
		assert_int_equal(
			endpoint_tokens_take(client.pending, strlen(client.pending), client.answer,
				client.answer_size, NULL, client.tokens, room, &size, &count),
			-ENOBUFS);
		assert_int_equal(size, 0);
		for (size_t i = 0; i < sizeof(client.tokens); i++)
			assert_int_equal(client.tokens[i], 0);
	}
	assert_int_equal(take(&client, NULL), 0);
}

static void requests_that_are_none(void **state)
{
	struct purse *purse = *state;
	struct token_request request = {.count = 0};
	struct issued issued;
	assert_int_equal(issue(purse, &request, &issued), -EBADMSG);
	request.count = 1; // the identity
	assert_int_equal(issue(purse, &request, &issued), -EBADMSG);
	memset(&request.blinded, 0xFF, sizeof(request.blinded));
	assert_int_equal(issue(purse, &request, &issued), -EBADMSG);
	struct tokens_key_info keys[TOKEN_STORE_KEYS_MAX];
	assert_int_equal(tokens_keys(purse->tokens, keys), 1);
	assert_int_equal(keys[0].issued, 0);
	char text[ENDPOINT_TOKENS_FILE_MAX], pending[ENDPOINT_TOKENS_FILE_MAX];
	assert_int_equal(endpoint_tokens_request(0, text, pending), -EINVAL);
	assert_int_equal(endpoint_tokens_request(65, text, pending), -EINVAL);
}

#define ELEMENT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void texts(void **unused)
{
	(void)unused;
	static const struct {
		const char *text;
		int result;
		unsigned line;
	} cases[] = {
		{"blindrelay-token-request 1\n" ELEMENT "\n", 0, 2},
		{"blindrelay-token-request 1\r\n# why\r\n\n" ELEMENT, 0, 4},
		{"", -EBADMSG, 0},
		{"blindrelay-token-request", -EPROTONOSUPPORT, 1},
		{"blindrelay-token-request 2\n" ELEMENT "\n", -EPROTONOSUPPORT, 1},
		{"blindrelay-token-request 1 \n" ELEMENT "\n", -EPROTONOSUPPORT, 1},
		{"blindrelay-token-request 1 1\n" ELEMENT "\n", -EBADMSG, 1},
		{"blindrelay-token-answer 1\n" ELEMENT "\n", -EBADMSG, 1},
		{"blindrelay-token-request 1\n", -EBADMSG, 1},
		{"blindrelay-token-request 1\n" ELEMENT "A\n", -EBADMSG, 2},
		{"blindrelay-token-request 1\n" ELEMENT "\nAAAA\n", -EBADMSG, 3},
		{"blindrelay-token-request 1\n" ELEMENT " " ELEMENT "\n", -EBADMSG, 2},
		{"blindrelay-token-request 1\n " ELEMENT "\n", -EBADMSG, 2},
		{"blindrelay-token-request 1\nAAAA+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
			-EBADMSG, 2},
		// Bits behind the last byte.
		{"blindrelay-token-request 1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\n",
			-EBADMSG, 2},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_request request;
		unsigned line;
		int rc = token_request_parse(cases[i].text, strlen(cases[i].text), &request, &line);
		if (rc != cases[i].result || line != cases[i].line)
			fail_msg("case %zu: %d in line %u", i, rc, line);
	}
	char many[TOKEN_TEXT_MAX] = "blindrelay-token-request 1\n";
	struct token_request request;
	unsigned line;
	for (unsigned i = 0; i < VOPRF_BATCH_MAX; i++)
		strcat(many, ELEMENT "\n");
	assert_int_equal(token_request_parse(many, strlen(many), &request, &line), 0);
	assert_int_equal(request.count, VOPRF_BATCH_MAX);
	strcat(many, ELEMENT "\n");
	assert_int_equal(token_request_parse(many, strlen(many), &request, &line), -EBADMSG);
	assert_int_equal(token_request_build(many, 100, &request), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asked_issued_taken_spent, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_of_the_issuing_is_in_the_spending, setup, teardown),
		cmocka_unit_test_setup_teardown(
			any_request_could_have_been_this_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(anothers_blind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lying_issuer, setup, teardown),
		cmocka_unit_test_setup_teardown(no_room_for_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(requests_that_are_none, setup, teardown),
		cmocka_unit_test(texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
