// SPDX-License-Identifier: BSD-3-Clause
// Warnings about a correct configuration. Apart from the rest of lib/config: this file formats
// addresses (the operator's own rules), which the dataplane must not be able to.

#include "lib/config/config.h"

#include "lib/net/address_text.h"
#include "lib/net/special_ranges.h"

#include <stdarg.h>
#include <stdio.h>

enum {
	SECRET_ENOUGH = 16, // bytes; a client who holds one credential can try shorter ones offline
	PASSWORD_ENOUGH = 8,
};

// Counts warnings down to the wanted one.
struct search {
	unsigned left;
	char *text;
	bool found;
};

static void warn(struct search *search, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void warn(struct search *search, const char *format, ...)
{
	va_list arguments;

	if (search->found || search->left-- > 0)
		return;
	va_start(arguments, format);
	vsnprintf(search->text, CONFIG_WARNING_SIZE, format, arguments);
	va_end(arguments);
	search->found = true;
}

static void judge_turn(const struct config *config, struct search *search)
{
	if (config->turn.auth & CONFIG_AUTH_OPEN)
		warn(search, "[turn] auth = open: everybody may relay through this node");
	for (unsigned i = 0; i < config->turn.secret_count; i++)
		if (strlen(config->turn.secrets[i]) < SECRET_ENOUGH)
			warn(search,
				"[turn] secret number %u has fewer than %d bytes: whoever holds "
				"one "
				"credential can guess it; openssl rand -hex 32 makes a good one",
				i + 1, SECRET_ENOUGH);
	for (unsigned i = 0; i < config->turn.user_count; i++)
		if (strlen(config->turn.users[i].password) < PASSWORD_ENOUGH)
			warn(search, "[turn] user %s has a password of fewer than %d bytes",
				config->turn.users[i].name, PASSWORD_ENOUGH);
}

static void judge_peers(const struct config *config, struct search *search)
{
	for (unsigned i = 0; i < config->peers.allow_count; i++) {
		const struct net_range *range = &config->peers.allow[i];
		char first[NET_ADDRESS_TEXT_SIZE], last[NET_ADDRESS_TEXT_SIZE];
		const char *name = NULL;
		if (special_range_denied(&range->first, &name) ||
			special_range_denied(&range->last, &name))
			warn(search,
				"[peers] allow opens %s-%s, a special-purpose range (%s): clients "
				"reach "
				"hosts there through this node",
				net_address_format(&range->first, first),
				net_address_format(&range->last, last), name);
	}
}

bool config_warning(
	const struct config *config, unsigned index, char text[static CONFIG_WARNING_SIZE])
{
	struct search search = {.left = index, .text = text};

	judge_turn(config, &search);
	judge_peers(config, &search);
	return search.found;
}
