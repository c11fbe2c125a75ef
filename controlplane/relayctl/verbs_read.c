// SPDX-License-Identifier: BSD-3-Clause
// Verbs that ask once and print: status, stats, ports, workers, version.

#include "controlplane/relayctl/client.h"
#include "controlplane/relayctl/json.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/relayctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int print_json(json_t *value)
{
	int rc = relayctl_json_print(value, 1, stdout);

	if (rc < 0)
		fprintf(stderr, "relayctl: cannot print: %s\n", strerror(-rc));
	return rc < 0 ? RELAYCTL_FAILED : RELAYCTL_OK;
}

// One list verb on a connection of its own; an exit code.
static int fetch_list(const struct relayctl_options *options, const char *verb, uint32_t type,
	uint32_t size, struct relayctl_list *out)
{
	struct relayctl_client *client;
	int rc = relayctl_client_open(options->socket, &client);

	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	rc = relayctl_client_list(client, type, size, out);
	relayctl_client_close(client);
	return rc < 0 ? relayctl_client_explain(options->socket, verb, rc) : RELAYCTL_OK;
}

int relayctl_status(const struct relayctl_options *options)
{
	struct relayctl_client *client;
	struct admin_status status;
	int rc = relayctl_client_open(options->socket, &client);

	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	rc = relayctl_client_ask(client, ADMIN_STATUS, NULL, 0, &status, sizeof(status));
	relayctl_client_close(client);
	if (rc < 0)
		return relayctl_client_explain(options->socket, "status", rc);
	relayctl_clean_status(&status);
	rc = RELAYCTL_OK;
	if (options->json)
		rc = print_json(relayctl_json_status(&status));
	else
		relayctl_print_status(&status, stdout);
	// For scripts: a relay that serves nobody is a failure.
	return status.state == ADMIN_STATE_UNREACHABLE ? RELAYCTL_FAILED : rc;
}

int relayctl_stats(const struct relayctl_options *options)
{
	struct relayctl_list list = {0};
	int rc = fetch_list(options, "stats", ADMIN_STATS, sizeof(struct api_counter), &list);

	if (rc != RELAYCTL_OK)
		return rc;
	relayctl_clean_counters(list.items, list.count);
	if (options->json)
		rc = print_json(relayctl_json_stats(list.items, list.count));
	else
		relayctl_print_stats(list.items, list.count, options->all, stdout);
	free(list.items);
	return rc;
}

int relayctl_ports(const struct relayctl_options *options)
{
	struct relayctl_list list = {0};
	int rc = fetch_list(options, "ports", ADMIN_PORTS, sizeof(struct api_port), &list);

	if (rc != RELAYCTL_OK)
		return rc;
	relayctl_clean_ports(list.items, list.count);
	if (options->json)
		rc = print_json(relayctl_json_ports(list.items, list.count));
	else
		relayctl_print_ports(list.items, list.count, stdout);
	free(list.items);
	return rc;
}

int relayctl_workers(const struct relayctl_options *options)
{
	struct relayctl_list list = {0}, ports = {0};
	int rc = fetch_list(options, "workers", ADMIN_WORKERS, sizeof(struct api_worker), &list);

	if (rc == RELAYCTL_OK)
		rc = fetch_list(options, "workers", ADMIN_PORTS, sizeof(struct api_port), &ports);
	if (rc == RELAYCTL_OK) {
		relayctl_clean_ports(ports.items, ports.count);
		if (options->json)
			rc = print_json(relayctl_json_workers(
				list.items, list.count, ports.items, ports.count));
		else
			relayctl_print_workers(
				list.items, list.count, ports.items, ports.count, stdout);
	}
	free(list.items);
	free(ports.items);
	return rc;
}

// Our own version is an answer even when nothing is running.
int relayctl_version(const struct relayctl_options *options)
{
	struct relayctl_client *client;
	struct admin_versions versions;
	bool known = false;

	if (relayctl_client_open(options->socket, &client) == 0) {
		known = relayctl_client_ask(
				client, ADMIN_VERSIONS, NULL, 0, &versions, sizeof(versions)) == 0;
		relayctl_client_close(client);
	}
	if (known) {
		relayctl_clean_text(versions.controlplane, sizeof(versions.controlplane));
		relayctl_clean_text(versions.dataplane, sizeof(versions.dataplane));
	}
	if (options->json)
		return print_json(relayctl_json_versions(VERSION, known ? &versions : NULL));
	printf("relayctl            %s\n", VERSION);
	printf("relay-controlplane  %s\n", known ? versions.controlplane : "not reachable");
	printf("relay-dataplane     %s\n",
		known && versions.dataplane[0] != 0 ? versions.dataplane : "not reachable");
	return RELAYCTL_OK;
}
