// SPDX-License-Identifier: BSD-3-Clause
// What relayctl is told: the admin socket's provider, filled from the node and from the dataplane.
// No answer holds anything of a client.
#pragma once

#include "controlplane/node.h"

struct admin_provider status_provider(struct node *node);

// One more warning of `relayctl status`, as far as there is room.
void status_warn(struct admin_status *status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
