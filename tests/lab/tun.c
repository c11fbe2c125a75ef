// SPDX-License-Identifier: BSD-3-Clause
// See tun.h.
#include "tests/lab/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// In the namespace that is entered: a device belongs to the one in which /dev/net/tun was opened.
static int open_here(const char *interface)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	if (strlen(interface) >= sizeof(request.ifr_name))
		return -ENAMETOOLONG;
	strcpy(request.ifr_name, interface);
	int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tun < 0)
		return -errno;
	if (ioctl(tun, TUNSETIFF, &request) < 0) {
		int error = -errno;
		close(tun);
		return error;
	}
	return tun;
}

int tun_open(const char *netns, const char *interface)
{
	char path[128];
	int result = -ENAMETOOLONG;
	if (snprintf(path, sizeof(path), "/run/netns/%s", netns) >= (int)sizeof(path))
		return result;
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int there = open(path, O_RDONLY | O_CLOEXEC);
	if (own < 0 || there < 0 || setns(there, CLONE_NEWNET) < 0)
		result = -errno;
	else
		result = open_here(interface);
	// Nothing that follows would be right in another namespace.
	if (own >= 0 && setns(own, CLONE_NEWNET) < 0)
		abort();
	if (there >= 0)
		close(there);
	if (own >= 0)
		close(own);
	return result;
}
