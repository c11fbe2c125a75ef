// SPDX-License-Identifier: BSD-3-Clause
// Contact cards and addresses of relays of any text. What parses is written again as the same text;
// bytes with a right check get behind it.
#include "endpoint/contact.h"
#include "lib/crypto/blake3.h"

#include <sodium.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void back_again(const struct endpoint_contact_address *address)
{
	struct endpoint_contact_address back;
	char text[300];

	endpoint_contact_address_format(address, text, sizeof(text));
	// An IPv4-mapped address is written as IPv6 writes it and may not come back.
	if (address->name[0] != 0 && (endpoint_contact_address_parse(text, &back) != 0 ||
					     memcmp(&back, address, sizeof(back)) != 0))
		abort();
}

static void parse(const char *text)
{
	struct endpoint_contact contact;
	char again[ENDPOINT_CONTACT_TEXT_SIZE];

	if (endpoint_contact_parse(text, &contact) != 0)
		return;
	if (endpoint_contact_format(&contact, again) != 0 || strcmp(text, again) != 0)
		abort();
	for (size_t i = 0; i < contact.relay_count; i++)
		for (size_t k = 0; k < contact.relays[i].address_count; k++)
			back_again(&contact.relays[i].addresses[k]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[4096] = ENDPOINT_CONTACT_SCHEME;
	uint8_t bytes[2432], check[32];
	struct endpoint_contact_address address;
	const size_t scheme = strlen(text);

	if (size == 0 || size > 2400 || sodium_init() < 0)
		return 0;
	if (data[0] & 1) {
		memcpy(text, data + 1, size - 1);
		text[size - 1] = 0;
		parse(text);
		if (endpoint_contact_address_parse(text, &address) == 0) {
			char out[300];
			struct endpoint_contact_address back;
			endpoint_contact_address_format(&address, out, sizeof(out));
			if (endpoint_contact_address_parse(out, &back) != 0 ||
				memcmp(&back, &address, sizeof(back)) != 0)
				abort();
		}
		return 0;
	}
	memcpy(bytes, data + 1, size - 1);
	blake3_hash(bytes, size - 1, check);
	memcpy(bytes + size - 1, check, 4);
	sodium_bin2base64(text + scheme, sizeof(text) - scheme, bytes, size + 3,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	parse(text);
	return 0;
}
