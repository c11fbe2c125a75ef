// SPDX-License-Identifier: BSD-3-Clause
// The main lcore's loop; see serve.h.

#include "dataplane/serve.h"

#include "dataplane/dataplane.h"
#include "dataplane/exception.h"
#include "dataplane/settings.h"

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	PUNT_BATCH = 64,
	EVENT_BATCH = 512,
	READY_MAX = 32,
	SLEEP_MAX_MS = 1000,
};

// epoll's data.u64: 0 is the listening socket, small numbers connections.
#define READY_DOORBELL  (1ull << 62)
#define READY_SIGNALS   (2ull << 62)
#define READY_EXCEPTION (3ull << 62)
#define READY_KIND      (3ull << 62)

static int watch(struct serve *serve, int fd, uint64_t tag)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = tag};
	return epoll_ctl(serve->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int serve_open(struct serve *serve, struct dataplane *dataplane)
{
	memset(serve, 0, sizeof(*serve));
	for (unsigned i = 0; i < PORTS_MAX; i++)
		serve->exceptions[i] = -1;
	serve->dataplane = dataplane;
	socket_init(&serve->api, dataplane);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	serve->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	dataplane->doorbell.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	serve->epoll = serve->api.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (serve->signals < 0 || dataplane->doorbell.fd < 0 || serve->epoll < 0)
		return -errno;
	int result = watch(serve, serve->signals, READY_SIGNALS);
	return result ? result : watch(serve, dataplane->doorbell.fd, READY_DOORBELL);
}

int serve_exceptions(struct serve *serve, char error[static SOCKET_ERROR_SIZE])
{
	for (unsigned p = 0; p < serve->dataplane->port_count; p++) {
		const struct port *port = &serve->dataplane->ports[p];
		if (port->has_kernel)
			continue;
		int fd = exception_open(port);
		int result = fd < 0 ? fd : watch(serve, fd, READY_EXCEPTION | p);
		if (result < 0) {
			snprintf(error, SOCKET_ERROR_SIZE,
				"port %s: making its kernel interface %s: %s; choose another name "
				"with kernel=NAME, and see that /dev/net/tun is there",
				port->name, port->kernel_interface, strerror(-result));
			return result;
		}
		serve->exceptions[p] = fd;
	}
	return 0;
}

void serve_close(struct serve *serve)
{
	socket_close(&serve->api);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (serve->exceptions[i] >= 0)
			close(serve->exceptions[i]);
	close(serve->signals);
	close(serve->epoll);
	close(serve->dataplane->doorbell.fd);
}

// ---- signals ----

bool serve_interrupted(struct serve *serve)
{
	struct signalfd_siginfo info;
	bool stop = false;
	while (read(serve->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			fputs("relay-dataplane: SIGHUP is ignored: relay-controlplane tells what "
			      "may "
			      "change while we run (relayctl reload)\n",
				stderr);
		else
			stop = true;
	}
	if (stop) {
		// Whoever asks twice does not want to wait for an orderly end.
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGTERM);
		sigaddset(&set, SIGINT);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
	}
	return stop;
}

// ---- what the workers have ----

static unsigned take_punts(struct serve *serve, struct worker_machine *machine)
{
	struct rte_mbuf *mbufs[PUNT_BATCH];
	unsigned count =
		rte_ring_sc_dequeue_burst(machine->punts, (void **)mbufs, PUNT_BATCH, NULL);
	struct connection *control = serve->api.server.control;
	for (unsigned i = 0; i < count; i++) {
		const struct packet_private *private = rte_mbuf_to_priv(mbufs[i]);
		if (control)
			connection_event(control,
				private->kind == PACKET_PUNT_NATIVE ? API_NATIVE_PUNT : API_PUNT,
				rte_pktmbuf_mtod(mbufs[i], void *), rte_pktmbuf_data_len(mbufs[i]));
		// The headers lay where struct api_punt is now (punt_payload).
		launder_data(mbufs[i]);
	}
	if (count)
		rte_pktmbuf_free_bulk(mbufs, count);
	return count;
}

static unsigned take_kernel(struct serve *serve, struct worker_machine *machine)
{
	struct rte_mbuf *mbufs[PUNT_BATCH];
	unsigned count =
		rte_ring_sc_dequeue_burst(machine->kernel, (void **)mbufs, PUNT_BATCH, NULL);
	for (unsigned i = 0; i < count; i++) {
		const struct packet_private *private = rte_mbuf_to_priv(mbufs[i]);
		exception_to_kernel(serve->exceptions[private->port], mbufs[i]);
	}
	return count;
}

static unsigned take_events(struct serve *serve, struct worker_machine *machine)
{
	struct connection *control = serve->api.server.control;
	struct event event;
	unsigned count = 0;
	if (atomic_exchange(&machine->events.lost, false) && control)
		control->resync = true;
	while (count < EVENT_BATCH && event_ring_get(&machine->events, &event)) {
		count++;
		if (!control)
			continue; // it will take a snapshot
		if (event.type == API_EXPIRED)
			connection_event(
				control, API_EXPIRED, &event.expired, sizeof(event.expired));
		else
			connection_event(control, API_NEIGHBOUR_WANTED, &event.neighbour,
				sizeof(event.neighbour));
	}
	explicit_bzero(&event, sizeof(event));
	return count;
}

static unsigned take_commands(struct serve *serve, struct worker_machine *machine)
{
	struct command *command;
	unsigned count = 0;
	while ((command = command_completed(&machine->lane)) != NULL) {
		if (command->kind == COMMAND_SETTINGS)
			settings_reported(serve->dataplane);
		else if (command->kind == COMMAND_NATIVE_SETTINGS)
			native_settings_reported(serve->dataplane);
		struct connection *connection =
			command->connection ? socket_connection(&serve->api, command->connection)
					    : NULL;
		if (connection)
			connection_completed(connection, command);
		count++;
		// Ending all of them goes on piece by piece, unless the drain was taken back.
		if (command->kind == COMMAND_END_ALL && command->result == -EAGAIN &&
			serve->dataplane->drain.ended) {
			command_submit(&machine->lane, command);
			doorbell_ring(&machine->rest.bell);
			break;
		}
		command_release(&machine->lane, command);
	}
	return count;
}

static bool worker_has_something(const struct worker_machine *machine)
{
	return !rte_ring_empty(machine->punts) || !rte_ring_empty(machine->kernel) ||
	       !event_ring_empty(&machine->events) || !command_lane_idle(&machine->lane);
}

static unsigned take_all(struct serve *serve)
{
	unsigned count = 0;
	for (unsigned w = 0; w < serve->dataplane->worker_count; w++) {
		struct worker_machine *machine = serve->dataplane->workers[w]->machine;
		count += take_commands(serve, machine);
		count += take_punts(serve, machine);
		count += take_events(serve, machine);
		count += take_kernel(serve, machine);
	}
	return count;
}

// ---- the drain deadline ----

static void end_all(struct dataplane *dataplane)
{
	struct drain *drain = &dataplane->drain;
	if (!drain->on || !drain->has_deadline || drain->ended ||
		dataplane_now_ms() < drain->deadline_ms)
		return;
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		if (dataplane->workers[w]->machine->lane.free_count == 0)
			return; // soon
	for (unsigned w = 0; w < dataplane->worker_count; w++) {
		struct command_lane *lane = &dataplane->workers[w]->machine->lane;
		struct command *command = command_take(lane);
		command->kind = COMMAND_END_ALL;
		command->position = 0;
		command_submit(lane, command);
		doorbell_ring(&dataplane->workers[w]->machine->rest.bell);
	}
	drain->ended = true;
}

// ---- the loop ----

static int sleep_ms(const struct dataplane *dataplane)
{
	uint32_t left = dataplane->drain.ended ? UINT32_MAX : dataplane_drain_left(dataplane);
	return left < SLEEP_MAX_MS ? (int)left : SLEEP_MAX_MS;
}

// Announces the sleep, then looks once more: doorbell.h.
static int prepare_sleep(struct dataplane *dataplane)
{
	doorbell_announce(&dataplane->doorbell);
	for (unsigned w = 0; w < dataplane->worker_count; w++)
		if (worker_has_something(dataplane->workers[w]->machine))
			return 0;
	return sleep_ms(dataplane);
}

// Returns false when it is time to stop.
static bool dispatch(struct serve *serve, const struct epoll_event *event, unsigned *work)
{
	uint64_t tag = event->data.u64;
	switch (tag & READY_KIND) {
	case READY_DOORBELL:
		doorbell_awake(&serve->dataplane->doorbell, true);
		return true;
	case READY_SIGNALS:
		return !serve_interrupted(serve);
	case READY_EXCEPTION: {
		unsigned p = (unsigned)(tag & ~READY_KIND);
		*work += exception_from_kernel(
			serve->dataplane, &serve->dataplane->ports[p], serve->exceptions[p]);
		return true;
	}
	default:
		*work += 1;
		if (tag == SOCKET_EPOLL_LISTEN)
			socket_accept(&serve->api);
		else
			socket_ready(&serve->api, tag, event->events);
		return true;
	}
}

void serve_run(struct serve *serve)
{
	struct dataplane *dataplane = serve->dataplane;
	unsigned work = 1;
	bool stack_used = false;
	for (;;) {
		struct epoll_event events[READY_MAX];
		if (!work && stack_used)
			launder_stack();
		stack_used = work;
		int timeout = work ? 0 : prepare_sleep(dataplane);
		int ready = epoll_wait(serve->epoll, events, READY_MAX, timeout);
		doorbell_awake(&dataplane->doorbell, false);
		work = 0;
		for (int i = 0; i < ready; i++)
			if (!dispatch(serve, &events[i], &work))
				return;
		work += take_all(serve);
		end_all(dataplane);
		settings_tick(dataplane);
		work += native_tick(dataplane);
		socket_work(&serve->api);
	}
}
