// SPDX-License-Identifier: BSD-3-Clause
// [node]: what this relay is called and where it keeps its files.

#include "lib/config/parser.h"

static void parse_name(struct config_parser *parser, const char *value)
{
	if (value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-")] != 0) {
		config_fail(parser,
			"\"%.64s\" holds other characters; expected a-z, 0-9 and - only", value);
		return;
	}
	config_copy(parser, value, parser->config->node.name, CONFIG_NAME_SIZE, "name");
}

static void parse_state(struct config_parser *parser, const char *value)
{
	config_path(parser, value, parser->config->node.state, CONFIG_PATH_SIZE);
}

// Leaves room for the sockets' names in sun_path.
static void parse_run(struct config_parser *parser, const char *value)
{
	config_path(parser, value, parser->config->node.run,
		CONFIG_PATH_SIZE - strlen("/dataplane.sock"));
}

static const struct config_key keys[] = {
	{"name", CONFIG_KEY_NODE_NAME, false, parse_name},
	{"state", CONFIG_KEY_NODE_STATE, false, parse_state},
	{"run", CONFIG_KEY_NODE_RUN, false, parse_run},
};

const struct config_section config_section_node = {"node", keys, sizeof(keys) / sizeof(keys[0])};
