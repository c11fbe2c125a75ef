// SPDX-License-Identifier: BSD-3-Clause
// [peers]: operator's rules about where traffic may be relayed to.

#include "lib/config/parser.h"

#include "lib/net/address_text.h"

static bool range_equal(const struct net_range *a, const struct net_range *b)
{
	return net_address_equal(&a->first, &b->first) && net_address_equal(&a->last, &b->last);
}

static bool holds_range(
	const struct net_range *ranges, unsigned count, const struct net_range *range)
{
	for (unsigned i = 0; i < count; i++)
		if (range_equal(&ranges[i], range))
			return true;
	return false;
}

static void add_range(struct config_parser *parser, const char *value, struct net_range *ranges,
	unsigned *count, const struct net_range *others, unsigned other_count)
{
	struct net_range range;

	if (net_range_parse(value, &range) < 0) {
		config_fail(parser,
			"\"%.100s\" is no range; expected an address, a prefix without bits behind "
			"its "
			"length (10.0.0.0/8), or FIRST-LAST of one family",
			value);
		return;
	}
	if (holds_range(ranges, *count, &range)) {
		config_fail(parser, "\"%.100s\" is there twice; expected each range once", value);
		return;
	}
	if (holds_range(others, other_count, &range)) {
		config_fail(parser,
			"\"%.100s\" is both allowed and denied; expected one of the two", value);
		return;
	}
	if (*count == CONFIG_RULES_MAX) {
		config_fail(parser, "too many; expected at most %d ranges", CONFIG_RULES_MAX);
		return;
	}
	ranges[(*count)++] = range;
}

static void parse_allow(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;

	add_range(parser, value, config->peers.allow, &config->peers.allow_count,
		config->peers.deny, config->peers.deny_count);
}

static void parse_deny(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;

	add_range(parser, value, config->peers.deny, &config->peers.deny_count, config->peers.allow,
		config->peers.allow_count);
}

static const struct config_key keys[] = {
	{"allow", CONFIG_KEY_PEERS_ALLOW, true, parse_allow},
	{"deny", CONFIG_KEY_PEERS_DENY, true, parse_deny},
};

const struct config_section config_section_peers = {"peers", keys, sizeof(keys) / sizeof(keys[0])};
