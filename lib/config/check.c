// SPDX-License-Identifier: BSD-3-Clause
// What only the whole file can tell: keys that must be there, keys that contradict each other.

#include "lib/config/parser.h"

static void check_dataplane(struct config_parser *parser)
{
	struct config *config = parser->config;

	if (config->dataplane.port_count == 0) {
		config_fail_key(parser, CONFIG_KEY_DATAPLANE_PORT,
			"not given; expected at least one, such as port = af_xdp:eth0");
		return;
	}
	if (config->dataplane.core_count != 0 &&
		config->dataplane.core_count != config->dataplane.workers + 1)
		config_fail_key(parser, CONFIG_KEY_DATAPLANE_CORES,
			"%u cores do not fit workers = %u; expected %u: one for the main thread, "
			"then one per worker",
			config->dataplane.core_count, config->dataplane.workers,
			config->dataplane.workers + 1);
}

// The error belongs to the port if that was written, else to the range.
static void check_outside_relay_ports(
	struct config_parser *parser, enum config_key_id key, const char *name, unsigned port)
{
	const struct config *config = parser->config;

	if (port < config->address.relay_first || port > config->address.relay_last)
		return;
	if (parser->key_line[key] != 0)
		config_fail_key(parser, key,
			"%u lies inside relay-ports %u-%u; expected a port outside", port,
			config->address.relay_first, config->address.relay_last);
	else
		config_fail_key(parser, CONFIG_KEY_ADDRESS_RELAY_PORTS,
			"%u-%u holds %s (%u); expected a range without it",
			config->address.relay_first, config->address.relay_last, name, port);
}

static void check_address(struct config_parser *parser)
{
	struct config *config = parser->config;

	if (config->address.listen_count == 0)
		config_fail_key(parser, CONFIG_KEY_ADDRESS_LISTEN,
			"not given; expected at least one, such as listen = 192.0.2.1");
	if (config->address.port == config->address.alternate_port)
		config_fail_key(parser,
			parser->key_line[CONFIG_KEY_ADDRESS_ALTERNATE_PORT] != 0
				? CONFIG_KEY_ADDRESS_ALTERNATE_PORT
				: CONFIG_KEY_ADDRESS_PORT,
			"port and alternate-port are both %u; expected two different ones",
			config->address.port);
	check_outside_relay_ports(parser, CONFIG_KEY_ADDRESS_PORT, "port", config->address.port);
	check_outside_relay_ports(parser, CONFIG_KEY_ADDRESS_ALTERNATE_PORT, "alternate-port",
		config->address.alternate_port);
}

static void check_turn(struct config_parser *parser)
{
	struct config *config = parser->config;
	unsigned auth = config->turn.auth;

	// No default: who may use the relay is the operator's decision.
	if (auth == 0)
		config_fail_key(parser, CONFIG_KEY_TURN_AUTH,
			"not given; expected open, or static, rest, token or several");
	if ((auth & CONFIG_AUTH_REST) && config->turn.secret_count == 0)
		config_fail_key(parser, CONFIG_KEY_TURN_AUTH,
			"rest without a secret; expected at least one secret = line");
	if ((auth & CONFIG_AUTH_STATIC) && config->turn.user_count == 0)
		config_fail_key(parser, CONFIG_KEY_TURN_AUTH,
			"static without a user; expected at least one user = name:password line");
	if (!(auth & CONFIG_AUTH_REST) && config->turn.secret_count > 0)
		config_fail_key(parser, CONFIG_KEY_TURN_SECRET,
			"given, but auth does not name rest; expected auth = rest, or no secret");
	if (!(auth & CONFIG_AUTH_STATIC) && config->turn.user_count > 0)
		config_fail_key(parser, CONFIG_KEY_TURN_USER,
			"given, but auth does not name static; expected auth = static, or no user");
	if (config->turn.realm[0] == 0)
		memcpy(config->turn.realm, config->node.name, sizeof(config->node.name));
	// A challenge, which holds the realm, may have 2.5 times the IP bytes of the smallest
	// Allocate (56): with a longer realm such a client would get no answer at all.
	size_t realm = strlen(config->turn.realm);
	if (auth != CONFIG_AUTH_OPEN && realm > CONFIG_REALM_CHALLENGED_MAX)
		config_fail_key(parser, CONFIG_KEY_TURN_REALM,
			"%zu bytes long; expected at most %d, or challenges would be too large to "
			"be sent",
			realm, CONFIG_REALM_CHALLENGED_MAX);
}

void config_check(struct config_parser *parser)
{
	check_dataplane(parser);
	check_address(parser);
	check_turn(parser);
}
