// SPDX-License-Identifier: BSD-3-Clause
// What is inside an envelope of a call: the frame header, and the few bytes before voice, control
// and probe payloads. Formats only; pure functions, any thread.
//
//     header, 8 bytes                              then, by kind
//     0  1  kind                                   voice         frame number 4, Opus frame
//     1  1  path this copy travels on,             control       message id 2, type 1, body
//           by its sender's numbers                probe         flags 1, token 8
//     2  4  ages of the receiver's paths 0-3       probe answer  path of the probe 1, its token 8
//     6  2  sender's clock, ms
//
// All numbers are big endian. An age is the time since its sender has last got an authenticated
// frame that named this path: so everybody learns from any frame which of their own paths arrive.
// Anything that is not exactly of this form is refused (-EBADMSG): only the peer can have made it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_HEADER_SIZE = 8,
	FRAME_PATHS = 4, // 0 and 1 relay legs, 2 and 3 direct
	FRAME_VOICE_PREFIX = 4,
	FRAME_CONTROL_PREFIX = 3,
	FRAME_PROBE_SIZE = 9,   // payload of a probe and of its answer
	FRAME_VOICE_MAX = 1020, // bytes of an Opus frame
	FRAME_BODY_MAX = 900,   // bytes of a control message
	FRAME_SIZE_MAX = FRAME_HEADER_SIZE + FRAME_VOICE_PREFIX + FRAME_VOICE_MAX,
};

enum frame_kind {
	FRAME_VOICE = 1,
	FRAME_CONTROL = 2,
	FRAME_PROBE = 3,
	FRAME_PROBE_ANSWER = 4,
};

enum {
	FRAME_AGE_UNIT_MS = 8,
	FRAME_AGE_LONGER = 254, // 254 units or more
	FRAME_AGE_NEVER = 255,
};

// Flags of a probe.
enum {
	// It goes where voice would go if there were any (mute, DTX): the next frame is due within
	// 100 ms, not within 20.
	FRAME_PROBE_FOR_VOICE = 1,
};

struct frame_header {
	uint8_t kind; // enum frame_kind
	uint8_t path; // 0-3
	uint8_t ages[FRAME_PATHS];
	uint16_t clock_ms; // modulo 65536
};

// A frame as it was opened. What data points to belongs to the caller of frame_decode.
struct frame {
	struct frame_header header;
	union {
		struct {
			uint32_t number;
			const uint8_t *data; // Opus frame, may be empty
			size_t size;
		} voice;
		struct {
			uint16_t id;
			uint8_t type;
			const uint8_t *data;
			size_t size;
		} control;
		struct {
			uint8_t flags;
			uint64_t token; // to be sent back as it is
		} probe;
		struct {
			uint8_t path; // that the probe named, so of the receiver's numbers
			uint64_t token;
		} probe_answer;
	};
};

// Reads all of a frame, header and payload. Returns 0 or -EBADMSG.
int frame_decode(struct frame *frame, const uint8_t *data, size_t size);

// The time of an age in ms, rounded down; UINT32_MAX for FRAME_AGE_NEVER.
uint32_t frame_age_ms(uint8_t age);
// And the age of a time.
uint8_t frame_age(uint64_t ms);

void frame_header_encode(const struct frame_header *header, uint8_t out[static FRAME_HEADER_SIZE]);

// These write a whole frame to out (FRAME_SIZE_MAX bytes are enough for each) and return its size;
// header.kind is set by them. voice and body are copied; at most FRAME_VOICE_MAX and FRAME_BODY_MAX
// bytes, else 0 is returned and nothing written.
size_t frame_voice(struct frame_header header, uint32_t number, const uint8_t *voice, size_t size,
	uint8_t *out);
size_t frame_control(struct frame_header header, uint16_t id, uint8_t type, const uint8_t *body,
	size_t size, uint8_t *out);
size_t frame_probe(struct frame_header header, uint8_t flags, uint64_t token, uint8_t *out);
// The answer to a probe; it goes back on the path that the probe came on.
size_t frame_probe_answer(struct frame_header header, const struct frame *probe, uint8_t *out);
