// SPDX-License-Identifier: BSD-3-Clause
// Values that several sections share: numbers, names, paths, text. They note the error themselves.

#include "lib/config/parser.h"

#include <stdint.h>

bool config_number(struct config_parser *parser, const char *text, unsigned least, unsigned most,
	unsigned *out)
{
	uint64_t number = 0;
	const char *c = text;

	for (; *c >= '0' && *c <= '9' && number <= UINT32_MAX; c++)
		number = number * 10 + (unsigned)(*c - '0');
	if (c == text || *c != 0 || number < least || number > most) {
		config_fail(parser, "\"%.40s\" is not usable; expected a number from %u to %u",
			text, least, most);
		return false;
	}
	*out = (unsigned)number;
	return true;
}

bool config_copy(
	struct config_parser *parser, const char *value, char *out, size_t size, const char *what)
{
	size_t length = strlen(value);

	if (length >= size) {
		config_fail(parser, "%s is %zu bytes long; expected at most %zu", what, length,
			size - 1);
		return false;
	}
	memcpy(out, value, length + 1);
	return true;
}

bool config_path(struct config_parser *parser, const char *value, char out[static CONFIG_PATH_SIZE],
	size_t most)
{
	size_t length = strlen(value);

	while (length > 1 && value[length - 1] == '/')
		length--;
	if (value[0] != '/') {
		config_fail(parser, "\"%.64s\" is not absolute; expected a path that begins with /",
			value);
		return false;
	}
	if (length >= most) {
		config_fail(
			parser, "path is %zu bytes long; expected at most %zu", length, most - 1);
		return false;
	}
	memcpy(out, value, length);
	out[length] = 0;
	return true;
}

int config_choice(const char *value, const char *const *choices)
{
	for (int i = 0; choices[i] != NULL; i++)
		if (strcmp(value, choices[i]) == 0)
			return i;
	return -1;
}

// Length of the well-formed sequence that begins here (RFC 3629, section 4), or 0.
static unsigned utf8_sequence(const unsigned char *c)
{
	unsigned char low = 0x80, high = 0xbf;
	unsigned more;

	if (c[0] < 0x80)
		return 1;
	if (c[0] >= 0xc2 && c[0] <= 0xdf)
		more = 1;
	else if (c[0] >= 0xe0 && c[0] <= 0xef)
		more = 2;
	else if (c[0] >= 0xf0 && c[0] <= 0xf4)
		more = 3;
	else
		return 0;
	// The second byte's range excludes overlong forms, surrogates and what lies above U+10FFFF.
	if (c[0] == 0xe0)
		low = 0xa0;
	if (c[0] == 0xed)
		high = 0x9f;
	if (c[0] == 0xf0)
		low = 0x90;
	if (c[0] == 0xf4)
		high = 0x8f;
	if (c[1] < low || c[1] > high)
		return 0;
	for (unsigned i = 2; i <= more; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return more + 1;
}

bool config_text_is_utf8(const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	while (*c != 0) {
		unsigned n = utf8_sequence(c);
		if (n == 0)
			return false;
		c += n;
	}
	return true;
}
