// SPDX-License-Identifier: BSD-3-Clause
// What relayctl is told: the admin socket's provider, filled from the node and from the dataplane.
// No answer holds anything of a client.
#pragma once

#include "controlplane/node.h"

struct admin_provider status_provider(struct node *node);
