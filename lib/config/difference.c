// SPDX-License-Identifier: BSD-3-Clause
// Differences of two configurations; see difference.h. A row tells where a key's value lies in
// struct config, how to walk it, and who must be restarted for it.

#include "lib/config/difference.h"
#include "lib/config/parser.h"

#include <sodium.h>

#include <assert.h>

// Receives a value piece by piece, in an order that the value alone determines.
struct feed {
	void (*take)(struct feed *feed, const void *data, size_t size);
};

// Bytes of struct config.
struct part {
	size_t offset, size;
};

struct row {
	unsigned restart;
	void (*walk)(const struct row *row, const struct config *config, struct feed *feed);
	struct part value;
	struct part count; // of elements in value; empty: it is no list
};

static const void *part_at(const struct config *config, const struct part *part)
{
	return (const uint8_t *)config + part->offset;
}

// Elements in use, which can be no more than the array has.
static unsigned count_of(const struct row *row, const struct config *config, unsigned most)
{
	unsigned count;
	assert(row->count.size == sizeof(count));
	memcpy(&count, part_at(config, &row->count), sizeof(count));
	return count < most ? count : most;
}

static void take_count(struct feed *feed, unsigned count)
{
	feed->take(feed, &count, sizeof(count));
}

// With its end, so that no two lists of texts look alike. What lies behind the end is no part of
// it.
static void take_text(struct feed *feed, const char *text, size_t size)
{
	size_t length = strnlen(text, size);
	feed->take(feed, &length, sizeof(length));
	feed->take(feed, text, length);
}

// ---- kinds of values ----

// A number, an enum.
static void walk_plain(const struct row *row, const struct config *config, struct feed *feed)
{
	feed->take(feed, part_at(config, &row->value), row->value.size);
}

static void walk_text(const struct row *row, const struct config *config, struct feed *feed)
{
	take_text(feed, part_at(config, &row->value), row->value.size);
}

static void walk_cores(const struct row *row, const struct config *config, struct feed *feed)
{
	unsigned count = count_of(row, config, CONFIG_CORES_MAX);
	take_count(feed, count);
	feed->take(feed, config->dataplane.cores, count * sizeof(config->dataplane.cores[0]));
}

static void walk_ports(const struct row *row, const struct config *config, struct feed *feed)
{
	unsigned count = count_of(row, config, CONFIG_PORTS_MAX);
	take_count(feed, count);
	for (unsigned i = 0; i < count; i++) {
		const struct config_port *port = &config->dataplane.ports[i];
		feed->take(feed, &port->type, sizeof(port->type));
		take_text(feed, port->target, sizeof(port->target));
		feed->take(feed, &port->queues, sizeof(port->queues));
		feed->take(feed, &port->memif_id, sizeof(port->memif_id));
		feed->take(feed, &port->memif_server, sizeof(port->memif_server));
		take_text(feed, port->kernel, sizeof(port->kernel));
	}
}

// Addresses have no padding (net/address.h asserts their size).
static void walk_addresses(const struct row *row, const struct config *config, struct feed *feed)
{
	unsigned most = (unsigned)(row->value.size / sizeof(struct net_address));
	unsigned count = count_of(row, config, most);
	take_count(feed, count);
	feed->take(feed, part_at(config, &row->value), count * sizeof(struct net_address));
}

static void walk_ranges(const struct row *row, const struct config *config, struct feed *feed)
{
	static_assert(sizeof(struct net_range) == 2 * sizeof(struct net_address), "no padding");
	unsigned most = (unsigned)(row->value.size / sizeof(struct net_range));
	unsigned count = count_of(row, config, most);
	take_count(feed, count);
	feed->take(feed, part_at(config, &row->value), count * sizeof(struct net_range));
}

static void walk_prefixes(const struct row *row, const struct config *config, struct feed *feed)
{
	unsigned most = (unsigned)(row->value.size / sizeof(struct net_prefix));
	unsigned count = count_of(row, config, most);
	take_count(feed, count);
	feed->take(feed, part_at(config, &row->value), count * sizeof(struct net_prefix));
}

static void walk_secrets(const struct row *row, const struct config *config, struct feed *feed)
{
	unsigned count = count_of(row, config, CONFIG_SECRETS_MAX);
	take_count(feed, count);
	for (unsigned i = 0; i < count; i++)
		take_text(feed, config->turn.secrets[i], sizeof(config->turn.secrets[i]));
}

static void walk_users(const struct row *row, const struct config *config, struct feed *feed)
{
	unsigned count = config->turn.users == NULL ? 0 : count_of(row, config, CONFIG_USERS_MAX);
	take_count(feed, count);
	for (unsigned i = 0; i < count; i++) {
		const struct config_user *user = &config->turn.users[i];
		take_text(feed, user->name, sizeof(user->name));
		take_text(feed, user->password, sizeof(user->password));
	}
}

// ---- the keys ----

#define PART(member)                                                                               \
	{                                                                                          \
		offsetof(struct config, member), sizeof(((struct config *)NULL)->member)           \
	}
// Two members side by side.
#define SPAN(first, last)                                                                          \
	{                                                                                          \
		offsetof(struct config, first), offsetof(struct config, last) +                    \
							sizeof(((struct config *)NULL)->last) -    \
							offsetof(struct config, first)             \
	}

enum {
	AT_ONCE = 0,
	DATAPLANE = CONFIG_RESTART_DATAPLANE,
	CONTROLPLANE = CONFIG_RESTART_CONTROLPLANE,
	BOTH = CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE,
};

// Why what needs a restart needs one: dataplane/README.md, controlplane/README.md.
static const struct row rows[CONFIG_KEY_COUNT] = {
	[CONFIG_KEY_NODE_NAME] = {AT_ONCE, walk_text, PART(node.name)},
	[CONFIG_KEY_NODE_STATE] = {CONTROLPLANE, walk_text, PART(node.state)},
	[CONFIG_KEY_NODE_RUN] = {BOTH, walk_text, PART(node.run)},
	[CONFIG_KEY_DATAPLANE_PORT] = {DATAPLANE, walk_ports, PART(dataplane.ports),
		PART(dataplane.port_count)},
	[CONFIG_KEY_DATAPLANE_WORKERS] = {DATAPLANE, walk_plain, PART(dataplane.workers)},
	[CONFIG_KEY_DATAPLANE_CORES] = {DATAPLANE, walk_cores, PART(dataplane.cores),
		PART(dataplane.core_count)},
	[CONFIG_KEY_DATAPLANE_HUGEPAGES] = {DATAPLANE, walk_plain, PART(dataplane.hugepages)},
	[CONFIG_KEY_DATAPLANE_MEMORY] = {DATAPLANE, walk_plain, PART(dataplane.memory)},
	[CONFIG_KEY_DATAPLANE_MAPPINGS] = {DATAPLANE, walk_plain, PART(dataplane.mappings)},
	[CONFIG_KEY_DATAPLANE_ALLOCATIONS] = {DATAPLANE, walk_plain, PART(dataplane.allocations)},
	[CONFIG_KEY_DATAPLANE_IDLE] = {AT_ONCE, walk_plain, PART(dataplane.idle)},
	[CONFIG_KEY_ADDRESS_LISTEN] = {BOTH, walk_addresses, PART(address.listen),
		PART(address.listen_count)},
	[CONFIG_KEY_ADDRESS_PORT] = {BOTH, walk_plain, PART(address.port)},
	[CONFIG_KEY_ADDRESS_ALTERNATE_PORT] = {BOTH, walk_plain, PART(address.alternate_port)},
	[CONFIG_KEY_ADDRESS_RELAY_PORTS] = {AT_ONCE, walk_plain,
		SPAN(address.relay_first, address.relay_last)},
	[CONFIG_KEY_TURN_REALM] = {AT_ONCE, walk_text, PART(turn.realm)},
	[CONFIG_KEY_TURN_AUTH] = {AT_ONCE, walk_plain, PART(turn.auth)},
	[CONFIG_KEY_TURN_SECRET] = {AT_ONCE, walk_secrets, PART(turn.secrets),
		PART(turn.secret_count)},
	[CONFIG_KEY_TURN_USER] = {AT_ONCE, walk_users,
		{offsetof(struct config, turn.users), sizeof(void *)}, PART(turn.user_count)},
	[CONFIG_KEY_TURN_CHANNELS] = {AT_ONCE, walk_plain, PART(turn.channel_last)},
	[CONFIG_KEY_TURN_MAX_LIFETIME] = {AT_ONCE, walk_plain, PART(turn.max_lifetime)},
	[CONFIG_KEY_TURN_QUOTA] = {AT_ONCE, walk_plain, PART(turn.quota)},
	[CONFIG_KEY_TURN_PREFIX_QUOTA] = {AT_ONCE, walk_plain, PART(turn.prefix_quota)},
	[CONFIG_KEY_PEERS_ALLOW] = {AT_ONCE, walk_ranges, PART(peers.allow),
		PART(peers.allow_count)},
	[CONFIG_KEY_PEERS_DENY] = {AT_ONCE, walk_ranges, PART(peers.deny), PART(peers.deny_count)},
	[CONFIG_KEY_GUARD_BLOCK] = {AT_ONCE, walk_prefixes, PART(guard.block),
		PART(guard.block_count)},
	[CONFIG_KEY_GUARD_ALLOW] = {AT_ONCE, walk_prefixes, PART(guard.allow),
		PART(guard.allow_count)},
	[CONFIG_KEY_GUARD_REPLY_BYTES] = {AT_ONCE, walk_plain, PART(guard.reply_bytes)},
	[CONFIG_KEY_GUARD_PUNTS] = {AT_ONCE, walk_plain, PART(guard.punts)},
	[CONFIG_KEY_GUARD_PUNTS_WITH_ALLOCATION] = {AT_ONCE, walk_plain,
		PART(guard.punts_with_allocation)},
	[CONFIG_KEY_GUARD_PUNTS_TOTAL] = {AT_ONCE, walk_plain, PART(guard.punts_total)},
	[CONFIG_KEY_GUARD_NEW_ALLOCATIONS] = {AT_ONCE, walk_plain, PART(guard.new_allocations)},
	[CONFIG_KEY_REGISTRATION_ENABLED] = {AT_ONCE, walk_plain, PART(registration.enabled)},
	[CONFIG_KEY_REGISTRATION_ADMISSION] = {AT_ONCE, walk_plain, PART(registration.admission)},
	[CONFIG_KEY_REGISTRATION_LEASE] = {AT_ONCE, walk_plain, PART(registration.lease)},
	[CONFIG_KEY_REGISTRATION_KEEPALIVE] = {AT_ONCE, walk_plain, PART(registration.keepalive)},
	[CONFIG_KEY_REGISTRATION_EPOCH] = {CONTROLPLANE, walk_plain, PART(registration.epoch)},
	[CONFIG_KEY_REGISTRATION_LEASES] = {DATAPLANE, walk_plain, PART(registration.leases)},
	[CONFIG_KEY_REGISTRATION_HANDLES] = {DATAPLANE, walk_plain, PART(registration.handles)},
	[CONFIG_KEY_REGISTRATION_SENDER_BYTES] = {AT_ONCE, walk_plain,
		PART(registration.sender_bytes)},
	[CONFIG_KEY_REGISTRATION_ADDRESS_BYTES] = {AT_ONCE, walk_plain,
		PART(registration.address_bytes)},
	[CONFIG_KEY_REGISTRATION_NEW_LEASES] = {AT_ONCE, walk_plain, PART(registration.new_leases)},
	[CONFIG_KEY_REGISTRATION_PUZZLE_ABOVE] = {AT_ONCE, walk_plain,
		PART(registration.puzzle_above)},
	[CONFIG_KEY_TOKENS_ISSUE] = {CONTROLPLANE, walk_plain, PART(tokens.issue)},
	[CONFIG_KEY_TOKENS_SPENT] = {CONTROLPLANE, walk_plain, PART(tokens.spent)},
};

static const struct row *row_of(unsigned key)
{
	assert(key < CONFIG_KEY_COUNT);
	assert(rows[key].walk != NULL); // a key without a row
	return &rows[key];
}

unsigned config_keys(void)
{
	return CONFIG_KEY_COUNT;
}

static const struct config_key *key_of(unsigned key, const struct config_section **section)
{
	for (unsigned s = 0; s < CONFIG_SECTION_COUNT; s++) {
		*section = config_section_at((enum config_section_id)s);
		for (unsigned k = 0; k < (*section)->key_count; k++)
			if ((unsigned)(*section)->keys[k].id == key)
				return &(*section)->keys[k];
	}
	assert(!"a key of no section");
	return NULL;
}

const char *config_key_section(unsigned key)
{
	const struct config_section *section;
	key_of(key, &section);
	return section->name;
}

const char *config_key_name(unsigned key)
{
	const struct config_section *section;
	return key_of(key, &section)->name;
}

unsigned config_key_restart(unsigned key)
{
	return row_of(key)->restart;
}

int config_key_find(const char *section, const char *name)
{
	for (unsigned key = 0; key < CONFIG_KEY_COUNT; key++)
		if (strcmp(config_key_section(key), section) == 0 &&
			strcmp(config_key_name(key), name) == 0)
			return (int)key;
	return -1;
}

// ---- what is done with a value ----

struct hashing {
	struct feed feed;
	crypto_generichash_state state;
};

static void hash_take(struct feed *feed, const void *data, size_t size)
{
	struct hashing *hashing = (struct hashing *)feed; // its first member
	crypto_generichash_update(&hashing->state, data, size);
}

void config_key_digest(unsigned key, const struct config *config, const uint8_t secret[static 16],
	uint8_t out[static CONFIG_DIGEST_SIZE])
{
	const struct row *row = row_of(key);
	struct hashing hashing = {.feed.take = hash_take};

	static_assert(CONFIG_DIGEST_SIZE >= crypto_generichash_BYTES_MIN, "BLAKE2b's least");
	crypto_generichash_init(&hashing.state, secret, 16, CONFIG_DIGEST_SIZE);
	row->walk(row, config, &hashing.feed);
	crypto_generichash_final(&hashing.state, out, CONFIG_DIGEST_SIZE);
	sodium_memzero(&hashing, sizeof(hashing));
}

bool config_key_differs(unsigned key, const struct config *a, const struct config *b)
{
	uint8_t secret[16], left[CONFIG_DIGEST_SIZE], right[CONFIG_DIGEST_SIZE];

	randombytes_buf(secret, sizeof(secret));
	config_key_digest(key, a, secret, left);
	config_key_digest(key, b, secret, right);
	return sodium_memcmp(left, right, sizeof(left)) != 0;
}

static void copy_part(struct config *to, const struct config *from, const struct part *part)
{
	memcpy((uint8_t *)to + part->offset, (const uint8_t *)from + part->offset, part->size);
}

void config_key_copy(unsigned key, struct config *to, const struct config *from)
{
	const struct row *row = row_of(key);

	assert(row->walk != walk_users);
	copy_part(to, from, &row->value);
	copy_part(to, from, &row->count);
}

static bool part_covers(const struct part *part, size_t offset)
{
	return offset >= part->offset && offset - part->offset < part->size;
}

bool config_key_covers(unsigned key, size_t offset)
{
	const struct row *row = row_of(key);

	return part_covers(&row->value, offset) || part_covers(&row->count, offset);
}
