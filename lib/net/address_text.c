// SPDX-License-Identifier: BSD-3-Clause
// Addresses from text. The C library reads the numbers (inet_pton takes neither
// leading zeros nor zones); what is ours is the strictness around them: no blanks, no empty parts,
// one way to write a port or a prefix length. Pure functions, any thread.
#include "lib/net/address_text.h"

#include <arpa/inet.h>
#include <errno.h>

// inet_pton wants a terminated string, our texts are often parts of a longer one.
static int parse_part(const char *text, size_t length, struct net_address *out)
{
	char part[NET_ADDRESS_TEXT_SIZE];
	uint8_t bytes[16];
	if (length == 0 || length >= sizeof(part))
		return -EINVAL;
	memcpy(part, text, length);
	part[length] = 0;
	if (inet_pton(AF_INET, part, bytes) == 1)
		*out = net_address_v4(bytes);
	else if (inet_pton(AF_INET6, part, bytes) == 1)
		*out = net_address_v6(bytes);
	else
		return -EINVAL;
	return 0;
}

// Decimal digits alone up to the end of text, without leading zeros, at most `limit` (< 100000).
static int parse_number(const char *text, unsigned limit, unsigned *out)
{
	unsigned value = 0;
	if (text[0] == 0 || (text[0] == '0' && text[1] != 0))
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > limit)
			return -EINVAL;
	}
	*out = value;
	return 0;
}

int net_address_parse(const char *text, struct net_address *out)
{
	return parse_part(text, strlen(text), out);
}

int net_endpoint_parse(const char *text, struct net_endpoint *out)
{
	struct net_endpoint endpoint = {0};
	unsigned port = 0;
	bool bracketed = text[0] == '[';
	const char *end = bracketed ? strstr(text, "]:") : strchr(text, ':');
	if (end == NULL)
		return -EINVAL;
	const char *first = text + bracketed;
	if (parse_part(first, (size_t)(end - first), &endpoint.address) < 0 ||
		endpoint.address.family != (bracketed ? NET_IPV6 : NET_IPV4) ||
		parse_number(end + 1 + bracketed, 65535, &port) < 0 || port == 0)
		return -EINVAL;
	endpoint.port = (uint16_t)port;
	*out = endpoint;
	return 0;
}

int net_prefix_parse(const char *text, struct net_prefix *out)
{
	struct net_address address;
	const char *slash = strchr(text, '/');
	if (parse_part(text, slash ? (size_t)(slash - text) : strlen(text), &address) < 0)
		return -EINVAL;
	unsigned length = address.family == NET_IPV6 ? 128 : 32;
	if (slash && parse_number(slash + 1, length, &length) < 0)
		return -EINVAL;
	struct net_prefix prefix = net_prefix_of(&address, length);
	if (!net_address_equal(&prefix.address, &address))
		return -EINVAL;
	*out = prefix;
	return 0;
}

static struct net_range prefix_range(const struct net_prefix *prefix)
{
	struct net_range range = {.first = prefix->address, .last = prefix->address};
	unsigned bits = prefix->address.family == NET_IPV6 ? 128 : 32;
	for (unsigned bit = prefix->length; bit < bits; bit++)
		range.last.bytes[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
	return range;
}

int net_range_parse(const char *text, struct net_range *out)
{
	struct net_range range;
	const char *dash = strchr(text, '-');
	if (dash == NULL) {
		struct net_prefix prefix;
		if (net_prefix_parse(text, &prefix) < 0)
			return -EINVAL;
		*out = prefix_range(&prefix);
		return 0;
	}
	if (parse_part(text, (size_t)(dash - text), &range.first) < 0 ||
		net_address_parse(dash + 1, &range.last) < 0 ||
		range.first.family != range.last.family ||
		net_address_compare(&range.first, &range.last) > 0)
		return -EINVAL;
	*out = range;
	return 0;
}
