// SPDX-License-Identifier: BSD-3-Clause
// See offer.h. What comes from a peer is proven to be the peer's, not to be kind.
#include "endpoint/relaycall/offer.h"

#include <stdio.h>
#include <string.h>

enum { VERSION_1 = 1 };

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

void offer_printable(char *text, bool lines)
{
	for (unsigned char *c = (unsigned char *)text; *c != 0; c++) {
		if (lines && (*c == '\n' || *c == '\t'))
			continue;
		if (*c < 0x20 || *c == 0x7f)
			*c = '?';
		// C1 controls as UTF-8 writes them.
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
			c[0] = c[1] = '?';
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
