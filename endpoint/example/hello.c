// SPDX-License-Identifier: BSD-3-Clause
// The smallest use of libendpoint: registers at a relay and says who it is; or, given a contact,
// calls it, says one line, and hangs up. Builds with
//
//     cc hello.c $(pkg-config --cflags --libs endpoint) -o hello
//
//     hello RELAY-ADDRESS:PORT              answers calls and prints what it hears
//     hello RELAY-ADDRESS:PORT CONTACT      calls
//
// Real programs have an identity key that is another one than the delivery key, keep the seeds of
// both (the one here is new in each run), resolve names, and give up after a while.
#include <endpoint/contact.h>
#include <endpoint/driver.h>
#include <endpoint/endpoint.h>

#include <uv.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct endpoint_driver *driver;
static struct endpoint_contact self, callee;
static int calling, code;

static void leave(int result)
{
	code = result;
	endpoint_withdraw(endpoint_driver_core(driver), endpoint_driver_now());
}

static void print_contact(const struct endpoint_event *event)
{
	char text[ENDPOINT_CONTACT_TEXT_SIZE];

	if (calling || event->registered.renewed)
		return;
	endpoint_self(endpoint_driver_core(driver), &self.peer);
	memcpy(self.identity_key, self.peer.delivery_key, ENDPOINT_KEY_SIZE);
	self.relays[0].has_key = true;
	memcpy(self.relays[0].key, event->registered.relay_key, ENDPOINT_KEY_SIZE);
	if (endpoint_contact_format(&self, text) == 0)
		printf("%s\n", text);
	fflush(stdout);
}

static void stop(uv_timer_t *timer)
{
	uv_close((uv_handle_t *)timer, NULL);
	endpoint_driver_close(driver, NULL, NULL);
}

static void on_event(void *context, const struct endpoint_event *event)
{
	struct endpoint *core = endpoint_driver_core(driver);
	struct endpoint_time now = endpoint_driver_now();

	switch (event->type) {
	case ENDPOINT_REGISTERED:
		print_contact(event);
		break;
	case ENDPOINT_INVITE:
		endpoint_accept(core, event->call, "yes?", 4, now);
		break;
	case ENDPOINT_OPENED:
		if (calling) {
			printf("they say: %.*s\n", (int)event->size, (const char *)event->data);
			endpoint_send(core, event->call, "hello", 5, now);
			leave(0);
		}
		break;
	case ENDPOINT_DATA:
		printf("heard: %.*s\n", (int)event->size, (const char *)event->data);
		leave(0);
		break;
	case ENDPOINT_UNREACHABLE:
	case ENDPOINT_REFUSED:
	case ENDPOINT_ENDED:
		fprintf(stderr, "it did not work out\n");
		leave(1);
		break;
	case ENDPOINT_WITHDRAWN:
		// Not from inside an event: the core is still at work.
		uv_timer_start(context, stop, 0, 0);
		break;
	default:
		break;
	}
}

int main(int argc, char **argv)
{
	struct endpoint_config config = {.relay_count = 1};
	uv_timer_t timer;
	uint64_t call;

	calling = argc == 3;
	if (argc < 2 ||
		endpoint_contact_address_parse(argv[1], &self.relays[0].addresses[0]) != 0 ||
		(calling && endpoint_contact_parse(argv[2], &callee) != 0)) {
		fprintf(stderr, "usage: hello RELAY-ADDRESS:PORT [CONTACT]\n");
		return 2;
	}
	self.relay_count = self.relays[0].address_count = 1;
	config.relays[0] = self.relays[0].addresses[0].transport;
	int random = open("/dev/urandom", O_RDONLY);
	if (random < 0 || read(random, config.delivery_seed, 32) != 32 ||
		read(random, config.namespace_id, 32) != 32)
		return 1;
	close(random);
	uv_timer_init(uv_default_loop(), &timer);
	if (endpoint_driver_create(&driver, uv_default_loop(), &config, on_event, &timer) != 0)
		return 1;
	endpoint_register(endpoint_driver_core(driver), endpoint_driver_now());
	if (calling)
		endpoint_open(endpoint_driver_core(driver), &callee.peer, "it is me", 8, &call,
			endpoint_driver_now());
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	return code;
}
