// SPDX-License-Identifier: BSD-3-Clause
// Which worker serves which queue, and the hand-off rings between workers. Main lcore, before the
// workers start.
#pragma once

struct dataplane;

// Gives every receive queue of every port an owner and every worker a way to transmit on every
// port; makes the rings. 0 or -ENOMEM.
int queues_arrange(struct dataplane *dataplane);
