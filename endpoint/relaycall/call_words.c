// SPDX-License-Identifier: BSD-3-Clause
// See call_words.h.
#include "endpoint/relaycall/call_words.h"

#include "endpoint/relaycall/session.h"
#include "endpoint/socket_address.h"

#include <stdio.h>
#include <string.h>

const char *call_words_path(unsigned number)
{
	return number == 0 ? "relay" : number == 1 ? "relay2" : "direct";
}

const char *call_words_paths(uint8_t set, char text[CALL_WORDS_PATHS_SIZE])
{
	static const struct {
		uint8_t bits;
		const char *word;
	} words[] = {{0x0c, "direct"}, {0x01, "relay"}, {0x02, "second relay"}};

	text[0] = 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if ((set & words[i].bits) != 0) {
			if (text[0] != 0)
				strcat(text, " and ");
			strcat(text, words[i].word);
		}
	return text[0] != 0 ? text : strcpy(text, "none");
}

const char *call_words_why(enum phone_path_why why)
{
	static const char *const words[] = {
		[PHONE_PATH_FIRST] = "first",
		[PHONE_PATH_ENGAGED] = "engaged",
		[PHONE_PATH_BETTER] = "better",
		[PHONE_PATH_SILENT] = "silent",
		[PHONE_PATH_BOTH] = "both",
		[PHONE_PATH_GONE] = "gone",
		[PHONE_PATH_BACK] = "back",
	};
	return why >= PHONE_PATH_FIRST && why <= PHONE_PATH_BACK ? words[why] : "unknown";
}

const char *call_words_change(uint8_t before, uint8_t now, enum phone_path_why why,
	uint64_t since_answer_ms, char text[CALL_WORDS_LINE_SIZE])
{
	char old[CALL_WORDS_PATHS_SIZE], new[CALL_WORDS_PATHS_SIZE];
	unsigned long long ms = since_answer_ms;

	call_words_paths(before, old);
	call_words_paths(now, new);
	switch (why) {
	case PHONE_PATH_FIRST:
		snprintf(text, CALL_WORDS_LINE_SIZE, "path: %s, %llu ms after the answer", new, ms);
		break;
	case PHONE_PATH_ENGAGED:
		snprintf(text, CALL_WORDS_LINE_SIZE,
			"path: %s, as no direct one was found within %llu ms; still searching", new,
			ms);
		break;
	case PHONE_PATH_BETTER:
		snprintf(text, CALL_WORDS_LINE_SIZE, "path: from %s to %s, a better one", old, new);
		break;
	case PHONE_PATH_SILENT:
		snprintf(text, CALL_WORDS_LINE_SIZE, "path: from %s to %s, the other fell silent",
			old, new);
		break;
	case PHONE_PATH_BOTH:
		snprintf(text, CALL_WORDS_LINE_SIZE,
			"path: %s at once, until it is known what lives", new);
		break;
	case PHONE_PATH_GONE:
		snprintf(text, CALL_WORDS_LINE_SIZE, "path: nothing comes through; searching");
		break;
	case PHONE_PATH_BACK:
		snprintf(text, CALL_WORDS_LINE_SIZE, "path: %s again", new);
		break;
	default:
		snprintf(text, CALL_WORDS_LINE_SIZE, "path: %s", new);
		break;
	}
	return text;
}

const char *call_words_local(const struct phone_path_info *path, char *text, size_t size)
{
	static const uint8_t any[16];
	struct endpoint_transport local = path->local;

	if (memcmp(local.address, any, sizeof(any)) == 0) {
		local = socket_address_source(&path->remote);
		local.port = path->local.port;
	}
	return session_transport_text(&local, text, size);
}

struct call_end call_words_end(enum phone_end why)
{
	static const struct call_end rows[] = {
		[PHONE_END_BY_PEER] = {"by_peer", "the other side has hung up", RELAYCALL_OK},
		[PHONE_END_BY_SELF] = {"by_self", "hung up", RELAYCALL_OK},
		[PHONE_END_DECLINED] = {"declined", "the contact has declined", RELAYCALL_PEER},
		[PHONE_END_REFUSED] = {"refused",
			"the contact does not take calls from this identity", RELAYCALL_PEER},
		[PHONE_END_NO_ANSWER] = {"no_answer", "the contact does not answer",
			RELAYCALL_PEER},
		[PHONE_END_UNREACHABLE] = {"absent",
			"the contact is not registered at its relay now: does it answer calls?",
			RELAYCALL_PEER},
		[PHONE_END_NOT_PEER] = {"not_peer",
			"whoever has answered is not the contact: nothing was said",
			RELAYCALL_PEER},
		[PHONE_END_LOST] = {"lost", "the contact is out of reach on all paths",
			RELAYCALL_PEER},
		[PHONE_END_CANCELLED] = {"cancelled", "the caller has given up", RELAYCALL_PEER},
		[PHONE_END_TAKEN] = {"taken", "answered at another device", RELAYCALL_PEER},
		[PHONE_END_RELAY] = {"relay", "the relay does not take us", RELAYCALL_UNREACHABLE},
		[PHONE_END_BROKEN] = {"broken", "the other side breaks the protocol",
			RELAYCALL_PEER},
	};

	if (why >= PHONE_END_BY_PEER && why <= PHONE_END_BROKEN)
		return rows[why];
	return (struct call_end){"unknown", "ended", RELAYCALL_FAILED};
}
