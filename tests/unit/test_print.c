// SPDX-License-Identifier: BSD-3-Clause
// What relayctl prints: numbers as people read them, tables that line up, JSON that scripts rely
// on.

#include "controlplane/relayctl/json.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/sample.h"
#include "controlplane/relayctl/table.h"
#include "lib/config/config.h"
#include "lib/net/address_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static char *shown;
static size_t shown_size;

static FILE *begin(void)
{
	free(shown);
	shown = NULL;
	FILE *out = open_memstream(&shown, &shown_size);
	assert_non_null(out);
	return out;
}

static void assert_shown(FILE *out, const char *expected)
{
	fclose(out);
	assert_string_equal(shown, expected);
}

static void assert_shows(const char *part)
{
	if (strstr(shown, part) == NULL)
		fail_msg("\"%s\" is not in\n%s", part, shown);
}

static void assert_hides(const char *part)
{
	if (strstr(shown, part) != NULL)
		fail_msg("\"%s\" is in\n%s", part, shown);
}

static void test_counts(void **state)
{
	char text[RELAYCTL_TEXT_SIZE];

	(void)state;
	assert_string_equal(relayctl_text_count(0, text), "0");
	assert_string_equal(relayctl_text_count(999, text), "999");
	assert_string_equal(relayctl_text_count(1000, text), "1,000");
	assert_string_equal(relayctl_text_count(1234567, text), "1,234,567");
	assert_string_equal(relayctl_text_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
}

static void test_bytes(void **state)
{
	char text[RELAYCTL_TEXT_SIZE];

	(void)state;
	assert_string_equal(relayctl_text_bytes(0, text), "0 B");
	assert_string_equal(relayctl_text_bytes(999, text), "999 B");
	assert_string_equal(relayctl_text_bytes(1000, text), "1.0 kB");
	assert_string_equal(relayctl_text_bytes(1234567, text), "1.2 MB");
	assert_string_equal(relayctl_text_bytes(999949, text), "999.9 kB");
	assert_string_equal(relayctl_text_bytes(999951, text), "1.0 MB");
	assert_string_equal(relayctl_text_bytes(UINT64_MAX, text), "18.4 EB");
}

static void test_durations(void **state)
{
	char text[RELAYCTL_TEXT_SIZE];

	(void)state;
	assert_string_equal(relayctl_text_duration(0, text), "0 s");
	assert_string_equal(relayctl_text_duration(59999, text), "59 s");
	assert_string_equal(relayctl_text_duration(60000, text), "1 min");
	assert_string_equal(relayctl_text_duration(61000, text), "1 min 1 s");
	assert_string_equal(relayctl_text_duration(3600000, text), "1 h");
	assert_string_equal(relayctl_text_duration(93784000, text), "1 d 2 h");
	assert_string_equal(relayctl_text_duration(86460000, text), "1 d");
}

static void test_sets_and_states(void **state)
{
	char text[RELAYCTL_TEXT_SIZE];

	(void)state;
	assert_string_equal(relayctl_text_auth(CONFIG_AUTH_OPEN, text), "open");
	assert_string_equal(relayctl_text_auth(CONFIG_AUTH_STATIC, text), "static");
	assert_string_equal(
		relayctl_text_auth(CONFIG_AUTH_STATIC | CONFIG_AUTH_REST, text), "static, rest");
	assert_string_equal(relayctl_text_state(ADMIN_STATE_DRAINING), "draining");
	assert_string_equal(relayctl_text_state(77), "unknown");
	assert_string_equal(relayctl_text_worker(3, text), "3");
	assert_string_equal(relayctl_text_worker(API_NO_PORT, text), "-");
}

static void test_columns_line_up(void **state)
{
	FILE *out = begin();
	struct relayctl_table *table = relayctl_table_create("lrl", "NAME|N|END");

	(void)state;
	relayctl_table_cell(table, "a");
	relayctl_table_cell(table, "%d", 12345);
	relayctl_table_cell(table, "x");
	relayctl_table_cell(table, "größer");
	relayctl_table_cell(table, "%d", 7);
	relayctl_table_cell(table, "%s", "");
	relayctl_table_cell(table, "incomplete");
	relayctl_table_print(table, out);
	assert_shown(out, "NAME        N  END\n"
			  "a       12345  x\n"
			  "größer      7\n");

	out = begin();
	table = relayctl_table_create("ll", NULL);
	relayctl_table_cell(table, "esc\x1b[2J");
	relayctl_table_cell(table, "tab\tnew\nline");
	relayctl_table_print(table, out);
	assert_shown(out, "esc?[2J  tab?new?line\n");
}

static struct admin_status some_status(void)
{
	struct admin_status s = {
		.name = "edge-1",
		.realm = "example.org",
		.controlplane_version = "0.1.0",
		.dataplane_version = "0.1.0",
		.controlplane_uptime_ms = 61000,
		.dataplane_uptime_ms = 93784000,
		.state = ADMIN_STATE_SERVING,
		.drain_left_ms = ADMIN_NO_DEADLINE,
		.allocations = 12,
		.allocations_max = 16384,
		.relay_ports_free = 16372,
		.relay_ports_total = 16384,
		.to_peer_packets = 1234567,
		.to_peer_bytes = 1234567890,
		.to_client_packets = 5,
		.to_client_bytes = 860,
		.drops = 3,
		.mbufs_free = 8000,
		.mbufs_total = 8192,
		.workers = 1,
		.ports = 2,
		.auth = CONFIG_AUTH_STATIC,
		.port = 3478,
		.alternate_port = 3479,
		.relay_first = 49152,
		.relay_last = 65535,
		.listen_count = 2,
		.registration = {.leases = 1234,
			.leases_max = 65536,
			.handles = 6,
			.handles_max = 4096,
			.enabled = 1,
			.served = 1,
			.admission = CONFIG_ADMISSION_POW,
			.epoch = 500000,
			.epoch_seconds = 3600,
			.load = 12000,
			.difficulty = 13,
			.relay_key = "a key of thirty-two bytes: alas."},
		.warning_count = 1,
		.warnings = {"2001:db8::1 is on no interface"},
	};

	net_address_parse("192.0.2.1", &s.listen[0]);
	net_address_parse("2001:db8::1", &s.listen[1]);
	return s;
}

static void test_status_for_people(void **state)
{
	struct admin_status status = some_status();
	FILE *out = begin();

	(void)state;
	relayctl_print_status(&status, out);
	assert_shown(out, "relay           edge-1, version 0.1.0\n"
			  "state           serving\n"
			  "up              dataplane 1 d 2 h, control plane 1 min 1 s\n"
			  "listen          192.0.2.1:3478\n"
			  "                [2001:db8::1]:3478\n"
			  "authentication  static (realm example.org)\n"
			  "registration    admission pow, epoch 500000 of 1 h\n"
			  "puzzle          13 bits at 12,000 registrations a second\n"
			  "relay key       YSBrZXkgb2YgdGhpcnR5LXR3byBieXRlczogYWxhcy4=\n"
			  "relay ports     49152-65535, 16,372 of 16,384 free\n"
			  "allocations     12 of 16,384\n"
			  "leases          1,234 of 65,536\n"
			  "handles         6 of 4,096\n"
			  "dataplane       1 worker, 2 ports, without hugepages\n"
			  "buffers         8,000 of 8,192 free\n"
			  "to peers        1,234,567 packets, 1.2 GB\n"
			  "to clients      5 packets, 860 B\n"
			  "dropped         3 packets\n"
			  "warning         2001:db8::1 is on no interface\n");

	status.state = ADMIN_STATE_DRAINING;
	out = begin();
	relayctl_print_status(&status, out);
	fclose(out);
	assert_shows("state           draining\n");
	status.drain_left_ms = 25000;
	out = begin();
	relayctl_print_status(&status, out);
	fclose(out);
	assert_shows("draining, 25 s left\n");

	status.state = ADMIN_STATE_UNREACHABLE;
	out = begin();
	relayctl_print_status(&status, out);
	fclose(out);
	assert_shows("dataplane unreachable: is relay-dataplane running?");
	assert_hides("allocations");
	assert_hides("leases");

	status = some_status();
	status.registration.served = 0;
	out = begin();
	relayctl_print_status(&status, out);
	fclose(out);
	assert_shows("registration    not served\n");
	assert_hides("relay key");
	status.registration.enabled = 0;
	out = begin();
	relayctl_print_status(&status, out);
	fclose(out);
	assert_shows("registration    off\n");
}

static void test_status_for_scripts(void **state)
{
	struct admin_status status = some_status();
	json_t *object = relayctl_json_status(&status);
	const char *name, *word, *listen0, *listen1, *auth, *warning;
	json_int_t allocations, packets, bytes;

	(void)state;
	assert_int_equal(json_unpack(object, "{s:s,s:s,s:[s,s],s:[s],s:[s],s:I,s:{s:I,s:I}}",
				 "name", &name, "state", &word, "listen", &listen0, &listen1,
				 "auth", &auth, "warnings", &warning, "allocations", &allocations,
				 "to_peers", "packets", &packets, "bytes", &bytes),
		0);
	assert_string_equal(name, "edge-1");
	assert_string_equal(word, "serving");
	assert_string_equal(listen0, "192.0.2.1:3478");
	assert_string_equal(listen1, "[2001:db8::1]:3478");
	assert_string_equal(auth, "static");
	assert_int_equal(allocations, 12);
	assert_int_equal(packets, 1234567);
	assert_int_equal(bytes, 1234567890);
	assert_null(json_object_get(object, "drain_left_ms"));
	const char *admission, *key;
	json_int_t leases, handles, epoch, difficulty;
	int served;
	assert_int_equal(
		json_unpack(object, "{s:{s:b,s:s,s:I,s:I,s:I,s:I,s:s}}", "registration", "served",
			&served, "admission", &admission, "epoch", &epoch, "leases", &leases,
			"handles", &handles, "difficulty", &difficulty, "relay_key", &key),
		0);
	assert_true(served);
	assert_string_equal(admission, "pow");
	assert_int_equal(epoch, 500000);
	assert_int_equal(leases, 1234);
	assert_int_equal(handles, 6);
	assert_int_equal(difficulty, 13);
	assert_string_equal(key, "YSBrZXkgb2YgdGhpcnR5LXR3byBieXRlczogYWxhcy4=");
	json_decref(object);

	status.state = ADMIN_STATE_DRAINING;
	object = relayctl_json_status(&status);
	assert_true(json_is_null(json_object_get(object, "drain_left_ms")));
	json_decref(object);
}

static const struct api_counter counters[] = {
	{.worker = 0, .kind = API_COUNTER_STAGE, .name = "parse", .value = 1000, .cycles = 45000},
	{.worker = 1, .kind = API_COUNTER_STAGE, .name = "parse", .value = 0},
	{.worker = 0, .kind = API_COUNTER_DROP, .name = "checksum", .value = 3},
	{.worker = 1, .kind = API_COUNTER_DROP, .name = "checksum", .value = 4},
	{.worker = 1, .kind = API_COUNTER_DROP, .name = "no_permission", .value = 0},
	{.worker = API_NO_PORT, .kind = API_COUNTER_EVENT, .name = "punts", .value = 8},
	{.worker = API_NO_PORT, .kind = ADMIN_COUNTER_TURN, .name = "allocate_ok", .value = 2},
};
enum { COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static void test_stats_for_people(void **state)
{
	FILE *out = begin();

	(void)state;
	relayctl_print_stats(counters, COUNTERS, 0, out);
	assert_shown(out, "Stages\n"
			  "WORKER  STAGE  PACKETS  CYCLES/PACKET\n"
			  "     0  parse    1,000             45\n"
			  "\n"
			  "Drops\n"
			  "WORKER  REASON    PACKETS\n"
			  "     0  checksum        3\n"
			  "     1  checksum        4\n"
			  "\n"
			  "Events\n"
			  "WORKER  EVENT  COUNT\n"
			  "     -  punts      8\n"
			  "\n"
			  "TURN\n"
			  "WORKER  COUNTER      COUNT\n"
			  "     -  allocate_ok      2\n");

	out = begin();
	relayctl_print_stats(counters, COUNTERS, 1, out);
	fclose(out);
	assert_shows("no_permission        0\n");
	out = begin();
	relayctl_print_stats(NULL, 0, 0, out);
	assert_shown(out, "Stages: none\n\nDrops: none\n\nEvents: none\n\nTURN: none\n");
}

static void test_stats_for_scripts(void **state)
{
	json_t *object = relayctl_json_stats(counters, COUNTERS);
	json_int_t packets, cycles, first, second, zero, punts, allocated;

	(void)state;
	assert_int_equal(
		json_unpack(object,
			"{s:[{s:{s:{s:I,s:I}},s:{s:I}},{s:{s:I,s:I}}],s:{s:{s:I}},s:{s:I}}",
			"workers", "stages", "parse", "packets", &packets, "cycles", &cycles,
			"drops", "checksum", &first, "drops", "checksum", &second, "no_permission",
			&zero, "system", "events", "punts", &punts, "turn", "allocate_ok",
			&allocated),
		0);
	assert_int_equal(packets, 1000);
	assert_int_equal(cycles, 45000);
	assert_int_equal(first, 3);
	assert_int_equal(second, 4);
	assert_int_equal(zero, 0);
	assert_int_equal(punts, 8);
	assert_int_equal(allocated, 2);
	json_decref(object);
}

static void test_ports_and_workers(void **state)
{
	struct api_port port = {
		.port = 0,
		.queues = 1,
		.up = 1,
		.name = "af_xdp:eth0",
		.driver = "net_af_xdp",
		.kernel_interface = "eth0",
		.rx_packets = 12345,
		.rx_bytes = 2000000,
		.steering = {API_STEERING_RSS, API_STEERING_RULES},
	};
	struct api_worker worker = {
		.worker = 2, .core = 5, .queues = 1, .busy_cycles = 25, .idle_cycles = 75};
	FILE *out = begin();

	(void)state;
	relayctl_print_ports(&port, 1, out);
	fclose(out);
	assert_shows("PORT  NAME         DRIVER      KERNEL  LINK  QUEUES");
	assert_shows("   0  af_xdp:eth0  net_af_xdp  eth0    up         1  12,345    2.0 MB");
	assert_shows("TX ERRORS  STEERING");
	assert_shows("0  rss, IPv6 rules");
	port.up = 0;
	port.has_exception = 1;
	port.steering[0] = API_STEERING_NONE;
	out = begin();
	relayctl_print_ports(&port, 1, out);
	fclose(out);
	assert_shows("eth0 (TAP)  down");
	assert_shows("0  rules");
	out = begin();
	port.steering[1] = API_STEERING_HANDOFF;
	relayctl_print_workers(&worker, 1, &port, 1, out);
	fclose(out);
	assert_shows("     2     5       1  25.0 %");
	assert_shows("PORT  NAME         QUEUES  IPV4 STEERED BY  IPV6 STEERED BY");
	assert_shows("   0  af_xdp:eth0       1  none             hand-off");
	assert_string_equal(relayctl_text_steering(API_STEERING_ONE_WORKER), "one worker");
	assert_string_equal(relayctl_text_steering(API_STEERING_NTUPLE), "ntuple");
	assert_string_equal(relayctl_text_steering(200), "unknown");

	json_t *list = relayctl_json_ports(&port, 1);
	json_int_t packets;
	const char *name;
	int up;
	assert_int_equal(json_unpack(list, "[{s:s,s:b,s:I}]", "name", &name, "up", &up,
				 "rx_packets", &packets),
		0);
	assert_string_equal(name, "af_xdp:eth0");
	assert_false(up);
	assert_int_equal(packets, 12345);
	json_decref(list);
	list = relayctl_json_workers(&worker, 1, &port, 1);
	const char *way;
	assert_int_equal(json_unpack(list, "[{s:I,s:[{s:s,s:s}]}]", "core", &packets, "ports",
				 "name", &name, "steering_ipv6", &way),
		0);
	assert_int_equal(packets, 5);
	assert_string_equal(name, "af_xdp:eth0");
	assert_string_equal(way, "hand-off");
	json_decref(list);
}

static void test_rates(void **state)
{
	(void)state;
	assert_true(relayctl_rate(100, 300, 2) == 100);
	assert_true(relayctl_rate(300, 300, 2) == 0);
	assert_true(relayctl_rate(300, 10, 2) == 0); // restarted
	assert_true(relayctl_rate(0, 10, 0) == 0);
}

static void test_top(void **state)
{
	struct api_worker workers[2] = {
		{.worker = 0, .core = 1, .rx_packets = 1000, .busy_cycles = 10, .idle_cycles = 90},
		{.worker = 0, .core = 1, .rx_packets = 3000, .busy_cycles = 60, .idle_cycles = 140},
	};
	struct api_counter later[COUNTERS];
	struct relayctl_sample before = {.time_s = 10, .status = some_status()};
	struct relayctl_sample now = {.time_s = 12, .status = some_status()};
	FILE *out = begin();

	(void)state;
	memcpy(later, counters, sizeof(counters));
	later[2].value += 10; // checksum, worker 0
	later[3].value += 20; // and worker 1
	later[4].value += 100;
	before.workers = (struct relayctl_list){&workers[0], 1};
	now.workers = (struct relayctl_list){&workers[1], 1};
	before.counters = (struct relayctl_list){(void *)(uintptr_t)counters, COUNTERS};
	now.counters = (struct relayctl_list){later, COUNTERS};
	now.status.to_peer_packets += 200;
	now.status.to_peer_bytes += 34400;
	now.status.drops += 130;
	relayctl_sample_print(&before, &now, out);
	assert_shown(out, "edge-1: serving, 12 of 16384 allocations, 65 drops/s\n"
			  "\n"
			  "DIRECTION   PACKETS/S  MBIT/S  BYTES/PACKET\n"
			  "to peers          100     0.1           172\n"
			  "to clients          0     0.0             0\n"
			  "\n"
			  "WORKER  CORE    BUSY  ALLOCATIONS  RX/S  TX/S  HAND-OFFS/S\n"
			  "     0     1  50.0 %            0  1000     0            0\n"
			  "\n"
			  "DROP REASON    PACKETS/S\n"
			  "no_permission         50\n"
			  "checksum              15\n");

	json_t *object = relayctl_sample_json(&before, &now);
	double rate, busy, drops;
	assert_int_equal(
		json_unpack(object, "{s:F,s:[{s:F}],s:{s:F}}", "to_peers_packets_per_s", &rate,
			"workers", "busy", &busy, "drops_per_s", "checksum", &drops),
		0);
	assert_true(rate == 100 && busy == 0.5 && drops == 15);
	json_decref(object);
}

// What comes over the socket is bytes: unterminated text and counts beyond the arrays.
static void test_cleaning(void **state)
{
	struct admin_status status;
	struct api_counter counter;
	struct api_port port;

	(void)state;
	memset(&status, 0x1b, sizeof(status));
	relayctl_clean_status(&status);
	assert_int_equal(status.listen_count, ADMIN_LISTEN_MAX);
	assert_int_equal(status.warning_count, ADMIN_WARNINGS_MAX);
	assert_int_equal(strlen(status.name), sizeof(status.name) - 1);
	assert_int_equal(status.name[0], '?');
	FILE *out = begin();
	relayctl_print_status(&status, out);
	fclose(out);
	assert_hides("\x1b");
	memset(&status, 0xff, sizeof(status));
	relayctl_clean_status(&status);
	json_t *object = relayctl_json_status(&status);
	assert_string_equal(json_string_value(json_object_get(object, "name")), "");
	json_decref(object);

	memset(&counter, 'x', sizeof(counter));
	relayctl_clean_counters(&counter, 1);
	assert_int_equal(strlen(counter.name), sizeof(counter.name) - 1);
	memset(&port, 'x', sizeof(port));
	relayctl_clean_ports(&port, 1);
	assert_int_equal(strlen(port.kernel_interface), sizeof(port.kernel_interface) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sets_and_states),
		cmocka_unit_test(test_columns_line_up),
		cmocka_unit_test(test_status_for_people),
		cmocka_unit_test(test_status_for_scripts),
		cmocka_unit_test(test_stats_for_people),
		cmocka_unit_test(test_stats_for_scripts),
		cmocka_unit_test(test_ports_and_workers),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_cleaning),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(shown);
	return failed;
}
