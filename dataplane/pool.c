// SPDX-License-Identifier: BSD-3-Clause
// See pool.h.
#include "dataplane/pool.h"

#include "dataplane/burst.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <errno.h>

// Objects lie at equal distances from the piece's start: the last one ends where count times the
// size does.
static bool without_gaps(struct rte_mempool *pool)
{
	const struct rte_mempool_memhdr *memory = STAILQ_FIRST(&pool->mem_list);
	uintptr_t last = 0;
	struct rte_mempool_objhdr *header;
	STAILQ_FOREACH(header, &pool->elt_list, next)
	if ((uintptr_t)header > last)
		last = (uintptr_t)header;
	last += sizeof(*header) - pool->header_size; // the header stands right before the object
	size_t size = rte_mempool_calc_obj_size(pool->elt_size, pool->flags, NULL);
	return last + size <= (uintptr_t)memory->addr + (size_t)pool->populated_size * size;
}

int pool_create(
	unsigned count, uint16_t room, bool physical, bool registered, struct rte_mempool **out)
{
	struct rte_pktmbuf_pool_private sizes = {
		.mbuf_data_room_size = room,
		.mbuf_priv_size = PACKET_PRIVATE_SIZE,
	};
	int result = -ENOMEM;
	struct rte_mempool *pool = rte_mempool_create_empty("packets", count,
		(unsigned)sizeof(struct rte_mbuf) + PACKET_PRIVATE_SIZE + room, POOL_CACHE,
		sizeof(sizes), SOCKET_ID_ANY, physical ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (!pool)
		return result;
	if (rte_mempool_set_ops_byname(pool, "ring_mp_mc", NULL) != 0)
		goto failed;
	rte_pktmbuf_pool_init(pool, &sizes);
	if (rte_mempool_populate_default(pool) < 0 || pool->nb_mem_chunks != 1)
		goto failed;
	if (registered && !without_gaps(pool)) {
		result = -ENOTSUP;
		goto failed;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	*out = pool;
	return 0;
failed:
	rte_mempool_free(pool);
	return result;
}
