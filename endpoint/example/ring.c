// SPDX-License-Identifier: BSD-3-Clause
// The smallest use of the phone: calls a contact whose phone answers, sends fifty frames a second
// for three seconds, and tells which way they went and how many came back. Builds with
//
//     cc ring.c $(pkg-config --cflags --libs endpoint) -o ring
//
//     ring CONTACT
//
// A frame is a number and whatever a codec makes of 20 ms; here it is nobody's voice. Real programs
// keep the seeds (these are new in each run), resolve names, and take calls, too.
#include <endpoint/contact.h>
#include <endpoint/phone/phone.h>
#include <endpoint/phone/phone_driver.h>

#include <uv.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES = 150, FRAME_MS = 20 };

static struct phone_driver *driver;
static uv_timer_t timer;
static uint64_t call;
static unsigned sent, heard;
static int code;

static void stop(uv_timer_t *t)
{
	uv_close((uv_handle_t *)t, NULL);
	phone_driver_close(driver, NULL, NULL);
}

static void speak(uv_timer_t *t)
{
	struct phone *phone = phone_driver_phone(driver);
	uint8_t frame[64] = {0, 0, (uint8_t)(sent >> 8), (uint8_t)sent};

	if (phone_voice(phone, call, frame, sizeof(frame), phone_driver_now()) == 0)
		sent++;
	if (sent < FRAMES)
		return;
	printf("sent %u frames, heard %u\n", sent, heard);
	code = heard == 0;
	phone_withdraw(phone, phone_driver_now());
	uv_timer_start(t, stop, 1000, 0); // until the relay and the peer know
}

static void on_event(void *context, const struct phone_event *event)
{
	(void)context;
	switch (event->type) {
	case PHONE_RINGING:
		printf("it rings\n");
		break;
	case PHONE_ANSWERED:
		uv_timer_start(&timer, speak, 0, FRAME_MS);
		break;
	case PHONE_PATH:
		printf("by %s\n", event->path.now > 3 ? "the direct path" : "the relay");
		break;
	case PHONE_VOICE:
		heard++;
		break;
	case PHONE_ENDED:
	case PHONE_TROUBLE:
		fprintf(stderr, "it did not work out\n");
		code = 1;
		uv_timer_start(&timer, stop, 0, 0); // not from inside an event
		break;
	default:
		break;
	}
}

static int take_contact(const char *text, struct phone_contact *out)
{
	struct endpoint_contact card;

	if (endpoint_contact_parse(text, &card) != 0)
		return -1;
	memset(out, 0, sizeof(*out));
	out->peer = card.peer;
	memcpy(out->identity_key, card.identity_key, sizeof(out->identity_key));
	for (size_t i = 0; i < card.relay_count; i++) {
		struct phone_relay *relay = &out->relays[out->relay_count++];
		relay->has_key = card.relays[i].has_key;
		memcpy(relay->key, card.relays[i].key, sizeof(relay->key));
		for (size_t j = 0; j < card.relays[i].address_count; j++)
			if (card.relays[i].addresses[j].transport.family != 0)
				relay->addresses[relay->address_count++] =
					card.relays[i].addresses[j].transport;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct phone_config config = {.relay_after_ms = UINT32_MAX};
	struct phone_contact contact;

	if (argc != 2 || take_contact(argv[1], &contact) != 0) {
		fprintf(stderr, "usage: ring CONTACT\n");
		return 2;
	}
	int random = open("/dev/urandom", O_RDONLY);
	if (random < 0 || read(random, config.identity_seed, 32) != 32 ||
		read(random, config.delivery_seed, 32) != 32 ||
		read(random, config.namespace_id, 32) != 32)
		return 1;
	close(random);
	uv_timer_init(uv_default_loop(), &timer);
	if (phone_driver_create(&driver, uv_default_loop(), &config, on_event, NULL) != 0 ||
		phone_call(phone_driver_phone(driver), &contact, &call, phone_driver_now()) != 0)
		return 1;
	uv_run(uv_default_loop(), UV_RUN_DEFAULT);
	return code;
}
