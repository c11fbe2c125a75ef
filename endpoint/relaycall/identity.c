// SPDX-License-Identifier: BSD-3-Clause
// The identity file on the disk: found, made, upgraded, changed; see identity.h.
#include "endpoint/relaycall/identity.h"

#include "endpoint/relaycall/file.h"

#include "lib/crypto/blinding.h"

#include <sodium.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { READ_MAX = 16384 }; // with room for comments

static __attribute__((format(printf, 3, 4))) int fail(
	char error[IDENTITY_ERROR_SIZE], int result, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(error, IDENTITY_ERROR_SIZE, format, list);
	va_end(list);
	return result;
}

int identity_find_path(char out[PATH_MAX], const char *path, char error[IDENTITY_ERROR_SIZE])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int length;

	if (path != NULL)
		length = snprintf(out, PATH_MAX, "%s", path);
	else if (config != NULL && config[0] == '/')
		length = snprintf(out, PATH_MAX, "%s/blindrelay/identity", config);
	else if (home != NULL && home[0] == '/')
		length = snprintf(out, PATH_MAX, "%s/.config/blindrelay/identity", home);
	else
		return fail(error, -ENOENT, "there is no home folder: name a file with --identity");
	if (length < 0 || length >= PATH_MAX)
		return fail(error, -ENAMETOOLONG, "the path of the identity file is too long");
	return 0;
}

static int read_file(struct identity *identity, unsigned *version, char error[IDENTITY_ERROR_SIZE])
{
	char path[PATH_MAX], *text;
	size_t size;

	int result = file_private_read(identity->path, READ_MAX, &text, &size);
	if (result != 0) {
		file_private_explain(identity->path, result, error, IDENTITY_ERROR_SIZE);
		return result;
	}
	memcpy(path, identity->path, sizeof(path));
	identity_wipe(identity);
	memcpy(identity->path, path, sizeof(path));
	result = identity_parse(identity, text, size, version, error);
	file_private_free(text, size);
	return result;
}

// put: file_create or file_replace.
static int write_file(const struct identity *identity,
	int (*put)(const char *path, const void *data, size_t size, mode_t mode),
	char error[IDENTITY_ERROR_SIZE])
{
	char text[IDENTITY_TEXT_SIZE];

	size_t size = identity_format(identity, text);
	int result = put(identity->path, text, size, 0600);
	sodium_memzero(text, sizeof(text));
	if (result != 0)
		fail(error, result, "cannot write %s: %s", identity->path, strerror(-result));
	return result;
}

static int make_file(struct identity *identity, char error[IDENTITY_ERROR_SIZE])
{
	randombytes_buf(identity->namespace_id, sizeof(identity->namespace_id));
	randombytes_buf(identity->identity_seed, sizeof(identity->identity_seed));
	randombytes_buf(identity->delivery_seed, sizeof(identity->delivery_seed));
	file_make_folders(identity->path);
	return write_file(identity, file_create, error);
}

// change: NULL, only to upgrade it.
static int change_file(struct identity *identity,
	void (*change)(struct identity *identity, const void *context), const void *context,
	char error[IDENTITY_ERROR_SIZE])
{
	unsigned version;

	int lock = file_lock(identity->path, false);
	if (lock < 0)
		return fail(error, lock, "cannot change %s: %s", identity->path, strerror(-lock));
	int result = read_file(identity, &version, error);
	bool upgrade = result == 0 && version == 1;
	if (upgrade)
		randombytes_buf(identity->identity_seed, sizeof(identity->identity_seed));
	if (result == 0 && change != NULL)
		change(identity, context);
	if (result == 0 && (upgrade || change != NULL))
		result = write_file(identity, file_replace, error);
	identity->upgraded = upgrade && result == 0;
	file_unlock(lock);
	return result;
}

int identity_load(
	struct identity *identity, const char *path, bool *made, char error[IDENTITY_ERROR_SIZE])
{
	unsigned version = 2;

	memset(identity, 0, sizeof(*identity));
	*made = false;
	int result = identity_find_path(identity->path, path, error);
	if (result != 0)
		return result;
	result = read_file(identity, &version, error);
	if (result == -ENOENT) {
		result = make_file(identity, error);
		*made = result == 0;
		if (result == -EEXIST) // somebody was faster
			result = read_file(identity, &version, error);
	}
	if (result == 0 && version == 1)
		result = change_file(identity, NULL, NULL, error);
	if (result != 0)
		identity_wipe(identity);
	return result;
}

int identity_change(struct identity *identity,
	void (*change)(struct identity *identity, const void *context), const void *context,
	char error[IDENTITY_ERROR_SIZE])
{
	return change_file(identity, change, context, error);
}

void identity_wipe(struct identity *identity)
{
	sodium_memzero(identity, sizeof(*identity));
}

static void public_of(uint8_t out[ENDPOINT_KEY_SIZE], const uint8_t seed[ENDPOINT_KEY_SIZE])
{
	struct blinding_secret secret;
	blinding_secret_expand(&secret, seed);
	blinding_secret_public(out, &secret);
	sodium_memzero(&secret, sizeof(secret));
}

void identity_contact(const struct identity *identity, struct endpoint_contact *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->peer.namespace_id, identity->namespace_id, ENDPOINT_KEY_SIZE);
	public_of(out->identity_key, identity->identity_seed);
	public_of(out->peer.delivery_key, identity->delivery_seed);
	memcpy(out->relays, identity->relays, sizeof(out->relays));
	out->relay_count = identity->relay_count;
}
