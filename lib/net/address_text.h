// SPDX-License-Identifier: BSD-3-Clause
// Text forms of addresses, for configuration and for printing what an operator configured. The
// dataplane does not link the formatters: nothing there can print a client (make lint checks it).
#pragma once

#include "lib/net/address.h"

#include <stddef.h>

enum {
	NET_ADDRESS_TEXT_SIZE = 46,  // with the final 0
	NET_ENDPOINT_TEXT_SIZE = 54, // "[v6]:port" and the final 0
};

// All parsers: 0, or -EINVAL and *out untouched. IPv4 dotted quad (four decimal parts, no leading
// zeros); IPv6 per RFC 4291, no zone.
int net_address_parse(const char *text, struct net_address *out);
// "192.0.2.1:3478", "[2001:db8::1]:3478". Port 1-65535.
int net_endpoint_parse(const char *text, struct net_endpoint *out);
// "10.0.0.0/8". A bare address is a full-length prefix; set bits behind the length are -EINVAL (a
// rule that reads narrower than it is).
int net_prefix_parse(const char *text, struct net_prefix *out);
// A prefix as above, or "first-last" of one family with first <= last.
int net_range_parse(const char *text, struct net_range *out);

// Write the RFC 5952 form, always terminated; return text.
const char *net_address_format(
	const struct net_address *address, char text[static NET_ADDRESS_TEXT_SIZE]);
const char *net_endpoint_format(
	const struct net_endpoint *endpoint, char text[static NET_ENDPOINT_TEXT_SIZE]);
