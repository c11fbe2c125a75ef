// SPDX-License-Identifier: BSD-3-Clause
// What the two phones tell each other inside the session, by the reliable channel of
// endpoint/paths/control.h:
//
//     ANSWER      nothing     the callee's user has answered
//     HANGUP      nothing     it is over; before the answer: declined, or given up
//     CANDIDATES  a list      all candidates of a newer generation (endpoint/agent)
//     LOSS        percent, 1  how much of the other's voice is missing
#include "endpoint/phone/inside.h"

#include <errno.h>

enum {
	GIVE_UP_MS = PHONE_LOST_MS,
	GIVE_UP_HANGUP_MS = PHONE_LINGER_MS,
};

void words_say(struct talk *talk, enum word word, const void *body, size_t size)
{
	struct phone *phone = talk->phone;

	if (!talk->has_session)
		return;
	control_cancel(&talk->control, word); // a newer one says it all
	(void)control_send(&talk->control, word, body, size, paths_control_rtt(&talk->paths),
		word == WORD_HANGUP ? GIVE_UP_HANGUP_MS : GIVE_UP_MS, phone->now.monotonic_ms);
}

void words_hear(struct talk *talk, uint8_t word, const uint8_t *body, size_t size)
{
	switch (word) {
	case WORD_ANSWER:
		if (talk->caller && talk->state == TALK_RINGING)
			talk_answered(talk);
		break;
	case WORD_HANGUP:
		if (talk->state == TALK_TALKING)
			talk_end(talk, PHONE_END_BY_PEER);
		else if (talk->state == TALK_RINGING)
			talk_end(talk, PHONE_END_DECLINED);
		else if (talk->state == TALK_INCOMING)
			talk_end(talk, PHONE_END_CANCELLED);
		break;
	case WORD_CANDIDATES:
		direct_candidates(talk, body, size);
		break;
	case WORD_LOSS:
		if (talk->state == TALK_TALKING && size == 1 && body[0] <= 100)
			inside_tell(talk->phone, &(struct phone_event){
							 .type = PHONE_LOSS,
							 .call = talk->id,
							 .loss = {.percent = body[0]},
						 });
		break;
	default: // of a later version
		break;
	}
}

int phone_report_loss(
	struct phone *phone, uint64_t call, unsigned percent, struct endpoint_time now)
{
	int result = 0;

	if (percent > 100)
		return -EINVAL;
	inside_enter(phone, now);
	struct talk *talk = talk_find(phone, call);
	if (talk == NULL) {
		result = -ENOENT;
	} else if (talk->state != TALK_TALKING) {
		result = -ENOTCONN;
	} else if (percent != talk->loss_told) {
		const uint8_t body = (uint8_t)percent;
		talk->loss_told = body;
		words_say(talk, WORD_LOSS, &body, sizeof(body));
	}
	inside_leave(phone);
	return result;
}
