// SPDX-License-Identifier: BSD-3-Clause
// Interface ioctls; see interface.h.

#include "dataplane/interface.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

// 0 or -errno; request carries what goes in and comes out.
static int ask(const char *name, unsigned long code, struct ifreq *request)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	strncpy(request->ifr_name, name, IFNAMSIZ - 1);
	request->ifr_name[IFNAMSIZ - 1] = '\0';
	int result = ioctl(fd, code, request) < 0 ? -errno : 0;
	close(fd);
	return result;
}

static unsigned channels(const char *name)
{
	struct ethtool_channels answer = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (void *)&answer};
	if (ask(name, SIOCETHTOOL, &request) < 0 || answer.max_combined == 0 ||
		answer.combined_count == 0)
		return 1;
	return answer.combined_count;
}

int interface_facts(const char *name, struct interface_facts *out)
{
	struct ifreq request = {0};
	memset(out, 0, sizeof(*out));
	int result = ask(name, SIOCGIFINDEX, &request);
	if (result)
		return result;
	out->index = request.ifr_ifindex;
	if ((result = ask(name, SIOCGIFFLAGS, &request)) != 0)
		return result;
	out->up = request.ifr_flags & IFF_UP;
	if ((result = ask(name, SIOCGIFMTU, &request)) != 0)
		return result;
	out->mtu = request.ifr_mtu > UINT16_MAX ? UINT16_MAX : (uint16_t)request.ifr_mtu;
	if ((result = ask(name, SIOCGIFHWADDR, &request)) != 0)
		return result;
	memcpy(out->mac, request.ifr_hwaddr.sa_data, sizeof(out->mac));
	out->channels = channels(name);
	return 0;
}

int interface_set_mac(const char *name, const uint8_t mac[static 6])
{
	struct ifreq request = {0};
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac, 6);
	return ask(name, SIOCSIFHWADDR, &request);
}

int interface_set_mtu(const char *name, uint16_t mtu)
{
	struct ifreq request = {.ifr_mtu = mtu};
	return ask(name, SIOCSIFMTU, &request);
}

int interface_set_up(const char *name)
{
	struct ifreq request = {0};
	int result = ask(name, SIOCGIFFLAGS, &request);
	if (result)
		return result;
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
	return ask(name, SIOCSIFFLAGS, &request);
}
