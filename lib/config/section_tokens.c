// SPDX-License-Identifier: BSD-3-Clause
// [tokens]: the store of what admission = token and auth = token spend.

#include "lib/config/parser.h"

enum { SPENT_MAX = 100000000 }; // 12 GiB of disk

static void parse_issue(struct config_parser *parser, const char *value)
{
	static const char *const choices[] = {"no", "yes", NULL};
	int choice = config_choice(value, choices);

	if (choice < 0)
		config_fail(parser, "\"%.40s\" is not known; expected yes or no", value);
	else
		parser->config->tokens.issue = choice == 1;
}

static void parse_spent(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, SPENT_MAX, &parser->config->tokens.spent);
}

static const struct config_key keys[] = {
	{"issue", CONFIG_KEY_TOKENS_ISSUE, false, parse_issue},
	{"spent", CONFIG_KEY_TOKENS_SPENT, false, parse_spent},
};

const struct config_section config_section_tokens = {
	"tokens", keys, sizeof(keys) / sizeof(keys[0])};

bool config_uses_tokens(const struct config *config)
{
	return config->tokens.issue || (config->turn.auth & CONFIG_AUTH_TOKEN) != 0 ||
	       (config->registration.enabled &&
		       config->registration.admission == CONFIG_ADMISSION_TOKEN);
}
