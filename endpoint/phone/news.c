// SPDX-License-Identifier: BSD-3-Clause
// What the paths of a call tell: noted while they decide, told to the user when they have, and told
// to the relays that may have been started anew.
#include "endpoint/phone/inside.h"

#include <string.h>

enum { ASK_PAUSE_MS = 5000 };

static enum phone_path_why why(const struct paths_event *event)
{
	switch (event->type) {
	case PATHS_RELAY_ENGAGED:
		return PHONE_PATH_ENGAGED;
	case PATHS_DIRECT_FIRST:
		return PHONE_PATH_FIRST;
	case PATHS_SWITCHED:
		return event->forced ? PHONE_PATH_SILENT : PHONE_PATH_BETTER;
	case PATHS_BOTH_ON:
		return PHONE_PATH_BOTH;
	case PATHS_BOTH_OFF:
		return PHONE_PATH_SILENT;
	case PATHS_ALL_SILENT:
		return PHONE_PATH_GONE;
	case PATHS_ALL_BACK:
		return PHONE_PATH_BACK;
	default:
		return 0;
	}
}

// The paths that are in use from now on; the few frames of a planned switch that go on both are not
// worth telling.
static uint8_t now_on(const struct paths_event *event, uint8_t before)
{
	if (event->type == PATHS_ALL_SILENT || event->type == PATHS_ALL_BACK)
		return before;
	if (event->type == PATHS_SWITCHED && !event->forced)
		return (uint8_t)PATHS_MASK(event->to);
	return (uint8_t)event->mask;
}

// The paths may not be touched in here: what it means is told by news_tell.
void news_event(void *context, const struct paths_event *event)
{
	struct talk *talk = context;

	if (event->type == PATHS_PATH_SILENT && event->from < PHONE_LEGS)
		talk->doubted |= (uint8_t)PATHS_MASK(event->from);
	if (event->type == PATHS_ALL_SILENT)
		talk->doubted = PATHS_MASK(PATHS_RELAY) | PATHS_MASK(PATHS_SECOND_RELAY);
	if (event->type == PATHS_SWITCH_ENDED)
		talk->info.paths = (uint8_t)event->mask;
	if (why(event) == 0)
		return;
	struct path_news news = {
		.why = why(event),
		.before = talk->info.paths,
		.now = now_on(event, talk->info.paths),
	};
	// A switch while frames go on all paths is told when they go on one again.
	if (news.before == news.now && news.why == PHONE_PATH_SILENT)
		return;
	talk->info.paths = news.now;
	talk->info.switches += news.why == PHONE_PATH_BETTER || news.why == PHONE_PATH_SILENT;
	if (talk->news_count < PHONE_NEWS_MAX)
		talk->news[talk->news_count++] = news;
}

// A relay that was started anew knows nothing of us and says so when it is asked: at once rather
// than with the next keepalive.
static void ask_relays(struct talk *talk)
{
	uint8_t doubted = talk->doubted;

	// What arrives is the peer's word: it must not have us ask without end.
	if (doubted == 0 || talk->phone->now.monotonic_ms < talk->ask_from)
		return;
	talk->doubted = 0;
	talk->ask_from = talk->phone->now.monotonic_ms + ASK_PAUSE_MS;
	for (unsigned i = 0; i < PHONE_LEGS; i++)
		if ((doubted & PATHS_MASK(i)) != 0 && talk->legs[i].state == LEG_OPEN)
			endpoint_network_changed(talk->legs[i].relay->core, talk->phone->now);
}

void news_tell(struct talk *talk)
{
	struct path_news news[PHONE_NEWS_MAX];
	unsigned count = talk->news_count;

	memcpy(news, talk->news, count * sizeof(news[0]));
	talk->news_count = 0;
	for (unsigned i = 0; i < count && talk->state == TALK_TALKING; i++)
		inside_tell(talk->phone, &(struct phone_event){
						 .type = PHONE_PATH,
						 .call = talk->id,
						 .path = {.before = news[i].before,
							 .now = news[i].now,
							 .why = news[i].why},
					 });
	ask_relays(talk);
}
