// SPDX-License-Identifier: BSD-3-Clause
// Which addresses of a host a phone tells others, and in which order: what was recorded of a
// container, links and addresses made up for kinds of hosts, and dumps that are cut or wrong.
#include "endpoint/phone/interfaces.h"
#include "tests/vectors/rtnetlink.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <sodium.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct interfaces all;

static size_t bytes_of(const char *hex, uint8_t *out, size_t room)
{
	size_t size = 0;
	assert_int_equal(sodium_hex2bin(out, room, hex, strlen(hex), NULL, &size, NULL), 0);
	return size;
}

static void forget(void)
{
	memset(&all, 0, sizeof(all));
}

// "normal 192.0.2.10, virtual ...": what the phone is told.
static const char *told(const struct endpoint_transport preferred[2])
{
	static const char *const classes[] = {"normal", "metered", "vpn", "virtual"};
	static char text[2048];
	struct phone_host hosts[PHONE_HOSTS_MAX];
	size_t count = interfaces_hosts(&all, preferred, hosts), length = 0;

	text[0] = 0;
	for (size_t i = 0; i < count; i++) {
		char address[64];
		inet_ntop(hosts[i].transport.family == 4 ? AF_INET : AF_INET6,
			hosts[i].transport.address, address, sizeof(address));
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %s",
			i > 0 ? ", " : "", classes[hosts[i].kind], address);
	}
	return text;
}

static void link_is(uint32_t index, const char *kind, const char *name)
{
	all.links[all.link_count++] = (struct interface_link){
		.index = index,
		.kind = strcmp(name, "lo") == 0 ? INTERFACE_LOOPBACK
						: interface_kind_of(kind, name),
		.running = true,
	};
}

static struct endpoint_transport transport_of(const char *text)
{
	struct endpoint_transport t = {.family = strchr(text, ':') != NULL ? 6 : 4};
	assert_int_equal(inet_pton(t.family == 4 ? AF_INET : AF_INET6, text, t.address), 1);
	return t;
}

static void address_is(uint32_t link, const char *text)
{
	all.addresses[all.address_count++] = (struct interface_address){
		.link = link,
		.transport = transport_of(text),
	};
}

static void recorded_container(void **state)
{
	static uint8_t bytes[16384];

	(void)state;
	forget();
	assert_int_equal(
		interfaces_take(&all, bytes, bytes_of(rtnetlink_links, bytes, sizeof(bytes))), 1);
	assert_int_equal(
		interfaces_take(&all, bytes, bytes_of(rtnetlink_addresses, bytes, sizeof(bytes))),
		1);
	assert_int_equal(all.link_count, 5);
	// The pair that leads out is its network; the tunnel is down.
	assert_string_equal(
		told(NULL), "normal 192.0.2.10, normal 2001:db8::10, virtual 172.17.0.1");
	const struct endpoint_transport preferred[2] = {{0}, transport_of("2001:db8::10")};
	assert_string_equal(
		told(preferred), "normal 2001:db8::10, normal 192.0.2.10, virtual 172.17.0.1");
}

static void kinds_of_hosts(void **state)
{
	(void)state;
	forget(); // a notebook
	link_is(1, "", "lo");
	link_is(2, "bridge", "virbr0");
	link_is(3, "", "wlan0");
	link_is(4, "wireguard", "office");
	link_is(5, "", "wwan0");
	link_is(6, "vlan", "wlan0.7");
	address_is(1, "127.0.0.1");
	address_is(2, "192.168.122.1");
	address_is(4, "10.9.0.2");
	address_is(5, "100.64.0.9");
	address_is(3, "198.51.100.7");
	address_is(3, "169.254.7.7");
	address_is(3, "fe80::7");
	address_is(6, "203.0.113.6");
	assert_string_equal(told(NULL), "normal 198.51.100.7, normal 203.0.113.6, "
					"metered 100.64.0.9, vpn 10.9.0.2, virtual 192.168.122.1");
	all.links[2].running = false; // out of reach of its access point
	assert_string_equal(told(NULL), "normal 203.0.113.6, metered 100.64.0.9, vpn 10.9.0.2, "
					"virtual 192.168.122.1");

	forget(); // a server whose card is a port of the bridge to its guests
	link_is(2, "", "enp1s0");
	link_is(3, "bridge", "br0");
	link_is(4, "bridge", "docker0");
	all.links[0].master = 3;
	address_is(4, "172.17.0.1");
	address_is(3, "203.0.113.1");
	assert_string_equal(told(NULL), "normal 203.0.113.1, virtual 172.17.0.1");

	forget(); // only a tunnel, and loopback
	link_is(1, "", "lo");
	link_is(2, "tun", "vpn0");
	address_is(1, "::1");
	address_is(2, "10.8.0.2");
	assert_string_equal(told(NULL), "vpn 10.8.0.2");

	forget(); // only loopback
	link_is(1, "", "lo");
	address_is(1, "::1");
	address_is(1, "127.0.0.1");
	assert_string_equal(told(NULL), "normal ::1, normal 127.0.0.1");

	forget(); // only a bridge to nowhere; an address of a link that nobody has told of
	link_is(2, "bridge", "br0");
	address_is(2, "10.0.0.1");
	address_is(3, "10.0.0.2");
	assert_string_equal(told(NULL), "normal 10.0.0.1");
}

static void temporary_addresses_stand_for_lasting_ones(void **state)
{
	(void)state;
	forget();
	link_is(2, "", "eth0");
	address_is(2, "2001:db8:1::1");
	address_is(2, "2001:db8:1::aaaa:1");
	all.addresses[1].temporary = true;
	address_is(2, "2001:db8:2::1");
	address_is(2, "192.0.2.1");
	assert_string_equal(
		told(NULL), "normal 2001:db8:1::aaaa:1, normal 2001:db8:2::1, normal 192.0.2.1");
}

static void more_than_there_is_room_for(void **state)
{
	char text[32];

	(void)state;
	forget();
	link_is(2, "", "eth0");
	link_is(3, "bridge", "br-5");
	for (unsigned i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "10.0.0.%u", i);
		address_is(3, text);
	}
	address_is(2, "192.0.2.1");
	struct phone_host hosts[PHONE_HOSTS_MAX];
	assert_int_equal(interfaces_hosts(&all, NULL, hosts), PHONE_HOSTS_MAX);
	assert_int_equal(hosts[0].kind, PHONE_HOST_NORMAL);
	assert_int_equal(hosts[0].interface, 2);
	assert_int_equal(hosts[1].kind, PHONE_HOST_VIRTUAL);
}

// Each cut is copied to a place of its own size, so that a read behind it is noticed.
static void dumps_cut_anywhere(void **state)
{
	static uint8_t bytes[16384];
	const char *const dumps[] = {rtnetlink_links, rtnetlink_addresses};

	(void)state;
	for (unsigned d = 0; d < 2; d++) {
		size_t size = bytes_of(dumps[d], bytes, sizeof(bytes));
		for (size_t cut = 0; cut < size; cut++) {
			uint8_t *copy = malloc(cut + 1);
			assert_non_null(copy);
			memcpy(copy, bytes, cut);
			forget();
			interfaces_take(&all, copy, cut);
			assert_true(all.link_count <= 5 && all.address_count <= 11);
			free(copy);
		}
	}
}

static void lengths_that_lie(void **state)
{
	static uint8_t bytes[16384];

	(void)state;
	size_t size = bytes_of(rtnetlink_addresses, bytes, sizeof(bytes));
	for (size_t at = 0; at < size; at++) {
		uint8_t before = bytes[at];
		for (unsigned value = 0; value < 256; value += 51) {
			bytes[at] = (uint8_t)value;
			forget();
			interfaces_take(&all, bytes, size);
			assert_true(all.address_count <= 11);
		}
		bytes[at] = before;
	}
	const struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
	} refused = {.header = {.nlmsg_len = sizeof(refused), .nlmsg_type = NLMSG_ERROR},
		.error = {.error = -EPERM}};
	assert_int_equal(interfaces_take(&all, &refused, sizeof(refused)), -EPERM);
}

static void this_host(void **state)
{
	(void)state;
	int result = interfaces_read(&all);
	if (result == -EPERM || result == -EACCES || result == -EAFNOSUPPORT)
		skip();
	assert_int_equal(result, 0);
	assert_true(all.link_count > 0);
	assert_int_equal(all.links[0].kind, INTERFACE_LOOPBACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_container),
		cmocka_unit_test(kinds_of_hosts),
		cmocka_unit_test(temporary_addresses_stand_for_lasting_ones),
		cmocka_unit_test(more_than_there_is_room_for),
		cmocka_unit_test(dumps_cut_anywhere),
		cmocka_unit_test(lengths_that_lie),
		cmocka_unit_test(this_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
