// SPDX-License-Identifier: BSD-3-Clause
// Tokens from request to use; see tokens.h.
#include "endpoint/tokens.h"

#include "lib/wire/token.h"
#include "lib/wire/token_text.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

static const char pending_name[] = "blindrelay-token-pending";
static const char tokens_name[] = "blindrelay-tokens";

// What a client keeps between request and answer. Inputs are the nonces, in place.
struct pending {
	unsigned count;
	uint8_t nonces[VOPRF_BATCH_MAX][TOKEN_NONCE_SIZE];
	struct voprf_pending items[VOPRF_BATCH_MAX];
};

static_assert((int)ENDPOINT_TOKENS_REQUEST_MAX == VOPRF_BATCH_MAX, "one proof");
static_assert((int)ENDPOINT_TOKENS_FILE_MAX == (int)TOKEN_TEXT_MAX, "files");
static_assert((int)ENDPOINT_TOKENS_USER_SIZE == (int)TOKEN_USERNAME_LENGTH + 1, "user");
static_assert((int)ENDPOINT_TOKENS_PASSWORD_SIZE == (int)TOKEN_PASSWORD_LENGTH + 1, "password");

// ---- asking ----

static void write_pending(char *out, const struct pending *pending)
{
	struct token_writer writer = {.at = out, .room = TOKEN_TEXT_MAX};
	token_write(&writer, pending_name);
	token_write(&writer, " 1\n");
	for (unsigned i = 0; i < pending->count; i++) {
		token_write_bytes(&writer, pending->nonces[i], TOKEN_NONCE_SIZE);
		token_write(&writer, " ");
		token_write_bytes(&writer, pending->items[i].blind, VOPRF_SCALAR_SIZE);
		token_write(&writer, " ");
		token_write_bytes(&writer, pending->items[i].blinded.bytes, VOPRF_ELEMENT_SIZE);
		token_write(&writer, "\n");
	}
	assert(writer.room > 0);
}

int endpoint_tokens_request(unsigned count, char *request, char *pending)
{
	struct pending made = {.count = count};
	struct token_request blinded = {.count = count};
	if (count == 0 || count > VOPRF_BATCH_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		// Refused is only what hashes to the identity, which nobody will ever see.
		do
			randombytes_buf(made.nonces[i], TOKEN_NONCE_SIZE);
		while (voprf_blind(&made.items[i], made.nonces[i], TOKEN_NONCE_SIZE) != 0);
		blinded.blinded[i] = made.items[i].blinded;
	}
	write_pending(pending, &made);
	token_request_build(request, TOKEN_TEXT_MAX, &blinded);
	sodium_memzero(&made, sizeof(made));
	return 0;
}

// ---- taking ----

static int read_pending(const char *text, size_t size, struct pending *out)
{
	struct token_lines lines = {.at = text, .end = text + size};
	int rc = token_lines_header(&lines, pending_name);
	out->count = 0;
	while (rc == 0 && token_lines_next(&lines)) {
		unsigned i = out->count;
		if (i == VOPRF_BATCH_MAX ||
			!token_lines_bytes(&lines, out->nonces[i], TOKEN_NONCE_SIZE) ||
			!token_lines_bytes(&lines, out->items[i].blind, VOPRF_SCALAR_SIZE) ||
			!token_lines_bytes(
				&lines, out->items[i].blinded.bytes, VOPRF_ELEMENT_SIZE) ||
			!token_lines_over(&lines))
			return -EBADMSG;
		out->items[i].input = out->nonces[i];
		out->items[i].input_size = TOKEN_NONCE_SIZE;
		out->count++;
	}
	return rc == 0 && out->count > 0 ? 0 : -EBADMSG;
}

static void write_tokens(struct token_writer *writer, bool first, uint32_t key_id,
	const struct pending *pending, const struct voprf_output *outputs)
{
	if (first) {
		token_write(writer, tokens_name);
		token_write(writer, " 1\n");
	}
	for (unsigned i = 0; i < pending->count; i++) {
		token_write_key_id(writer, key_id);
		token_write(writer, " ");
		token_write_bytes(writer, pending->nonces[i], TOKEN_NONCE_SIZE);
		token_write(writer, " ");
		token_write_bytes(writer, outputs[i].bytes, VOPRF_OUTPUT_SIZE);
		token_write(writer, "\n");
	}
}

static int append(const struct pending *pending, const struct token_answer *answer, char *tokens,
	size_t room, size_t *size)
{
	struct voprf_output outputs[VOPRF_BATCH_MAX];
	int rc = voprf_finalize(outputs, pending->items, answer->evaluated, pending->count,
		answer->proof, answer->public_key);
	if (rc == 0 && *size > 0 && tokens[*size - 1] != '\n')
		rc = -EBADMSG;
	if (rc == 0 && *size < room) {
		struct token_writer writer = {.at = tokens + *size, .room = room - *size};
		write_tokens(&writer, *size == 0, answer->key_id, pending, outputs);
		if (writer.room > 0)
			*size = (size_t)(writer.at - tokens);
		else
			rc = -ENOBUFS;
		// What was written of it before it was found not to fit.
		sodium_memzero(tokens + *size, room - *size);
	} else if (rc == 0) {
		rc = -ENOBUFS;
	}
	sodium_memzero(outputs, sizeof(outputs));
	return rc == -EINVAL ? -EBADMSG : rc;
}

int endpoint_tokens_take(const char *pending, size_t pending_size, const char *answer,
	size_t answer_size, const uint8_t *public_key, char *tokens, size_t room, size_t *size,
	unsigned *count)
{
	struct pending kept;
	struct token_answer given;
	unsigned line;
	int rc = read_pending(pending, pending_size, &kept);
	if (rc == 0 && (token_answer_parse(answer, answer_size, &given, &line) != 0 ||
			       given.count != kept.count))
		rc = -EBADMSG;
	if (rc == 0 && public_key != NULL &&
		memcmp(public_key, given.public_key, sizeof(given.public_key)) != 0)
		rc = -EKEYREJECTED;
	if (rc == 0 && *size > 0 && endpoint_tokens_count(tokens, *size) < 0)
		rc = -EBADMSG;
	if (rc == 0)
		rc = append(&kept, &given, tokens, room, size);
	*count = rc == 0 ? kept.count : 0;
	sodium_memzero(&kept, sizeof(kept));
	return rc;
}

// ---- keeping ----

static bool read_token(struct token_lines *lines, struct endpoint_token *out)
{
	return token_lines_key_id(lines, &out->key_id) &&
	       token_lines_bytes(lines, out->nonce, sizeof(out->nonce)) &&
	       token_lines_bytes(lines, out->output, sizeof(out->output)) &&
	       token_lines_over(lines);
}

int endpoint_tokens_next(char *tokens, size_t *size, uint32_t key_id, struct endpoint_token *out)
{
	struct token_lines lines = {.at = tokens, .end = tokens + *size};
	int rc = token_lines_header(&lines, tokens_name) == 0 ? -ENOENT : -EBADMSG;
	while (rc == -ENOENT && token_lines_next(&lines)) {
		size_t start = (size_t)(lines.field - tokens);
		if (!read_token(&lines, out)) {
			rc = -EBADMSG;
		} else if (key_id == 0 || out->key_id == key_id) {
			size_t end = (size_t)(lines.at - tokens), rest = *size - end;
			memmove(tokens + start, tokens + end, rest);
			sodium_memzero(tokens + start + rest, end - start);
			*size = start + rest;
			rc = 0;
		}
	}
	if (rc != 0)
		sodium_memzero(out, sizeof(*out));
	return rc;
}

int endpoint_tokens_count(const char *tokens, size_t size)
{
	struct token_lines lines = {.at = tokens, .end = tokens + size};
	struct endpoint_token token;
	int count = token_lines_header(&lines, tokens_name) == 0 ? 0 : -EBADMSG;
	while (count >= 0 && token_lines_next(&lines))
		count = read_token(&lines, &token) ? count + 1 : -EBADMSG;
	sodium_memzero(&token, sizeof(token));
	return count;
}

void endpoint_tokens_turn_user(const struct endpoint_token *token, char *user, char *password)
{
	struct voprf_output output;
	uint8_t key[TOKEN_KEY_SIZE];
	static_assert(sizeof(output.bytes) == sizeof(token->output), "VOPRF output");
	memcpy(output.bytes, token->output, sizeof(output.bytes));
	token_key(key, &output);
	token_username(user, token->key_id, token->nonce);
	token_password(password, key);
	sodium_memzero(&output, sizeof(output));
	sodium_memzero(key, sizeof(key));
}
