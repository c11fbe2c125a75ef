// SPDX-License-Identifier: BSD-3-Clause
// reload: the control plane reads its configuration file again, and tells what became of it.

#include "controlplane/relayctl/client.h"
#include "controlplane/relayctl/json.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/relayctl.h"

#include <stdio.h>
#include <stdlib.h>

static const char *refusal(const struct relayctl_list *list)
{
	const struct admin_change *changes = list->items;

	for (size_t i = 0; i < list->count; i++)
		if (changes[i].outcome == ADMIN_REFUSED)
			return changes[i].text;
	return NULL;
}

int relayctl_reload(const struct relayctl_options *options)
{
	struct relayctl_client *client;
	struct relayctl_list list = {0};
	int rc = relayctl_client_open(options->socket, &client);

	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	rc = relayctl_client_list(client, options->check ? ADMIN_RELOAD_CHECK : ADMIN_RELOAD,
		sizeof(struct admin_change), &list);
	relayctl_client_close(client);
	if (rc < 0)
		return relayctl_client_explain(options->socket, "reload", rc);
	relayctl_clean_changes(list.items, list.count);
	const char *error = refusal(&list);
	int code = error != NULL ? RELAYCTL_FAILED : RELAYCTL_OK;
	if (options->json) {
		if (relayctl_json_print(
			    relayctl_json_changes(list.items, list.count, options->check), 1,
			    stdout) < 0)
			code = RELAYCTL_FAILED;
	} else if (error != NULL) {
		fprintf(stderr, "%s\nrelayctl: reload: refused, nothing has changed\n", error);
	} else {
		relayctl_print_changes(list.items, list.count, options->check, stdout);
	}
	free(list.items);
	return code;
}
