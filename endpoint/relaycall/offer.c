// SPDX-License-Identifier: BSD-3-Clause
// See offer.h. What comes from a peer is proven to be the peer's, not to be kind.
#include "endpoint/relaycall/offer.h"

#include <stdio.h>
#include <string.h>

enum { VERSION_1 = 1, VOICE = 'V' };

size_t offer_build(uint8_t *out, const struct offer *offer)
{
	size_t length = strnlen(offer->name, OFFER_NAME_MAX);

	out[0] = VERSION_1;
	out[1] = (uint8_t)offer->kind;
	for (unsigned i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)(offer->size >> (56 - 8 * i));
	memcpy(out + OFFER_HEADER, offer->name, length);
	return OFFER_HEADER + length;
}

// Bytes of the UTF-8 character at c and its code (RFC 3629 section 3); 0: it is none.
static size_t character(const unsigned char *c, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = *c < 0x80   ? 1
		      : *c < 0xc0 ? 0
		      : *c < 0xe0 ? 2
		      : *c < 0xf0 ? 3
		      : *c < 0xf8 ? 4
				  : 0;

	*code = size < 2 ? *c : *c & 0x7fu >> size;
	for (size_t i = 1; i < size; i++) {
		if ((c[i] & 0xc0) != 0x80) // also where the text ends
			return 0;
		*code = *code << 6 | (c[i] & 0x3fu);
	}
	bool fits = size > 0 && *code >= least[size] && *code <= 0x10ffff &&
		    (*code < 0xd800 || *code > 0xdfff);
	return fits ? size : 0;
}

// Controls, and marks that turn the direction of what follows, so that it reads as something else.
static bool commands(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200e && code <= 0x200f) ||
	       (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

void offer_printable(char *text, bool lines)
{
	size_t size;
	for (unsigned char *c = (unsigned char *)text; *c != 0; c += size) {
		uint32_t code;
		size = character(c, &code);
		if (lines && size == 1 && (code == '\n' || code == '\t'))
			continue;
		if (size == 0 || commands(code)) {
			size = size > 0 ? size : 1;
			memset(c, '?', size);
		}
	}
}

static void make_safe(char *name)
{
	offer_printable(name, false);
	for (char *c = name; *c != 0; c++)
		if (*c == '/' || *c == '\\')
			*c = '_';
	// Also "." and "..": a name that begins with a dot is hidden.
	for (char *c = name; *c == '.'; c++)
		*c = '_';
	if (name[0] == 0)
		snprintf(name, OFFER_NAME_MAX + 1, "file");
}

bool offer_is_voice(const uint8_t *data, size_t size)
{
	return size > 0 && data[0] == VOICE;
}

bool offer_parse(const uint8_t *data, size_t size, struct offer *out)
{
	memset(out, 0, sizeof(*out));
	if (size < OFFER_HEADER || size > OFFER_HEADER + OFFER_NAME_MAX || data[0] != VERSION_1 ||
		(data[1] != OFFER_TEXT && data[1] != OFFER_FILE))
		return false;
	out->kind = (enum offer_kind)data[1];
	for (unsigned i = 0; i < 8; i++)
		out->size = out->size << 8 | data[2 + i];
	memcpy(out->name, data + OFFER_HEADER, size - OFFER_HEADER);
	if (strlen(out->name) != size - OFFER_HEADER)
		return false;
	make_safe(out->name);
	return out->kind == OFFER_FILE || out->size <= OFFER_TEXT_MAX;
}
