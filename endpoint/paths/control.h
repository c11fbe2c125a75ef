// SPDX-License-Identifier: BSD-3-Clause
// The reliable little channel inside a call's session: messages are repeated until they are
// acknowledged and delivered once each, in any order. No I/O, no allocation; one thread at a time.
//
// It speaks in control frames (frame.h): what it sends is id, type and body; which paths they take
// is the caller's matter (paths_choose_control). An acknowledgement is a message of type 0 with the
// id of what it acknowledges and no body; it is not repeated, but said again for each copy.
#pragma once

#include "endpoint/paths/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONTROL_ACK = 0,     // type of acknowledgements; all others are the caller's
	CONTROL_QUEUE = 8,   // messages on their way
	CONTROL_WINDOW = 64, // ids between the oldest one on its way and the newest
	CONTROL_REPEAT_MIN_MS = 100,
	CONTROL_REPEAT_MAX_MS = 1000,
};

#define CONTROL_NEVER UINT64_MAX

struct control_output {
	// Send a control frame. everywhere: on all paths (paths_choose_control's `repeated`).
	void (*send)(void *context, uint16_t id, uint8_t type, const uint8_t *body, size_t size,
		bool everywhere);
	// A message of the peer, once.
	void (*message)(void *context, uint8_t type, const uint8_t *body, size_t size);
	// A message of ours arrived, or was given up after its time. Its place is free already.
	void (*done)(void *context, uint16_t id, uint8_t type, bool arrived);
	void *context;
};

struct control_sending {
	bool used;
	uint16_t id;
	uint8_t type;
	uint16_t size;
	uint32_t wait_ms;
	uint64_t next_ms, give_up_ms;
	uint8_t body[FRAME_BODY_MAX];
};

// About 8 KiB.
struct control {
	struct control_output output;
	uint16_t next_id;
	struct control_sending sending[CONTROL_QUEUE];
	// Ids of the peer that were delivered: bit n is newest - n.
	bool any;
	uint16_t newest;
	uint64_t delivered;
};

void control_start(struct control *control, struct control_output output);

// Sends a message at once and keeps repeating it, first after max(100 ms, 2 x rtt_ms), then after
// half as long again each time, at most a second. Given up give_up_ms after now. Returns its id (0
// to 65535), -EMSGSIZE, -EINVAL (type 0) or -ENOBUFS when too many are on their way. body is
// copied.
int control_send(struct control *control, uint8_t type, const uint8_t *body, size_t size,
	uint32_t rtt_ms, uint32_t give_up_ms, uint64_t now_ms);

// Forgets messages of this type that are on their way (a newer one says it all); done is not told.
void control_cancel(struct control *control, uint8_t type);

// A control frame came (frame->header.kind is FRAME_CONTROL). Sends the acknowledgement and
// delivers; callbacks may call control_send.
void control_received(struct control *control, const struct frame *frame);

// Repeats at once what is on its way: the peer can hear us where it could not before.
void control_again(struct control *control, uint64_t now_ms);

// Repeats and gives up what is due.
void control_tick(struct control *control, uint64_t now_ms);
uint64_t control_deadline(const struct control *control);

// Messages on their way.
unsigned control_pending(const struct control *control);
