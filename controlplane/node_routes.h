// SPDX-License-Identifier: BSD-3-Clause
// The mirror of the kernel's routing in its place: between netlink, the dataplane's link and the
// TURN core. The event loop's thread.
#pragma once

struct node;

// 0 or a negative errno.
int node_routes_open(struct node *node);
// Asks the dataplane for its ports; when they are known the mirror follows their interfaces.
void node_ports_ask(struct node *node);

// node.c: routes or allocations are known now. Serves once both are.
void node_serving_maybe(struct node *node);
