// SPDX-License-Identifier: BSD-3-Clause
// rtnetlink of any bytes, and what the phone is told of it: never more hosts than there is room
// for, and the classes in order.
#include "endpoint/phone/interfaces.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct interfaces interfaces;
	struct phone_host hosts[PHONE_HOSTS_MAX];

	// Of its own size, so that a read behind it is noticed.
	uint8_t *copy = malloc(size > 0 ? size : 1);
	if (copy == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	interfaces.link_count = interfaces.address_count = 0;
	interfaces_take(&interfaces, copy, size);
	free(copy);
	size_t count = interfaces_hosts(&interfaces, NULL, hosts);
	if (count > PHONE_HOSTS_MAX || interfaces.link_count > INTERFACES_LINKS_MAX ||
		interfaces.address_count > INTERFACES_ADDRESSES_MAX)
		abort();
	for (size_t i = 1; i < count; i++)
		if (hosts[i].kind < hosts[i - 1].kind)
			abort();
	return 0;
}
