// SPDX-License-Identifier: BSD-3-Clause
// Any bytes as a configuration file. Held: what is accepted keeps the promises of
// lib/config/config.h, what is refused is told in one line with its place, and everything can be
// freed.
#include "lib/config/config.h"

#include <errno.h>
#include <stdlib.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

static bool terminated(const char *text, size_t size)
{
	return memchr(text, 0, size) != NULL;
}

static void check_ports(const struct config *c)
{
	require(c->dataplane.port_count >= 1 && c->dataplane.port_count <= CONFIG_PORTS_MAX);
	for (unsigned i = 0; i < c->dataplane.port_count; i++) {
		const struct config_port *p = &c->dataplane.ports[i];
		require(terminated(p->target, sizeof(p->target)) && p->target[0] != 0);
		require(terminated(p->kernel, sizeof(p->kernel)));
		require(p->queues <= 64);
		require(p->type == CONFIG_PORT_MEMIF || (!p->memif_server && p->memif_id == 0));
	}
	require(c->dataplane.workers >= 1 && c->dataplane.workers <= 64);
	require(c->dataplane.core_count == 0 ||
		c->dataplane.core_count == c->dataplane.workers + 1);
}

static void check_address(const struct config *c)
{
	require(c->address.listen_count >= 1 && c->address.listen_count <= CONFIG_LISTEN_MAX);
	for (unsigned i = 0; i < c->address.listen_count; i++)
		for (unsigned k = 0; k < i; k++)
			require(!net_address_equal(&c->address.listen[i], &c->address.listen[k]));
	require(c->address.relay_first >= 1024 && c->address.relay_first <= c->address.relay_last);
	require(c->address.port != 0 && c->address.port != c->address.alternate_port);
	require(c->address.port < c->address.relay_first ||
		c->address.port > c->address.relay_last);
	require(c->address.alternate_port < c->address.relay_first ||
		c->address.alternate_port > c->address.relay_last);
}

static void check_turn(const struct config *c)
{
	unsigned auth = c->turn.auth;

	require(auth == CONFIG_AUTH_OPEN ||
		(auth != 0 && (auth & ~(unsigned)(CONFIG_AUTH_STATIC | CONFIG_AUTH_REST)) == 0));
	require((auth & CONFIG_AUTH_REST) ? c->turn.secret_count > 0 : c->turn.secret_count == 0);
	require((auth & CONFIG_AUTH_STATIC) ? c->turn.user_count > 0 : c->turn.user_count == 0);
	for (unsigned i = 0; i < c->turn.user_count; i++)
		require(c->turn.users[i].name[0] != 0 && c->turn.users[i].password[0] != 0);
	require(c->turn.realm[0] != 0 && terminated(c->turn.realm, sizeof(c->turn.realm)));
	require(c->turn.max_lifetime >= 600);
	for (unsigned i = 0; i < c->peers.allow_count; i++)
		require(net_address_compare(&c->peers.allow[i].first, &c->peers.allow[i].last) <=
			0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Up to the first zero byte: the rest of a file with one is refused before anything is parsed.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR_SIZE], warning[CONFIG_WARNING_SIZE];
	struct config *config = NULL;

	char *text = malloc(size + 1);
	require(text != NULL);
	memcpy(text, data, size);
	text[size] = 0;
	memset(error, 'x', sizeof(error));
	int rc = config_parse(text, "f", &config, error);
	if (rc < 0) {
		require(rc == -EINVAL && config == NULL);
		require(terminated(error, sizeof(error)) && strchr(error, '\n') == NULL);
		require(strncmp(error, "f:", 2) == 0 && atoi(error + 2) >= (*text != 0));
		free(text);
		return 0;
	}
	free(text);
	check_ports(config);
	check_address(config);
	check_turn(config);
	for (unsigned i = 0; config_warning(config, i, warning); i++)
		require(terminated(warning, sizeof(warning)));
	config_free(config);
	return 0;
}
