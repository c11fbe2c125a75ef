// SPDX-License-Identifier: BSD-3-Clause
// The list of candidates as bytes, as two of ours seal it for each other (agent.h has the format).
// There is one way to write a list: whatever reads well is written as the same bytes again. What
// the addresses are good for is judged when they are used, not here.
#include "endpoint/agent/core.h"

#include "lib/net/cursor.h"

#include <errno.h>

enum {
	LIST_VERSION = 1,
	HEADER = 6,
	IPV6_BIT = 0x80,
	FIXED = 7, // type, priority, port
};

static bool type_signalled(unsigned type)
{
	return type == AGENT_HOST || type == AGENT_MAPPED || type == AGENT_SERVER_REFLEXIVE ||
	       type == AGENT_RELAYED;
}

static size_t address_size(uint8_t family)
{
	return family == NET_IPV6 ? 16 : 4;
}

static uint8_t *put_u32(uint8_t *out, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		*out++ = (uint8_t)(value >> (24 - 8 * i));
	return out;
}

static bool candidate_writable(const struct agent_candidate *candidate)
{
	uint8_t family = candidate->transport.family;
	return type_signalled(candidate->type) && candidate->transport.port != 0 &&
	       candidate->priority != 0 && (family == NET_IPV4 || family == NET_IPV6);
}

int agent_candidates_write(uint32_t generation, const struct agent_candidate *candidates,
	size_t count, uint8_t *out, size_t size)
{
	size_t needed = HEADER;
	if (count > AGENT_LOCAL_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (!candidate_writable(&candidates[i]))
			return -EINVAL;
		needed += FIXED + address_size(candidates[i].transport.family);
	}
	if (needed > size)
		return -EMSGSIZE;
	*out++ = LIST_VERSION;
	*out++ = (uint8_t)count;
	out = put_u32(out, generation);
	for (size_t i = 0; i < count; i++) {
		const struct endpoint_transport *transport = &candidates[i].transport;
		bool ipv6 = transport->family == NET_IPV6;
		*out++ = (uint8_t)(candidates[i].type | (ipv6 ? IPV6_BIT : 0));
		out = put_u32(out, candidates[i].priority);
		*out++ = (uint8_t)(transport->port >> 8);
		*out++ = (uint8_t)transport->port;
		memcpy(out, transport->address, address_size(transport->family));
		out += address_size(transport->family);
	}
	return (int)needed;
}

static bool candidate_read(struct cursor *c, struct agent_candidate *out)
{
	uint8_t type;
	*out = (struct agent_candidate){0};
	if (!cursor_u8(c, &type) || !cursor_u32(c, &out->priority) ||
		!cursor_u16(c, &out->transport.port))
		return false;
	out->type = type & (IPV6_BIT - 1);
	out->transport.family = type & IPV6_BIT ? NET_IPV6 : NET_IPV4;
	size_t length = address_size(out->transport.family);
	const uint8_t *address = cursor_take(c, length);
	if (address == NULL || !candidate_writable(out))
		return false;
	memcpy(out->transport.address, address, length);
	return true;
}

int agent_candidates_read(const uint8_t *data, size_t size,
	struct agent_candidate out[static AGENT_REMOTE_MAX], uint32_t *generation)
{
	struct cursor c = cursor_make(data, size);
	uint8_t version, count;
	if (!cursor_u8(&c, &version) || version != LIST_VERSION || !cursor_u8(&c, &count) ||
		count > AGENT_REMOTE_MAX || !cursor_u32(&c, generation))
		return -EBADMSG;
	for (unsigned i = 0; i < count; i++)
		if (!candidate_read(&c, &out[i]))
			return -EBADMSG;
	return cursor_left(&c) == 0 ? count : -EBADMSG;
}
