// SPDX-License-Identifier: BSD-3-Clause
// See interfaces.h: reading what the kernel tells. interface_class.c decides what it means.
#include "endpoint/phone/interfaces.h"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { DUMP_SIZE = 32768 }; // the kernel fills at most as much

// Attributes (RTA_*): the next one at *position, its payload and size; NULL: no more.
static const struct rtattr *next_attribute(const uint8_t **position, const uint8_t *end)
{
	const struct rtattr *attribute = (const struct rtattr *)*position;
	size_t left = (size_t)(end - *position);

	if (left < sizeof(*attribute) || attribute->rta_len < sizeof(*attribute) ||
		attribute->rta_len > left)
		return NULL;
	size_t step = RTA_ALIGN((size_t)attribute->rta_len);
	*position += step < left ? step : left;
	return attribute;
}

static const uint8_t *payload(const struct rtattr *attribute)
{
	return (const uint8_t *)attribute + RTA_LENGTH(0);
}

static size_t payload_size(const struct rtattr *attribute)
{
	return attribute->rta_len - RTA_LENGTH(0);
}

static uint32_t number(const struct rtattr *attribute)
{
	uint32_t value = 0;
	if (payload_size(attribute) >= sizeof(value))
		memcpy(&value, payload(attribute), sizeof(value));
	return value;
}

static void word(const struct rtattr *attribute, char out[IFNAMSIZ])
{
	size_t size =
		payload_size(attribute) < IFNAMSIZ - 1 ? payload_size(attribute) : IFNAMSIZ - 1;
	memcpy(out, payload(attribute), size);
	out[size] = 0;
}

static void take_link(struct interfaces *all, const uint8_t *at, const uint8_t *end)
{
	struct ifinfomsg info;
	char name[IFNAMSIZ] = "", kind[IFNAMSIZ] = "";
	struct interface_link link = {0};

	if ((size_t)(end - at) < sizeof(info) || all->link_count == INTERFACES_LINKS_MAX)
		return;
	memcpy(&info, at, sizeof(info));
	at += NLMSG_ALIGN(sizeof(info));
	link.index = (uint32_t)info.ifi_index;
	link.running = (info.ifi_flags & IFF_UP) != 0 && (info.ifi_flags & IFF_RUNNING) != 0;
	for (const struct rtattr *a; (a = next_attribute(&at, end)) != NULL;)
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_IFNAME:
			word(a, name);
			break;
		case IFLA_MASTER:
			link.master = number(a);
			break;
		case IFLA_LINK_NETNSID:
			link.elsewhere = true;
			break;
		case IFLA_LINKINFO: {
			const uint8_t *in = payload(a), *stop = in + payload_size(a);
			for (const struct rtattr *b; (b = next_attribute(&in, stop)) != NULL;)
				if ((b->rta_type & NLA_TYPE_MASK) == IFLA_INFO_KIND)
					word(b, kind);
			break;
		}
		default:
			break;
		}
	link.kind = (info.ifi_flags & IFF_LOOPBACK) != 0 ? INTERFACE_LOOPBACK
							 : interface_kind_of(kind, name);
	all->links[all->link_count++] = link;
}

static void take_address(struct interfaces *all, const uint8_t *at, const uint8_t *end)
{
	struct ifaddrmsg info;
	const struct rtattr *local = NULL, *address = NULL;

	if ((size_t)(end - at) < sizeof(info) || all->address_count == INTERFACES_ADDRESSES_MAX)
		return;
	memcpy(&info, at, sizeof(info));
	at += NLMSG_ALIGN(sizeof(info));
	uint32_t flags = info.ifa_flags;
	for (const struct rtattr *a; (a = next_attribute(&at, end)) != NULL;)
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFA_LOCAL:
			local = a;
			break;
		case IFA_ADDRESS:
			address = a;
			break;
		case IFA_FLAGS: // all of them, where the header has room for eight
			flags = number(a);
			break;
		default:
			break;
		}
	// On a point-to-point link IFA_ADDRESS is the other side's.
	const struct rtattr *own = local != NULL ? local : address;
	size_t size = info.ifa_family == AF_INET ? 4 : info.ifa_family == AF_INET6 ? 16 : 0;
	bool unusable = (flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED)) != 0 ||
			((flags & IFA_F_TENTATIVE) != 0 && (flags & IFA_F_OPTIMISTIC) == 0);
	if (own == NULL || size == 0 || payload_size(own) != size || unusable)
		return;
	struct interface_address *out = &all->addresses[all->address_count++];
	*out = (struct interface_address){
		.link = info.ifa_index,
		.transport.family = size == 4 ? 4 : 6,
		// The same bit says "secondary" of an IPv4 address.
		.temporary = size == 16 && (flags & IFA_F_TEMPORARY) != 0,
	};
	memcpy(out->transport.address, payload(own), size);
}

int interfaces_take(struct interfaces *interfaces, const void *data, size_t size)
{
	const uint8_t *position = data, *end = position + size;

	for (;;) {
		struct nlmsghdr header;
		size_t left = (size_t)(end - position);
		if (left < sizeof(header))
			return 0;
		memcpy(&header, position, sizeof(header));
		if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > left)
			return 0;
		const uint8_t *body = position + NLMSG_HDRLEN;
		const uint8_t *stop = position + header.nlmsg_len;
		if (header.nlmsg_type == NLMSG_DONE)
			return 1;
		if (header.nlmsg_type == NLMSG_ERROR) {
			int error = -EPROTO;
			if ((size_t)(stop - body) >= sizeof(error))
				memcpy(&error, body, sizeof(error));
			return error < 0 ? error : -EPROTO;
		}
		if (header.nlmsg_type == RTM_NEWLINK)
			take_link(interfaces, body, stop);
		else if (header.nlmsg_type == RTM_NEWADDR)
			take_address(interfaces, body, stop);
		size_t step = NLMSG_ALIGN((size_t)header.nlmsg_len);
		position += step < left ? step : left;
	}
}

static int dump(int fd, struct interfaces *interfaces, uint16_t what)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg family;
		struct rtattr attribute;
		uint32_t mask;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			.nlmsg_type = what,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.family = {.ifi_family = AF_UNSPEC},
		.attribute = {.rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = IFLA_EXT_MASK},
		.mask = RTEXT_FILTER_SKIP_STATS,
	};
	_Alignas(struct nlmsghdr) uint8_t buffer[DUMP_SIZE];

	if (send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	for (int result = 0; result == 0;) {
		// Answers lie ready: nothing is waited for.
		ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (got < 0)
			return -errno;
		result = interfaces_take(interfaces, buffer, (size_t)got);
		if (result < 0)
			return result;
	}
	return 0;
}

int interfaces_read(struct interfaces *interfaces)
{
	interfaces->link_count = interfaces->address_count = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return -errno;
	int result = dump(fd, interfaces, RTM_GETLINK);
	if (result == 0)
		result = dump(fd, interfaces, RTM_GETADDR);
	close(fd);
	return result;
}
