// SPDX-License-Identifier: BSD-3-Clause
// An agent of libnice, others' work, with the manners of agent_peer.c: lines of JSON in and out.
// Wishes:
//
//     {"wish": "start", "controlling": bool, "regular": bool, "bind": [a...], "relay": a, "stun":
//     a,
//      "only_relay": bool, "user": u, "password": w}      ("": none)
//     {"wish": "remote", "fragment": f, "password": p, "candidates": [text...]}
//     {"wish": "send", "data": text}
//
// Told: gathered (fragment, password, candidates), ready, failed, data.
#include <jansson.h>
#include <nice/agent.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMPONENT = 1, PORT = 3478, READY = NICE_COMPONENT_STATE_READY };

static NiceAgent *agent;
static guint stream;

static void say(json_t *object)
{
	if (object == NULL)
		abort();
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

static void on_gathered(NiceAgent *nice, guint of, gpointer context)
{
	json_t *candidates = json_array();
	gchar *fragment, *password;
	(void)context;
	GSList *list = nice_agent_get_local_candidates(nice, of, COMPONENT);
	for (GSList *item = list; item != NULL; item = item->next) {
		gchar *text = nice_agent_generate_local_candidate_sdp(nice, item->data);
		json_array_append_new(candidates, json_string(text));
		g_free(text);
	}
	g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
	if (!nice_agent_get_local_credentials(nice, of, &fragment, &password))
		abort();
	say(json_pack("{ssssssso}", "event", "gathered", "fragment", fragment, "password", password,
		"candidates", candidates));
	g_free(fragment);
	g_free(password);
}

static void on_state(NiceAgent *nice, guint of, guint component, guint state, gpointer context)
{
	(void)nice;
	(void)of;
	(void)component;
	(void)context;
	if (state == READY)
		say(json_pack("{ss}", "event", "ready"));
	else if (state == NICE_COMPONENT_STATE_FAILED)
		say(json_pack("{ss}", "event", "failed"));
}

static void on_data(
	NiceAgent *nice, guint of, guint component, guint size, gchar *data, gpointer context)
{
	(void)nice;
	(void)of;
	(void)component;
	(void)context;
	say(json_pack("{ssss%}", "event", "data", "data", data, (size_t)size));
}

// ---- wishes ----

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

static void start(const json_t *wish)
{
	const json_t *bind = json_object_get(wish, "bind");
	const char *relay = text_of(wish, "relay"), *stun = text_of(wish, "stun");
	NiceAgentOption options = json_is_true(json_object_get(wish, "regular"))
					  ? NICE_AGENT_OPTION_REGULAR_NOMINATION
					  : 0;
	agent = nice_agent_new_full(NULL, NICE_COMPATIBILITY_RFC5245, options);
	g_object_set(agent, "upnp", FALSE, "ice-tcp", FALSE, "controlling-mode",
		json_is_true(json_object_get(wish, "controlling")), "force-relay",
		json_is_true(json_object_get(wish, "only_relay")), NULL);
	if (stun[0] != 0)
		g_object_set(agent, "stun-server", stun, "stun-server-port", PORT, NULL);
	for (size_t i = 0; i < json_array_size(bind); i++) {
		NiceAddress address;
		nice_address_init(&address);
		if (!nice_address_set_from_string(
			    &address, json_string_value(json_array_get(bind, i))))
			abort();
		nice_agent_add_local_address(agent, &address);
	}
	g_signal_connect(agent, "candidate-gathering-done", G_CALLBACK(on_gathered), NULL);
	g_signal_connect(agent, "component-state-changed", G_CALLBACK(on_state), NULL);
	stream = nice_agent_add_stream(agent, COMPONENT);
	if (relay[0] != 0 &&
		!nice_agent_set_relay_info(agent, stream, COMPONENT, relay, PORT,
			text_of(wish, "user"), text_of(wish, "password"), NICE_RELAY_TYPE_TURN_UDP))
		abort();
	nice_agent_attach_recv(agent, stream, COMPONENT, NULL, on_data, NULL);
	if (!nice_agent_gather_candidates(agent, stream))
		abort();
}

static void remote(const json_t *wish)
{
	const json_t *candidates = json_object_get(wish, "candidates");
	GSList *list = NULL;
	if (!nice_agent_set_remote_credentials(
		    agent, stream, text_of(wish, "fragment"), text_of(wish, "password")))
		abort();
	for (size_t i = 0; i < json_array_size(candidates); i++) {
		char line[512];
		snprintf(line, sizeof(line), "a=%s",
			json_string_value(json_array_get(candidates, i)));
		NiceCandidate *candidate =
			nice_agent_parse_remote_candidate_sdp(agent, stream, line);
		if (candidate == NULL) { // what standard agents cannot read is our fault
			fprintf(stderr, "libnice does not read: %s\n", line);
			exit(1);
		}
		list = g_slist_append(list, candidate);
	}
	nice_agent_set_remote_candidates(agent, stream, COMPONENT, list);
	g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
}

static gboolean on_line(GIOChannel *channel, GIOCondition condition, gpointer loop)
{
	gchar *line = NULL;
	json_error_t error;
	(void)condition;
	if (g_io_channel_read_line(channel, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
		g_main_loop_quit(loop);
		return FALSE;
	}
	json_t *wish = json_loads(line, 0, &error);
	const char *name = text_of(wish, "wish"), *data = text_of(wish, "data");
	if (strcmp(name, "start") == 0)
		start(wish);
	else if (strcmp(name, "remote") == 0)
		remote(wish);
	else if (strcmp(name, "send") == 0)
		nice_agent_send(agent, stream, COMPONENT, (guint)strlen(data), data);
	json_decref(wish);
	g_free(line);
	return TRUE;
}

int main(void)
{
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	GIOChannel *channel = g_io_channel_unix_new(0);
	g_io_add_watch(channel, G_IO_IN | G_IO_HUP, on_line, loop);
	g_main_loop_run(loop);
	return 0;
}
