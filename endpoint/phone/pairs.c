// SPDX-License-Identifier: BSD-3-Clause
// Which of the agent's valid pairs are paths. Two at most are at a time; a better one takes the
// place of the one that carries nothing.
#include "endpoint/phone/inside.h"

static int slot_of(const struct talk *talk, uint32_t pair)
{
	for (int i = 0; i < 2; i++)
		if (talk->direct[i] == pair)
			return i;
	return -1;
}

static void take(struct talk *talk, uint32_t pair)
{
	struct agent_pair_info info;

	if (agent_pair_info(talk->agent, pair, &info) != 0)
		return;
	unsigned path = paths_direct_usable(
		&talk->paths, info.confirmed, info.rtt_ms, talk->phone->now.monotonic_ms);
	talk->direct[path - PHONE_DIRECT] = pair;
	struct phone_path_info *shown = &talk->info.path[path];
	*shown = (struct phone_path_info){
		.round_trip_ms = info.rtt_ms,
		.local = info.local,
		.remote = info.remote,
	};
	news_tell(talk);
}

// A pair may be used before a check of ours has told how the peer sees us.
void pairs_info(const struct talk *talk, struct phone_call_info *out)
{
	struct agent_pair_info info;

	for (unsigned i = 0; i < 2; i++)
		if (talk->agent != NULL && talk->direct[i] != 0 &&
			agent_pair_info(talk->agent, talk->direct[i], &info) == 0 &&
			info.local.family != 0)
			out->path[PHONE_DIRECT + i].local = info.local;
}

// Whether a is worth being put in b's place. Never both ways round: each would take the other's
// place with every frame that comes.
static bool better(const struct agent_pair_info *a, const struct agent_pair_info *b)
{
	if (a->confirmed != b->confirmed)
		return a->confirmed;
	if (a->confirmed && a->rtt_ms + 10 <= b->rtt_ms && a->rtt_ms * 3 <= b->rtt_ms * 2)
		return true;
	return a->priority > b->priority && a->rtt_ms < b->rtt_ms + 10;
}

void pairs_consider(struct talk *talk, uint32_t pair)
{
	struct agent_pair_info it, other;

	if (slot_of(talk, pair) >= 0 || agent_pair_info(talk->agent, pair, &it) != 0 || !it.valid)
		return;
	for (int i = 0; i < 2; i++)
		if (talk->direct[i] == 0) {
			take(talk, pair);
			return;
		}
	for (int i = 0; i < 2; i++)
		if (!(talk->info.paths >> (PHONE_DIRECT + i) & 1) &&
			agent_pair_info(talk->agent, talk->direct[i], &other) == 0 &&
			better(&it, &other)) {
			take(talk, pair);
			return;
		}
}

void pairs_confirmed(struct talk *talk, uint32_t pair)
{
	struct agent_pair_info info;
	int slot = slot_of(talk, pair);

	if (slot < 0) {
		pairs_consider(talk, pair);
		return;
	}
	if (agent_pair_info(talk->agent, pair, &info) != 0)
		return;
	talk->info.path[PHONE_DIRECT + slot].local = info.local;
	paths_direct_sure(&talk->paths, (unsigned)(PHONE_DIRECT + slot), info.rtt_ms,
		talk->phone->now.monotonic_ms);
	news_tell(talk);
}

void pairs_lost(struct talk *talk, uint32_t pair)
{
	uint32_t valid[AGENT_PAIRS_MAX];
	int slot = slot_of(talk, pair);

	if (slot < 0)
		return;
	talk->direct[slot] = 0;
	media_usable(talk, (unsigned)(PHONE_DIRECT + slot), false, 0);
	size_t count = agent_pairs(talk->agent, valid, AGENT_PAIRS_MAX);
	for (size_t i = 0; i < count && talk->direct[slot] == 0; i++)
		pairs_consider(talk, valid[i]);
}

int pairs_path_of(struct talk *talk, unsigned base, const struct endpoint_transport *source)
{
	if (talk->agent == NULL)
		return -1;
	uint32_t pair = agent_pair_of(talk->agent, base, source);
	if (pair == 0)
		pair = agent_heard(talk->agent, base, source, talk->phone->now.monotonic_ms);
	if (pair == 0)
		return -1;
	pairs_consider(talk, pair);
	int slot = slot_of(talk, pair);
	return slot < 0 ? -1 : PHONE_DIRECT + slot;
}

void pairs_send(struct talk *talk, unsigned path, const uint8_t *data, size_t size)
{
	uint32_t pair = talk->direct[path - PHONE_DIRECT];

	if (talk->agent != NULL && pair != 0)
		(void)agent_pair_send(talk->agent, pair, data, size, talk->phone->now.monotonic_ms);
}
