// SPDX-License-Identifier: BSD-3-Clause
// The two codecs of candidates read any bytes. What reads well is written as the same bytes (lists)
// or reads the same again (text).
#include "endpoint/agent/agent.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_candidate list[AGENT_REMOTE_MAX], one, back;
	uint8_t again[AGENT_CANDIDATES_SIZE];
	char text[AGENT_CANDIDATE_TEXT_MAX];
	uint32_t generation;

	int count = agent_candidates_read(data, size, list, &generation);
	if (count >= 0) {
		int written = agent_candidates_write(
			generation, list, (size_t)count, again, sizeof(again));
		expect(written == (int)size && memcmp(again, data, size) == 0);
	}
	if (agent_candidate_parse((const char *)data, size, &one) == 0) {
		size_t length = agent_candidate_format(&one, text);
		expect(length < sizeof(text) && length == strlen(text));
		// An empty foundation is no candidate, so it came with one.
		expect(agent_candidate_parse(text, length, &back) == 0);
		expect(memcmp(&one, &back, sizeof(one)) == 0);
	}
	return 0;
}
