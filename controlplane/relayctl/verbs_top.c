// SPDX-License-Identifier: BSD-3-Clause
// top: what the relay does now, in rates between two readings. One round (two readings) when stdout
// is no terminal, so that `relayctl top | grep` works.

#include "controlplane/relayctl/client.h"
#include "controlplane/relayctl/json.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/relayctl.h"
#include "controlplane/relayctl/sample.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double clock_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int fetch(struct relayctl_client *client, struct relayctl_sample *sample)
{
	int rc = relayctl_client_ask(
		client, ADMIN_STATUS, NULL, 0, &sample->status, sizeof(sample->status));

	if (rc == 0)
		rc = relayctl_client_list(
			client, ADMIN_WORKERS, sizeof(struct api_worker), &sample->workers);
	if (rc == 0)
		rc = relayctl_client_list(
			client, ADMIN_STATS, sizeof(struct api_counter), &sample->counters);
	if (rc == 0) {
		relayctl_clean_status(&sample->status);
		relayctl_clean_counters(sample->counters.items, sample->counters.count);
		sample->time_s = clock_s();
	}
	return rc;
}

static void wait_s(double seconds)
{
	time_t whole = (time_t)seconds;
	struct timespec time = {
		.tv_sec = whole, .tv_nsec = (long)((seconds - (double)whole) * 1e9)};

	nanosleep(&time, NULL);
}

static int run(struct relayctl_client *client, const struct relayctl_options *options)
{
	bool terminal = isatty(STDOUT_FILENO);
	unsigned rounds = options->has_count ? options->count : terminal && !options->json ? 0 : 1;
	struct relayctl_sample samples[2] = {0};
	int rc = fetch(client, &samples[0]);

	for (unsigned round = 1; rc == 0; round++) {
		struct relayctl_sample *before = &samples[(round + 1) % 2];
		struct relayctl_sample *now = &samples[round % 2];
		wait_s(options->delay_s);
		relayctl_sample_clear(now);
		rc = fetch(client, now);
		if (rc < 0)
			break;
		if (options->json) {
			relayctl_json_print(relayctl_sample_json(before, now), 0, stdout);
		} else {
			if (terminal)
				fputs("\033[H\033[2J", stdout);
			relayctl_sample_print(before, now, stdout);
		}
		fflush(stdout);
		if (ferror(stdout) || round == rounds)
			break;
	}
	relayctl_sample_clear(&samples[0]);
	relayctl_sample_clear(&samples[1]);
	return rc;
}

int relayctl_top(const struct relayctl_options *options)
{
	struct relayctl_client *client;
	int rc = relayctl_client_open(options->socket, &client);

	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	rc = run(client, options);
	relayctl_client_close(client);
	return rc < 0 ? relayctl_client_explain(options->socket, "top", rc) : RELAYCTL_OK;
}
