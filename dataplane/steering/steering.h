// SPDX-License-Identifier: BSD-3-Clause
// Which way each port brings what peers send to a relayed port to the worker that owns the mapping;
// see README.md here. Main lcore, before the workers start and at the end.
#pragma once

#include "dataplane/api/messages.h"
#include "dataplane/steering/flow_rules.h"
#include "dataplane/steering/ntuple.h"
#include "dataplane/steering/rss_plan.h"

struct dataplane;
struct port;

// Of one port. [0] IPv4, [1] IPv6.
struct port_steering {
	uint8_t way[2]; // enum api_steering_way; 0: the relay has no address of the family
	bool planned;   // plan is to be configured; whether it is in force, way tells
	struct rss_plan plan;
	struct flow_rules flows[2];
	struct ntuple_rules ntuple;
};

// Ports are made, not yet configured: which of them get a key and table of ours.
void steering_plan(struct dataplane *dataplane);
// Ports are started and every queue has its worker: sets tables and rules, and with them the homes
// of relayed ports. What a device does not do, another way does; the last one, handing packets from
// worker to worker, always works.
void steering_apply(struct dataplane *dataplane);
// The range of relayed ports is another one: rules are made anew. Control planes should ask for the
// homes again.
void steering_range_changed(struct dataplane *dataplane);
// Takes rules out that were made for this port.
void steering_leave(struct port_steering *steering);
