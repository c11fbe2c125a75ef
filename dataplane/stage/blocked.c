// SPDX-License-Identifier: BSD-3-Clause
// The twin of the XDP program's first question, for ports without one: datagrams to the relay from
// a blocked source go no further. Runs behind parse, only while there are rules. What is the
// kernel's is not looked at, and neither are ICMP errors: they come from routers on the way, and
// reach a client under its permissions only. Owner worker.
#include "dataplane/guard_rules.h"
#include "dataplane/stage/pass.h"
#include "dataplane/table/own_addresses.h"
#include "dataplane/table/relay_ports.h"

static bool to_the_relay(const struct worker *worker, const struct headers *h)
{
	const struct node_addresses *addresses = worker->addresses;
	unsigned own = own_address_find(addresses, h->family, h->destination);
	uint16_t port = h->destination_port;
	return own != OWN_ADDRESS_NONE &&
	       (port == addresses->port ||
		       (addresses->behaviour_discovery && port == addresses->alternate_port) ||
		       relay_ports_contains(worker->relay_ports, own, port));
}

// Keeps the order of what stays; burst.count shrinks to it. parse was not early.
void stage_blocked(struct pass *pass, const struct guard_table *table)
{
	struct burst *burst = &pass->burst;
	unsigned kept = 0;
	for (unsigned i = 0; i < burst->count; i++) {
		const struct headers *h = &burst->headers[i];
		if (burst->verdict[i] == HEADERS_UDP &&
			guard_table_blocks(table, h->source, h->family) &&
			to_the_relay(burst->worker, h)) {
			pass_drop(pass, i, DROP_blocked);
			continue;
		}
		if (kept != i) {
			burst->mbufs[kept] = burst->mbufs[i];
			burst->headers[kept] = burst->headers[i];
			burst->verdict[kept] = burst->verdict[i];
		}
		kept++;
	}
	burst->count = (uint16_t)kept;
	// Nothing was told apart before; those that are left are in the same order.
	pass->later.count = kept;
}
