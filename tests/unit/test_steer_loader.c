// SPDX-License-Identifier: BSD-3-Clause
// The loader on real interfaces: what it finds on them, what it removes and what it leaves, and the
// tc program under frames that come in from a wire. Needs root. Each test has a network namespace
// of its own, with
//
//     wire ==veth== port        nothing but the test sends into `wire`; programs sit on `port`
//
// and the process a mount namespace, for the BPF file system that libxdp's dispatcher wants.

#include "ebpf/program.h"
#include "tests/unit/steer_frames.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#define PORT "port"

static void command(const char *line)
{
	if (system(line) != 0)
		fail_msg("failed: %s", line);
}

static int network_make(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET))
		return -1;
	command("sysctl -qw net.ipv6.conf.default.disable_ipv6=1");
	command("ip link add wire type veth peer name " PORT);
	command("ip link set wire up && ip link set " PORT " up");
	// Until the kernel has noticed the carrier, it throws away what is sent into `wire`.
	for (int i = 0; i < 500; i++) {
		if (!system("ip link show wire | grep -q 'state UP'"))
			return 0;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	}
	return -1;
}

static int mounts_make(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	// Once: libxdp remembers the folder that it has made there.
	return mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL);
}

static struct steer_handles handles;

static struct steer_config config_one(enum who who)
{
	return (struct steer_config){
		.addresses = {address_of(who, 4), address_of(who, 6)},
		.address_count = 2,
		.listen_port = LISTEN,
		.relay_first = FIRST,
		.relay_last = LAST,
	};
}

static uint32_t attached_id(void)
{
	uint32_t id = 0;

	assert_return_code(bpf_xdp_query_id((int)if_nametoindex(PORT), 0, &id), 0);
	return id;
}

// ---- the relay, as far as the kernel sees it: its program and its socket ----

struct relay {
	struct bpf_object *object;
	int socket;
};

static struct bpf_object *object_open(void)
{
	char path[STEER_PATH_SIZE];
	int file = steer_program_file(path);

	assert_true(file >= 0);
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	assert_non_null(object);
	close(file);
	return object;
}

static void relay_listen(struct relay *relay, uint32_t queue)
{
	struct bpf_map *sockets = bpf_object__find_map_by_name(relay->object, "xsks_map");

	relay->socket = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	assert_true(relay->socket >= 0);
	assert_return_code(
		bpf_map_update_elem(bpf_map__fd(sockets), &queue, &relay->socket, BPF_ANY), 0);
}

// The driver's way: the first program, attached without libxdp, to an interface without a program.
static struct relay relay_start(uint32_t queue)
{
	struct relay relay = {.object = object_open()};

	assert_return_code(bpf_object__load(relay.object), 0);
	struct bpf_program *program = bpf_object__next_program(relay.object, NULL);
	assert_return_code(bpf_xdp_attach((int)if_nametoindex(PORT), bpf_program__fd(program),
				   XDP_FLAGS_UPDATE_IF_NOEXIST, NULL),
		0);
	relay_listen(&relay, queue);
	return relay;
}

// What SIGKILL does: descriptors are closed, attachments stay.
static void relay_kill(struct relay *relay)
{
	close(relay->socket);
	bpf_object__close(relay->object);
}

// A program that is not ours: XDP_PASS or TC_ACT_UNSPEC.
static int foreign_load(enum bpf_prog_type type, const char *name)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = type == BPF_PROG_TYPE_XDP ? 2 : -1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(type, name, "Dual BSD/GPL", pass, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

// ---- XDP ----

static void an_empty_interface_is_left_alone(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);

	(void)state;
	assert_int_equal(steer_detach_stale(PORT, foreign), 0);
	assert_string_equal(foreign, "");
	assert_int_equal(steer_configure(PORT, &config, &handles), -ENOENT);
	assert_int_equal(steer_detach_stale("nothere", foreign), -ENODEV);
	assert_int_equal(steer_configure("nothere", &config, &handles), -ENODEV);
	assert_int_equal(steer_tc_attach("nothere", &config, &handles, foreign), -ENODEV);
	assert_int_equal(steer_tc_detach("nothere"), -ENODEV);
}

static void a_killed_relays_program_is_removed(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	struct relay relay = relay_start(0);

	(void)state;
	assert_int_equal(steer_configure(PORT, &config, &handles), 0);
	steer_handles_close(&handles);
	relay_kill(&relay);
	assert_int_not_equal(attached_id(), 0);
	assert_int_equal(steer_detach_stale(PORT, foreign), 1);
	assert_string_equal(foreign, "");
	assert_int_equal(attached_id(), 0);
	relay = relay_start(0); // its successor finds the interface free
	relay_kill(&relay);
}

static void a_generic_mode_program_is_removed_too(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct relay relay = {.object = object_open()};

	(void)state;
	assert_return_code(bpf_object__load(relay.object), 0);
	struct bpf_program *program = bpf_object__next_program(relay.object, NULL);
	assert_return_code(bpf_xdp_attach((int)if_nametoindex(PORT), bpf_program__fd(program),
				   XDP_FLAGS_SKB_MODE, NULL),
		0);
	bpf_object__close(relay.object);
	assert_int_equal(steer_detach_stale(PORT, foreign), 1);
	assert_int_equal(attached_id(), 0);
}

static void a_living_relays_program_stays(void **state)
{
	static const uint32_t queues[] = {0, 37, STEER_QUEUES_MAX - 1};
	char foreign[STEER_NAME_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		struct relay relay = relay_start(queues[i]);
		uint32_t id = attached_id();
		assert_int_equal(steer_detach_stale(PORT, foreign), -EADDRINUSE);
		assert_string_equal(foreign, "");
		assert_int_equal(attached_id(), id);
		relay_kill(&relay);
		assert_int_equal(steer_detach_stale(PORT, foreign), 1);
	}
}

static void a_foreign_program_stays_and_is_named(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	int program = foreign_load(BPF_PROG_TYPE_XDP, "somebody_else");

	(void)state;
	assert_return_code(
		bpf_xdp_attach((int)if_nametoindex(PORT), program, XDP_FLAGS_DRV_MODE, NULL), 0);
	uint32_t id = attached_id();
	assert_int_equal(steer_detach_stale(PORT, foreign), -EBUSY);
	assert_string_equal(foreign, "somebody_else");
	assert_int_equal(attached_id(), id);
	assert_int_equal(steer_configure(PORT, &config, &handles), -ENOENT);
	close(program);
}

static void a_wrong_configuration_is_refused(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	struct relay relay = relay_start(0);

	(void)state;
	config.relay_last = config.relay_first - 1;
	assert_int_equal(steer_configure(PORT, &config, &handles), -EINVAL);
	assert_int_equal(steer_tc_attach(PORT, &config, &handles, foreign), -EINVAL);
	relay_kill(&relay);
}

// ---- XDP through libxdp's dispatcher ----

static struct xdp_program *component_attach(struct xdp_program *program)
{
	assert_int_equal(libxdp_get_error(program), 0);
	assert_return_code(
		xdp_program__attach(program, (int)if_nametoindex(PORT), XDP_MODE_NATIVE, 0), 0);
	return program;
}

// The one that libxdp gives AF_XDP sockets without a program of their own.
static struct xdp_program *foreign_component(void)
{
	return component_attach(xdp_program__find_file("xsk_def_xdp_prog.o", "xdp", NULL));
}

// Attaches ours as an operator with xdp-loader would.
static struct xdp_program *our_component(struct relay *relay)
{
	relay->object = object_open();
	return component_attach(xdp_program__from_bpf_obj(relay->object, "xdp"));
}

static void component_close(struct relay *relay, struct xdp_program *program)
{
	xdp_program__close(program);
	bpf_object__close(relay->object);
}

// A kernel that refuses programs of type EXT cannot run a dispatcher; then libxdp attaches the
// program alone, which the tests before have seen.
static int dispatcher_network_make(void **state)
{
	static bool works;
	char name[STEER_NAME_SIZE];
	struct relay relay;

	if (network_make(state))
		return -1;
	struct xdp_program *ours = our_component(&relay);
	assert_return_code(steer_program_name(attached_id(), name), 0);
	works = !strcmp(name, "xdp_dispatcher");
	*state = &works;
	if (!works)
		print_message("no dispatcher with this kernel: %s is attached alone\n", name);
	assert_return_code(
		xdp_program__detach(ours, (int)if_nametoindex(PORT), XDP_MODE_NATIVE, 0), 0);
	component_close(&relay, ours);
	return 0;
}

static void dispatcher_needed(void **state)
{
	if (!*(bool *)*state)
		skip();
}

static void ours_is_found_in_a_dispatcher(void **state)
{
	char foreign[STEER_NAME_SIZE], name[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	struct relay relay;

	dispatcher_needed(state);
	struct xdp_program *ours = our_component(&relay);

	relay_listen(&relay, 0);
	assert_return_code(steer_program_name(attached_id(), name), 0);
	assert_string_equal(name, "xdp_dispatcher");
	assert_int_equal(steer_configure(PORT, &config, &handles), 0);
	steer_handles_close(&handles);
	assert_int_equal(steer_detach_stale(PORT, foreign), -EADDRINUSE);
	close(relay.socket);
	assert_int_equal(steer_detach_stale(PORT, foreign), 1);
	assert_string_equal(foreign, "");
	assert_int_equal(attached_id(), 0);
	component_close(&relay, ours);
}

static void others_stay_in_the_dispatcher(void **state)
{
	char foreign[STEER_NAME_SIZE], name[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	struct relay relay;

	dispatcher_needed(state);
	struct xdp_program *theirs = foreign_component();

	assert_int_equal(steer_detach_stale(PORT, foreign), -EBUSY);
	assert_string_equal(foreign, xdp_program__name(theirs));
	assert_int_equal(steer_configure(PORT, &config, &handles), -ENOENT);

	struct xdp_program *ours = our_component(&relay);
	assert_int_equal(steer_configure(PORT, &config, &handles), 0);
	steer_handles_close(&handles);
	assert_int_equal(steer_detach_stale(PORT, foreign), -EBUSY);
	assert_string_equal(foreign, xdp_program__name(theirs));
	assert_int_equal(steer_configure(PORT, &config, &handles), -ENOENT); // ours is gone
	assert_return_code(steer_program_name(attached_id(), name), 0);
	assert_string_equal(name, "xdp_dispatcher");
	component_close(&relay, ours);
	xdp_program__close(theirs);
}

static void a_dispatcher_one_cannot_look_into_stays(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	struct relay relay;

	dispatcher_needed(state);
	struct xdp_program *ours = our_component(&relay);

	assert_return_code(mount("none", "/sys/fs/bpf", "tmpfs", 0, NULL), 0);
	assert_int_equal(steer_detach_stale(PORT, foreign), -EBUSY);
	assert_string_equal(foreign, "xdp_dispatcher");
	assert_int_equal(steer_configure(PORT, &config, &handles), -ENOENT);
	assert_return_code(umount("/sys/fs/bpf"), 0);
	assert_int_equal(steer_detach_stale(PORT, foreign), 1);
	component_close(&relay, ours);
}

// ---- tc ----

static unsigned filters_attached(uint32_t *id)
{
	char line[256];
	unsigned count = 0;
	FILE *list = popen("tc filter show dev " PORT " ingress", "r");

	assert_non_null(list);
	while (fgets(line, sizeof(line), list)) {
		char *found = strstr(line, " id ");
		if (strstr(line, "direct-action") && found) {
			*id = (uint32_t)strtoul(found + 4, NULL, 10);
			count++;
		}
	}
	pclose(list);
	return count;
}

static void the_filter_takes_its_predecessors_place(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	uint32_t first = 0, second = 0;

	(void)state;
	assert_int_equal(steer_tc_detach(PORT), 0); // not even clsact
	assert_int_equal(steer_tc_attach(PORT, &config, &handles, foreign), 0);
	assert_string_equal(foreign, "");
	steer_handles_close(&handles);
	assert_int_equal(filters_attached(&first), 1);
	assert_int_equal(steer_tc_attach(PORT, &config, &handles, foreign), 0);
	steer_handles_close(&handles);
	assert_int_equal(filters_attached(&second), 1);
	assert_int_not_equal(first, second);
	assert_int_equal(steer_tc_detach(PORT), 0);
	assert_int_equal(filters_attached(&first), 0);
	assert_int_equal(steer_tc_detach(PORT), 0);
}

static void a_foreign_filter_stays_and_is_named(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	uint32_t before = 0, after = 0;
	int program = foreign_load(BPF_PROG_TYPE_SCHED_CLS, "somebody_else");
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(PORT),
		.attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = 1, .prog_fd = program);

	(void)state;
	assert_return_code(bpf_tc_hook_create(&hook), 0);
	assert_return_code(bpf_tc_attach(&hook, &opts), 0);
	assert_int_equal(filters_attached(&before), 1);
	assert_int_equal(steer_tc_attach(PORT, &config, &handles, foreign), -EBUSY);
	assert_string_equal(foreign, "somebody_else");
	assert_int_equal(steer_tc_detach(PORT), 0);
	assert_int_equal(filters_attached(&after), 1);
	assert_int_equal(before, after);
	close(program);
}

// ---- frames from a wire ----

static const struct fixture *fixture_named(const char *name)
{
	for (int i = 0; i < FIXTURES; i++)
		if (!strcmp(fixtures[i].name, name))
			return &fixtures[i];
	fail_msg("no fixture %s", name);
	return NULL;
}

static void wire_send(const struct frame *frame)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("wire")};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(
		sendto(fd, frame->bytes, frame->length, 0, (struct sockaddr *)&to, sizeof(to)),
		frame->length);
	close(fd);
}

// Waits, 5 seconds at most, until this counter has this value.
static void counter_reaches(int counters, enum steer_counter counter, uint64_t value)
{
	uint64_t values[STEER_COUNTERS];

	for (int i = 0; i < 500; i++) {
		assert_return_code(steer_counters(counters, values), 0);
		if (values[counter] >= value)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	}
	if (values[counter] == value)
		return;
	for (enum steer_counter i = 0; i < STEER_COUNTERS; i++)
		print_message("%s %llu\n", steer_counter_name(i), (unsigned long long)values[i]);
	command("ip -s link");
	fail_msg("%s is not %llu", steer_counter_name(counter), (unsigned long long)value);
}

// On its way to tc the outermost tag has moved from the frame into the metadata.
static void tags_count_for_tc_wherever_they_are(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	assert_int_equal(steer_tc_attach(PORT, &config, &handles, foreign), 0);
	static const char *const names[] = {"v4 listen port", "v4 VLAN", "v4 QinQ", "v6 QinQ"};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct frame frame = frame_of(fixture_named(names[i]));
		wire_send(&frame);
		counter_reaches(handles.counters, STEER_TAKE_CLIENT, i + 1);
	}
	struct frame frame = frame_of(fixture_named("v4 three tags"));
	wire_send(&frame);
	counter_reaches(handles.counters, STEER_PASS_TAGS, 1);
	counter_reaches(handles.counters, STEER_TAKE_CLIENT, 4);
	steer_handles_close(&handles);
}

static void xdp_takes_frames_from_a_wire(void **state)
{
	struct steer_config config = config_one(OURS);
	struct relay relay = relay_start(0);
	assert_int_equal(steer_configure(PORT, &config, &handles), 0);
	struct frame ours = frame_of(fixture_named("v6 QinQ"));
	struct frame echo = frame_of(fixture_named("v4 echo request"));

	(void)state;
	wire_send(&ours);
	counter_reaches(handles.counters, STEER_TAKE_CLIENT, 1);
	wire_send(&echo);
	counter_reaches(handles.counters, STEER_PASS_ICMP, 1);
	close(relay.socket);
	wire_send(&ours);
	counter_reaches(handles.counters, STEER_PASS_NO_SOCKET, 1);
	steer_handles_close(&handles);
	bpf_object__close(relay.object);
}

// A driver may map no more than the Ethernet header; a TAP told to does the same with what it is
// given in pieces.
static void tc_reads_headers_that_are_not_mapped(void **state)
{
	char foreign[STEER_NAME_SIZE];
	struct steer_config config = config_one(OURS);
	struct frame frame = frame_of(fixture_named("v6 packet too big in QinQ"));
	struct ifreq request = {
		.ifr_name = "pieces", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_NAPI | IFF_NAPI_FRAGS};
	struct iovec pieces[3] = {
		{frame.bytes, ETH_HLEN},
		{frame.bytes + ETH_HLEN, 20},
		{frame.bytes + ETH_HLEN + 20, frame.length - ETH_HLEN - 20},
	};
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	(void)state;
	if (tap < 0)
		skip();
	assert_return_code(ioctl(tap, TUNSETIFF, &request), 0);
	command("ip link set pieces up");
	assert_int_equal(steer_tc_attach("pieces", &config, &handles, foreign), 0);
	assert_int_equal(writev(tap, pieces, 3), frame.length);
	counter_reaches(handles.counters, STEER_TAKE_ICMP_ERROR, 1);
	counter_reaches(handles.counters, STEER_PASS_MALFORMED, 0);
	steer_handles_close(&handles);
	close(tap);
}

#define DISPATCHER(test) cmocka_unit_test_setup(test, dispatcher_network_make)
#define NETWORK(test)    cmocka_unit_test_setup(test, network_make)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NETWORK(an_empty_interface_is_left_alone),
		NETWORK(a_killed_relays_program_is_removed),
		NETWORK(a_generic_mode_program_is_removed_too),
		NETWORK(a_living_relays_program_stays),
		NETWORK(a_foreign_program_stays_and_is_named),
		NETWORK(a_wrong_configuration_is_refused),
		DISPATCHER(ours_is_found_in_a_dispatcher),
		DISPATCHER(others_stay_in_the_dispatcher),
		DISPATCHER(a_dispatcher_one_cannot_look_into_stays),
		NETWORK(the_filter_takes_its_predecessors_place),
		NETWORK(a_foreign_filter_stays_and_is_named),
		NETWORK(tags_count_for_tc_wherever_they_are),
		NETWORK(xdp_takes_frames_from_a_wire),
		NETWORK(tc_reads_headers_that_are_not_mapped),
	};

	if (geteuid() != 0) {
		puts("needs root to load BPF programs");
		return 77;
	}
	return cmocka_run_group_tests(tests, mounts_make, NULL);
}
