// SPDX-License-Identifier: BSD-3-Clause
// See control.h.
#include "endpoint/paths/control.h"

#include <errno.h>
#include <string.h>

void control_start(struct control *control, struct control_output output)
{
	memset(control, 0, sizeof(*control));
	control->output = output;
}

static struct control_sending *sending_free(struct control *control)
{
	struct control_sending *place = NULL;
	for (unsigned i = 0; i < CONTROL_QUEUE; i++) {
		struct control_sending *sending = &control->sending[i];
		if (!sending->used)
			place = sending;
		// Beyond the window the peer would take a repetition for an old copy.
		else if ((uint16_t)(control->next_id - sending->id) >= CONTROL_WINDOW - 1)
			return NULL;
	}
	return place;
}

static void sending_send(
	struct control *control, const struct control_sending *sending, bool everywhere)
{
	control->output.send(control->output.context, sending->id, sending->type, sending->body,
		sending->size, everywhere);
}

int control_send(struct control *control, uint8_t type, const uint8_t *body, size_t size,
	uint32_t rtt_ms, uint32_t give_up_ms, uint64_t now_ms)
{
	if (type == CONTROL_ACK)
		return -EINVAL;
	if (size > FRAME_BODY_MAX)
		return -EMSGSIZE;
	struct control_sending *sending = sending_free(control);
	if (sending == NULL)
		return -ENOBUFS;

	sending->used = true;
	sending->id = control->next_id++;
	sending->type = type;
	sending->size = (uint16_t)size;
	if (size > 0)
		memcpy(sending->body, body, size);
	uint64_t wait_ms = (uint64_t)rtt_ms * 2;
	if (wait_ms < CONTROL_REPEAT_MIN_MS)
		wait_ms = CONTROL_REPEAT_MIN_MS;
	if (wait_ms > CONTROL_REPEAT_MAX_MS)
		wait_ms = CONTROL_REPEAT_MAX_MS;
	sending->wait_ms = (uint32_t)wait_ms;
	sending->next_ms = now_ms + wait_ms;
	sending->give_up_ms = now_ms + give_up_ms;
	uint16_t id = sending->id;
	sending_send(control, sending, false);
	return id;
}

void control_cancel(struct control *control, uint8_t type)
{
	for (unsigned i = 0; i < CONTROL_QUEUE; i++)
		if (control->sending[i].type == type)
			control->sending[i].used = false;
}

static void acknowledged(struct control *control, uint16_t id)
{
	for (unsigned i = 0; i < CONTROL_QUEUE; i++) {
		struct control_sending *sending = &control->sending[i];
		if (!sending->used || sending->id != id)
			continue;
		sending->used = false;
		control->output.done(control->output.context, id, sending->type, true);
		return;
	}
}

// Whether it was not delivered before; remembers it.
static bool id_is_new(struct control *control, uint16_t id)
{
	uint16_t ahead = (uint16_t)(id - control->newest);
	if (!control->any || (ahead > 0 && ahead < 0x8000)) {
		control->delivered =
			control->any && ahead < CONTROL_WINDOW ? control->delivered << ahead : 0;
		control->delivered |= 1;
		control->newest = id;
		control->any = true;
		return true;
	}
	uint16_t behind = (uint16_t)(control->newest - id);
	if (behind >= CONTROL_WINDOW || (control->delivered >> behind & 1) != 0)
		return false;
	control->delivered |= (uint64_t)1 << behind;
	return true;
}

void control_received(struct control *control, const struct frame *frame)
{
	uint16_t id = frame->control.id;
	if (frame->control.type == CONTROL_ACK) {
		acknowledged(control, id);
		return;
	}
	bool is_new = id_is_new(control, id);
	// A copy means that the first acknowledgement may have been lost with its path.
	control->output.send(control->output.context, id, CONTROL_ACK, NULL, 0, !is_new);
	if (is_new)
		control->output.message(control->output.context, frame->control.type,
			frame->control.data, frame->control.size);
}

void control_again(struct control *control, uint64_t now_ms)
{
	for (unsigned i = 0; i < CONTROL_QUEUE; i++) {
		struct control_sending *sending = &control->sending[i];
		if (!sending->used)
			continue;
		sending->next_ms = now_ms + sending->wait_ms;
		sending_send(control, sending, true);
	}
}

void control_tick(struct control *control, uint64_t now_ms)
{
	for (unsigned i = 0; i < CONTROL_QUEUE; i++) {
		struct control_sending *sending = &control->sending[i];
		if (!sending->used)
			continue;
		if (now_ms >= sending->give_up_ms) {
			sending->used = false;
			control->output.done(
				control->output.context, sending->id, sending->type, false);
			continue;
		}
		if (now_ms < sending->next_ms)
			continue;
		sending->wait_ms += sending->wait_ms / 2;
		if (sending->wait_ms > CONTROL_REPEAT_MAX_MS)
			sending->wait_ms = CONTROL_REPEAT_MAX_MS;
		sending->next_ms = now_ms + sending->wait_ms;
		sending_send(control, sending, true);
	}
}

uint64_t control_deadline(const struct control *control)
{
	uint64_t deadline = CONTROL_NEVER;
	for (unsigned i = 0; i < CONTROL_QUEUE; i++) {
		const struct control_sending *sending = &control->sending[i];
		if (!sending->used)
			continue;
		if (sending->next_ms < deadline)
			deadline = sending->next_ms;
		if (sending->give_up_ms < deadline)
			deadline = sending->give_up_ms;
	}
	return deadline;
}

unsigned control_pending(const struct control *control)
{
	unsigned count = 0;
	for (unsigned i = 0; i < CONTROL_QUEUE; i++)
		count += control->sending[i].used;
	return count;
}
