// SPDX-License-Identifier: BSD-3-Clause
// Transport addresses: their one form in here, and those at which nobody can be. A peer's list of
// candidates is only the peer's word: what is refused here keeps checks away from this machine's
// own services, from groups, and from addresses that mean something else on each link. Pure
// functions.
#include "endpoint/agent/core.h"

struct endpoint_transport ice_transport_clean(const struct endpoint_transport *transport)
{
	struct endpoint_transport clean = {.family = transport->family, .port = transport->port};
	memcpy(clean.address, transport->address, transport->family == NET_IPV6 ? 16 : 4);
	return clean;
}

struct endpoint_transport ice_transport_of(const struct net_endpoint *endpoint)
{
	struct endpoint_transport transport = {
		.family = endpoint->address.family, .port = endpoint->port};
	memcpy(transport.address, endpoint->address.bytes, sizeof(transport.address));
	return transport;
}

struct net_endpoint ice_transport_net(const struct endpoint_transport *transport)
{
	struct net_endpoint endpoint = {.port = transport->port};
	endpoint.address.family = transport->family;
	memcpy(endpoint.address.bytes, transport->address, sizeof(endpoint.address.bytes));
	return endpoint;
}

static bool usable_v4(const uint8_t *a, bool loopback)
{
	if (a[0] == 127)
		return loopback;
	return a[0] != 0 && a[0] < 224;
}

static bool usable_v6(const uint8_t *a, bool loopback)
{
	static const uint8_t zero[16];
	if (memcmp(a, zero, 15) == 0 && a[15] == 1)
		return loopback;
	// ::/96 (with ::) and ::ffff:0:0/96 stand for IPv4.
	if (memcmp(a, zero, 12) == 0)
		return false;
	if (memcmp(a, zero, 10) == 0 && a[10] == 0xFF && a[11] == 0xFF)
		return false;
	// fe80::/10 means nothing without an interface, which no candidate names.
	return a[0] != 0xFF && !(a[0] == 0xFE && (a[1] & 0xC0) == 0x80);
}

bool ice_address_usable(const struct endpoint_transport *transport, bool loopback)
{
	if (transport->port == 0)
		return false;
	if (transport->family == NET_IPV4)
		return usable_v4(transport->address, loopback);
	return transport->family == NET_IPV6 && usable_v6(transport->address, loopback);
}

bool ice_address_link_local(const struct endpoint_transport *transport)
{
	return transport->family == NET_IPV4 && transport->address[0] == 169 &&
	       transport->address[1] == 254;
}
