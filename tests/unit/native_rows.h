// SPDX-License-Identifier: BSD-3-Clause
// The table of lib/wire/README.md once more, with offsets, and for each row a message typed out:
// what the codec is tested against. Bytes that no field covers are zero on the wire.
#pragma once

#include "tests/unit/native_codecs.h"

enum row_kind { END, BYTES, NUMBER, HANDLE, OBSERVED, LENGTH, SEALED, BEHIND };

// at: offset in the message; of what comes behind the sealed part (BEHIND), for none sealed.
// member: in union native_any. size 0: the member is not on the wire.
struct row_field {
	enum row_kind kind;
	unsigned at, size;
	size_t member;
	uint32_t lowest, highest;
};

struct row {
	const char *name;
	enum native_type type;
	unsigned size; // without the sealed part
	struct row_field fields[12];
	const char *golden; // hex, spaces between fields
};

#define M(member) offsetof(union native_any, member)
#define BYTES(at, size, member)                                                                    \
	{                                                                                          \
		BYTES, at, size, M(member), 0, 0                                                   \
	}
#define U8(at, member)                                                                             \
	{                                                                                          \
		NUMBER, at, 1, M(member), 0, UINT8_MAX                                             \
	}
#define U16(at, member)                                                                            \
	{                                                                                          \
		NUMBER, at, 2, M(member), 0, UINT16_MAX                                            \
	}
#define U32(at, member)                                                                            \
	{                                                                                          \
		NUMBER, at, 4, M(member), 0, UINT32_MAX                                            \
	}
#define WITHIN(at, member, first, last)                                                            \
	{                                                                                          \
		NUMBER, at, 1, M(member), first, last                                              \
	}
#define IMPLIED(member, value)                                                                     \
	{                                                                                          \
		NUMBER, 0, 0, M(member), value, value                                              \
	}
#define HANDLE(at, member)                                                                         \
	{                                                                                          \
		HANDLE, at, 8, M(member), 0, 0                                                     \
	}
#define OBSERVED(at, member)                                                                       \
	{                                                                                          \
		OBSERVED, at, 20, M(member), 0, 0                                                  \
	}
#define LENGTH(at, member)                                                                         \
	{                                                                                          \
		LENGTH, at, 2, M(member), 0, NATIVE_SEALED_MAX                                     \
	}
#define SEALED(at, member)                                                                         \
	{                                                                                          \
		SEALED, at, 0, M(member), 0, 0                                                     \
	}
#define BEHIND(at, size, member)                                                                   \
	{                                                                                          \
		BEHIND, at, size, M(member), 0, 0                                                  \
	}

#define COOKIE    "c0c1c2c3c4c5c6c7c8c9cacb"
#define OPEN_ID   "303132333435363738393a3b3c3d3e3f"
#define ADDRESS   "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define CALLEE    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
#define KEY       "505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f"
#define EPHEMERAL "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
#define PROOF     "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
#define SIGNATURE                                                                                  \
	"0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"                         \
	"2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40"
#define TICKET                                                                                     \
	"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"                         \
	"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"                         \
	"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"                         \
	"c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"                         \
	"e0e1e2e3e4e5e6e7e8e9eaebecedeeef"

#define REGISTER_FIELDS                                                                            \
	BYTES(12, 12, registering.cookie), U32(24, registering.lifetime),                          \
		U32(28, registering.epoch), BYTES(32, 8, registering.device),                      \
		BYTES(40, 32, registering.address), BYTES(72, 32, registering.key)
#define REGISTER_HEAD                                                                              \
	"04010300 1112131415161718 " COOKIE " 00000258 00076b2c 4142434445464748 " ADDRESS " " KEY

static const struct row native_rows[] = {
	{"SOLICIT", NATIVE_SOLICIT, 40, {{END}},
		"04010100 1112131415161718 "
		"00000000000000000000000000000000000000000000000000000000"},
	{"CHALLENGE", NATIVE_CHALLENGE, 36,
		{BYTES(12, 12, challenge.cookie), U8(24, challenge.difficulty),
			WITHIN(25, challenge.admission, 0, 2), U32(28, challenge.epoch),
			U32(32, challenge.epoch_seconds)},
		"04010200 1112131415161718 " COOKIE " 11 01 0000 00076b2c 00000e10"},
	{"REGISTER, open", NATIVE_REGISTER, 172,
		{REGISTER_FIELDS, WITHIN(104, registering.admission, 0, 0),
			BYTES(108, 64, registering.signature)},
		REGISTER_HEAD " 00 000000 " SIGNATURE},
	{"REGISTER, puzzle", NATIVE_REGISTER, 180,
		{REGISTER_FIELDS, WITHIN(104, registering.admission, 1, 1),
			BYTES(108, 8, registering.solution), BYTES(116, 64, registering.signature)},
		REGISTER_HEAD " 01 000000 f1f2f3f4f5f6f7f8 " SIGNATURE},
	{"REGISTER, token", NATIVE_REGISTER, 240,
		{REGISTER_FIELDS, WITHIN(104, registering.admission, 2, 2),
			U32(108, registering.token.key_id), BYTES(112, 32, registering.token.nonce),
			BYTES(144, 32, registering.token.mac),
			BYTES(176, 64, registering.signature)},
		REGISTER_HEAD " 02 000000 fedcba98 " EPHEMERAL " " CALLEE " " SIGNATURE},
	{"REGISTERED", NATIVE_REGISTERED, 88,
		{U32(12, registered.lifetime), BYTES(16, 12, registered.cookie),
			OBSERVED(28, registered.observed), U16(48, registered.keepalive),
			U8(50, registered.devices), U16(52, registered.payload),
			BYTES(56, 32, registered.relay_key)},
		"04010400 1112131415161718 00000258 " COOKIE
		" 0600 1c84 331518ae171811121314151617181113 0014 03 00 04a0 0000 " KEY},
	{"REFUSED", NATIVE_REFUSED, 20, {U8(12, refused.reason), U32(16, refused.detail)},
		"04010500 1112131415161718 0c 000000 000003e8"},
	{"KEEPALIVE, no handle", NATIVE_KEEPALIVE, 48,
		{BYTES(12, 12, keepalive.cookie), IMPLIED(keepalive.has_handle, 0)},
		"04010600 1112131415161718 " COOKIE
		" 0000000000000000 00000000000000000000000000000000"},
	{"KEEPALIVE", NATIVE_KEEPALIVE, 48,
		{BYTES(12, 12, keepalive.cookie), IMPLIED(keepalive.has_handle, 1),
			HANDLE(24, keepalive.handle)},
		"04010600 1112131415161718 " COOKIE
		" 0600123489abcdef 00000000000000000000000000000000"},
	{"ALIVE", NATIVE_ALIVE, 48,
		{BYTES(12, 12, alive.cookie), OBSERVED(24, alive.observed), U32(44, alive.left)},
		"04010700 1112131415161718 " COOKIE
		" 0400 eeed d3141737171811121314151617181112 0000003c"},
	{"PATH_CHALLENGE", NATIVE_PATH_CHALLENGE, 32,
		{HANDLE(12, path_challenge.handle), BYTES(20, 12, path_challenge.token)},
		"04010800 1112131415161718 0600123489abcdef " COOKIE},
	{"PATH_RESPONSE", NATIVE_PATH_RESPONSE, 48,
		{HANDLE(12, path_response.handle), BYTES(20, 12, path_response.token),
			BYTES(32, 16, path_response.proof)},
		"04010900 1112131415161718 0600123489abcdef " COOKIE " " PROOF},
	{"OPEN", NATIVE_OPEN, 240,
		{BYTES(12, 12, open.cookie), BYTES(24, 16, open.open_id),
			BYTES(40, 32, open.caller), BYTES(72, 32, open.callee),
			BYTES(104, 32, open.key), BYTES(136, 32, open.ephemeral),
			LENGTH(168, open.sealed_size), SEALED(172, open.sealed),
			BEHIND(176, 64, open.signature)},
		"04010a00 1112131415161718 " COOKIE " " OPEN_ID " " ADDRESS " " CALLEE " " KEY
		" " EPHEMERAL " 0005 0000 7365616c64 00000000 " SIGNATURE},
	{"INVITE", NATIVE_INVITE, 208,
		{BYTES(12, 16, invite.open_id), BYTES(28, 32, invite.callee),
			LENGTH(60, invite.sealed_size), BYTES(64, 144, invite.ticket),
			SEALED(208, invite.sealed)},
		"04010b00 1112131415161718 " OPEN_ID " " CALLEE " 0005 0000 " TICKET " 7365616c64"},
	{"ACCEPT", NATIVE_ACCEPT, 348,
		{BYTES(12, 12, accept.cookie), BYTES(24, 16, accept.open_id),
			BYTES(40, 32, accept.callee), BYTES(72, 32, accept.key),
			BYTES(104, 32, accept.ephemeral), WITHIN(136, accept.accept, 0, 1),
			LENGTH(138, accept.sealed_size), BYTES(140, 144, accept.ticket),
			SEALED(284, accept.sealed), BEHIND(284, 64, accept.signature)},
		"04010c00 1112131415161718 " COOKIE " " OPEN_ID " " CALLEE " " KEY " " EPHEMERAL
		" 01 00 0005 " TICKET " 7365616c64 " SIGNATURE},
	{"OPENED", NATIVE_OPENED, 60,
		{BYTES(12, 16, opened.open_id), HANDLE(28, opened.handle), U32(36, opened.lifetime),
			U16(40, opened.keepalive), LENGTH(42, opened.sealed_size),
			BYTES(44, 16, opened.proof), SEALED(60, opened.sealed)},
		"04010d00 1112131415161718 " OPEN_ID " 0600123489abcdef 0000003c 0014 0005 " PROOF
		" 7365616c64"},
	{"CLOSE", NATIVE_CLOSE, 40, {HANDLE(12, close.handle), BYTES(20, 16, close.proof)},
		"04010e00 1112131415161718 0600123489abcdef " PROOF " 00000000"},
	{"CLOSED", NATIVE_CLOSED, 40,
		{HANDLE(12, closed.handle), U8(20, closed.reason), BYTES(24, 16, closed.proof)},
		"04010f00 1112131415161718 0600123489abcdef 04 000000 " PROOF},
	{"UNSUPPORTED", NATIVE_UNSUPPORTED, 16,
		{U8(12, unsupported.lowest), U8(13, unsupported.highest)},
		"04011000 1112131415161718 01 02 0000"},
};

enum { NATIVE_ROWS = sizeof(native_rows) / sizeof(native_rows[0]) };
