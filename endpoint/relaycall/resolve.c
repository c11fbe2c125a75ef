// SPDX-License-Identifier: BSD-3-Clause
// See resolve.h. Blocks as the host's resolver does.
#include "endpoint/relaycall/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static bool take(struct endpoint_transport *out, const struct sockaddr *address, uint16_t port)
{
	*out = (struct endpoint_transport){.port = port};
	if (address->sa_family == AF_INET) {
		out->family = 4;
		memcpy(out->address, &((const struct sockaddr_in *)address)->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		out->family = 6;
		memcpy(out->address, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
	}
	return out->family != 0;
}

size_t resolve_relay(const struct endpoint_contact_relay *relay,
	struct endpoint_transport out[ENDPOINT_RELAYS_MAX], char *error, size_t size)
{
	size_t found = 0;

	snprintf(error, size, "there is none");
	for (size_t i = 0; i < relay->address_count && found < ENDPOINT_RELAYS_MAX; i++) {
		const struct endpoint_contact_address *address = &relay->addresses[i];
		if (address->name[0] == 0) {
			out[found++] = address->transport;
			continue;
		}
		const struct addrinfo hints = {
			.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
		struct addrinfo *list = NULL;
		int failed = getaddrinfo(address->name, NULL, &hints, &list);
		if (failed != 0) {
			snprintf(error, size, "%s: %s", address->name, gai_strerror(failed));
			continue;
		}
		for (struct addrinfo *a = list; a != NULL && found < ENDPOINT_RELAYS_MAX;
			a = a->ai_next)
			found += take(&out[found], a->ai_addr, address->transport.port);
		freeaddrinfo(list);
	}
	return found;
}
