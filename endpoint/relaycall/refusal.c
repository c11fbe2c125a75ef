// SPDX-License-Identifier: BSD-3-Clause
// See refusal.h.
#include "endpoint/relaycall/refusal.h"

#include "endpoint/relaycall/relaycall.h"

bool refusal_tell(const char *relay, const struct endpoint_event *event)
{
	static const struct {
		enum endpoint_refusal reason;
		bool final;
		const char *text;
	} rows[] = {
		{ENDPOINT_REFUSED_EPOCH, true,
			"its clock and this host's differ too much: set them"},
		{ENDPOINT_REFUSED_DEVICES, true, "as many devices as may be use this identity"},
		{ENDPOINT_REFUSED_PUZZLE, true, "it is overloaded and asks for too hard a puzzle"},
		{ENDPOINT_REFUSED_TOKEN_WANTED, true,
			"it wants a token: relaycall token, and --tokens FILE"},
		{ENDPOINT_REFUSED_TOKEN_BAD, true, "the token is not of its operator"},
		{ENDPOINT_REFUSED_TOKEN_SPENT, true, "the token was spent before"},
		{ENDPOINT_REFUSED_FULL, false, "it is full"},
		{ENDPOINT_REFUSED_BUSY, false, "it is busy"},
		{ENDPOINT_REFUSED_DRAINING, true, "it is being emptied and takes nobody in"},
		{ENDPOINT_REFUSED_EPOCH_SECONDS, true, "it has other epochs: --epoch"},
		{ENDPOINT_REFUSED_RELAY_KEY, true,
			"its key is not the one that is expected; is it the right relay?"},
		{ENDPOINT_REFUSED_VERSION, true, "it speaks another version of the protocol"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].reason == event->refused.reason) {
			if (rows[i].reason == ENDPOINT_REFUSED_EPOCH_SECONDS)
				relaycall_fail(0, "relay %s does not register us: %s %u", relay,
					rows[i].text, event->refused.detail);
			else
				relaycall_fail(0, "relay %s does not register us: %s", relay,
					rows[i].text);
			return rows[i].final;
		}
	relaycall_fail(0, "relay %s does not register us (reason %u)", relay,
		(unsigned)event->refused.reason);
	return true;
}
