// SPDX-License-Identifier: BSD-3-Clause
// See identity.h. One "key = value" a line, # begins a comment.
#include "endpoint/relaycall/identity.h"

#include "endpoint/relaycall/file.h"

#include <ini.h>
#include <sodium.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { KEY_TEXT_SIZE = 44 };

static __attribute__((format(printf, 3, 4))) int fail(
	char error[IDENTITY_ERROR_SIZE], int result, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(error, IDENTITY_ERROR_SIZE, format, list);
	va_end(list);
	return result;
}

bool identity_key_parse(const char *text, uint8_t out[ENDPOINT_KEY_SIZE])
{
	static const int variants[] = {sodium_base64_VARIANT_URLSAFE_NO_PADDING,
		sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_URLSAFE,
		sodium_base64_VARIANT_ORIGINAL_NO_PADDING};
	size_t size;

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		if (sodium_base642bin(out, ENDPOINT_KEY_SIZE, text, strlen(text), NULL, &size, NULL,
			    variants[i]) == 0 &&
			size == ENDPOINT_KEY_SIZE)
			return true;
	return false;
}

struct reading {
	struct identity *identity;
	bool has_namespace, has_seed;
};

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	struct identity *id = r->identity;

	if (section[0] != 0)
		return 0;
	if (strcmp(name, "namespace") == 0 && !r->has_namespace)
		return r->has_namespace = identity_key_parse(value, id->namespace_id);
	if (strcmp(name, "seed") == 0 && !r->has_seed)
		return r->has_seed = identity_key_parse(value, id->seed);
	if (strcmp(name, "relay-key") == 0 && !id->has_relay_key)
		return id->has_relay_key = identity_key_parse(value, id->relay_key);
	if (strcmp(name, "relay") == 0 && id->relay_count < ENDPOINT_RELAYS_MAX)
		return endpoint_contact_relay_parse(value, &id->relays[id->relay_count++]) == 0;
	return 0;
}

static int read_file(struct identity *identity, FILE *file, char error[IDENTITY_ERROR_SIZE])
{
	struct reading reading = {.identity = identity};
	struct stat stat;

	if (fstat(fileno(file), &stat) != 0)
		return fail(
			error, -errno, "cannot look at %s: %s", identity->path, strerror(errno));
	if (!S_ISREG(stat.st_mode))
		return fail(error, -EINVAL, "%s is not a file", identity->path);
	if ((stat.st_mode & 077) != 0)
		return fail(
			error, -EPERM, "%s can be read by others: chmod 600 it", identity->path);
	int line = ini_parse_file(file, on_value, &reading);
	if (line > 0)
		return fail(error, -EINVAL,
			"%s, line %d: not understood (namespace, seed, relay, relay-key = ...)",
			identity->path, line);
	if (!reading.has_namespace || !reading.has_seed)
		return fail(error, -EINVAL, "%s lacks its %s", identity->path,
			reading.has_seed ? "namespace" : "seed");
	return 0;
}

static int find_path(struct identity *identity, const char *path, char error[IDENTITY_ERROR_SIZE])
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	int length;

	if (path != NULL)
		length = snprintf(identity->path, sizeof(identity->path), "%s", path);
	else if (config != NULL && config[0] == '/')
		length = snprintf(
			identity->path, sizeof(identity->path), "%s/blindrelay/identity", config);
	else if (home != NULL && home[0] == '/')
		length = snprintf(identity->path, sizeof(identity->path),
			"%s/.config/blindrelay/identity", home);
	else
		return fail(error, -ENOENT, "there is no home folder: name a file with --identity");
	if (length < 0 || (size_t)length >= sizeof(identity->path))
		return fail(error, -ENAMETOOLONG, "the path of the identity file is too long");
	return 0;
}

// Folders above a file, readable by their owner alone where they are made.
static void make_folders(const char *path)
{
	char copy[PATH_MAX];
	snprintf(copy, sizeof(copy), "%s", path);
	for (char *c = strchr(copy + 1, '/'); c != NULL; c = strchr(c + 1, '/')) {
		*c = 0;
		mkdir(copy, 0700); // one that is there, or cannot be made, shows at the file
		*c = '/';
	}
}

int identity_load(
	struct identity *identity, const char *path, bool *made, char error[IDENTITY_ERROR_SIZE])
{
	memset(identity, 0, sizeof(*identity));
	*made = false;
	int result = find_path(identity, path, error);
	if (result != 0)
		return result;
	FILE *file = fopen(identity->path, "re");
	if (file == NULL && errno != ENOENT)
		return fail(error, -errno, "cannot read %s: %s", identity->path, strerror(errno));
	if (file != NULL) {
		result = read_file(identity, file, error);
		fclose(file);
		if (result != 0)
			identity_wipe(identity);
		return result;
	}
	randombytes_buf(identity->namespace_id, sizeof(identity->namespace_id));
	randombytes_buf(identity->seed, sizeof(identity->seed));
	make_folders(identity->path);
	*made = true;
	return identity_save(identity, error);
}

static void write_key(FILE *file, const char *name, const uint8_t key[ENDPOINT_KEY_SIZE])
{
	char text[KEY_TEXT_SIZE];
	sodium_bin2base64(text, sizeof(text), key, ENDPOINT_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	fprintf(file, "%s = %s\n", name, text);
	sodium_memzero(text, sizeof(text));
}

static void write_all(const struct identity *identity, FILE *file)
{
	char text[ENDPOINT_CONTACT_NAME_MAX + 8];
	fputs("# An identity of relaycall(1). Keep it to yourself and keep a copy: who has it "
	      "receives "
	      "what is meant for you.\n",
		file);
	write_key(file, "namespace", identity->namespace_id);
	write_key(file, "seed", identity->seed);
	for (size_t i = 0; i < identity->relay_count; i++)
		fprintf(file, "relay = %s\n",
			endpoint_contact_relay_format(&identity->relays[i], text, sizeof(text)));
	if (identity->has_relay_key)
		write_key(file, "relay-key", identity->relay_key);
}

int identity_save(const struct identity *identity, char error[IDENTITY_ERROR_SIZE])
{
	char *text = NULL;
	size_t size = 0;

	FILE *file = open_memstream(&text, &size);
	if (file == NULL)
		return fail(error, -ENOMEM, "no memory");
	write_all(identity, file);
	int result = fclose(file) == 0 ? 0 : -ENOMEM;
	if (result == 0)
		result = file_replace(identity->path, text, size, 0600);
	if (text != NULL)
		sodium_memzero(text, size);
	free(text);
	if (result != 0)
		fail(error, result, "cannot write %s: %s", identity->path, strerror(-result));
	return result;
}

void identity_wipe(struct identity *identity)
{
	sodium_memzero(identity, sizeof(*identity));
}
