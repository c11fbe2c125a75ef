// SPDX-License-Identifier: BSD-3-Clause
// See socket_address.h.
#include "endpoint/socket_address.h"

#include <netinet/in.h>

#include <string.h>

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
