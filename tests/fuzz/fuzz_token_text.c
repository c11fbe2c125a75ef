// SPDX-License-Identifier: BSD-3-Clause
// Every text about tokens from any bytes: requests and answers as the relay and its clients read
// them, a client's tokens file, and what an admin's request of any content does. Held: what was
// parsed is built and parsed to the same; a tokens file only ever gets shorter, and holds as many
// tokens as it gives.
#include "controlplane/admin/verbs.h"
#include "dataplane/api/frames.h"
#include "endpoint/tokens.h"
#include "lib/wire/token_text.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void request(const char *text, size_t size)
{
	static struct token_request first, second;
	static char built[TOKEN_TEXT_MAX];
	unsigned line;
	if (token_request_parse(text, size, &first, &line) != 0)
		return;
	require(first.count >= 1 && first.count <= VOPRF_BATCH_MAX);
	size_t length = token_request_build(built, sizeof(built), &first);
	require(length > 0 && token_request_parse(built, length, &second, &line) == 0);
	require(first.count == second.count &&
		memcmp(first.blinded, second.blinded, first.count * VOPRF_ELEMENT_SIZE) == 0);
	// The issuer's answer to it, whatever elements these are.
	static struct token_answer answer;
	static struct voprf_key key;
	if (key.secret[0] == 0 && key.secret[1] == 0)
		voprf_key_derive(&key, (const uint8_t[VOPRF_SEED_SIZE]){1}, NULL, 0);
	int rc = voprf_blind_evaluate(
		answer.evaluated, answer.proof, &key, first.blinded, first.count);
	require(rc == 0 || rc == -EBADMSG);
}

static void answer(const char *text, size_t size)
{
	static struct token_answer first, second;
	static char built[TOKEN_TEXT_MAX];
	unsigned line;
	if (token_answer_parse(text, size, &first, &line) != 0)
		return;
	require(first.count >= 1 && first.count <= VOPRF_BATCH_MAX);
	size_t length = token_answer_build(built, sizeof(built), &first);
	require(length > 0 && token_answer_parse(built, length, &second, &line) == 0);
	require(first.key_id == second.key_id && first.count == second.count &&
		memcmp(first.proof, second.proof, sizeof(first.proof)) == 0 &&
		memcmp(first.evaluated, second.evaluated, first.count * VOPRF_ELEMENT_SIZE) == 0);
}

static void tokens(const char *text, size_t size)
{
	char *copy = malloc(size + 1);
	require(copy != NULL);
	memcpy(copy, text, size);
	int left = endpoint_tokens_count(copy, size);
	struct endpoint_token token;
	for (; left > 0; left--) {
		size_t before = size;
		require(endpoint_tokens_next(copy, &size, 0, &token) == 0 && size < before);
		require(endpoint_tokens_count(copy, size) == left - 1);
	}
	// A damaged file gives what stands before the damage.
	require(left < 0 || endpoint_tokens_next(copy, &size, 0, &token) == -ENOENT);
	// As a pending file, against the rest of itself as an answer.
	unsigned count;
	size_t none = 0;
	static char out[ENDPOINT_TOKENS_FILE_MAX];
	endpoint_tokens_take(text, size / 2, text + size / 2, size - size / 2, NULL, out,
		sizeof(out), &none, &count);
	free(copy);
}

// The bytes as the payload of each of the tokens' verbs.
static void admin(const uint8_t *data, size_t size, bool root)
{
	static _Alignas(8) uint8_t datagram[ADMIN_REQUEST_MAX + 64];
	for (uint32_t type = ADMIN_TOKEN_KEYS; type <= ADMIN_TOKEN_ISSUE; type++) {
		struct admin_session session = {.uid = root ? 0 : 7, .own_uid = 1, .greeted = true};
		static struct admin_request parsed;
		struct api_header header = {.id = 1, .type = type, .length = (int32_t)size};
		size_t length = sizeof(header) + (size + 3) / 4 * 4;
		int error;
		if (length > sizeof(datagram))
			return;
		memset(datagram, 0, sizeof(datagram));
		memcpy(datagram, &header, sizeof(header));
		memcpy(datagram + sizeof(header), data, size);
		enum admin_verdict verdict =
			admin_session_judge(&session, datagram, length, &parsed, &error);
		require((verdict == ADMIN_RUN) == (error == 0));
		if (verdict == ADMIN_RUN)
			require(root && (type != ADMIN_TOKEN_ISSUE ||
						memcmp(&parsed.tokens, data, size) == 0));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (sodium_init() < 0 || size > 2 * TOKEN_TEXT_MAX)
		return 0;
	// A copy of its own, so that reading behind it is seen.
	char *text = malloc(size > 0 ? size : 1);
	require(text != NULL);
	memcpy(text, data, size);
	request(text, size);
	answer(text, size);
	tokens(text, size);
	admin(data, size, size % 2 == 0);
	free(text);
	return 0;
}
