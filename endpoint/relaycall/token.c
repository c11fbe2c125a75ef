// SPDX-License-Identifier: BSD-3-Clause
// relaycall token: asks a relay's operator for tokens and keeps them, as files (endpoint/tokens.h).
//
//     request COUNT FILE            FILE for the operator (relayctl token issue), FILE.pending kept
//     take FILE ANSWER TOKENS       makes tokens of the operator's answer; FILE.pending goes
//     count TOKENS                  how many are left
#include "endpoint/relaycall/file.h"
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/session.h"
#include "endpoint/tokens.h"

#include <jansson.h>
#include <sodium.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOKENS_MAX = 1024 * 1024 };

static int tell_count(const struct relaycall_options *options, unsigned count, const char *file)
{
	if (options->json)
		session_print_json(json_pack("{s:i,s:s}", "tokens", (int)count, "file", file));
	else
		printf("%u token%s in %s\n", count, count == 1 ? "" : "s", file);
	return RELAYCALL_OK;
}

static int cannot(const char *what, const char *path, int result)
{
	return relaycall_fail(RELAYCALL_FAILED, "cannot %s %s: %s", what, path, strerror(-result));
}

static int pending_path(char path[PATH_MAX], const char *request)
{
	int length = snprintf(path, PATH_MAX, "%s.pending", request);
	return length > 0 && length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int request(const char *number, const char *path)
{
	static char out[ENDPOINT_TOKENS_FILE_MAX], pending[ENDPOINT_TOKENS_FILE_MAX];
	char pending_file[PATH_MAX], *end;
	unsigned long count = strtoul(number, &end, 10);

	if (number[0] < '0' || number[0] > '9' || *end != 0 || count == 0 ||
		count > ENDPOINT_TOKENS_REQUEST_MAX)
		return relaycall_fail(RELAYCALL_USAGE,
			"token request wants a number from 1 to %u: %s",
			ENDPOINT_TOKENS_REQUEST_MAX, number);
	int result = pending_path(pending_file, path);
	if (result == 0 && access(pending_file, F_OK) == 0)
		return relaycall_fail(RELAYCALL_FAILED,
			"%s belongs to a request that was not answered yet; take its answer first, "
			"or "
			"remove it",
			pending_file);
	if (result == 0)
		result = endpoint_tokens_request((unsigned)count, out, pending);
	if (result == 0)
		result = file_replace(pending_file, pending, strlen(pending), 0600);
	sodium_memzero(pending, sizeof(pending));
	if (result != 0)
		return cannot("write", pending_file, result);
	result = file_replace(path, out, strlen(out), 0644);
	if (result != 0)
		return cannot("write", path, result);
	fprintf(stderr,
		"relaycall: give %s to the relay's operator (relayctl token issue), then: "
		"relaycall "
		"token take %s ANSWER TOKENS\n",
		path, path);
	return RELAYCALL_OK;
}

struct files {
	char pending[ENDPOINT_TOKENS_FILE_MAX], answer[ENDPOINT_TOKENS_FILE_MAX];
	char tokens[TOKENS_MAX];
};

static int take(const struct relaycall_options *options, struct files *f)
{
	const char *answer_path = options->operand[2], *tokens_path = options->operand[3];
	char pending_file[PATH_MAX];
	size_t pending_size, answer_size, size;
	unsigned count;

	int result = pending_path(pending_file, options->operand[1]);
	if (result == 0)
		result = file_read(pending_file, f->pending, sizeof(f->pending), &pending_size);
	if (result != 0)
		return cannot("read", pending_file, result);
	result = file_read(answer_path, f->answer, sizeof(f->answer), &answer_size);
	if (result != 0)
		return cannot("read", answer_path, result);
	result = file_read(tokens_path, f->tokens, sizeof(f->tokens), &size);
	if (result != 0 && result != -ENOENT)
		return cannot("read", tokens_path, result);
	result = endpoint_tokens_take(f->pending, pending_size, f->answer, answer_size,
		options->relays[0].has_key ? options->relays[0].key : NULL, f->tokens,
		sizeof(f->tokens), &size, &count);
	if (result == -EKEYREJECTED)
		return relaycall_fail(RELAYCALL_FAILED,
			"%s was not made with the operator's key: do not use it", answer_path);
	if (result != 0)
		return relaycall_fail(
			RELAYCALL_FAILED, "%s is no answer to this request", answer_path);
	result = file_replace(tokens_path, f->tokens, size, 0600);
	if (result != 0)
		return cannot("write", tokens_path, result);
	unlink(pending_file); // it would let somebody know these tokens again
	return tell_count(options, (unsigned)endpoint_tokens_count(f->tokens, size), tokens_path);
}

static int count_tokens(const struct relaycall_options *options, struct files *f)
{
	const char *path = options->operand[1];
	size_t size;

	int result = file_read(path, f->tokens, sizeof(f->tokens), &size);
	if (result != 0)
		return cannot("read", path, result);
	int count = endpoint_tokens_count(f->tokens, size);
	if (count < 0)
		return relaycall_fail(RELAYCALL_FAILED, "%s is no file of tokens", path);
	return tell_count(options, (unsigned)count, path);
}

int relaycall_token(const struct relaycall_options *options)
{
	const char *const *words = options->operand;
	const char *action = words[0] != NULL ? words[0] : "";
	unsigned given = 0;

	while (given < 4 && words[given] != NULL)
		given++;
	if (strcmp(action, "request") == 0 && given == 3)
		return request(words[1], words[2]);
	struct files *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return relaycall_fail(RELAYCALL_FAILED, "no memory");
	int code;
	if (strcmp(action, "take") == 0 && given == 4)
		code = take(options, f);
	else if (strcmp(action, "count") == 0 && given == 2)
		code = count_tokens(options, f);
	else
		code = relaycall_fail(RELAYCALL_USAGE, "expected: relaycall token request COUNT "
						       "FILE, token take FILE ANSWER TOKENS, or "
						       "token count TOKENS");
	sodium_memzero(f, sizeof(*f));
	free(f);
	return code;
}
