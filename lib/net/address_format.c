// SPDX-License-Identifier: BSD-3-Clause
// Addresses into text. In a file apart from the parsers: the dataplane reads addresses in its
// configuration, and must not be able to write one. Pure functions, any thread.
#include "lib/net/address_text.h"

#include <arpa/inet.h>
#include <stdio.h>

const char *net_address_format(
	const struct net_address *address, char text[static NET_ADDRESS_TEXT_SIZE])
{
	text[0] = 0;
	if (address->family == NET_IPV4)
		inet_ntop(AF_INET, address->bytes, text, NET_ADDRESS_TEXT_SIZE);
	else if (address->family == NET_IPV6)
		inet_ntop(AF_INET6, address->bytes, text, NET_ADDRESS_TEXT_SIZE);
	return text;
}

const char *net_endpoint_format(
	const struct net_endpoint *endpoint, char text[static NET_ENDPOINT_TEXT_SIZE])
{
	char address[NET_ADDRESS_TEXT_SIZE];
	net_address_format(&endpoint->address, address);
	snprintf(text, NET_ENDPOINT_TEXT_SIZE,
		endpoint->address.family == NET_IPV6 ? "[%s]:%u" : "%s:%u", address,
		(unsigned)endpoint->port);
	return text;
}
