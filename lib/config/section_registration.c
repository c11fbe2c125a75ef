// SPDX-License-Identifier: BSD-3-Clause
// [registration]: who may register addresses with the native protocol, for how long, and how many.

#include "lib/config/parser.h"

enum {
	RATE_MAX = 1000000000, // a second's worth fits the dataplane's 31-bit purses
	BYTES_MIN = 2048,      // no datagram of the smallest MTU is larger than a second's worth
	TABLE_MAX = 1 << 24,   // dataplane/table/leases.h, handles.h
};

static void parse_enabled(struct config_parser *parser, const char *value)
{
	static const char *const choices[] = {"no", "yes", NULL};
	int choice = config_choice(value, choices);

	if (choice < 0)
		config_fail(parser, "\"%.40s\" is not known; expected yes or no", value);
	else
		parser->config->registration.enabled = choice == 1;
}

static void parse_admission(struct config_parser *parser, const char *value)
{
	static const char *const choices[] = {"open", "pow", "token", NULL};
	int choice = config_choice(value, choices);

	if (choice < 0)
		config_fail(parser, "\"%.40s\" is not known; expected open, pow or token", value);
	else
		parser->config->registration.admission = (enum config_admission)choice;
}

static void parse_lease(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 60, 3600, &parser->config->registration.lease);
}

static void parse_keepalive(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, 600, &parser->config->registration.keepalive);
}

static void parse_epoch(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 2, 86400, &parser->config->registration.epoch);
}

static void parse_leases(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, TABLE_MAX, &parser->config->registration.leases);
}

static void parse_handles(struct config_parser *parser, const char *value)
{
	unsigned handles;

	if (!config_number(parser, value, 2, TABLE_MAX, &handles))
		return;
	if (handles % 2 != 0)
		config_fail(parser, "%u is odd; expected an even number: a call has two", handles);
	else
		parser->config->registration.handles = handles;
}

static void parse_sender_bytes(struct config_parser *parser, const char *value)
{
	config_number(
		parser, value, BYTES_MIN, RATE_MAX, &parser->config->registration.sender_bytes);
}

static void parse_address_bytes(struct config_parser *parser, const char *value)
{
	config_number(
		parser, value, BYTES_MIN, RATE_MAX, &parser->config->registration.address_bytes);
}

static void parse_new_leases(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, RATE_MAX, &parser->config->registration.new_leases);
}

static void parse_puzzle_above(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, RATE_MAX, &parser->config->registration.puzzle_above);
}

static const struct config_key keys[] = {
	{"enabled", CONFIG_KEY_REGISTRATION_ENABLED, false, parse_enabled},
	{"admission", CONFIG_KEY_REGISTRATION_ADMISSION, false, parse_admission},
	{"lease", CONFIG_KEY_REGISTRATION_LEASE, false, parse_lease},
	{"keepalive", CONFIG_KEY_REGISTRATION_KEEPALIVE, false, parse_keepalive},
	{"epoch", CONFIG_KEY_REGISTRATION_EPOCH, false, parse_epoch},
	{"leases", CONFIG_KEY_REGISTRATION_LEASES, false, parse_leases},
	{"handles", CONFIG_KEY_REGISTRATION_HANDLES, false, parse_handles},
	{"sender-bytes", CONFIG_KEY_REGISTRATION_SENDER_BYTES, false, parse_sender_bytes},
	{"address-bytes", CONFIG_KEY_REGISTRATION_ADDRESS_BYTES, false, parse_address_bytes},
	{"new-leases", CONFIG_KEY_REGISTRATION_NEW_LEASES, false, parse_new_leases},
	{"puzzle-above", CONFIG_KEY_REGISTRATION_PUZZLE_ABOVE, false, parse_puzzle_above},
};

const struct config_section config_section_registration = {
	"registration", keys, sizeof(keys) / sizeof(keys[0])};
