// SPDX-License-Identifier: BSD-3-Clause
// lib/config: every key and its default, and what is usable but deserves a warning.
#include "tests/unit/config_text.h"

#include "lib/net/address_text.h"

#include <string.h>

// ---- parsing ----

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

// ---- secrets ----

static void test_freeing_nothing(void **state)
{
	(void)state;
	config_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal_file_gets_documented_defaults),
		cmocka_unit_test(test_every_key_arrives),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_freeing_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
