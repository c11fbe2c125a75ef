// SPDX-License-Identifier: BSD-3-Clause
// Lines -> libinih -> section parsers. libinih splits "key = value"; it does not tell its handler
// the line, cuts long lines silently into several, accepts junk behind "]" and never mentions an
// empty section. So it gets its lines from a reader of ours that counts them and refuses what
// libinih would swallow. Its line buffer is wiped behind the last line: it may have held a secret.

#include "lib/config/parser.h"

#include <ini.h>
#include <sodium.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct source {
	struct config_parser *parser;
	const char *position;
	const char *end;
	bool in_section;
};

static const struct config_section *const sections[CONFIG_SECTION_COUNT] = {
	[CONFIG_SECTION_NODE] = &config_section_node,
	[CONFIG_SECTION_DATAPLANE] = &config_section_dataplane,
	[CONFIG_SECTION_ADDRESS] = &config_section_address,
	[CONFIG_SECTION_TURN] = &config_section_turn,
	[CONFIG_SECTION_PEERS] = &config_section_peers,
	[CONFIG_SECTION_GUARD] = &config_section_guard,
	[CONFIG_SECTION_REGISTRATION] = &config_section_registration,
	[CONFIG_SECTION_TOKENS] = &config_section_tokens,
};

const struct config_section *config_section_at(enum config_section_id id)
{
	return sections[id];
}

static void note_error(
	struct config_parser *parser, const char *where, const char *format, va_list arguments)
{
	if (parser->failure != 0)
		return;
	parser->failure = -EINVAL;
	int n = snprintf(parser->error, CONFIG_ERROR_SIZE, "%.200s:%u: %s", parser->file,
		parser->line, where);
	vsnprintf(parser->error + n, CONFIG_ERROR_SIZE - (size_t)n, format, arguments);
}

void config_fail(struct config_parser *parser, const char *format, ...)
{
	char where[128];
	va_list arguments;

	if (parser->key != NULL)
		snprintf(where, sizeof(where), "[%s] %.64s: ", sections[parser->section]->name,
			parser->key);
	else
		snprintf(where, sizeof(where), "[%s]: ", sections[parser->section]->name);
	va_start(arguments, format);
	note_error(parser, where, format, arguments);
	va_end(arguments);
}

void config_fail_key(struct config_parser *parser, enum config_key_id id, const char *format, ...)
{
	char where[128] = "";
	va_list arguments;

	for (unsigned s = 0; s < CONFIG_SECTION_COUNT; s++)
		for (unsigned k = 0; k < sections[s]->key_count; k++)
			if (sections[s]->keys[k].id == id) {
				snprintf(where, sizeof(where), "[%s] %s: ", sections[s]->name,
					sections[s]->keys[k].name);
				if (parser->key_line[id] != 0)
					parser->line = parser->key_line[id];
				else if (parser->section_line[s] != 0)
					parser->line = parser->section_line[s];
			}
	va_start(arguments, format);
	note_error(parser, where, format, arguments);
	va_end(arguments);
}

// For lines that belong to no section or key.
static void fail_line(struct config_parser *parser, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void fail_line(struct config_parser *parser, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	note_error(parser, "", format, arguments);
	va_end(arguments);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static void enter_section(struct source *source, const char *name, size_t length)
{
	struct config_parser *parser = source->parser;

	for (unsigned s = 0; s < CONFIG_SECTION_COUNT; s++) {
		const char *known = sections[s]->name;
		if (strlen(known) == length && memcmp(known, name, length) == 0) {
			parser->section = (enum config_section_id)s;
			if (parser->section_line[s] == 0)
				parser->section_line[s] = parser->line;
			source->in_section = true;
			return;
		}
	}
	fail_line(parser,
		"[%.*s]: unknown section; expected [node], [dataplane], [address], [turn], "
		"[peers], [guard], [registration] or [tokens]",
		(int)(length < 64 ? length : 64), name);
}

// Refuses what libinih would take in silence. False: nothing on this line for libinih.
static bool inspect_line(struct source *source, const char *line, size_t length)
{
	struct config_parser *parser = source->parser;

	for (size_t i = 0; i < length; i++)
		if (((unsigned char)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f) {
			fail_line(parser, "control character in byte %zu; expected text", i + 1);
			return false;
		}
	while (length > 0 && is_blank(*line))
		line++, length--;
	while (length > 0 && is_blank(line[length - 1]))
		length--;
	if (length == 0 || *line == '#' || *line == ';')
		return false;
	if (*line == '[') {
		const char *end = memchr(line, ']', length);
		if (end == NULL)
			fail_line(parser, "section without its end; expected [name]");
		else if (end != line + length - 1)
			fail_line(parser,
				"text behind the section name; expected [name] alone on its line");
		else
			enter_section(source, line + 1, length - 2);
		return true;
	}
	if (!source->in_section)
		fail_line(parser, "text before the first section; expected a line like [node]");
	else if (memchr(line, '=', length) == NULL)
		fail_line(parser, "neither a section nor a key; expected key = value");
	return true;
}

// ini_reader: one line of the text per call, NULL at the end and after an error.
static char *read_line(char *buffer, int size, void *stream)
{
	struct source *source = stream;
	struct config_parser *parser = source->parser;

	if (parser->failure != 0 || source->position == source->end)
		goto done;

	const char *line = source->position;
	const char *newline = memchr(line, '\n', (size_t)(source->end - line));
	const char *line_end = newline != NULL ? newline : source->end;
	source->position = newline != NULL ? newline + 1 : source->end;
	parser->line++;
	if (line_end > line && line_end[-1] == '\r')
		line_end--;
	if (parser->line == 1 && line_end - line >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;

	size_t length = (size_t)(line_end - line);
	if (length > CONFIG_LINE_MAX || length + 2 > (size_t)size) {
		fail_line(parser, "line too long; expected at most %d bytes", CONFIG_LINE_MAX);
		goto done;
	}
	if (!inspect_line(source, line, length))
		length = 0;
	if (parser->failure != 0)
		goto done;
	memcpy(buffer, line, length);
	buffer[length] = '\n';
	buffer[length + 1] = 0;
	return buffer;
done:
	sodium_memzero(buffer, (size_t)size);
	return NULL;
}

static const struct config_key *find_key(const struct config_section *section, const char *name)
{
	for (unsigned k = 0; k < section->key_count; k++)
		if (strcmp(section->keys[k].name, name) == 0)
			return &section->keys[k];
	return NULL;
}

static void fail_unknown_key(struct config_parser *parser, const struct config_section *section)
{
	char known[256] = "";
	size_t length = 0;

	for (unsigned k = 0; k < section->key_count; k++) {
		const char *gap = k == 0 ? "" : k + 1 == section->key_count ? " or " : ", ";
		length += (size_t)snprintf(
			known + length, sizeof(known) - length, "%s%s", gap, section->keys[k].name);
	}
	config_fail(parser, "unknown key; expected %s", known);
}

// A blank and ; or #: most probably meant as a comment, but it could as well be part of a password.
static bool holds_comment(const char *value)
{
	for (const char *c = value; *c != 0; c++)
		if ((*c == ';' || *c == '#') && c > value && is_blank(c[-1]))
			return true;
	return false;
}

// ini_handler; 1: go on. The section is the one our reader has seen.
static int take_key(void *user, const char *section_name, const char *name, const char *value)
{
	struct config_parser *parser = user;
	const struct config_section *section = sections[parser->section];
	const struct config_key *key = find_key(section, name);

	(void)section_name;
	if (parser->failure != 0)
		return 1;
	parser->key = name;
	if (key == NULL)
		fail_unknown_key(parser, section);
	else if (!key->repeatable && parser->key_line[key->id] != 0)
		config_fail(parser, "given twice, first on line %u; expected once",
			parser->key_line[key->id]);
	else if (*value == 0)
		config_fail(parser, "empty; expected a value, or no such line");
	else if (holds_comment(value))
		config_fail(parser,
			"comment behind the value; expected comments on lines of their own");
	else if (!config_text_is_utf8(value))
		config_fail(parser, "not well-formed UTF-8; expected text in UTF-8");
	else {
		if (parser->key_line[key->id] == 0)
			parser->key_line[key->id] = parser->line;
		key->parse(parser, value);
	}
	parser->key = NULL;
	return 1;
}

void config_read_text(struct config_parser *parser, const char *text, size_t length)
{
	struct source source = {.parser = parser, .position = text, .end = text + length};

	// Settings of the library for the whole process; the same at every call.
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_allow_bom = false;
	ini_use_stack = false;
	ini_allow_realloc = false;
	ini_max_line = CONFIG_LINE_MAX + 3;
	ini_initial_alloc = CONFIG_LINE_MAX + 3;

	// libinih has two user pointers: the reader's and the handler's.
	int rc = ini_parse_stream(read_line, &source, take_key, parser);
	if (parser->failure != 0 || rc == 0)
		return;
	if (rc > 0)
		parser->line = (unsigned)rc;
	fail_line(parser, rc == -2 ? "out of memory" : "not understood; expected key = value");
}
