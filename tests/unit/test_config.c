// SPDX-License-Identifier: BSD-3-Clause
// lib/config: every key, every error with its line, and that secrets leave no trace in freed
// memory. wrap: free wrap: ini_parse_stream

#include "lib/config/config.h"
#include "lib/config/parser.h"

#include "lib/net/address_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ini.h>

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- what is left in memory that is given back ----

static const char *needle; // looked for in every freed block while set
static unsigned blocks_freed, traces_found;

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	if (memory != NULL && needle != NULL) {
		blocks_freed++;
		if (memmem(memory, malloc_usable_size(memory), needle, strlen(needle)) != NULL)
			traces_found++;
	}
	__real_free(memory);
}

static ini_reader real_reader;
static bool line_buffer_held_secret, line_buffer_wiped;

static char *watched_reader(char *buffer, int size, void *stream)
{
	char *line = real_reader(buffer, size, stream);

	if (needle != NULL && line != NULL && strstr(line, needle) != NULL)
		line_buffer_held_secret = true;
	if (line == NULL) {
		line_buffer_wiped = true;
		for (int i = 0; i < size; i++)
			if (buffer[i] != 0)
				line_buffer_wiped = false;
	}
	return line;
}

int __real_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user);
int __wrap_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user);

int __wrap_ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
	real_reader = reader;
	return __real_ini_parse_stream(watched_reader, stream, handler, user);
}

// ---- parsing ----

#define DATAPLANE "[dataplane]\nport = af_xdp:eth0\n"            // lines 1, 2
#define ADDRESS   "[address]\nlisten = 192.0.2.1\n"              // lines 3, 4
#define TURN      "[turn]\nauth = static\nuser = alice:wonder\n" // lines 5 to 7
#define MINIMAL   DATAPLANE ADDRESS TURN

static struct config *parse(const char *text)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *config = NULL;
	int rc = config_parse(text, "test.conf", &config, error);

	if (rc != 0)
		fail_msg("%s (%d)", error, rc);
	assert_non_null(config);
	return config;
}

static void assert_address(const struct net_address *address, const char *text)
{
	struct net_address expected;

	assert_int_equal(net_address_parse(text, &expected), 0);
	assert_true(net_address_equal(address, &expected));
}

static void test_minimal_file_gets_documented_defaults(void **state)
{
	struct config *c = parse(MINIMAL);

	(void)state;
	assert_string_equal(c->node.name, "relay");
	assert_string_equal(c->node.state, "/var/lib/blindrelay");
	assert_string_equal(c->node.run, "/run/blindrelay");
	assert_int_equal(c->dataplane.port_count, 1);
	assert_int_equal(c->dataplane.workers, 1);
	assert_int_equal(c->dataplane.core_count, 0);
	assert_int_equal(c->dataplane.hugepages, CONFIG_HUGEPAGES_AUTO);
	assert_int_equal(c->dataplane.memory, 512);
	assert_int_equal(c->dataplane.mappings, 65536);
	assert_int_equal(c->dataplane.allocations, 16384);
	assert_int_equal(c->dataplane.idle, CONFIG_IDLE_POLL);
	assert_int_equal(c->address.listen_count, 1);
	assert_int_equal(c->address.port, 3478);
	assert_int_equal(c->address.alternate_port, 3479);
	assert_int_equal(c->address.relay_first, 49152);
	assert_int_equal(c->address.relay_last, 65535);
	assert_string_equal(c->turn.realm, "relay");
	assert_int_equal(c->turn.channel_last, 0x4FFF);
	assert_int_equal(c->turn.max_lifetime, 3600);
	assert_int_equal(c->turn.quota, 64);
	assert_int_equal(c->turn.prefix_quota, 256);
	assert_int_equal(c->peers.allow_count, 0);
	assert_int_equal(c->peers.deny_count, 0);
	assert_int_equal(c->guard.block_count, 0);
	assert_int_equal(c->guard.allow_count, 0);
	assert_int_equal(c->guard.reply_bytes, 262144);
	assert_int_equal(c->guard.punts, 2000);
	assert_int_equal(c->guard.punts_with_allocation, 20000);
	assert_int_equal(c->guard.punts_total, 50000);
	assert_int_equal(c->guard.new_allocations, 20000);
	assert_true(c->registration.enabled);
	assert_int_equal(c->registration.admission, CONFIG_ADMISSION_OPEN);
	assert_int_equal(c->registration.lease, 600);
	assert_int_equal(c->registration.keepalive, 20);
	assert_int_equal(c->registration.epoch, 3600);
	assert_int_equal(c->registration.leases, 65536);
	assert_int_equal(c->registration.handles, 65536);
	assert_int_equal(c->registration.sender_bytes, 1048576);
	assert_int_equal(c->registration.address_bytes, 4194304);
	assert_int_equal(c->registration.new_leases, 20000);
	assert_int_equal(c->registration.puzzle_above, 5000);
	assert_false(c->tokens.issue);
	assert_int_equal(c->tokens.spent, 4194304);
	assert_false(config_uses_tokens(c));
	config_free(c);
}

static void test_every_key_arrives(void **state)
{
	struct config *c =
		parse("\xef\xbb\xbf# comment\r\n"
		      "; another\r\n"
		      "[node]\r\n"
		      "  name = edge-1  \r\n"
		      "state = /srv/relay/\n"
		      "run=/run/edge\n"
		      "\n"
		      "[dataplane]\n"
		      "port = af_xdp:eth0,queues=4\n"
		      "port = af_packet:eth1\n"
		      "port = tap:relay9\n"
		      "port = memif:/run/x.sock,id=7,role=server,queues=2,kernel=relay0\n"
		      "port = memif:/run/x.sock,id=8,role=client\n"
		      "port = ring\n"
		      "port = ring:second\n"
		      "port = pci:0000:01:00.0,kernel=wan\n"
		      "port = pci:02:0A.1\n"
		      "workers = 4\n"
		      "cores = 0, 2-4,7\n"
		      "hugepages = no\n"
		      "memory = 2048\n"
		      "mappings = 100000\n"
		      "allocations = 30000\n"
		      "idle = sleep\n"
		      "[address]\n"
		      "listen = 192.0.2.1\n"
		      "listen = 192.0.2.2\n"
		      "listen = 2001:db8::1\n"
		      "port = 443\n"
		      "alternate-port = 444\n"
		      "relay-ports = 20000 - 29999\n"
		      "[turn]\n"
		      "realm = example.org\n"
		      "auth = static, rest\n"
		      "secret = first=one;#\n"
		      "secret = second\n"
		      "user = alice:pass:word\n"
		      "user = böb:x\n"
		      "channels = rfc5766\n"
		      "max-lifetime = 600\n"
		      "quota = 0\n"
		      "prefix-quota = 1000000\n"
		      "[peers]\n"
		      "allow = 10.0.0.0/8\n"
		      "allow = fd00::1\n"
		      "deny = 198.51.100.7-198.51.100.9\n"
		      "[guard]\n"
		      "block = 198.51.100.0/24\n"
		      "block = ::/0\n"
		      "allow = 198.51.100.7\n"
		      "reply-bytes = 1000000000\n"
		      "punts = 1\n"
		      "punts-with-allocation = 200\n"
		      "punts-total = 300\n"
		      "new-allocations = 400\n"
		      "[registration]\n"
		      "enabled = no\n"
		      "admission = token\n"
		      "lease = 60\n"
		      "keepalive = 600\n"
		      "epoch = 2\n"
		      "leases = 16777216\n"
		      "handles = 2\n"
		      "sender-bytes = 2048\n"
		      "address-bytes = 1000000000\n"
		      "new-leases = 1\n"
		      "puzzle-above = 1\n"
		      "[tokens]\n"
		      "issue = yes\n"
		      "spent = 100000000\n"
		      "[node]\n"
		      "# a section may be opened again");

	(void)state;
	assert_string_equal(c->node.name, "edge-1");
	assert_string_equal(c->node.state, "/srv/relay");
	assert_string_equal(c->node.run, "/run/edge");
	assert_int_equal(c->dataplane.port_count, 9);
	const struct config_port *p = c->dataplane.ports;
	assert_int_equal(p[0].type, CONFIG_PORT_AF_XDP);
	assert_string_equal(p[0].target, "eth0");
	assert_int_equal(p[0].queues, 4);
	assert_int_equal(p[1].type, CONFIG_PORT_AF_PACKET);
	assert_string_equal(p[1].target, "eth1");
	assert_int_equal(p[1].queues, 0);
	assert_int_equal(p[2].type, CONFIG_PORT_TAP);
	assert_string_equal(p[2].target, "relay9");
	assert_int_equal(p[3].type, CONFIG_PORT_MEMIF);
	assert_string_equal(p[3].target, "/run/x.sock");
	assert_int_equal(p[3].memif_id, 7);
	assert_true(p[3].memif_server);
	assert_int_equal(p[3].queues, 2);
	assert_string_equal(p[3].kernel, "relay0");
	assert_int_equal(p[4].memif_id, 8);
	assert_false(p[4].memif_server);
	assert_string_equal(p[4].kernel, "");
	assert_int_equal(p[5].type, CONFIG_PORT_RING);
	assert_string_equal(p[5].target, "ring");
	assert_string_equal(p[6].target, "second");
	assert_int_equal(p[7].type, CONFIG_PORT_PCI);
	assert_string_equal(p[7].target, "0000:01:00.0");
	assert_string_equal(p[7].kernel, "wan");
	assert_string_equal(p[8].target, "0000:02:0a.1");
	assert_int_equal(c->dataplane.workers, 4);
	assert_int_equal(c->dataplane.core_count, 5);
	const unsigned cores[] = {0, 2, 3, 4, 7};
	assert_memory_equal(c->dataplane.cores, cores, sizeof(cores));
	assert_int_equal(c->dataplane.hugepages, CONFIG_HUGEPAGES_NO);
	assert_int_equal(c->dataplane.memory, 2048);
	assert_int_equal(c->dataplane.mappings, 100000);
	assert_int_equal(c->dataplane.allocations, 30000);
	assert_int_equal(c->dataplane.idle, CONFIG_IDLE_SLEEP);
	assert_int_equal(c->address.listen_count, 3);
	assert_address(&c->address.listen[1], "192.0.2.2");
	assert_address(&c->address.listen[2], "2001:db8::1");
	assert_int_equal(c->address.port, 443);
	assert_int_equal(c->address.alternate_port, 444);
	assert_int_equal(c->address.relay_first, 20000);
	assert_int_equal(c->address.relay_last, 29999);
	assert_string_equal(c->turn.realm, "example.org");
	assert_int_equal(c->turn.auth, CONFIG_AUTH_STATIC | CONFIG_AUTH_REST);
	assert_int_equal(c->turn.secret_count, 2);
	assert_string_equal(c->turn.secrets[0], "first=one;#");
	assert_string_equal(c->turn.secrets[1], "second");
	assert_int_equal(c->turn.user_count, 2);
	assert_string_equal(c->turn.users[0].name, "alice");
	assert_string_equal(c->turn.users[0].password, "pass:word");
	assert_string_equal(c->turn.users[1].name, "böb");
	assert_int_equal(c->turn.channel_last, 0x7FFF);
	assert_int_equal(c->turn.max_lifetime, 600);
	assert_int_equal(c->turn.quota, 0);
	assert_int_equal(c->turn.prefix_quota, 1000000);
	assert_int_equal(c->peers.allow_count, 2);
	assert_address(&c->peers.allow[0].first, "10.0.0.0");
	assert_address(&c->peers.allow[0].last, "10.255.255.255");
	assert_address(&c->peers.allow[1].last, "fd00::1");
	assert_int_equal(c->peers.deny_count, 1);
	assert_address(&c->peers.deny[0].first, "198.51.100.7");
	assert_address(&c->peers.deny[0].last, "198.51.100.9");
	assert_int_equal(c->guard.block_count, 2);
	assert_address(&c->guard.block[0].address, "198.51.100.0");
	assert_int_equal(c->guard.block[0].length, 24);
	assert_int_equal(c->guard.block[1].length, 0);
	assert_int_equal(c->guard.allow_count, 1);
	assert_address(&c->guard.allow[0].address, "198.51.100.7");
	assert_int_equal(c->guard.allow[0].length, 32);
	assert_int_equal(c->guard.reply_bytes, 1000000000);
	assert_int_equal(c->guard.punts, 1);
	assert_int_equal(c->guard.punts_with_allocation, 200);
	assert_int_equal(c->guard.punts_total, 300);
	assert_int_equal(c->guard.new_allocations, 400);
	assert_false(c->registration.enabled);
	assert_int_equal(c->registration.admission, CONFIG_ADMISSION_TOKEN);
	assert_int_equal(c->registration.lease, 60);
	assert_int_equal(c->registration.keepalive, 600);
	assert_int_equal(c->registration.epoch, 2);
	assert_int_equal(c->registration.leases, 16777216);
	assert_int_equal(c->registration.handles, 2);
	assert_int_equal(c->registration.sender_bytes, 2048);
	assert_int_equal(c->registration.address_bytes, 1000000000);
	assert_int_equal(c->registration.new_leases, 1);
	assert_int_equal(c->registration.puzzle_above, 1);
	assert_true(c->tokens.issue);
	assert_int_equal(c->tokens.spent, 100000000);
	assert_true(config_uses_tokens(c));
	config_free(c);
}

static void test_choices(void **state)
{
	struct config *c = parse("[turn]\nauth = open\n[dataplane]\nhugepages = yes\nidle = poll\n"
				 "port = ring\n" ADDRESS);

	(void)state;
	assert_int_equal(c->turn.auth, CONFIG_AUTH_OPEN);
	assert_int_equal(c->dataplane.hugepages, CONFIG_HUGEPAGES_YES);
	assert_int_equal(c->dataplane.idle, CONFIG_IDLE_POLL);
	config_free(c);

	c = parse(DATAPLANE "hugepages = auto\n" ADDRESS "[turn]\nauth = rest\nsecret = s\n"
			    "[node]\nname = the-node\n");
	assert_int_equal(c->turn.auth, CONFIG_AUTH_REST);
	assert_string_equal(c->turn.realm, "the-node");
	config_free(c);
}

// ---- errors ----

struct mistake {
	const char *text;
	const char *place;    // "LINE: [section] key: ", what the error begins with
	const char *contains; // a part of the explanation
};

#define LONG_64  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_256 LONG_64 LONG_64 LONG_64 LONG_64

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

// ---- warnings ----

static bool warned(const char *text, const char *contains)
{
	char warning[CONFIG_WARNING_SIZE];
	struct config *config = parse(text);
	bool found = false;

	for (unsigned i = 0; config_warning(config, i, warning); i++)
		found = found || strstr(warning, contains) != NULL;
	config_free(config);
	return found;
}

static void test_warnings(void **state)
{
	(void)state;
	assert_true(warned(DATAPLANE ADDRESS "[turn]\nauth = open\n", "auth = open"));
	assert_true(warned(
		DATAPLANE ADDRESS "[turn]\nauth = rest\nsecret = short\n", "secret number 1"));
	assert_true(warned(MINIMAL, "user alice"));
	assert_true(warned(MINIMAL "[peers]\nallow = 1.1.1.1\nallow = 10.0.0.0/8\n",
		"10.0.0.0-10.255.255.255"));
	assert_false(warned(DATAPLANE ADDRESS
		"[turn]\nauth = static rest\nuser = alice:long-enough\n"
		"secret = 0123456789abcdef\n[peers]\nallow = 1.1.1.1\ndeny = 10.0.0.0/8\n",
		""));
}

// ---- files ----

static char path[] = "/tmp/test_config.XXXXXX";

static void write_file(const char *text, size_t length, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), (ssize_t)length);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int load(char error[static CONFIG_ERROR_SIZE])
{
	struct config *config = NULL;
	int rc = config_load(path, &config, error);

	assert_int_equal(rc == 0, config != NULL);
	config_free(config);
	return rc;
}

static void test_secrets_that_others_may_read_are_refused(void **state)
{
	static const char open_text[] = DATAPLANE ADDRESS "[turn]\nauth = open\n";
	static const char rest_text[] = DATAPLANE ADDRESS "[turn]\nauth = rest\nsecret = s\n";
	char error[CONFIG_ERROR_SIZE];

	(void)state;
	write_file(MINIMAL, strlen(MINIMAL), 0640);
	assert_int_equal(load(error), 0);
	write_file(MINIMAL, strlen(MINIMAL), 0644);
	assert_int_equal(load(error), -EACCES);
	assert_non_null(strstr(error, path));
	assert_non_null(strstr(error, "; expected mode 0640"));
	write_file(rest_text, strlen(rest_text), 0604);
	assert_int_equal(load(error), -EACCES);
	write_file(open_text, strlen(open_text), 0644);
	assert_int_equal(load(error), 0);
	write_file(open_text, strlen(open_text), 0646);
	assert_int_equal(load(error), -EACCES);
	assert_non_null(strstr(error, "may write"));
}

static void test_unusable_files(void **state)
{
	char error[CONFIG_ERROR_SIZE];
	struct config *config = NULL;

	(void)state;
	assert_int_equal(config_load("/nonexistent/relay.conf", &config, error), -ENOENT);
	assert_non_null(strstr(error, "/nonexistent/relay.conf: cannot open: "));
	assert_int_equal(config_load("/", &config, error), -EISDIR);
	assert_non_null(strstr(error, "/: cannot read: "));
	assert_null(config);

	char *big = malloc(CONFIG_FILE_MAX + 1);
	assert_non_null(big);
	memset(big, '\n', CONFIG_FILE_MAX + 1);
	write_file(big, CONFIG_FILE_MAX + 1, 0600);
	assert_int_equal(load(error), -EFBIG);
	free(big);
	write_file("[node]\nname = a\0b\n", 18, 0600);
	assert_int_equal(load(error), -EINVAL);
	assert_non_null(strstr(error, ":2: control character in byte 9"));
	write_file("", 0, 0600);
	assert_int_equal(load(error), -EINVAL);
}

// ---- secrets ----

static void test_secrets_are_wiped(void **state)
{
	static const char secret[] = "Tr4ce-Of-A-Secret";
	static const char text[] =
		DATAPLANE ADDRESS "[turn]\nauth = static rest\nsecret = Tr4ce-Of-A-Secret\n"
				  "user = alice:Tr4ce-Of-A-Secret\n";
	static const char broken[] =
		DATAPLANE "[turn]\nauth = static rest\nuser = alice:Tr4ce-Of-A-Secret\n"
			  "secret = Tr4ce-Of-A-Secret Tr4ce-Of-A-Secret #\n";
	char error[CONFIG_ERROR_SIZE];

	(void)state;
	write_file(text, strlen(text), 0600);
	needle = secret;
	blocks_freed = traces_found = 0;
	line_buffer_held_secret = line_buffer_wiped = false;
	assert_int_equal(load(error), 0);
	needle = NULL;
	assert_true(blocks_freed >= 3); // the text, the users, the configuration
	assert_int_equal(traces_found, 0);
	assert_true(line_buffer_held_secret);
	assert_true(line_buffer_wiped);

	write_file(broken, strlen(broken), 0600);
	needle = secret;
	blocks_freed = traces_found = 0;
	line_buffer_held_secret = line_buffer_wiped = false;
	assert_int_equal(load(error), -EINVAL);
	needle = NULL;
	assert_true(blocks_freed >= 3);
	assert_int_equal(traces_found, 0);
	assert_true(line_buffer_held_secret);
	assert_true(line_buffer_wiped);
	assert_null(strstr(error, secret));
}

// Every error that can be made with a secret or a password in the value keeps it to itself.
static void test_errors_hold_no_secret(void **state)
{
	static const char *const texts[] = {
		"[turn]\nsecret = Tr4ce\nsecret = Tr4ce\n",
		"[turn]\nuser = Tr4ce\n",
		"[turn]\nuser = :Tr4ce\n",
		"[turn]\nuser = a:Tr4ce\nuser = a:Tr4ce\n",
		"[turn]\nuser = a:Tr4ce" LONG_256 "\n",
		"[turn]\nsecret = Tr4ce" LONG_256 "\n",
		"[turn]\nsecret = Tr4ce ; x\n",
		"[turn]\nsecret = Tr4ce\xff\n",
		"[turn]\nsecret = Tr4ce\x01\n",
		"[turn]\nsecret Tr4ce\n",
		"[turn]\nsecrets = Tr4ce\n",
	};
	char error[CONFIG_ERROR_SIZE];
	struct config *config;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(config_parse(texts[i], "f", &config, error), -EINVAL);
		assert_null(strstr(error, "Tr4ce"));
	}
}

static void test_freeing_nothing(void **state)
{
	(void)state;
	config_free(NULL);
}

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal_file_gets_documented_defaults),
		cmocka_unit_test(test_every_key_arrives),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_every_mistake_is_told_with_its_place),
		cmocka_unit_test(test_lists_have_ends),
		cmocka_unit_test(test_last_line_needs_no_end),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_secrets_that_others_may_read_are_refused),
		cmocka_unit_test(test_unusable_files),
		cmocka_unit_test(test_secrets_are_wiped),
		cmocka_unit_test(test_errors_hold_no_secret),
		cmocka_unit_test(test_freeing_nothing),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
