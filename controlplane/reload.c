// SPDX-License-Identifier: BSD-3-Clause
// Reading, comparing, asking the dataplane, switching; see reload.h.
#include "controlplane/reload.h"

#include "controlplane/node.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

__attribute__((format(printf, 2, 3))) static void fail(
	struct reload_report *report, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(report->error, sizeof(report->error), format, arguments);
	va_end(arguments);
	report->count = 0;
}

// ---- the file ----

static int read_file(const char *file, struct config **out, struct reload_report *report)
{
	struct stat st;
	// A pipe would hold up the loop until somebody writes to it.
	if (stat(file, &st) == 0 && !S_ISREG(st.st_mode)) {
		fail(report, "%s: is no regular file; expected the configuration", file);
		return -EINVAL;
	}
	int result = config_load(file, out, report->error);
	size_t length = strlen(report->error);
	// At start root may read everything; what has given up its capabilities may not.
	if (result == -EACCES && access(file, R_OK) != 0)
		snprintf(report->error + length, sizeof(report->error) - length,
			" (relay-controlplane runs without the privilege to read what its user may "
			"not: the file and its folder must be readable by that user)");
	return result;
}

// ---- the differences ----

static bool dataplane_differs(const struct node *node, const struct config *next, unsigned key)
{
	const struct reload *reload = &node->reload;
	uint8_t digest[CONFIG_DIGEST_SIZE];
	if (!reload->dataplane[key].known)
		return config_key_differs(key, node->config, next);
	config_key_digest(key, next, reload->dataplane_secret, digest);
	return memcmp(digest, reload->dataplane[key].digest, sizeof(digest)) != 0;
}

// Who has to be restarted before the key's value in `next` counts; *differs: it has another one.
static unsigned judge(
	const struct node *node, const struct config *next, unsigned key, bool *differs)
{
	unsigned restart = config_key_restart(key), needed = 0;
	if ((restart & CONFIG_RESTART_DATAPLANE) && dataplane_differs(node, next, key))
		needed |= CONFIG_RESTART_DATAPLANE;
	if ((restart & CONFIG_RESTART_CONTROLPLANE) && config_key_differs(key, node->config, next))
		needed |= CONFIG_RESTART_CONTROLPLANE;
	*differs = restart ? needed != 0 : config_key_differs(key, node->config, next);
	return needed;
}

static bool holds(const struct config *config, uint16_t port)
{
	return port >= config->address.relay_first && port <= config->address.relay_last;
}

// Fills the report, and puts back into `next` what cannot change now.
static void compare(const struct node *node, struct config *next, struct reload_report *report)
{
	static_assert(sizeof(report->changes) / sizeof(report->changes[0]) == RELOAD_KEYS_MAX, "");
	assert(config_keys() <= RELOAD_KEYS_MAX);
	for (unsigned key = 0; key < config_keys(); key++) {
		bool differs;
		unsigned needed = judge(node, next, key, &differs);
		if (config_key_restart(key))
			config_key_copy(key, next, node->config);
		if (differs)
			report->changes[report->count++] = (struct reload_change){key, needed};
	}
	// A range that is right beside a new port may hold the old one, which stays for now.
	if (!holds(next, next->address.port) && !holds(next, next->address.alternate_port))
		return;
	unsigned range = (unsigned)config_key_find("address", "relay-ports");
	config_key_copy(range, next, node->config);
	for (unsigned i = 0; i < report->count; i++)
		if (report->changes[i].key == range)
			report->changes[i].restart =
				CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE;
}

// Files for writing are opened at start only (sandbox.h); so is the store of tokens, and only when
// it is used.
static void refuse_unopened_tokens(
	const struct node *node, const struct config *next, struct reload_report *report)
{
	if (!node->tokens && config_uses_tokens(next))
		fail(report,
			"%s: token needs the store of tokens, which relay-controlplane opens when "
			"it starts: restart it",
			next->turn.auth & CONFIG_AUTH_TOKEN ? "[turn] auth"
							    : "[registration] admission");
}

// ---- the dataplane ----

static struct api_settings settings_of(const struct config *config)
{
	return (struct api_settings){
		.relay_first = config->address.relay_first,
		.relay_last = config->address.relay_last,
		.channel_last = config->turn.channel_last,
		.idle = (uint16_t)config->dataplane.idle,
	};
}

static void end(struct node *node)
{
	struct reload *reload = &node->reload;
	reload_done done = reload->done;
	turn_change_free(reload->change);
	config_free(reload->next);
	reload->change = NULL;
	reload->next = NULL;
	reload->done = NULL;
	done(reload->context, &reload->report);
}

static void commit(struct node *node)
{
	struct reload *reload = &node->reload;
	struct config *before = node->config;
	turn_core_reconfigure(node->core, reload->change);
	node->config = reload->next;
	reload->change = NULL;
	reload->next = before; // freed by end
	guard_reconfigure(node, before, node->config);
	native_reconfigure(node);
	end(node);
}

static void settings_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	struct reload *reload = &node->reload;
	node->reload.settings_refused = answer->result < 0 && answer->result != -ENOTCONN;
	if (!reload->next)
		return; // stopped meanwhile
	switch (-answer->result) {
	case ENOTCONN:
		// The next one is told when it connects.
		reload->report.dataplane_down = true;
		commit(node);
		return;
	case 0:
		commit(node);
		return;
	case EADDRINUSE:
		fail(&reload->report,
			"[address] relay-ports: allocations live on two earlier ranges, and what "
			"holds both holds a port that clients use; try again when those have "
			"ended");
		break;
	case EINVAL:
		fail(&reload->report,
			"[address] relay-ports: relay-dataplane listens on a port inside; it was "
			"started with another [address]: restart it");
		break;
	default:
		fail(&reload->report, "relay-dataplane refused the new settings: %s",
			strerror(-answer->result));
	}
	// What it went by before counts still.
	reload->settings_refused = false;
	end(node);
}

static void ask_dataplane(struct node *node)
{
	struct reload *reload = &node->reload;
	struct api_settings before = settings_of(node->config), now = settings_of(reload->next);
	reload->report.dataplane_down = !dataplane_link_up(node->link);
	if (memcmp(&before, &now, sizeof(now)) == 0 || reload->report.dataplane_down) {
		commit(node);
		return;
	}
	if (dataplane_link_request(
		    node->link, API_SETTINGS, &now, sizeof(now), settings_answered, node))
		return;
	fail(&reload->report, "relay-dataplane has too much to do; try again");
	end(node);
}

void reload_start(struct node *node, bool check, reload_done done, void *context)
{
	struct reload *reload = &node->reload;
	struct reload_report report = {.checked_only = check};
	struct config *next = NULL;
	bool applies = false;
	if (reload->next) {
		fail(&report, "another reload is under way; try again");
		done(context, &report);
		return;
	}
	if (read_file(reload->file, &next, &report) == 0) {
		compare(node, next, &report);
		refuse_unopened_tokens(node, next, &report);
	}
	for (unsigned i = 0; i < report.count && !report.error[0]; i++)
		applies = applies || report.changes[i].restart == 0;
	if (check || !applies || !next) {
		config_free(next);
		done(context, &report);
		return;
	}
	reload->next = next;
	reload->report = report;
	reload->done = done;
	reload->context = context;
	reload->change = turn_core_prepare(node->core, next);
	if (reload->change) {
		ask_dataplane(node);
	} else {
		fail(&reload->report, "out of memory");
		end(node);
	}
}

void reload_stop(struct node *node)
{
	struct reload *reload = &node->reload;
	if (!reload->next)
		return;
	fail(&reload->report, "relay-controlplane is stopping");
	end(node);
}

// ---- a new connection ----

static void initial_settings_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	node->reload.settings_refused = answer->result < 0 && answer->result != -ENOTCONN;
}

static void keys_answered(void *context, const struct dataplane_answer *answer)
{
	struct node *node = context;
	if (answer->last)
		return;
	struct api_config_key item;
	memcpy(&item, answer->payload, sizeof(item));
	item.section[sizeof(item.section) - 1] = item.name[sizeof(item.name) - 1] = '\0';
	int key = config_key_find(item.section, item.name);
	if (key < 0 || key >= RELOAD_KEYS_MAX)
		return; // of another version
	node->reload.dataplane[key].known = true;
	memcpy(node->reload.dataplane[key].digest, item.digest, sizeof(item.digest));
}

bool reload_connected(struct node *node)
{
	struct reload *reload = &node->reload;
	struct api_settings settings = settings_of(node->config);
	memset(reload->dataplane, 0, sizeof(reload->dataplane));
	memcpy(reload->dataplane_secret, node->hello.tag_key, sizeof(reload->dataplane_secret));
	reload->settings_refused = false;
	return dataplane_link_request(node->link, API_SETTINGS, &settings, sizeof(settings),
		       initial_settings_answered, node) &&
	       dataplane_link_request(node->link, API_CONFIG_KEYS, NULL, 0, keys_answered, node);
}

int reload_disagreement(const struct node *node, unsigned from)
{
	const unsigned both = CONFIG_RESTART_DATAPLANE | CONFIG_RESTART_CONTROLPLANE;
	for (unsigned key = from; key < config_keys(); key++)
		if (config_key_restart(key) == both && node->reload.dataplane[key].known &&
			dataplane_differs(node, node->config, key))
			return (int)key;
	return -1;
}

bool reload_started_alike(const struct node *node, const char *section)
{
	for (unsigned key = 0; key < config_keys(); key++)
		if (strcmp(config_key_section(key), section) == 0 &&
			node->reload.dataplane[key].known &&
			dataplane_differs(node, node->config, key))
			return false;
	return true;
}
