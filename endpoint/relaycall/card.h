// SPDX-License-Identifier: BSD-3-Clause
// Contact cards as people and scripts get to see them.
#pragma once

#include "endpoint/contact.h"

#include <stdio.h>

struct json_t;

// "contact" (the card), "identity_key", "fingerprint", "delivery_key", "relays". A new reference.
struct json_t *card_json(const struct endpoint_contact *contact, const char *text);
// The relays of a card, one a line, each line behind `indent`.
void card_print_relays(const struct endpoint_contact *contact, const char *indent, FILE *out);
