// SPDX-License-Identifier: BSD-3-Clause
// What a client sends in one epoch cannot be told to be of the same client as what it sends in
// another: REGISTERs share no four bytes, wherever they stand, but the protocol's constants. What
// the relay tells them both (cookie, epoch) is the relay's.
#include "tests/unit/registration_desk.h"

// Fields of REGISTER that are the same for everybody, or the relay's; the rest is the client's.
static const struct {
	size_t offset, size;
} constants[] = {
	{0, 4},   // first byte, version, type, zero
	{12, 12}, // cookie
	{24, 8},  // lifetime, epoch
	{104, 4}, // admission kind, zeros
};

// The client's part of a message, with a mark where something was taken out.
struct part {
	uint8_t bytes[NATIVE_MESSAGE_MAX];
	bool gap[NATIVE_MESSAGE_MAX]; // no four bytes go over it
	size_t size;
};

static bool is_constant(size_t at)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (at >= constants[i].offset && at < constants[i].offset + constants[i].size)
			return true;
	return false;
}

static struct part part_of(const uint8_t *message, size_t size)
{
	struct part part = {0};
	for (size_t i = 0; i < size; i++) {
		if (is_constant(i)) {
			part.gap[part.size] = true;
			continue;
		}
		part.bytes[part.size++] = message[i];
	}
	return part;
}

static bool whole(const struct part *part, size_t at)
{
	return at + 4 <= part->size && !part->gap[at + 1] && !part->gap[at + 2] &&
	       !part->gap[at + 3];
}

static bool share_four_bytes(const struct part *a, const struct part *b)
{
	for (size_t i = 0; i < a->size; i++)
		for (size_t j = 0; j < b->size; j++)
			if (whole(a, i) && whole(b, j) &&
				memcmp(a->bytes + i, b->bytes + j, 4) == 0)
				return true;
	return false;
}

static struct part registration(struct desk *desk, const struct desk_client *client)
{
	const struct native_register m = desk_register_of(desk, client, 300);
	desk_build_register(desk, client, &m);
	return part_of(desk->message, desk->size);
}

static void epochs_cannot_be_linked(void **state)
{
	(void)state;
	enum { EPOCHS = 12 };
	struct desk *desk = desk_open("");
	struct desk_client client = desk_client(1);
	struct part parts[EPOCHS];
	for (uint32_t e = 0; e < EPOCHS; e++) {
		desk_client_epoch(&client, DESK_EPOCH - 1 + e);
		parts[e] = registration(desk, &client);
		assert_int_equal(parts[e].size, 172 - 28);
		for (uint32_t earlier = 0; earlier < e; earlier++)
			assert_false(share_four_bytes(&parts[earlier], &parts[e]));
	}
	desk_close(desk);
}

// Nor namespaces, for who does not know them.
static void namespaces_cannot_be_linked(void **state)
{
	(void)state;
	struct desk *desk = desk_open("");
	struct desk_client client = desk_client(1);
	struct part one = registration(desk, &client);
	memset(client.namespace_id, 0xCD, sizeof(client.namespace_id));
	desk_client_epoch(&client, DESK_EPOCH);
	struct part other = registration(desk, &client);
	assert_false(share_four_bytes(&one, &other));
	desk_close(desk);
}

// The measure finds what would link: anything of the client's that stays.
static void what_stays_the_same_is_found(void **state)
{
	(void)state;
	struct desk *desk = desk_open("");
	struct desk_client client = desk_client(1);
	uint8_t device[NATIVE_DEVICE_SIZE];
	memcpy(device, client.device, sizeof(device));
	struct part one = registration(desk, &client);
	struct part again = registration(desk, &client);
	assert_true(share_four_bytes(&one, &again)); // one epoch: the address
	desk_client_epoch(&client, DESK_EPOCH + 1);
	memcpy(client.device, device, sizeof(device));
	struct part same_device = registration(desk, &client);
	assert_true(share_four_bytes(&one, &same_device));
	desk_close(desk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(epochs_cannot_be_linked),
		cmocka_unit_test(namespaces_cannot_be_linked),
		cmocka_unit_test(what_stays_the_same_is_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
