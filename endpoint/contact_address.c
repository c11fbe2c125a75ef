// SPDX-License-Identifier: BSD-3-Clause
// An address of a relay as people write it: an address or a name, and a port.
#include "endpoint/contact.h"
#include "endpoint/contact_name.h"

#include "lib/net/address_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool read_port(const char *text, uint16_t *out)
{
	unsigned number = 0;
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 5 || text[digits] != 0)
		return false;
	for (size_t i = 0; i < digits; i++)
		number = number * 10 + (unsigned)(text[i] - '0');
	*out = (uint16_t)number;
	return number > 0 && number <= UINT16_MAX;
}

// host: without brackets, `size` bytes.
static bool read_host(
	const char *host, size_t size, bool bracketed, struct endpoint_contact_address *out)
{
	char copy[ENDPOINT_CONTACT_NAME_MAX + 1];
	struct net_address address;

	if (size >= sizeof(copy))
		return false;
	memcpy(copy, host, size);
	copy[size] = 0;
	if (net_address_parse(copy, &address) == 0) {
		if (bracketed != (address.family == NET_IPV6))
			return false;
		out->transport.family = address.family;
		memcpy(out->transport.address, address.bytes, sizeof(address.bytes));
		return true;
	}
	for (size_t i = 0; i < size; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] = (char)(copy[i] - 'A' + 'a');
	if (bracketed || !contact_name_valid(copy, size))
		return false;
	memcpy(out->name, copy, size + 1);
	return true;
}

int endpoint_contact_address_parse(const char *text, struct endpoint_contact_address *out)
{
	struct endpoint_contact_address relay = {.transport.port = ENDPOINT_CONTACT_PORT};
	const char *host = text, *end, *rest;
	bool bracketed = text[0] == '[';

	if (bracketed) {
		host = text + 1;
		end = strchr(host, ']');
		if (end == NULL)
			return -EINVAL;
		rest = end + 1;
	} else {
		end = rest = text + strcspn(text, ":");
		// An IPv6 address without brackets: where would its port begin?
		if (*rest == ':' && strchr(rest + 1, ':') != NULL) {
			end = rest = text + strlen(text);
			bracketed = true;
		}
	}
	if (!read_host(host, (size_t)(end - host), bracketed, &relay))
		return -EINVAL;
	if (*rest != 0 && (*rest != ':' || !read_port(rest + 1, &relay.transport.port)))
		return -EINVAL;
	*out = relay;
	return 0;
}

const char *endpoint_contact_address_format(
	const struct endpoint_contact_address *relay, char *text, size_t size)
{
	const struct endpoint_transport *t = &relay->transport;
	char address[NET_ENDPOINT_TEXT_SIZE];

	if (relay->name[0] != 0) {
		snprintf(text, size, "%s:%u", relay->name, t->port);
		return text;
	}
	struct net_endpoint e = {
		.address = t->family == 4 ? net_address_v4(t->address) : net_address_v6(t->address),
		.port = t->port,
	};
	snprintf(text, size, "%s", net_endpoint_format(&e, address));
	return text;
}
