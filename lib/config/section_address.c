// SPDX-License-Identifier: BSD-3-Clause
// [address]: where clients reach the relay, and the ports it relays from.

#include "lib/config/parser.h"

#include "lib/net/address_text.h"

// An address the relay can send from and be reached at: one host's, without a zone.
static bool is_usable(const struct net_address *a)
{
	static const uint8_t zero[16];
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (a->family == NET_IPV4)
		return a->bytes[0] != 0 && a->bytes[0] < 224;
	return memcmp(a->bytes, zero, 16) != 0 && a->bytes[0] != 0xff &&
	       !(a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80) &&
	       memcmp(a->bytes, mapped, 12) != 0;
}

static void parse_listen(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;
	struct net_address address;

	if (net_address_parse(value, &address) < 0) {
		config_fail(parser,
			"\"%.64s\" is no address; expected one like 192.0.2.1 or 2001:db8::1 "
			"(the port has a key of its own)",
			value);
		return;
	}
	if (!is_usable(&address)) {
		config_fail(parser,
			"\"%.64s\" cannot be served on; expected a unicast address of this "
			"machine, "
			"not any, multicast or link-local",
			value);
		return;
	}
	for (unsigned i = 0; i < config->address.listen_count; i++)
		if (net_address_equal(&config->address.listen[i], &address)) {
			config_fail(parser,
				"the same address as on line %u; expected each address once",
				parser->listen_line[i]);
			return;
		}
	if (config->address.listen_count == CONFIG_LISTEN_MAX) {
		config_fail(parser, "too many; expected at most %d addresses", CONFIG_LISTEN_MAX);
		return;
	}
	parser->listen_line[config->address.listen_count] = parser->line;
	config->address.listen[config->address.listen_count++] = address;
}

static void parse_port_number(struct config_parser *parser, const char *value, uint16_t *out)
{
	unsigned number;

	if (config_number(parser, value, 1, UINT16_MAX, &number))
		*out = (uint16_t)number;
}

static void parse_port(struct config_parser *parser, const char *value)
{
	parse_port_number(parser, value, &parser->config->address.port);
}

static void parse_alternate_port(struct config_parser *parser, const char *value)
{
	parse_port_number(parser, value, &parser->config->address.alternate_port);
}

// Digits at *text, moved behind them and the blanks that follow.
static bool read_port(const char **text, unsigned *port)
{
	const char *c = *text;

	*port = 0;
	for (; *c >= '0' && *c <= '9' && *port <= UINT16_MAX; c++)
		*port = *port * 10 + (unsigned)(*c - '0');
	if (c == *text)
		return false;
	*text = c + strspn(c, " \t");
	return true;
}

static void parse_relay_ports(struct config_parser *parser, const char *value)
{
	const char *c = value;
	unsigned first, last;
	bool ok = read_port(&c, &first) && *c++ == '-';

	if (ok) {
		c += strspn(c, " \t");
		ok = read_port(&c, &last) && *c == 0;
	}
	// Below 1024 lie the ports other services of the machine answer on.
	if (!ok || first < 1024 || last > UINT16_MAX || first > last) {
		config_fail(parser,
			"\"%.40s\" is no port range; expected FIRST-LAST within 1024-65535, such "
			"as "
			"49152-65535",
			value);
		return;
	}
	parser->config->address.relay_first = (uint16_t)first;
	parser->config->address.relay_last = (uint16_t)last;
}

static const struct config_key keys[] = {
	{"listen", CONFIG_KEY_ADDRESS_LISTEN, true, parse_listen},
	{"port", CONFIG_KEY_ADDRESS_PORT, false, parse_port},
	{"alternate-port", CONFIG_KEY_ADDRESS_ALTERNATE_PORT, false, parse_alternate_port},
	{"relay-ports", CONFIG_KEY_ADDRESS_RELAY_PORTS, false, parse_relay_ports},
};

const struct config_section config_section_address = {
	"address", keys, sizeof(keys) / sizeof(keys[0])};
