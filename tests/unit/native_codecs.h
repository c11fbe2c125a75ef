// SPDX-License-Identifier: BSD-3-Clause
// Parser and builder of each control message of the native protocol, behind one form: for tests and
// fuzz targets that go over all of them.
#pragma once

#include "lib/wire/native.h"

union native_any {
	const uint8_t *transaction; // the first member of each
	struct native_solicit solicit;
	struct native_challenge challenge;
	struct native_register registering;
	struct native_registered registered;
	struct native_refused refused;
	struct native_keepalive keepalive;
	struct native_alive alive;
	struct native_path_challenge path_challenge;
	struct native_path_response path_response;
	struct native_open open;
	struct native_invite invite;
	struct native_accept accept;
	struct native_opened opened;
	struct native_close close;
	struct native_closed closed;
	struct native_unsupported unsupported;
};

struct native_codec {
	int (*parse)(const uint8_t *data, size_t size, union native_any *out);
	size_t (*build)(uint8_t *out, size_t room, const union native_any *in);
};

#define NATIVE_CODEC(name)                                                                         \
	static int codec_##name##_parse(const uint8_t *data, size_t size, union native_any *out)   \
	{                                                                                          \
		return native_##name##_parse(data, size, (struct native_##name *)out);             \
	}                                                                                          \
	static size_t codec_##name##_build(uint8_t *out, size_t room, const union native_any *in)  \
	{                                                                                          \
		return native_##name##_build(out, room, (const struct native_##name *)in);         \
	}
NATIVE_CODEC(solicit)
NATIVE_CODEC(challenge)
NATIVE_CODEC(register)
NATIVE_CODEC(registered)
NATIVE_CODEC(refused)
NATIVE_CODEC(keepalive)
NATIVE_CODEC(alive)
NATIVE_CODEC(path_challenge)
NATIVE_CODEC(path_response)
NATIVE_CODEC(open)
NATIVE_CODEC(invite)
NATIVE_CODEC(accept)
NATIVE_CODEC(opened)
NATIVE_CODEC(close)
NATIVE_CODEC(closed)
NATIVE_CODEC(unsupported)
#undef NATIVE_CODEC

// By type.
#define NATIVE_CODEC(name)                                                                         \
	{                                                                                          \
		codec_##name##_parse, codec_##name##_build                                         \
	}
static const struct native_codec native_codecs[NATIVE_UNSUPPORTED + 1] = {
	[NATIVE_SOLICIT] = NATIVE_CODEC(solicit),
	[NATIVE_CHALLENGE] = NATIVE_CODEC(challenge),
	[NATIVE_REGISTER] = NATIVE_CODEC(register),
	[NATIVE_REGISTERED] = NATIVE_CODEC(registered),
	[NATIVE_REFUSED] = NATIVE_CODEC(refused),
	[NATIVE_KEEPALIVE] = NATIVE_CODEC(keepalive),
	[NATIVE_ALIVE] = NATIVE_CODEC(alive),
	[NATIVE_PATH_CHALLENGE] = NATIVE_CODEC(path_challenge),
	[NATIVE_PATH_RESPONSE] = NATIVE_CODEC(path_response),
	[NATIVE_OPEN] = NATIVE_CODEC(open),
	[NATIVE_INVITE] = NATIVE_CODEC(invite),
	[NATIVE_ACCEPT] = NATIVE_CODEC(accept),
	[NATIVE_OPENED] = NATIVE_CODEC(opened),
	[NATIVE_CLOSE] = NATIVE_CODEC(close),
	[NATIVE_CLOSED] = NATIVE_CODEC(closed),
	[NATIVE_UNSUPPORTED] = NATIVE_CODEC(unsupported),
};
#undef NATIVE_CODEC
