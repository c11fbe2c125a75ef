// SPDX-License-Identifier: BSD-3-Clause
// drain and undrain. Draining is a flag of the dataplane: it stays when the control plane restarts,
// and so does the wait for it.

#include "controlplane/relayctl/client.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/relayctl.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	POLL_MS = 500,
	RECONNECT_MS = 30000, // how long a restart of the control plane may take while we wait
};

static void sleep_ms(unsigned milliseconds)
{
	struct timespec time = {
		.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};

	nanosleep(&time, NULL);
}

static int fetch_status(const char *path, struct admin_status *status)
{
	struct relayctl_client *client;
	int rc = relayctl_client_open(path, &client);

	if (rc < 0)
		return rc;
	rc = relayctl_client_ask(client, ADMIN_STATUS, NULL, 0, status, sizeof(*status));
	relayctl_client_close(client);
	return rc;
}

// Until no allocation is left; an exit code.
static int wait_drained(const struct relayctl_options *options)
{
	bool terminal = isatty(STDOUT_FILENO);
	struct admin_status status;
	uint64_t shown = UINT64_MAX;
	unsigned lost_ms = 0;

	for (;; sleep_ms(POLL_MS)) {
		int rc = fetch_status(options->socket, &status);
		if (rc < 0 || status.state == ADMIN_STATE_UNREACHABLE) {
			lost_ms += POLL_MS;
			if (lost_ms < RECONNECT_MS)
				continue;
			return rc < 0 ? relayctl_client_explain(options->socket, NULL, rc)
				      : relayctl_client_explain(
						options->socket, "drain", -ENOTCONN);
		}
		lost_ms = 0;
		if (status.state != ADMIN_STATE_DRAINING) {
			fprintf(stderr,
				"relayctl: drain: somebody ended the draining: %" PRIu64
				" allocations are live\n",
				status.allocations);
			return RELAYCTL_FAILED;
		}
		if (status.allocations == 0)
			break;
		if (status.allocations != shown && terminal && !options->json) {
			printf("%" PRIu64 " allocation%s left\n", status.allocations,
				status.allocations == 1 ? "" : "s");
			fflush(stdout);
		}
		shown = status.allocations;
	}
	if (!options->json)
		puts("drained: no allocation is left");
	return RELAYCTL_OK;
}

static int change(const struct relayctl_options *options, const char *verb, uint32_t type,
	const void *request, uint32_t size)
{
	struct relayctl_client *client;
	int rc = relayctl_client_open(options->socket, &client);

	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	rc = relayctl_client_ask(client, type, request, size, NULL, 0);
	relayctl_client_close(client);
	return rc < 0 ? relayctl_client_explain(options->socket, verb, rc) : RELAYCTL_OK;
}

int relayctl_drain(const struct relayctl_options *options)
{
	struct admin_drain drain = {.deadline_ms = options->has_deadline
							   ? options->deadline_s * 1000
							   : ADMIN_NO_DEADLINE};
	int rc = change(options, "drain", ADMIN_DRAIN, &drain, sizeof(drain));

	if (rc != RELAYCTL_OK)
		return rc;
	if (!options->json) {
		if (options->has_deadline)
			printf("draining: new allocations are refused, live ones end within %u s\n",
				options->deadline_s);
		else
			puts("draining: new allocations are refused, live ones are served until "
			     "they "
			     "end");
	}
	if (options->wait)
		rc = wait_drained(options);
	if (options->json && rc == RELAYCTL_OK)
		printf("{\"draining\":true,\"drained\":%s}\n", options->wait ? "true" : "null");
	return rc;
}

int relayctl_undrain(const struct relayctl_options *options)
{
	int rc = change(options, "undrain", ADMIN_UNDRAIN, NULL, 0);

	if (rc == RELAYCTL_OK)
		puts(options->json ? "{\"draining\":false}"
				   : "serving: new allocations are accepted");
	return rc;
}
