// SPDX-License-Identifier: BSD-3-Clause
// [turn]: who may allocate, and how much. No error text here holds a secret or a password.

#include "lib/config/parser.h"

#include <stdlib.h>

// RFC 8489, section 14.9: what a REALM holds is a quoted-string's inside, below 128 characters.
static void parse_realm(struct config_parser *parser, const char *value)
{
	if (strpbrk(value, "\"\\") != NULL) {
		config_fail(parser, "holds a quote or a backslash; expected text without them");
		return;
	}
	config_copy(parser, value, parser->config->turn.realm, CONFIG_REALM_SIZE, "realm");
}

static void parse_auth(struct config_parser *parser, const char *value)
{
	static const char *const names[] = {"open", "static", "rest", "token", NULL};
	static const unsigned bits[] = {
		CONFIG_AUTH_OPEN, CONFIG_AUTH_STATIC, CONFIG_AUTH_REST, CONFIG_AUTH_TOKEN};
	static const char blanks[] = " \t,";
	unsigned set = 0;

	for (const char *c = value + strspn(value, blanks); *c != 0; c += strspn(c, blanks)) {
		char word[16] = "";
		size_t length = strcspn(c, blanks);
		if (length < sizeof(word))
			memcpy(word, c, length);
		int choice = config_choice(word, names);
		if (choice < 0) {
			config_fail(parser,
				"\"%.*s\" is not known; expected open, or static, rest, token or "
				"several",
				(int)(length < 40 ? length : 40), c);
			return;
		}
		if (set & bits[choice]) {
			config_fail(parser, "%s listed twice; expected once", word);
			return;
		}
		set |= bits[choice];
		c += length;
	}
	if (set == 0) {
		config_fail(parser, "empty; expected open, or static, rest, token or several");
		return;
	}
	if ((set & CONFIG_AUTH_OPEN) && set != CONFIG_AUTH_OPEN) {
		config_fail(parser, "open with others; expected open alone: it lets everybody in");
		return;
	}
	parser->config->turn.auth = set;
}

static void parse_secret(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;

	for (unsigned i = 0; i < config->turn.secret_count; i++)
		if (strcmp(config->turn.secrets[i], value) == 0) {
			config_fail(parser, "the same secret twice; expected each once");
			return;
		}
	if (config->turn.secret_count == CONFIG_SECRETS_MAX) {
		config_fail(parser, "too many; expected at most %d secrets", CONFIG_SECRETS_MAX);
		return;
	}
	if (config_copy(parser, value, config->turn.secrets[config->turn.secret_count],
		    CONFIG_SECRET_SIZE, "secret"))
		config->turn.secret_count++;
}

static void parse_user(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;
	const char *colon = strchr(value, ':');

	if (colon == NULL || colon == value || colon[1] == 0) {
		config_fail(parser, "name or password is missing; expected name:password");
		return;
	}
	size_t name_length = (size_t)(colon - value);
	if (name_length >= CONFIG_NAME_SIZE) {
		config_fail(parser, "name is %zu bytes long; expected at most %d", name_length,
			CONFIG_NAME_SIZE - 1);
		return;
	}
	if (config->turn.users == NULL) {
		// All at once: growing would leave copies of passwords behind.
		config->turn.users = calloc(CONFIG_USERS_MAX, sizeof(*config->turn.users));
		if (config->turn.users == NULL) {
			config_fail(parser, "out of memory");
			return;
		}
	}
	for (unsigned i = 0; i < config->turn.user_count; i++) {
		const char *name = config->turn.users[i].name;
		if (strlen(name) == name_length && memcmp(name, value, name_length) == 0) {
			config_fail(parser, "\"%s\" is there twice; expected each name once", name);
			return;
		}
	}
	if (config->turn.user_count == CONFIG_USERS_MAX) {
		config_fail(parser, "too many; expected at most %d users, or auth = rest",
			CONFIG_USERS_MAX);
		return;
	}
	struct config_user *user = &config->turn.users[config->turn.user_count];
	memcpy(user->name, value, name_length);
	user->name[name_length] = 0;
	if (config_copy(parser, colon + 1, user->password, CONFIG_SECRET_SIZE, "password"))
		config->turn.user_count++;
}

// RFC 8656 12 reserves 0x5000-0x7FFF, which RFC 5766 11 had given to clients.
static void parse_channels(struct config_parser *parser, const char *value)
{
	if (strcmp(value, "rfc8656") == 0)
		parser->config->turn.channel_last = 0x4FFF;
	else if (strcmp(value, "rfc5766") == 0)
		parser->config->turn.channel_last = 0x7FFF;
	else
		config_fail(parser,
			"\"%.40s\" is not known; expected rfc8656 (0x4000-0x4FFF) or rfc5766 "
			"(0x4000-0x7FFF)",
			value);
}

static void parse_max_lifetime(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 600, 86400, &parser->config->turn.max_lifetime);
}

static void parse_quota(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 0, 1000000, &parser->config->turn.quota);
}

static void parse_prefix_quota(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 0, 1000000, &parser->config->turn.prefix_quota);
}

static const struct config_key keys[] = {
	{"realm", CONFIG_KEY_TURN_REALM, false, parse_realm},
	{"auth", CONFIG_KEY_TURN_AUTH, false, parse_auth},
	{"secret", CONFIG_KEY_TURN_SECRET, true, parse_secret},
	{"user", CONFIG_KEY_TURN_USER, true, parse_user},
	{"channels", CONFIG_KEY_TURN_CHANNELS, false, parse_channels},
	{"max-lifetime", CONFIG_KEY_TURN_MAX_LIFETIME, false, parse_max_lifetime},
	{"quota", CONFIG_KEY_TURN_QUOTA, false, parse_quota},
	{"prefix-quota", CONFIG_KEY_TURN_PREFIX_QUOTA, false, parse_prefix_quota},
};

const struct config_section config_section_turn = {"turn", keys, sizeof(keys) / sizeof(keys[0])};
