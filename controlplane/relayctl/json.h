// SPDX-License-Identifier: BSD-3-Clause
// relayctl's answers as JSON (-j). Keys are stable: scripts read them. All return a new reference.
#pragma once

#include "controlplane/admin/messages.h"

#include <jansson.h>

#include <stddef.h>
#include <stdio.h>

json_t *relayctl_json_status(const struct admin_status *status);
json_t *relayctl_json_versions(const char *own, const struct admin_versions *versions);
json_t *relayctl_json_ports(const struct api_port *ports, size_t count);
json_t *relayctl_json_workers(const struct api_worker *workers, size_t count,
	const struct api_port *ports, size_t port_count);
json_t *relayctl_json_changes(const struct admin_change *changes, size_t count, int check);
json_t *relayctl_json_stats(const struct api_counter *counters, size_t count);

// Prints one line, or indented; releases value. 0, or -ENOMEM when value is NULL, or -EIO.
int relayctl_json_print(json_t *value, int indented, FILE *out);
