// SPDX-License-Identifier: BSD-3-Clause
// [guard]: whose packets are dropped unseen, and how much strangers may make the relay do.

#include "lib/config/parser.h"

#include "lib/net/address_text.h"

enum {
	RATE_MAX = 1000000000, // a second's worth fits the dataplane's 31-bit purses
	REPLY_BYTES_MIN = 1024,
};

static bool holds_prefix(
	const struct net_prefix *prefixes, unsigned count, const struct net_prefix *prefix)
{
	for (unsigned i = 0; i < count; i++)
		if (prefixes[i].length == prefix->length &&
			net_address_equal(&prefixes[i].address, &prefix->address))
			return true;
	return false;
}

static void add_prefix(struct config_parser *parser, const char *value, struct net_prefix *prefixes,
	unsigned *count, const struct net_prefix *others, unsigned other_count)
{
	struct net_prefix prefix;

	if (net_prefix_parse(value, &prefix) < 0) {
		config_fail(parser,
			"\"%.100s\" is no prefix; expected an address, or a prefix without bits "
			"behind its length (198.51.100.0/24)",
			value);
		return;
	}
	if (holds_prefix(prefixes, *count, &prefix)) {
		config_fail(parser, "\"%.100s\" is there twice; expected each prefix once", value);
		return;
	}
	if (holds_prefix(others, other_count, &prefix)) {
		config_fail(parser,
			"\"%.100s\" is both blocked and allowed; expected one of the two", value);
		return;
	}
	if (*count == CONFIG_PREFIXES_MAX) {
		config_fail(parser, "too many; expected at most %d prefixes", CONFIG_PREFIXES_MAX);
		return;
	}
	prefixes[(*count)++] = prefix;
}

static void parse_block(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;

	add_prefix(parser, value, config->guard.block, &config->guard.block_count,
		config->guard.allow, config->guard.allow_count);
}

static void parse_allow(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;

	add_prefix(parser, value, config->guard.allow, &config->guard.allow_count,
		config->guard.block, config->guard.block_count);
}

static void parse_reply_bytes(struct config_parser *parser, const char *value)
{
	config_number(parser, value, REPLY_BYTES_MIN, RATE_MAX, &parser->config->guard.reply_bytes);
}

static void parse_punts(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, RATE_MAX, &parser->config->guard.punts);
}

static void parse_punts_with_allocation(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, RATE_MAX, &parser->config->guard.punts_with_allocation);
}

static void parse_punts_total(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, RATE_MAX, &parser->config->guard.punts_total);
}

static void parse_new_allocations(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, RATE_MAX, &parser->config->guard.new_allocations);
}

static const struct config_key keys[] = {
	{"block", CONFIG_KEY_GUARD_BLOCK, true, parse_block},
	{"allow", CONFIG_KEY_GUARD_ALLOW, true, parse_allow},
	{"reply-bytes", CONFIG_KEY_GUARD_REPLY_BYTES, false, parse_reply_bytes},
	{"punts", CONFIG_KEY_GUARD_PUNTS, false, parse_punts},
	{"punts-with-allocation", CONFIG_KEY_GUARD_PUNTS_WITH_ALLOCATION, false,
		parse_punts_with_allocation},
	{"punts-total", CONFIG_KEY_GUARD_PUNTS_TOTAL, false, parse_punts_total},
	{"new-allocations", CONFIG_KEY_GUARD_NEW_ALLOCATIONS, false, parse_new_allocations},
};

const struct config_section config_section_guard = {"guard", keys, sizeof(keys) / sizeof(keys[0])};
