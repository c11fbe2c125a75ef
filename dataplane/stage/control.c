// SPDX-License-Identifier: BSD-3-Clause
// Control messages of the native protocol (lib/wire/README.md, first byte 4). What needs no key of
// a client's and no policy is answered here; REGISTER, OPEN and ACCEPT go to the control plane,
// once their sender has shown a cookie, with what the leases say of the source. Nothing is learnt
// from a message, and nothing larger than it is sent, before that. Owner worker.
#include "dataplane/stage/control.h"

#include "dataplane/stage/datagram.h"
#include "dataplane/stage/native_punt.h"
#include "dataplane/table/leases.h"

#include <errno.h>

enum { LINES_AHEAD = 3 }; // cache lines of a REGISTER

static void unsupported(struct pass *pass, unsigned at, const struct native_header *header)
{
	uint8_t message[NATIVE_ANSWER_MAX];
	const struct native_unsupported answer = {
		header->transaction, NATIVE_VERSION, NATIVE_VERSION};
	size_t size = native_unsupported_build(message, sizeof(message), &answer);
	if (native_answer(pass, at, message, size, NATIVE_STRANGER))
		pass->burst.worker->stats.event[EVENT_native_unsupported]++;
}

static void solicit(struct pass *pass, unsigned at, const uint8_t *message, size_t size)
{
	struct native_solicit solicit;
	if (native_solicit_parse(message, size, &solicit) < 0)
		pass_drop(pass, at, DROP_native_malformed);
	else
		native_answer_challenge(pass, at, solicit.transaction);
}

// The sender receives at its source, so it may be told.
static void malformed(struct pass *pass, unsigned at, const struct native_header *header)
{
	uint8_t message[NATIVE_ANSWER_MAX];
	const struct native_refused answer = {
		.transaction = header->transaction, .reason = NATIVE_REFUSED_MALFORMED};
	size_t size = native_refused_build(message, sizeof(message), &answer);
	if (native_answer(pass, at, message, size, NATIVE_PROVEN))
		pass->burst.worker->stats.event[EVENT_native_refused]++;
}

// What a request is about. device: NULL, or of REGISTER.
struct subject {
	const uint8_t *address, *device;
};

static bool subject_of(
	enum native_type type, const uint8_t *message, size_t size, struct subject *out)
{
	union {
		struct native_register registration;
		struct native_open open;
		struct native_accept accept;
	} m;
	switch (type) {
	case NATIVE_REGISTER:
		if (native_register_parse(message, size, &m.registration) < 0)
			return false;
		*out = (struct subject){m.registration.address, m.registration.device};
		return true;
	case NATIVE_OPEN:
		if (native_open_parse(message, size, &m.open) < 0)
			return false;
		*out = (struct subject){m.open.caller, NULL};
		return true;
	default:
		if (native_accept_parse(message, size, &m.accept) < 0)
			return false;
		*out = (struct subject){m.accept.callee, NULL};
		return true;
	}
}

// What the leases say of the source and the device. *deadline: of the device's lease, 0: none.
static unsigned context(
	const struct pass *pass, unsigned at, const struct subject *subject, uint32_t *deadline)
{
	struct lease_view devices[NATIVE_DEVICES_MAX];
	struct client_key source;
	unsigned flags = 0;
	int count =
		leases_look_up(pass->burst.worker->leases, subject->address, pass->tick, devices);
	native_source(&source, pass, at, &pass->burst.headers[at]);
	*deadline = 0;
	for (int i = 0; i < count; i++) {
		if (lease_is_at(&devices[i], &source))
			flags |= API_NATIVE_PUNT_HERE;
		if (subject->device &&
			memcmp(subject->device, devices[i].device, NATIVE_DEVICE_SIZE) == 0) {
			flags |= API_NATIVE_PUNT_KNOWN;
			*deadline = devices[i].deadline;
		}
	}
	return flags;
}

// All three have their cookie behind the header.
static void request(struct pass *pass, unsigned at, const struct native_header *header,
	const uint8_t *message, size_t size)
{
	const struct worker *worker = pass->burst.worker;
	const uint8_t *cookie = message + NATIVE_HEADER_SIZE;
	struct subject subject;
	uint32_t deadline;
	if (!control_cookie(pass, at, cookie)) {
		native_answer_challenge(pass, at, header->transaction);
		return;
	}
	if (!subject_of(header->type, message, size, &subject)) {
		malformed(pass, at, header);
		return;
	}
	unsigned flags = context(pass, at, &subject, &deadline);
	uint32_t left = flags & API_NATIVE_PUNT_KNOWN
				? ticks_left_ms(deadline, pass->burst.now, worker->mappings->hz)
				: 0;
	native_punt(pass, at, flags, cookie_issued(cookie), left);
}

static void control(struct pass *pass, unsigned at)
{
	const struct headers *h = &pass->burst.headers[at];
	const uint8_t *frame = pass_frame(pass, at), *message = frame + h->payload_offset;
	const size_t size = h->payload_length;
	struct native_header header;
	if (!datagram_checksum_right(frame, h)) {
		pass_drop(pass, at, DROP_bad_checksum);
		return;
	}
	int result = native_header_parse(message, size, &header);
	if (result == -EBADMSG || size < NATIVE_REQUEST_MIN) {
		pass_drop(pass, at, DROP_native_malformed);
		return;
	}
	if (result < 0) {
		unsupported(pass, at, &header);
		return;
	}
	switch (header.type) {
	case NATIVE_SOLICIT:
		solicit(pass, at, message, size);
		return;
	case NATIVE_KEEPALIVE:
		control_keepalive(pass, at, message, size);
		return;
	case NATIVE_PATH_RESPONSE:
		control_path_response(pass, at, message, size);
		return;
	case NATIVE_CLOSE:
		control_close(pass, at, message, size);
		return;
	case NATIVE_REGISTER:
	case NATIVE_OPEN:
	case NATIVE_ACCEPT:
		request(pass, at, &header, message, size);
		return;
	default:
		pass_drop(pass, at, DROP_native_type);
	}
}

void stage_control(struct pass *pass)
{
	// The stages before have looked at the first line only.
	for (unsigned i = 0; i < pass->native[PASS_CONTROL].count; i++)
		for (unsigned line = 1; line <= LINES_AHEAD; line++)
			rte_prefetch0(
				pass_frame(pass, pass->native[PASS_CONTROL].at[i]) + line * 64);
	for (unsigned i = 0; i < pass->native[PASS_CONTROL].count; i++)
		control(pass, pass->native[PASS_CONTROL].at[i]);
}
