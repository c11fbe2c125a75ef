// SPDX-License-Identifier: BSD-3-Clause
// See base64.h.
#include "lib/wire/base64.h"

#include <sodium.h>

bool base64_decode(
	const char *text, size_t length, int variant, uint8_t *out, size_t room, size_t *size)
{
	unsigned high = 0;

	for (size_t i = 0; i < length; i++)
		high |= (unsigned char)text[i];
	return (high & 0x80) == 0 &&
	       sodium_base642bin(out, room, text, length, NULL, size, NULL, variant) == 0;
}
