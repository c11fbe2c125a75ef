// SPDX-License-Identifier: BSD-3-Clause
// Sockets, and the addresses of this host.
#include "endpoint/phone/inside.h"

#include <string.h>

int bases_first(const struct phone *phone, unsigned family)
{
	for (unsigned i = 0; i < PHONE_BASES_MAX; i++)
		if (phone->bases[i].up && phone->bases[i].family == family)
			return (int)i;
	return -1;
}

void phone_base_up(struct phone *phone, unsigned base, unsigned family, uint16_t port)
{
	if (base < PHONE_BASES_MAX && (family == 4 || family == 6))
		phone->bases[base] =
			(struct base){.up = true, .family = (uint8_t)family, .port = port};
}

static bool same_hosts(const struct phone *phone, const struct phone_host *hosts, size_t count)
{
	if (count != phone->host_count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct phone_host *a = &phone->hosts[i], *b = &hosts[i];
		if (a->transport.family != b->transport.family || a->kind != b->kind ||
			a->interface != b->interface ||
			memcmp(a->transport.address, b->transport.address,
				sizeof(a->transport.address)) != 0)
			return false;
	}
	return true;
}

void phone_hosts(
	struct phone *phone, const struct phone_host *hosts, size_t count, struct endpoint_time now)
{
	if (count > PHONE_HOSTS_MAX)
		count = PHONE_HOSTS_MAX;
	if (same_hosts(phone, hosts, count))
		return;
	inside_enter(phone, now);
	bool first = phone->host_count == 0;
	memcpy(phone->hosts, hosts, count * sizeof(hosts[0]));
	phone->host_count = count;
	if (!first)
		relays_network_changed(phone);
	talks_hosts_changed(phone);
	inside_leave(phone);
}
