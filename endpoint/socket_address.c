// SPDX-License-Identifier: BSD-3-Clause
// See socket_address.h.
#include "endpoint/socket_address.h"

#include <linux/in6.h>
#include <netinet/in.h>

#include <string.h>
#include <unistd.h>

socklen_t socket_address_make(
	const struct endpoint_transport *transport, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (transport->family == 4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)out;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(transport->port);
		memcpy(&v4->sin_addr, transport->address, 4);
		return sizeof(*v4);
	}
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(transport->port);
	memcpy(&v6->sin6_addr, transport->address, 16);
	return sizeof(*v6);
}

struct endpoint_transport socket_address_read(const struct sockaddr *address)
{
	struct endpoint_transport t = {0};

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
		t.family = 4;
		t.port = ntohs(v4->sin_port);
		memcpy(t.address, &v4->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
		t.family = 6;
		t.port = ntohs(v6->sin6_port);
		memcpy(t.address, &v6->sin6_addr, 16);
	}
	return t;
}

void socket_address_prefer_temporary(int fd)
{
	int preference = IPV6_PREFER_SRC_TMP;
	setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &preference, sizeof(preference));
}

// connect() of a datagram socket sends nothing; it looks the route up.
struct endpoint_transport socket_address_source(const struct endpoint_transport *destination)
{
	struct endpoint_transport own = {0};
	struct sockaddr_storage address;
	socklen_t size = socket_address_make(destination, &address);

	int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return own;
	if (destination->family == 6)
		socket_address_prefer_temporary(fd);
	bool found = connect(fd, (const struct sockaddr *)&address, size) == 0;
	size = sizeof(address);
	if (found && getsockname(fd, (struct sockaddr *)&address, &size) == 0)
		own = socket_address_read((const struct sockaddr *)&address);
	own.port = 0;
	close(fd);
	return own;
}
