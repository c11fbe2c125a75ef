// SPDX-License-Identifier: BSD-3-Clause
// See purse.h.
#include "endpoint/relaycall/purse.h"

#include "endpoint/relaycall/file.h"
#include "endpoint/relaycall/relaycall.h"
#include "endpoint/tokens.h"

#include <sodium.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PURSE_MAX = 1024 * 1024 };

static int take(const char *path, char *text, struct endpoint_token *out)
{
	size_t size;

	int result = file_read(path, text, PURSE_MAX, &size);
	if (result != 0)
		return relaycall_fail(result, "cannot read %s: %s", path, strerror(-result));
	result = endpoint_tokens_next(text, &size, 0, out);
	if (result == -ENOENT)
		return relaycall_fail(result, "%s is empty: all tokens are spent", path);
	if (result != 0)
		return relaycall_fail(result, "%s is no file of tokens", path);
	result = file_replace(path, text, size, 0600);
	if (result != 0) {
		sodium_memzero(out, sizeof(*out));
		return relaycall_fail(
			result, "cannot write %s: %s; no token is taken", path, strerror(-result));
	}
	return 0;
}

bool purse_take(void *context, struct endpoint_token *out)
{
	char *text = malloc(PURSE_MAX);
	if (text == NULL)
		return false;
	int result = take(context, text, out);
	sodium_memzero(text, PURSE_MAX);
	free(text);
	return result == 0;
}
