// SPDX-License-Identifier: BSD-3-Clause
// See turn_base.h. Between two cores that may call each other: the agent's `send` leads to
// turn_client_send, which tells no events, so nothing comes back into the agent from inside of it.
#include "endpoint/turn/turn_base.h"

#include "endpoint/turn/client.h"

#include <errno.h>
#include <stdlib.h>

struct turn_base {
	struct agent *agent;
	unsigned number;
	uint8_t family;
	bool known;                        // to the agent
	struct endpoint_transport relayed; // its candidate
	struct turn_base_output output;
	struct turn_client *client; // its clock is the base's as well
};

static void forget(struct turn_base *base)
{
	if (!base->known)
		return;
	base->known = false;
	agent_base_remove(base->agent, base->number, base->client->now);
}

static void allocated(struct turn_base *base, const struct turn_client_event *event)
{
	const struct endpoint_transport *relayed = &event->allocated.relayed;
	if (base->known)
		agent_candidate_remove(
			base->agent, base->number, &base->relayed, base->client->now);
	else if (agent_base_add(base->agent, base->number, base->family, AGENT_TURN,
			 base->client->now) != 0)
		return;
	base->known = true;
	base->relayed = *relayed;
	agent_candidate_add(
		base->agent, base->number, AGENT_RELAYED, AGENT_NORMAL, relayed, base->client->now);
}

static void data_came(struct turn_base *base, const struct turn_client_event *event)
{
	if (!base->known || agent_receive(base->agent, base->number, &event->peer, event->data,
				    event->size, base->client->now))
		return;
	base->output.data(
		base->output.context, base->number, &event->peer, event->data, event->size);
}

static void on_event(void *context, const struct turn_client_event *event)
{
	struct turn_base *base = context;
	switch (event->type) {
	case TURN_CLIENT_DATA:
		data_came(base, event);
		return;
	case TURN_CLIENT_ALLOCATED:
		allocated(base, event);
		break;
	case TURN_CLIENT_FAILED:
	case TURN_CLIENT_RELEASED:
		forget(base);
		break;
	case TURN_CLIENT_PERMITTED:
	case TURN_CLIENT_DENIED:
	case TURN_CLIENT_BOUND:
		break;
	}
	if (base->output.event != NULL)
		base->output.event(base->output.context, base->number, event);
}

// ---- for the owner ----

static void send_to_server(
	void *context, const struct endpoint_transport *server, const uint8_t *data, size_t size)
{
	struct turn_base *base = context;
	base->output.send(base->output.context, server, data, size);
}

static void on_deadline(void *context, uint64_t at_ms)
{
	struct turn_base *base = context;
	if (base->output.deadline != NULL)
		base->output.deadline(base->output.context, at_ms);
}

int turn_base_create(struct turn_base **out, struct agent *agent, unsigned number,
	const struct turn_client_config *config, const struct turn_base_output *output)
{
	*out = NULL;
	struct turn_base *base = calloc(1, sizeof(*base));
	if (base == NULL)
		return -ENOMEM;
	const struct turn_client_output client_output = {
		base, send_to_server, on_event, on_deadline};
	base->agent = agent;
	base->number = number;
	base->family = config->family;
	base->output = *output;
	int result = turn_client_create(&base->client, config, &client_output);
	if (result != 0) {
		free(base);
		return result;
	}
	*out = base;
	return 0;
}

void turn_base_free(struct turn_base *base)
{
	if (base == NULL)
		return;
	turn_client_free(base->client);
	free(base);
}

struct turn_client *turn_base_client(const struct turn_base *base)
{
	return base->client;
}

void turn_base_send(struct turn_base *base, const struct endpoint_transport *destination,
	const uint8_t *data, size_t size, uint64_t now_ms)
{
	(void)turn_client_send(base->client, destination, data, size, now_ms);
}

bool turn_base_receive(struct turn_base *base, const struct endpoint_transport *source,
	const uint8_t *data, size_t size, uint64_t now_ms)
{
	return turn_client_receive(base->client, source, data, size, now_ms);
}

int turn_base_use(struct turn_base *base, const struct endpoint_transport *remote, uint64_t now_ms)
{
	return turn_client_bind(base->client, remote, now_ms);
}
