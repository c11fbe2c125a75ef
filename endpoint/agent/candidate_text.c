// SPDX-License-Identifier: BSD-3-Clause
// Candidates as text, for standard agents (RFC 8839 5.1, RFC 8445's types). Words are read one by
// one, so no line can be too long for a buffer; what is longer than it may be is no candidate.
#include "endpoint/agent/core.h"

#include "lib/net/address_text.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

struct words {
	const char *position, *end;
};

struct word {
	const char *text;
	size_t length;
};

// Exactly one blank stands between words.
static bool word_next(struct words *words, struct word *out)
{
	out->text = words->position;
	while (words->position < words->end && *words->position != ' ')
		words->position++;
	out->length = (size_t)(words->position - out->text);
	if (words->position < words->end)
		words->position++;
	return out->length > 0;
}

static bool word_is(const struct word *word, const char *text)
{
	return word->length == strlen(text) && strncasecmp(word->text, text, word->length) == 0;
}

static bool word_number(const struct word *word, uint64_t max, uint64_t *out)
{
	*out = 0;
	if (word->length == 0 || word->length > 10)
		return false;
	for (size_t i = 0; i < word->length; i++) {
		char c = word->text[i];
		if (c < '0' || c > '9')
			return false;
		*out = *out * 10 + (uint64_t)(c - '0');
	}
	return *out <= max;
}

static bool foundation_good(const struct word *word)
{
	if (word->length > 32)
		return false;
	for (size_t i = 0; i < word->length; i++) {
		char c = word->text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		if (!letter && !(c >= '0' && c <= '9') && c != '+' && c != '/')
			return false;
	}
	return true;
}

static int type_read(const struct word *word, enum agent_candidate_type *out)
{
	if (word_is(word, "host"))
		*out = AGENT_HOST;
	else if (word_is(word, "srflx"))
		*out = AGENT_SERVER_REFLEXIVE;
	else if (word_is(word, "prflx"))
		*out = AGENT_PEER_REFLEXIVE;
	else if (word_is(word, "relay"))
		*out = AGENT_RELAYED;
	else
		return -ENOTSUP; // RFC 8839: types may be added
	return 0;
}

static const char *type_name(enum agent_candidate_type type)
{
	switch (type) {
	case AGENT_HOST:
		return "host";
	case AGENT_PEER_REFLEXIVE:
		return "prflx";
	case AGENT_RELAYED:
		return "relay";
	case AGENT_MAPPED:
	case AGENT_SERVER_REFLEXIVE:
		break;
	}
	return "srflx";
}

// A name (mDNS in browsers) is no address and no mistake. Of letters, digits, '.' and '-'.
static bool name_like(const struct word *word)
{
	bool letter = false;
	for (size_t i = 0; i < word->length; i++) {
		char c = word->text[i];
		bool is = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
		letter |= is;
		if (!is && !(c >= '0' && c <= '9') && c != '.' && c != '-')
			return false;
	}
	return letter;
}

static int address_read(const struct word *word, struct endpoint_transport *out)
{
	char text[NET_ADDRESS_TEXT_SIZE];
	struct net_address address;
	if (word->length < sizeof(text)) {
		memcpy(text, word->text, word->length);
		text[word->length] = 0;
		if (net_address_parse(text, &address) == 0) {
			out->family = address.family;
			memcpy(out->address, address.bytes, sizeof(out->address));
			return 0;
		}
	}
	return name_like(word) ? -ENOTSUP : -EBADMSG;
}

// Pairs of words follow (raddr, rport, generation, what will be invented). None counts for us.
static bool rest_good(struct words *words)
{
	struct word name, value;
	while (words->position < words->end)
		if (!word_next(words, &name) || !word_next(words, &value))
			return false;
	return true;
}

static int fields_read(struct words *words, struct agent_candidate *out)
{
	struct word foundation, component, protocol, priority, address, port, typ, type;
	uint64_t component_number, priority_number, port_number;
	if (!word_next(words, &foundation) || !word_next(words, &component) ||
		!word_next(words, &protocol) || !word_next(words, &priority) ||
		!word_next(words, &address) || !word_next(words, &port) ||
		!word_next(words, &typ) || !word_next(words, &type) || !word_is(&typ, "typ"))
		return -EBADMSG;
	if (!foundation_good(&foundation) || !word_number(&component, 256, &component_number) ||
		component_number == 0 || !word_number(&priority, INT32_MAX, &priority_number) ||
		priority_number == 0 || !word_number(&port, UINT16_MAX, &port_number))
		return -EBADMSG;
	out->priority = (uint32_t)priority_number;
	out->transport.port = (uint16_t)port_number;
	memcpy(out->foundation, foundation.text, foundation.length);
	int typed = type_read(&type, &out->type);
	int addressed = address_read(&address, &out->transport);
	if (addressed == -EBADMSG || !rest_good(words))
		return -EBADMSG;
	if (typed < 0 || addressed < 0 || component_number != 1 || !word_is(&protocol, "udp") ||
		port_number == 0)
		return -ENOTSUP;
	return 0;
}

int agent_candidate_parse(const char *text, size_t length, struct agent_candidate *out)
{
	static const char attribute[] = "a=", name[] = "candidate:";
	struct words words = {text, text + length};
	struct agent_candidate candidate = {0};
	while (words.end > words.position &&
		(words.end[-1] == '\r' || words.end[-1] == '\n' || words.end[-1] == ' '))
		words.end--;
	size_t left = (size_t)(words.end - words.position);
	if (left >= strlen(attribute) &&
		memcmp(words.position, attribute, strlen(attribute)) == 0) {
		words.position += strlen(attribute);
		left -= strlen(attribute);
	}
	if (left < strlen(name) || memcmp(words.position, name, strlen(name)) != 0)
		return -EBADMSG;
	words.position += strlen(name);
	int result = fields_read(&words, &candidate);
	if (result == 0)
		*out = candidate;
	return result;
}

size_t agent_candidate_format(
	const struct agent_candidate *candidate, char out[static AGENT_CANDIDATE_TEXT_MAX])
{
	char address[NET_ADDRESS_TEXT_SIZE];
	struct net_endpoint endpoint = ice_transport_net(&candidate->transport);
	bool ipv6 = endpoint.address.family == NET_IPV6;
	const char *related = ipv6 ? " raddr :: rport 9" : " raddr 0.0.0.0 rport 9";
	net_address_format(&endpoint.address, address);
	int length =
		snprintf(out, AGENT_CANDIDATE_TEXT_MAX, "candidate:%.32s 1 UDP %u %s %u typ %s%s",
			candidate->foundation[0] != 0 ? candidate->foundation : "0",
			(unsigned)candidate->priority, address, (unsigned)endpoint.port,
			type_name(candidate->type), candidate->type == AGENT_HOST ? "" : related);
	return (size_t)length;
}
