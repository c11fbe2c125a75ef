// SPDX-License-Identifier: BSD-3-Clause
// What the two messages of a handshake carry besides keys:
//
//     0   1   version: 1
//     1   64  offer only: namespace id, delivery key of the caller
//         8   ICE user fragment         all zeros: no direct path with this side
//         32  ICE password
//         n   list of candidates (agent_candidates_write), or nothing: not told yet
#include "endpoint/phone/inside.h"

#include <errno.h>
#include <string.h>

enum { FORM_VERSION = 1, FRAGMENT = 8, PASSWORD = 32 };

size_t payload_write(const struct talk *talk, bool offer, uint8_t *out)
{
	struct agent_candidate candidates[AGENT_LOCAL_MAX];
	uint32_t generation;
	size_t size = 0;

	out[size++] = FORM_VERSION;
	if (offer) {
		const struct endpoint_peer *self = &talk->phone->self;
		memcpy(out + size, self->namespace_id, ENDPOINT_KEY_SIZE);
		memcpy(out + size + ENDPOINT_KEY_SIZE, self->delivery_key, ENDPOINT_KEY_SIZE);
		size += 2 * ENDPOINT_KEY_SIZE;
	}
	memset(out + size, 0, FRAGMENT + PASSWORD);
	if (talk->agent != NULL) {
		memcpy(out + size, talk->credentials.fragment, FRAGMENT);
		memcpy(out + size + FRAGMENT, talk->credentials.password, PASSWORD);
	}
	size += FRAGMENT + PASSWORD;
	if (talk->agent == NULL || !talk->disclosed)
		return size;
	size_t count = agent_local(talk->agent, candidates, &generation);
	int list = agent_candidates_write(
		generation, candidates, count, out + size, AGENT_CANDIDATES_SIZE);
	return list < 0 ? size : size + (size_t)list;
}

int payload_read(const uint8_t *data, size_t size, bool offer, struct payload *out)
{
	size_t fixed = 1 + (offer ? 2 * ENDPOINT_KEY_SIZE : 0) + FRAGMENT + PASSWORD;

	memset(out, 0, sizeof(*out));
	if (size < fixed || data[0] != FORM_VERSION)
		return -EBADMSG;
	data++;
	if (offer) {
		memcpy(out->peer.namespace_id, data, ENDPOINT_KEY_SIZE);
		memcpy(out->peer.delivery_key, data + ENDPOINT_KEY_SIZE, ENDPOINT_KEY_SIZE);
		data += 2 * ENDPOINT_KEY_SIZE;
	}
	memcpy(out->credentials.fragment, data, FRAGMENT);
	memcpy(out->credentials.password, data + FRAGMENT, PASSWORD);
	data += FRAGMENT + PASSWORD;
	if (size == fixed)
		return 0;
	int count = agent_candidates_read(data, size - fixed, out->candidates, &out->generation);
	if (count < 0)
		return -EBADMSG;
	out->candidate_count = (size_t)count;
	out->has_candidates = true;
	return 0;
}
