// SPDX-License-Identifier: BSD-3-Clause
// Any text as an address, an endpoint, a prefix and a range. Held: what one parser accepts, its
// formatted form gives again; prefixes have no bit behind their length; ranges are in order and
// hold their ends; the canonical form is stable and never more allowed than the address.
#include "lib/net/address_text.h"
#include "lib/net/special_ranges.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_judgement(const struct net_address *a)
{
	const char *name = NULL;
	bool denied = special_range_denied(a, &name);
	require(denied == (name != NULL));
	struct net_address canonical = net_address_canonical(a);
	struct net_address twice = net_address_canonical(&canonical);
	require(net_address_equal(&canonical, &twice));
	require(denied || !special_range_denied(&canonical, NULL));
	if (a->family == NET_IPV4)
		require(net_address_equal(a, &canonical));
}

static void check_address(const char *text)
{
	char formatted[NET_ADDRESS_TEXT_SIZE];
	struct net_address a, again;
	int result = net_address_parse(text, &a);
	require(result == 0 || result == -EINVAL);
	if (result < 0)
		return;
	require(a.family == NET_IPV4 || a.family == NET_IPV6);
	require(strlen(net_address_format(&a, formatted)) < sizeof(formatted));
	require(net_address_parse(formatted, &again) == 0);
	require(memcmp(&a, &again, sizeof(a)) == 0);
	require(strchr(text, '%') == NULL && strchr(text, ' ') == NULL);
	check_judgement(&a);
}

static void check_endpoint(const char *text)
{
	char formatted[NET_ENDPOINT_TEXT_SIZE];
	struct net_endpoint e, again;
	if (net_endpoint_parse(text, &e) < 0)
		return;
	require(e.port != 0);
	require(strlen(net_endpoint_format(&e, formatted)) < sizeof(formatted));
	require(net_endpoint_parse(formatted, &again) == 0);
	require(memcmp(&e, &again, sizeof(e)) == 0);
}

static void check_prefix(const char *text)
{
	struct net_prefix p;
	struct net_range r;
	if (net_prefix_parse(text, &p) < 0)
		return;
	struct net_prefix same = net_prefix_of(&p.address, p.length);
	require(memcmp(&same, &p, sizeof(p)) == 0);
	require(net_prefix_contains(&p, &p.address));
	// A prefix is a range, and both agree on their ends.
	require(net_range_parse(text, &r) == 0);
	require(net_address_equal(&r.first, &p.address));
	require(net_prefix_contains(&p, &r.last));
}

static void check_range(const char *text)
{
	struct net_range r;
	if (net_range_parse(text, &r) < 0)
		return;
	require(r.first.family == r.last.family);
	require(net_address_compare(&r.first, &r.last) <= 0);
	require(net_range_contains(&r, &r.first) && net_range_contains(&r, &r.last));
	check_judgement(&r.first);
	check_judgement(&r.last);
}

// Sixteen raw bytes reach forms that text rarely spells.
static void check_raw(const uint8_t *data, size_t size)
{
	char formatted[NET_ADDRESS_TEXT_SIZE];
	struct net_address again;
	if (size != 4 && size != 16)
		return;
	struct net_address a = size == 4 ? net_address_v4(data) : net_address_v6(data);
	require(net_address_parse(net_address_format(&a, formatted), &again) == 0);
	require(memcmp(&a, &again, sizeof(a)) == 0);
	check_judgement(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = 0;
	check_address(text);
	check_endpoint(text);
	check_prefix(text);
	check_range(text);
	check_raw(data, size);
	free(text);
	return 0;
}
