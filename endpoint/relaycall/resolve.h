// SPDX-License-Identifier: BSD-3-Clause
// A relay of a contact to transport addresses: names are looked up, at most ENDPOINT_RELAYS_MAX
// addresses are kept, in the contact's order and the resolver's within.
#pragma once

#include "endpoint/contact.h"

// How many were written; 0: none, and error (`size` bytes) says why.
size_t resolve_relay(const struct endpoint_contact_relay *relay,
	struct endpoint_transport out[ENDPOINT_RELAYS_MAX], char *error, size_t size);
