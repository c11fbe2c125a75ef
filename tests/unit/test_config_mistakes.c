// SPDX-License-Identifier: BSD-3-Clause
// lib/config: every mistake in a file is told with its line, what is wrong and what is expected.
#include "tests/unit/config_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// ---- errors ----

struct mistake {
	const char *text;
	const char *place;    // "LINE: [section] key: ", what the error begins with
	const char *contains; // a part of the explanation
};

static const struct mistake mistakes[] = {
	// shape of the file
	{"name = x\n", "1: ", "before the first section"},
	{"\n[nodes]\n", "2: [nodes]: ", "unknown section"},
	{"[]\n", "1: []: ", "unknown section"},
	{MINIMAL "[other]\n", "8: [other]: ", "unknown section"},
	{"[node\n", "1: ", "section without its end"},
	{"[node] name = x\n", "1: ", "behind the section name"},
	{"[node]\nname\n", "2: ", "neither a section nor a key"},
	{"[node]\nname : x\n", "2: ", "neither a section nor a key"},
	{"[node]\n\n# c\ncolour = red\n", "4: [node] colour: ", "expected name, state or run"},
	{"[node]\n= red\n", "2: [node] : ", "unknown key"},
	{"[node]\nNAME = x\n", "2: [node] NAME: ", "unknown key"},
	{"[node]\nlisten = 192.0.2.1\n", "2: [node] listen: ", "unknown key"},
	{"[node]\nname = x\nstate = /s\nname = y\n", "4: [node] name: ", "first on line 2"},
	{"[node]\nname =\n", "2: [node] name: ", "empty"},
	{"[node]\nname = x ; why\n", "2: [node] name: ", "comment behind the value"},
	{"[turn]\nsecret = x # why\n", "2: [turn] secret: ", "comment behind the value"},
	{"[node]\nname = a\x01\n", "2: ", "control character in byte 9"},
	{"[node]\nname = a\x7f\n", "2: ", "control character in byte 9"},
	{"[node]\nname = a\rb\n", "2: ", "control character"},
	{"[turn]\nrealm = \xff\n", "2: [turn] realm: ", "UTF-8"},
	{"[turn]\nrealm = \xed\xa0\x80\n", "2: [turn] realm: ", "UTF-8"},
	{"[turn]\nrealm = \xc0\xaf\n", "2: [turn] realm: ", "UTF-8"},
	{"[turn]\nrealm = \xe2\x82\n", "2: [turn] realm: ", "UTF-8"},
	{"[node]\nname = " LONG_256 LONG_256 LONG_256 LONG_256 "\n", "2: ", "line too long"},
	// [node]
	{"[node]\nname = Relay\n", "2: [node] name: ", "expected a-z, 0-9 and -"},
	{"[node]\nname = a.b\n", "2: [node] name: ", "expected a-z, 0-9 and -"},
	{"[node]\nname = " LONG_64 "\n", "2: [node] name: ", "64 bytes long; expected at most 63"},
	{"[node]\nstate = var\n", "2: [node] state: ", "not absolute"},
	{"[node]\nrun = run\n", "2: [node] run: ", "not absolute"},
	{"[node]\nstate = /" LONG_64 LONG_64 "\n", "2: [node] state: ", "expected at most 107"},
	{"[node]\nrun = /" LONG_64 "/aaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
		"2: [node] run: ", "93 bytes long; expected at most 92"},
	// [dataplane]
	{ADDRESS TURN, "5: [dataplane] port: ", "not given"},
	{"[dataplane]\nworkers = 1\n" ADDRESS TURN, "1: [dataplane] port: ", "not given"},
	{"[dataplane]\nport = eth0\n", "2: [dataplane] port: ", "is no port"},
	{"[dataplane]\nport = dpdk:eth0\n", "2: [dataplane] port: ", "is no port"},
	{"[dataplane]\nport = af_xdp\n", "2: [dataplane] port: ", "is no port"},
	{"[dataplane]\nport = af_xdp:\n", "2: [dataplane] port: ", "no interface name"},
	{"[dataplane]\nport = af_xdp:a/b\n", "2: [dataplane] port: ", "no interface name"},
	{"[dataplane]\nport = tap:sixteen-letters-\n",
		"2: [dataplane] port: ", "no interface name"},
	{"[dataplane]\nport = memif:run/x\n", "2: [dataplane] port: ", "not absolute"},
	{"[dataplane]\nport = ring:A\n", "2: [dataplane] port: ", "no ring name"},
	{"[dataplane]\nport = pci:0000:01:00\n", "2: [dataplane] port: ", "no PCI address"},
	{"[dataplane]\nport = pci:0000:01:00.8\n", "2: [dataplane] port: ", "no PCI address"},
	{"[dataplane]\nport = pci:\n", "2: [dataplane] port: ", "no PCI address"},
	{"[dataplane]\nport = ring,\n", "2: [dataplane] port: ", "no port option"},
	{"[dataplane]\nport = ring,queues\n", "2: [dataplane] port: ", "no port option"},
	{"[dataplane]\nport = ring,queues=\n", "2: [dataplane] port: ", "no port option"},
	{"[dataplane]\nport = ring,mtu=9\n", "2: [dataplane] port: ", "no port option"},
	{"[dataplane]\nport = ring,queues=0\n", "2: [dataplane] port: ", "from 1 to 64"},
	{"[dataplane]\nport = ring,queues=65\n", "2: [dataplane] port: ", "from 1 to 64"},
	{"[dataplane]\nport = ring,queues=2,queues=2\n", "2: [dataplane] port: ", "given twice"},
	{"[dataplane]\nport = ring,id=0\n", "2: [dataplane] port: ", "only on memif"},
	{"[dataplane]\nport = tap:t0,role=server\n", "2: [dataplane] port: ", "only on memif"},
	{"[dataplane]\nport = memif:/m,id=65536\n", "2: [dataplane] port: ", "from 0 to 65535"},
	{"[dataplane]\nport = memif:/m,role=master\n",
		"2: [dataplane] port: ", "expected client or server"},
	{"[dataplane]\nport = af_xdp:eth0,kernel=x\n",
		"2: [dataplane] port: ", "kernel interface of its own"},
	{"[dataplane]\nport = ring,kernel=sixteen-letters-\n",
		"2: [dataplane] port: ", "no interface name"},
	{"[dataplane]\nport = tap:t0,kernel=t0\n",
		"2: [dataplane] port: ", "names the port itself"},
	{"[dataplane]\nport = ring\n\nport = ring\n", "4: [dataplane] port: ", "port on line 2"},
	{"[dataplane]\nport = af_xdp:eth0\nport = af_packet:eth0\n",
		"3: [dataplane] port: ", "port on line 2"},
	{"[dataplane]\nport = af_xdp:eth0\nport = ring,kernel=eth0\n",
		"3: [dataplane] port: ", "port on line 2"},
	{"[dataplane]\nport = ring,kernel=k\nport = ring:b,kernel=k\n",
		"3: [dataplane] port: ", "port on line 2"},
	{"[dataplane]\nport = memif:/m\nport = memif:/m,id=0\n",
		"3: [dataplane] port: ", "port on line 2"},
	{"[dataplane]\nport = pci:01:00.0\nport = pci:0000:01:00.0\n",
		"3: [dataplane] port: ", "port on line 2"},
	{"[dataplane]\nworkers = 0\n", "2: [dataplane] workers: ", "from 1 to 64"},
	{"[dataplane]\nworkers = 65\n", "2: [dataplane] workers: ", "from 1 to 64"},
	{"[dataplane]\nworkers = two\n", "2: [dataplane] workers: ", "from 1 to 64"},
	{"[dataplane]\nworkers = 1x\n", "2: [dataplane] workers: ", "from 1 to 64"},
	{"[dataplane]\nworkers = -1\n", "2: [dataplane] workers: ", "from 1 to 64"},
	{"[dataplane]\nworkers = 4294967297\n", "2: [dataplane] workers: ", "from 1 to 64"},
	{"[dataplane]\nworkers = 18446744073709551617\n",
		"2: [dataplane] workers: ", "from 1 to 64"},
	{"[dataplane]\ncores = 0-\n", "2: [dataplane] cores: ", "no list of cores"},
	{"[dataplane]\ncores = 3-1\n", "2: [dataplane] cores: ", "no list of cores"},
	{"[dataplane]\ncores = 0 1\n", "2: [dataplane] cores: ", "no list of cores"},
	{"[dataplane]\ncores = 0,\n", "2: [dataplane] cores: ", "no list of cores"},
	{"[dataplane]\ncores = 1024\n", "2: [dataplane] cores: ", "no list of cores"},
	{"[dataplane]\ncores = 0-3,2\n", "2: [dataplane] cores: ", "core 2 is listed twice"},
	{"[dataplane]\ncores = 0-200\n", "2: [dataplane] cores: ", "more than 128 cores"},
	{DATAPLANE "workers = 2\ncores = 0,1\n" ADDRESS TURN,
		"4: [dataplane] cores: ", "2 cores do not fit workers = 2; expected 3"},
	{DATAPLANE "cores = 0-3\n" ADDRESS TURN,
		"3: [dataplane] cores: ", "4 cores do not fit workers = 1; expected 2"},
	{"[dataplane]\nhugepages = maybe\n", "2: [dataplane] hugepages: ", "auto, yes or no"},
	{"[dataplane]\nmemory = 63\n", "2: [dataplane] memory: ", "from 64 to"},
	{"[dataplane]\nmappings = 15\n", "2: [dataplane] mappings: ", "from 16 to"},
	{"[dataplane]\nidle = spin\n", "2: [dataplane] idle: ", "poll or sleep"},
	// [address]
	{DATAPLANE TURN, "5: [address] listen: ", "not given"},
	{DATAPLANE "[address]\nport = 3478\n" TURN, "3: [address] listen: ", "not given"},
	{"[address]\nlisten = relay.example.org\n", "2: [address] listen: ", "is no address"},
	{"[address]\nlisten = 192.0.2.1:3478\n", "2: [address] listen: ", "is no address"},
	{"[address]\nlisten = 0.0.0.0\n", "2: [address] listen: ", "cannot be served on"},
	{"[address]\nlisten = 224.0.0.1\n", "2: [address] listen: ", "cannot be served on"},
	{"[address]\nlisten = 255.255.255.255\n", "2: [address] listen: ", "cannot be served on"},
	{"[address]\nlisten = ::\n", "2: [address] listen: ", "cannot be served on"},
	{"[address]\nlisten = ff02::1\n", "2: [address] listen: ", "cannot be served on"},
	{"[address]\nlisten = fe80::1\n", "2: [address] listen: ", "cannot be served on"},
	{"[address]\nlisten = ::ffff:192.0.2.1\n", "2: [address] listen: ", "cannot be served on"},
	{"[address]\nlisten = 2001:db8::1\nlisten = 2001:DB8:0::1\n",
		"3: [address] listen: ", "as on line 2"},
	{"[address]\nport = 0\n", "2: [address] port: ", "from 1 to 65535"},
	{"[address]\nport = 65536\n", "2: [address] port: ", "from 1 to 65535"},
	{"[address]\nalternate-port = 0\n", "2: [address] alternate-port: ", "from 1 to 65535"},
	{"[address]\nrelay-ports = 49152\n", "2: [address] relay-ports: ", "no port range"},
	{"[address]\nrelay-ports = 49152-65536\n", "2: [address] relay-ports: ", "no port range"},
	{"[address]\nrelay-ports = 60000-50000\n", "2: [address] relay-ports: ", "no port range"},
	{"[address]\nrelay-ports = 1023-2000\n", "2: [address] relay-ports: ", "no port range"},
	{"[address]\nrelay-ports = -2000\n", "2: [address] relay-ports: ", "no port range"},
	{DATAPLANE ADDRESS "port = 5000\nalternate-port = 5000\n" TURN,
		"6: [address] alternate-port: ", "both 5000"},
	{DATAPLANE ADDRESS "port = 3479\n" TURN, "5: [address] port: ", "both 3479"},
	{DATAPLANE ADDRESS "port = 50000\n" TURN,
		"5: [address] port: ", "50000 lies inside relay-ports 49152-65535"},
	{DATAPLANE ADDRESS "alternate-port = 65535\n" TURN,
		"5: [address] alternate-port: ", "lies inside relay-ports"},
	{DATAPLANE ADDRESS "relay-ports = 3000-4000\n" TURN,
		"5: [address] relay-ports: ", "3000-4000 holds port (3478)"},
	{DATAPLANE ADDRESS "relay-ports = 3479-4000\n" TURN,
		"5: [address] relay-ports: ", "holds alternate-port (3479)"},
	// [turn]
	{DATAPLANE ADDRESS, "4: [turn] auth: ", "not given"},
	{DATAPLANE ADDRESS "[turn]\n", "5: [turn] auth: ", "not given"},
	{"[turn]\nauth = none\n", "2: [turn] auth: ", "\"none\" is not known"},
	{"[turn]\nauth = ,\n", "2: [turn] auth: ", "empty"},
	{"[turn]\nauth = static static\n", "2: [turn] auth: ", "listed twice"},
	{"[turn]\nauth = open static\n", "2: [turn] auth: ", "open with others"},
	{DATAPLANE ADDRESS "[turn]\nauth = rest\n", "6: [turn] auth: ", "rest without a secret"},
	{DATAPLANE ADDRESS "[turn]\nauth = static\n", "6: [turn] auth: ", "static without a user"},
	{DATAPLANE ADDRESS TURN "secret = s\n", "8: [turn] secret: ", "auth does not name rest"},
	{DATAPLANE ADDRESS "[turn]\nsecret = s\nauth = rest\nuser = a:b\n",
		"8: [turn] user: ", "auth does not name static"},
	{DATAPLANE ADDRESS "[turn]\nauth = open\nuser = a:b\n",
		"7: [turn] user: ", "auth does not name static"},
	{"[turn]\nrealm = a\"b\n", "2: [turn] realm: ", "a quote or a backslash"},
	{"[turn]\nrealm = " LONG_64 LONG_64 "\n",
		"2: [turn] realm: ", "128 bytes long; expected at most 127"},
	{DATAPLANE ADDRESS "[turn]\nauth = static\nuser = a:b\nrealm = " LONG_64 "\n",
		"8: [turn] realm: ", "expected at most 44"},
	{"[turn]\nsecret = " LONG_256 "\n", "2: [turn] secret: ", "expected at most 255"},
	{"[turn]\nsecret = s\nsecret = s\n", "3: [turn] secret: ", "the same secret twice"},
	{"[turn]\nuser = alice\n", "2: [turn] user: ", "expected name:password"},
	{"[turn]\nuser = :wonder\n", "2: [turn] user: ", "expected name:password"},
	{"[turn]\nuser = alice:\n", "2: [turn] user: ", "expected name:password"},
	{"[turn]\nuser = " LONG_64 ":x\n", "2: [turn] user: ", "name is 64 bytes long"},
	{"[turn]\nuser = a:" LONG_256 "\n", "2: [turn] user: ", "password is 256 bytes long"},
	{"[turn]\nuser = a:b\nuser = a:c\n", "3: [turn] user: ", "\"a\" is there twice"},
	{"[turn]\nchannels = all\n", "2: [turn] channels: ", "expected rfc8656"},
	{"[turn]\nmax-lifetime = 599\n", "2: [turn] max-lifetime: ", "from 600 to 86400"},
	{"[turn]\nmax-lifetime = 86401\n", "2: [turn] max-lifetime: ", "from 600 to 86400"},
	{"[turn]\nquota = many\n", "2: [turn] quota: ", "from 0 to 1000000"},
	{"[turn]\nprefix-quota = 1000001\n", "2: [turn] prefix-quota: ", "from 0 to 1000000"},
	// [peers]
	{"[peers]\nallow = 10.0.0.1/8\n", "2: [peers] allow: ", "is no range"},
	{"[peers]\nallow = 10.0.0.0/33\n", "2: [peers] allow: ", "is no range"},
	{"[peers]\ndeny = 10.0.0.9-10.0.0.1\n", "2: [peers] deny: ", "is no range"},
	{"[peers]\ndeny = 10.0.0.1-::1\n", "2: [peers] deny: ", "is no range"},
	{"[peers]\ndeny = everything\n", "2: [peers] deny: ", "is no range"},
	{"[peers]\nallow = 10.0.0.0/8\nallow = 10.0.0.0-10.255.255.255\n",
		"3: [peers] allow: ", "is there twice"},
	{"[peers]\nallow = 10.0.0.0/8\ndeny = 10.0.0.0/8\n",
		"3: [peers] deny: ", "both allowed and denied"},
	{"[peers]\ndeny = fd00::/8\nallow = fd00::/8\n",
		"3: [peers] allow: ", "both allowed and denied"},
	// [guard]
	{"[guard]\nblock = 10.0.0.1/8\n", "2: [guard] block: ", "is no prefix"},
	{"[guard]\nblock = 10.0.0.1-10.0.0.9\n", "2: [guard] block: ", "is no prefix"},
	{"[guard]\nallow = 2001:db8::/129\n", "2: [guard] allow: ", "is no prefix"},
	{"[guard]\nblock = 10.0.0.1\nblock = 10.0.0.1/32\n",
		"3: [guard] block: ", "is there twice"},
	{"[guard]\nblock = 10.0.0.0/8\nallow = 10.0.0.0/8\n",
		"3: [guard] allow: ", "both blocked and allowed"},
	{"[guard]\nallow = fd00::/8\nblock = fd00::/8\n",
		"3: [guard] block: ", "both blocked and allowed"},
	{"[guard]\nreply-bytes = 1023\n", "2: [guard] reply-bytes: ", "from 1024 to 1000000000"},
	{"[guard]\npunts = 0\n", "2: [guard] punts: ", "from 1 to 1000000000"},
	{"[guard]\npunts-with-allocation = x\n",
		"2: [guard] punts-with-allocation: ", "from 1 to 1000000000"},
	{"[guard]\npunts-total = 1000000001\n", "2: [guard] punts-total: ", "from 1 to 1000000000"},
	{"[guard]\nnew-allocations = 0\n", "2: [guard] new-allocations: ", "from 1 to 1000000000"},
	{"[guard]\nrate = 1\n", "2: [guard] rate: ", "expected block, allow, reply-bytes, "},
	// [registration]
	{"[registration]\nenabled = true\n", "2: [registration] enabled: ", "expected yes or no"},
	{"[registration]\nadmission = pin\n",
		"2: [registration] admission: ", "expected open, pow or token"},
	{"[registration]\nlease = 59\n", "2: [registration] lease: ", "from 60 to 3600"},
	{"[registration]\nkeepalive = 0\n", "2: [registration] keepalive: ", "from 1 to 600"},
	{"[registration]\nepoch = 1\n", "2: [registration] epoch: ", "from 2 to 86400"},
	{"[registration]\nleases = 0\n", "2: [registration] leases: ", "from 1 to 16777216"},
	{"[registration]\nhandles = 7\n", "2: [registration] handles: ", "7 is odd"},
	{"[registration]\nhandles = 0\n", "2: [registration] handles: ", "from 2 to 16777216"},
	{"[registration]\nsender-bytes = 2047\n",
		"2: [registration] sender-bytes: ", "from 2048 to 1000000000"},
	{"[registration]\naddress-bytes = 2047\n",
		"2: [registration] address-bytes: ", "from 2048 to 1000000000"},
	{"[registration]\nnew-leases = 0\n",
		"2: [registration] new-leases: ", "from 1 to 1000000000"},
	{"[registration]\npuzzle-above = 0\n",
		"2: [registration] puzzle-above: ", "from 1 to 1000000000"},
	// [tokens]
	{"[tokens]\nissue = 1\n", "2: [tokens] issue: ", "expected yes or no"},
	{"[tokens]\nspent = 0\n", "2: [tokens] spent: ", "from 1 to 100000000"},
};

static void assert_mistake(const char *text, const char *place, const char *contains)
{
	char error[CONFIG_ERROR_SIZE] = "", begin[256];
	struct config *config = NULL;
	int rc = config_parse(text, "test.conf", &config, error);

	snprintf(begin, sizeof(begin), "test.conf:%s", place);
	if (rc != -EINVAL || strncmp(error, begin, strlen(begin)) != 0 ||
		strstr(error, contains) == NULL || strstr(error, "; expected ") == NULL ||
		strchr(error, '\n') != NULL)
		fail_msg("for\n%s\nexpected %s...%s...\nbut got  %s (%d)", text, begin, contains,
			error, rc);
	assert_null(config);
}

static void test_every_mistake_is_told_with_its_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		assert_mistake(mistakes[i].text, mistakes[i].place, mistakes[i].contains);
}

// "SECTION\n" and then `count` lines made by format from a running number; the last is one too
// many.
static void assert_limit(const char *section, const char *format, unsigned count, const char *key)
{
	size_t room = 64 + count * 64, length = 0;
	char *text = malloc(room), place[64];

	assert_non_null(text);
	length += (size_t)snprintf(text, room, "[%s]\n", section);
	for (unsigned i = 0; i < count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		length += (size_t)snprintf(
			text + length, room - length, format, i / 256, i % 256, i / 256, i % 256);
#pragma GCC diagnostic pop
	}
	snprintf(place, sizeof(place), "%u: [%s] %s: ", count + 1, section, key);
	assert_mistake(text, place, "too many");
	free(text);
}

static void test_lists_have_ends(void **state)
{
	(void)state;
	assert_limit("dataplane", "port = ring:r%u_%u\n", CONFIG_PORTS_MAX + 1, "port");
	assert_limit("address", "listen = 192.0.%u.%u\n", CONFIG_LISTEN_MAX + 1, "listen");
	assert_limit("turn", "secret = s%u-%u\n", CONFIG_SECRETS_MAX + 1, "secret");
	assert_limit("turn", "user = u%u-%u:p\n", CONFIG_USERS_MAX + 1, "user");
	assert_limit("peers", "allow = 10.0.%u.%u\n", CONFIG_RULES_MAX + 1, "allow");
	assert_limit("peers", "deny = 10.0.%u.%u\n", CONFIG_RULES_MAX + 1, "deny");
}

static void test_last_line_needs_no_end(void **state)
{
	(void)state;
	config_free(parse(DATAPLANE ADDRESS "[turn]\nauth = open"));
	assert_mistake(DATAPLANE ADDRESS "[turn]\nauth = opem", "6: [turn] auth: ", "opem");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_mistake_is_told_with_its_place),
		cmocka_unit_test(test_lists_have_ends),
		cmocka_unit_test(test_last_line_needs_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
