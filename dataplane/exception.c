// SPDX-License-Identifier: BSD-3-Clause
// Exception TAPs; see exception.h.

#include "dataplane/exception.h"

#include "dataplane/dataplane.h"
#include "dataplane/interface.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int exception_open(const struct port *port)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	struct interface_facts facts;
	// Opening a TAP by name joins one that exists; ours is new.
	if (interface_facts(port->kernel_interface, &facts) == 0)
		return -EEXIST;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", port->kernel_interface);
	int result = ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : 0;
	if (result == 0)
		result = interface_set_mac(port->kernel_interface, port->mac);
	if (result == 0)
		result = interface_set_mtu(port->kernel_interface, port->mtu);
	if (result == 0)
		result = interface_set_up(port->kernel_interface);
	if (result) {
		close(fd);
		return result;
	}
	return fd;
}

void exception_to_kernel(int fd, struct rte_mbuf *mbuf)
{
	// A full TAP queue drops, as a full interface queue would.
	if (mbuf->nb_segs == 1 &&
		write(fd, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_data_len(mbuf)) < 0) {
	}
	launder_mbuf(mbuf);
	rte_pktmbuf_free(mbuf);
}

static bool queue_frame(struct dataplane *dataplane, const struct port *port, struct rte_mbuf *mbuf)
{
	struct packet_private *private = rte_mbuf_to_priv(mbuf);
	struct worker *worker = dataplane->workers[port->queue_owner[0]];
	private->kind = PACKET_TRANSMIT;
	private->port = port->id;
	if (rte_ring_sp_enqueue(worker->machine->from_main, mbuf) != 0)
		return false;
	doorbell_ring(&worker->machine->rest.bell);
	return true;
}

unsigned exception_from_kernel(struct dataplane *dataplane, const struct port *port, int fd)
{
	unsigned count = 0;
	while (count < EXCEPTION_BATCH) {
		struct rte_mbuf *mbuf = rte_pktmbuf_alloc(dataplane->pool);
		if (!mbuf)
			return count;
		ssize_t length =
			read(fd, rte_pktmbuf_mtod(mbuf, void *), rte_pktmbuf_tailroom(mbuf));
		if (length <= 0) {
			rte_pktmbuf_free(mbuf);
			return count;
		}
		rte_pktmbuf_append(mbuf, (uint16_t)length);
		count++;
		if (!queue_frame(dataplane, port, mbuf)) {
			launder_mbuf(mbuf);
			rte_pktmbuf_free(mbuf);
		}
	}
	return count;
}
