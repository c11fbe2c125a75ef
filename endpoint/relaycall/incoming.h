// SPDX-License-Identifier: BSD-3-Clause
// One thing that is being received: a text into memory, a file into a folder under a hidden name
// until it is whole. Ends with what is told on stdout.
#pragma once

#include "endpoint/relaycall/contacts.h"
#include "endpoint/relaycall/offer.h"
#include "endpoint/relaycall/session.h"
#include "endpoint/relaycall/transfer.h"

struct incoming {
	struct session *session;
	uint64_t call; // 0: unused
	struct endpoint_peer from;
	struct offer offer;
	struct transfer_receiver transfer;
	int fd; // -1: a text
	char part[PATH_MAX], path[PATH_MAX];
	char *text;
	size_t text_size;
	bool told;
};

// Makes room for the offer of a call. False: there is none, said on stderr.
bool incoming_begin(struct incoming *in, struct session *session, uint64_t call,
	const struct endpoint_peer *from, const struct offer *offer);
// True when it is over, one way or the other, and was told. The call is to stay a while, for a
// repetition of the last frame.
bool incoming_receive(struct incoming *in, const uint8_t *data, size_t size);
uint64_t incoming_tick(struct incoming *in);
// Frees; an unfinished file is removed, and that is told.
void incoming_end(struct incoming *in);

// A text that came, by call or by address.
void incoming_tell_text(
	const struct session *session, const struct endpoint_peer *from, char *text, size_t size);
// Who a peer is to a person: the name that is noted with its delivery key, which is proven, else
// "unknown" and the first characters of that key.
enum { INCOMING_NAME_SIZE = CONTACTS_NAME_MAX + 1 };
const char *incoming_name(const struct session *session, const struct endpoint_peer *peer,
	char text[INCOMING_NAME_SIZE]);
