// SPDX-License-Identifier: BSD-3-Clause
// See incoming.h.
#include "endpoint/relaycall/incoming.h"

#include <jansson.h>
#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_TRIED = 1000 };

static void key_text(const struct endpoint_peer *peer, char text[48])
{
	sodium_bin2base64(text, 48, peer->delivery_key, ENDPOINT_KEY_SIZE,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

// The book is read each time: it may have changed since.
static bool find_name(const struct session *session, const struct endpoint_peer *peer,
	char text[INCOMING_NAME_SIZE])
{
	struct contacts book;

	if (relaycall_contacts_load(session->options, &book) != RELAYCALL_OK)
		return false;
	const struct contacts_entry *entry = contacts_find_delivery(&book, peer->delivery_key);
	if (entry != NULL)
		snprintf(text, INCOMING_NAME_SIZE, "%s", entry->name);
	contacts_free(&book);
	return entry != NULL;
}

const char *incoming_name(const struct session *session, const struct endpoint_peer *peer,
	char text[INCOMING_NAME_SIZE])
{
	char whole[48];

	if (!find_name(session, peer, text)) {
		key_text(peer, whole);
		snprintf(text, INCOMING_NAME_SIZE, "unknown %.10s", whole);
	}
	return text;
}

static json_t *event_json(
	const struct session *session, const char *event, const struct endpoint_peer *from)
{
	char name[INCOMING_NAME_SIZE], key[48];

	key_text(from, key);
	json_t *object = json_pack("{s:s,s:s}", "event", event, "from", key);
	if (find_name(session, from, name))
		json_object_set_new(object, "name", json_string(name));
	return object;
}

void incoming_tell_text(
	const struct session *session, const struct endpoint_peer *from, char *text, size_t size)
{
	char name[INCOMING_NAME_SIZE];

	text[size] = 0;
	if (session->options->json) {
		json_t *line = event_json(session, "text", from);
		json_t *string = json_stringn(text, size);
		if (string != NULL) {
			json_object_set_new(line, "text", string);
		} else { // no UTF-8
			char *coded = malloc(size * 2 + 8);
			if (coded != NULL)
				json_object_set_new(line, "base64",
					json_string(sodium_bin2base64(coded, size * 2 + 8,
						(const uint8_t *)text, size,
						sodium_base64_VARIANT_ORIGINAL)));
			free(coded);
		}
		session_print_json(line);
		return;
	}
	offer_printable(text, true);
	printf("%s: %s\n", incoming_name(session, from, name), text);
	fflush(stdout);
}

// ---- what the transfer asks for ----

static void send_frame(void *context, const uint8_t *data, size_t size)
{
	struct incoming *in = context;
	endpoint_send(in->session->core, in->call, data, size, session_now());
}

static bool write_bytes(void *context, const uint8_t *data, size_t size)
{
	struct incoming *in = context;

	if (in->fd < 0) {
		memcpy(in->text + in->text_size, data, size);
		in->text_size += size;
		return true;
	}
	while (size > 0) {
		ssize_t put = write(in->fd, data, size);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0) {
			relaycall_fail(0, "cannot write into %s: %s",
				in->session->options->directory, strerror(errno));
			return false;
		}
		data += put;
		size -= (size_t)put;
	}
	return true;
}

// Gives the whole file its name, or one with a number behind it: nothing is overwritten.
static bool put_in_place(struct incoming *in)
{
	mode_t mask = umask(0);
	umask(mask);
	fchmod(in->fd, 0666 & ~mask);
	if (fsync(in->fd) != 0 && errno != EINVAL)
		return false;
	for (unsigned i = 0; i < NAMES_TRIED; i++) {
		char number[16] = "";
		if (i > 0)
			snprintf(number, sizeof(number), ".%u", i);
		int length = snprintf(in->path, sizeof(in->path), "%s/%s%s",
			in->session->options->directory, in->offer.name, number);
		if (length < 0 || (size_t)length >= sizeof(in->path))
			return false;
		if (renameat2(AT_FDCWD, in->part, AT_FDCWD, in->path, RENAME_NOREPLACE) == 0) {
			in->part[0] = 0;
			return true;
		}
		if (errno != EEXIST)
			return false;
	}
	return false;
}

static void tell_file(struct incoming *in)
{
	uint8_t hash[TRANSFER_HASH_SIZE];
	char hex[2 * TRANSFER_HASH_SIZE + 1], name[INCOMING_NAME_SIZE];

	blake3_finish(&in->transfer.hash, hash, sizeof(hash));
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	if (in->session->options->json) {
		json_t *line = event_json(in->session, "file", &in->from);
		json_object_set_new(line, "path", json_string(in->path));
		json_object_set_new(line, "bytes", json_integer((json_int_t)in->offer.size));
		json_object_set_new(line, "blake3", json_string(hex));
		session_print_json(line);
		return;
	}
	printf("%s: file %s, %llu bytes, BLAKE3 %s\n", incoming_name(in->session, &in->from, name),
		in->path, (unsigned long long)in->offer.size, hex);
	fflush(stdout);
}

static bool keep(void *context)
{
	struct incoming *in = context;

	if (in->fd >= 0 && !put_in_place(in)) {
		relaycall_fail(0, "cannot put \"%s\" into %s: %s", in->offer.name,
			in->session->options->directory, strerror(errno));
		return false;
	}
	if (in->fd >= 0)
		tell_file(in);
	else
		incoming_tell_text(in->session, &in->from, in->text, in->text_size);
	return true;
}

bool incoming_begin(struct incoming *in, struct session *session, uint64_t call,
	const struct endpoint_peer *from, const struct offer *offer)
{
	const struct transfer_output output = {
		.context = in, .send = send_frame, .write = write_bytes, .keep = keep};

	memset(in, 0, sizeof(*in));
	in->session = session;
	in->from = *from;
	in->offer = *offer;
	in->fd = -1;
	if (offer->kind == OFFER_FILE) {
		int length = snprintf(in->part, sizeof(in->part), "%s/.relaycall-XXXXXX",
			session->options->directory);
		if (length < 0 || (size_t)length >= sizeof(in->part))
			return false;
		in->fd = mkostemp(in->part, O_CLOEXEC);
		if (in->fd < 0) {
			relaycall_fail(0, "cannot write into %s: %s", session->options->directory,
				strerror(errno));
			return false;
		}
	} else {
		in->text = malloc(offer->size + 1);
	}
	if ((in->fd < 0 && in->text == NULL) ||
		transfer_receiver_begin(&in->transfer, &output, offer->size) != 0) {
		if (in->fd >= 0) {
			close(in->fd);
			unlink(in->part);
		}
		free(in->text);
		memset(in, 0, sizeof(*in));
		return false;
	}
	in->call = call;
	return true;
}

bool incoming_receive(struct incoming *in, const uint8_t *data, size_t size)
{
	transfer_receiver_receive(&in->transfer, data, size, session_now().monotonic_ms);
	if (in->transfer.state == TRANSFER_RUNNING)
		return false;
	if (in->transfer.state == TRANSFER_DAMAGED && !in->told)
		relaycall_fail(0, "what arrived of \"%s\" is not what was sent", in->offer.name);
	in->told = true; // or said where it failed
	return true;
}

uint64_t incoming_tick(struct incoming *in)
{
	return transfer_receiver_tick(&in->transfer, session_now().monotonic_ms);
}

void incoming_end(struct incoming *in)
{
	char name[INCOMING_NAME_SIZE];

	if (in->call == 0)
		return;
	if (!in->told)
		relaycall_fail(0, "%s has broken off after %llu of %llu bytes",
			incoming_name(in->session, &in->from, name),
			(unsigned long long)in->transfer.written,
			(unsigned long long)in->offer.size);
	if (in->fd >= 0) {
		close(in->fd);
		if (in->part[0] != 0)
			unlink(in->part);
	}
	if (in->text != NULL)
		sodium_memzero(in->text, in->offer.size);
	free(in->text);
	transfer_receiver_end(&in->transfer);
	memset(in, 0, sizeof(*in));
}
