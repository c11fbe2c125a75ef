// SPDX-License-Identifier: BSD-3-Clause
// The text files of token_text.h. Fields are at most BYTES_MAX bytes of binary.
#include "lib/wire/token_text.h"

#include "lib/wire/base64.h"
#include "lib/wire/token.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

enum { BYTES_MAX = 64, VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING };

static const char request_name[] = "blindrelay-token-request";
static const char answer_name[] = "blindrelay-token-answer";

// ---- reading ----

bool token_lines_next(struct token_lines *lines)
{
	while (lines->at < lines->end) {
		const char *start = lines->at;
		const char *end = memchr(start, '\n', (size_t)(lines->end - start));
		lines->at = end != NULL ? end + 1 : lines->end;
		lines->line++;
		if (end == NULL)
			end = lines->end;
		if (end > start && end[-1] == '\r')
			end--;
		if (end == start || *start == '#')
			continue;
		lines->field = start;
		lines->field_end = end;
		return true;
	}
	lines->field = lines->field_end = lines->end;
	return false;
}

// The next field; false at the end of the line. An empty field is one: two blanks, or one at the
// end.
static bool next_field(struct token_lines *lines, const char **field, size_t *length)
{
	if (lines->field == NULL || lines->field > lines->field_end ||
		lines->field == lines->field_end)
		return false;
	const char *blank = memchr(lines->field, ' ', (size_t)(lines->field_end - lines->field));
	*field = lines->field;
	*length = (size_t)((blank != NULL ? blank : lines->field_end) - lines->field);
	lines->field = blank != NULL ? blank + 1 : lines->field_end;
	// A blank with nothing behind it is no end of a line.
	return *length > 0 && (blank == NULL || lines->field < lines->field_end);
}

bool token_lines_over(const struct token_lines *lines)
{
	return lines->field == lines->field_end;
}

bool token_lines_word(struct token_lines *lines, const char *word)
{
	const char *field;
	size_t length;
	return next_field(lines, &field, &length) && length == strlen(word) &&
	       memcmp(field, word, length) == 0;
}

bool token_lines_bytes(struct token_lines *lines, void *out, size_t size)
{
	const char *field;
	size_t length, decoded;
	return next_field(lines, &field, &length) &&
	       base64_decode(field, length, VARIANT, out, size, &decoded) && decoded == size;
}

bool token_lines_key_id(struct token_lines *lines, uint32_t *key_id)
{
	const char *field;
	size_t length, decoded;
	uint8_t bytes[4];
	if (!next_field(lines, &field, &length) || length != 2 * sizeof(bytes) ||
		sodium_hex2bin(bytes, sizeof(bytes), field, length, NULL, &decoded, NULL) != 0 ||
		decoded != sizeof(bytes))
		return false;
	*key_id = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
		  bytes[3];
	return true;
}

int token_lines_header(struct token_lines *lines, const char *name)
{
	if (!token_lines_next(lines) || !token_lines_word(lines, name))
		return -EBADMSG;
	if (!token_lines_word(lines, "1"))
		return -EPROTONOSUPPORT;
	return token_lines_over(lines) ? 0 : -EBADMSG;
}

// The rest of the file: one element a line.
static int read_elements(struct token_lines *lines, struct voprf_element *elements, unsigned *count)
{
	*count = 0;
	while (token_lines_next(lines)) {
		if (*count == VOPRF_BATCH_MAX ||
			!token_lines_bytes(lines, elements[*count].bytes, VOPRF_ELEMENT_SIZE) ||
			!token_lines_over(lines))
			return -EBADMSG;
		(*count)++;
	}
	return *count > 0 ? 0 : -EBADMSG;
}

int token_request_parse(const char *text, size_t size, struct token_request *out, unsigned *line)
{
	struct token_lines lines = {.at = text, .end = text + size};
	int rc = token_lines_header(&lines, request_name);
	if (rc == 0)
		rc = read_elements(&lines, out->blinded, &out->count);
	*line = lines.line;
	return rc;
}

static bool read_named(struct token_lines *lines, const char *name, void *out, size_t size)
{
	return token_lines_next(lines) && token_lines_word(lines, name) &&
	       token_lines_bytes(lines, out, size) && token_lines_over(lines);
}

static int read_answer(struct token_lines *lines, struct token_answer *out)
{
	int rc = token_lines_header(lines, answer_name);
	if (rc != 0)
		return rc;
	if (!token_lines_next(lines) || !token_lines_word(lines, "key") ||
		!token_lines_key_id(lines, &out->key_id) || !token_lines_over(lines) ||
		!read_named(lines, "public", out->public_key, sizeof(out->public_key)) ||
		token_key_id(out->public_key) != out->key_id ||
		!read_named(lines, "proof", out->proof, sizeof(out->proof)))
		return -EBADMSG;
	return read_elements(lines, out->evaluated, &out->count);
}

int token_answer_parse(const char *text, size_t size, struct token_answer *out, unsigned *line)
{
	struct token_lines lines = {.at = text, .end = text + size};
	int rc = read_answer(&lines, out);
	*line = lines.line;
	return rc;
}

// ---- writing ----

void token_write(struct token_writer *writer, const char *text)
{
	size_t length = strlen(text);
	if (length >= writer->room) {
		writer->room = 0;
		return;
	}
	memcpy(writer->at, text, length + 1);
	writer->at += length;
	writer->room -= length;
}

void token_write_bytes(struct token_writer *writer, const void *bytes, size_t size)
{
	char text[sodium_base64_ENCODED_LEN(BYTES_MAX, VARIANT)];
	assert(size <= BYTES_MAX);
	sodium_bin2base64(text, sizeof(text), bytes, size, VARIANT);
	token_write(writer, text);
	sodium_memzero(text, sizeof(text));
}

void token_write_key_id(struct token_writer *writer, uint32_t key_id)
{
	const uint8_t bytes[4] = {(uint8_t)(key_id >> 24), (uint8_t)(key_id >> 16),
		(uint8_t)(key_id >> 8), (uint8_t)key_id};
	char text[2 * sizeof(bytes) + 1];
	sodium_bin2hex(text, sizeof(text), bytes, sizeof(bytes));
	token_write(writer, text);
}

static void write_named(
	struct token_writer *writer, const char *name, const void *bytes, size_t size)
{
	token_write(writer, name);
	token_write_bytes(writer, bytes, size);
	token_write(writer, "\n");
}

static size_t written(const struct token_writer *writer, const char *out)
{
	return writer->room > 0 ? (size_t)(writer->at - out) : 0;
}

size_t token_request_build(char *out, size_t room, const struct token_request *in)
{
	struct token_writer writer = {.at = out, .room = room};
	token_write(&writer, request_name);
	token_write(&writer, " 1\n");
	for (unsigned i = 0; i < in->count; i++)
		write_named(&writer, "", in->blinded[i].bytes, VOPRF_ELEMENT_SIZE);
	return written(&writer, out);
}

size_t token_answer_build(char *out, size_t room, const struct token_answer *in)
{
	struct token_writer writer = {.at = out, .room = room};
	token_write(&writer, answer_name);
	token_write(&writer, " 1\nkey ");
	token_write_key_id(&writer, in->key_id);
	token_write(&writer, "\n");
	write_named(&writer, "public ", in->public_key, sizeof(in->public_key));
	write_named(&writer, "proof ", in->proof, sizeof(in->proof));
	for (unsigned i = 0; i < in->count; i++)
		write_named(&writer, "", in->evaluated[i].bytes, VOPRF_ELEMENT_SIZE);
	return written(&writer, out);
}
