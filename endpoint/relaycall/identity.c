// SPDX-License-Identifier: BSD-3-Clause
// See identity.h. One "key = value" a line, # begins a comment.
#include "endpoint/relaycall/identity.h"

#include "endpoint/relaycall/file.h"

#include "lib/crypto/blinding.h"

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
	bool has_namespace, has_identity, has_delivery;
};

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct reading *r = user;
	struct identity *id = r->identity;

	if (section[0] != 0)
		return 0;
	if (strcmp(name, "namespace") == 0 && !r->has_namespace)
		return r->has_namespace = identity_key_parse(value, id->namespace_id);
	if (strcmp(name, "identity-seed") == 0 && !r->has_identity)
		return r->has_identity = identity_key_parse(value, id->identity_seed);
	if (strcmp(name, "delivery-seed") == 0 && !r->has_delivery)
		return r->has_delivery = identity_key_parse(value, id->delivery_seed);
	bool second = strncmp(name, "second-", 7) == 0;
	struct endpoint_contact_relay *relay = &id->relays[second];
	name += second ? 7 : 0;
	if (strcmp(name, "relay-key") == 0 && !relay->has_key)
		return relay->has_key = identity_key_parse(value, relay->key);
	if (strcmp(name, "relay") == 0 && relay->address_count < ENDPOINT_CONTACT_ADDRESSES_MAX)
		return endpoint_contact_address_parse(
			       value, &relay->addresses[relay->address_count++]) == 0;
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
	const char *missing = !reading.has_namespace  ? "namespace"
			      : !reading.has_identity ? "identity-seed"
			      : !reading.has_delivery ? "delivery-seed"
						      : NULL;
	if (missing != NULL)
		return fail(error, -EINVAL, "%s lacks its %s", identity->path, missing);
	identity->relay_count = identity->relays[1].address_count > 0   ? 2
				: identity->relays[0].address_count > 0 ? 1
									: 0;
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
	randombytes_buf(identity->identity_seed, sizeof(identity->identity_seed));
	randombytes_buf(identity->delivery_seed, sizeof(identity->delivery_seed));
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
	write_key(file, "identity-seed", identity->identity_seed);
	write_key(file, "delivery-seed", identity->delivery_seed);
	for (size_t i = 0; i < identity->relay_count; i++) {
		const struct endpoint_contact_relay *relay = &identity->relays[i];
		for (size_t k = 0; k < relay->address_count; k++)
			fprintf(file, "%srelay = %s\n", i == 0 ? "" : "second-",
				endpoint_contact_address_format(
					&relay->addresses[k], text, sizeof(text)));
		if (relay->has_key)
			write_key(file, i == 0 ? "relay-key" : "second-relay-key", relay->key);
	}
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
