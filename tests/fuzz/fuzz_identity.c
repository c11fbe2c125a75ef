// SPDX-License-Identifier: BSD-3-Clause
// Identity files and contacts books of any bytes. What parses is written again as the same.
#include "endpoint/relaycall/contacts.h"
#include "endpoint/relaycall/identity.h"

#include <sodium.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void identity(char *text, size_t size)
{
	static struct identity first, second;
	char again[IDENTITY_TEXT_SIZE], error[IDENTITY_ERROR_SIZE];
	unsigned version;

	memset(&first, 0, sizeof(first));
	memset(&second, 0, sizeof(second));
	if (identity_parse(&first, text, size, &version, error) != 0)
		return;
	size_t length = identity_format(&first, again);
	if (identity_parse(&second, again, length, &version, error) != 0 || version != 2 ||
		memcmp(&first, &second, sizeof(first)) != 0)
		abort();
}

static void book(char *text, size_t size)
{
	struct contacts first = {.count = 0}, second = {.count = 0};
	char error[CONTACTS_ERROR_SIZE];

	if (contacts_parse(&first, text, size, error) == 0) {
		char *again = contacts_format(&first, &size);
		if (contacts_parse(&second, again, size, error) != 0 ||
			first.count != second.count ||
			(first.count > 0 && memcmp(first.entries, second.entries,
						    first.count * sizeof(*first.entries)) != 0))
			abort();
		free(again);
	}
	contacts_free(&first);
	contacts_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || sodium_init() < 0)
		return 0;
	char *text = malloc(size);
	if (text == NULL)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	if (data[0] & 1)
		identity(text, size - 1);
	else
		book(text, size - 1);
	free(text);
	return 0;
}
