// SPDX-License-Identifier: BSD-3-Clause
// From a relayed port to an allocation and its client, see peer_side.h. Owner worker.
#include "dataplane/stage/peer_side.h"

bool peer_side_owner(struct pass *pass, unsigned at, unsigned address, uint16_t port, bool hand_off,
	uint32_t *slot, uint32_t *handle)
{
	struct worker *worker = pass->burst.worker;
	struct relay_port_owner owner;
	if (!relay_ports_find(worker->relay_ports, address, port, &owner)) {
		pass_drop(pass, at, DROP_no_allocation);
		return false;
	}
	if (owner.worker != worker->id) {
		if (!hand_off) {
			pass_drop(pass, at, DROP_not_owner);
			return false;
		}
		struct rte_mbuf *mbuf = pass->burst.mbufs[at];
		((struct packet_private *)rte_mbuf_to_priv(mbuf))->flow = owner.slot;
		worker_hand_off(worker, owner.worker, mbuf, pass->burst.port);
		return false;
	}
	*slot = owner.slot;
	*handle = mappings_handle(owner.slot, owner.generation);
	return true;
}

struct allocation *peer_side_allocation(
	struct pass *pass, unsigned at, uint32_t slot, uint32_t handle)
{
	struct allocation *a = &pass->burst.worker->mappings->allocations[slot];
	if (a->id == 0 || mappings_handle(slot, a->generation) != handle) {
		pass_drop(pass, at, DROP_generation_stale);
		return NULL;
	}
	if (ticks_passed(a->deadline, pass->tick)) {
		pass_drop(pass, at, DROP_allocation_expired);
		return NULL;
	}
	return a;
}

bool peer_side_permitted(const struct mappings *m, uint32_t handle, const uint8_t *peer,
	unsigned family, uint32_t tick)
{
	struct permission_key key;
	permission_key_set(&key, peer, family, handle);
	uint32_t index = mappings_find_permission(m, permission_key_hash(m, &key), &key);
	return index != MAPPINGS_NONE && permission_lives(m, index, tick);
}

uint16_t peer_side_server_port(const struct node_addresses *addresses, unsigned server)
{
	return server & SERVER_ALTERNATE_PORT ? addresses->alternate_port : addresses->port;
}

void peer_side_to_client(
	const struct worker *worker, const struct allocation *a, struct datagram *out)
{
	out->source = worker->addresses->listen[a->server & SERVER_INDEX_MASK].bytes;
	out->source_port = peer_side_server_port(worker->addresses, a->server);
	out->destination = a->client;
	out->destination_port = a->client_port;
	out->family = a->client_family;
}
