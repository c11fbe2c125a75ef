// SPDX-License-Identifier: BSD-3-Clause
// Numbers, durations and sets as people read them, and cleaning of text that came over the socket.

#include "controlplane/relayctl/print.h"

#include "lib/config/config.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

const char *relayctl_text_count(uint64_t number, char text[static RELAYCTL_TEXT_SIZE])
{
	char digits[24];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	char *out = text;

	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			*out++ = ',';
		*out++ = digits[i];
	}
	*out = 0;
	return text;
}

const char *relayctl_text_bytes(uint64_t bytes, char text[static RELAYCTL_TEXT_SIZE])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	double amount = (double)bytes;
	unsigned unit = 0;

	// 999.95 would be printed as 1000.0
	while (amount >= 999.95 && unit < 6) {
		amount /= 1000;
		unit++;
	}
	snprintf(text, RELAYCTL_TEXT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
	return text;
}

const char *relayctl_text_duration(uint64_t milliseconds, char text[static RELAYCTL_TEXT_SIZE])
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	uint64_t left = milliseconds / 1000;

	for (unsigned u = 0; u < 4; u++) {
		uint64_t amount = left / units[u].seconds;
		if (amount == 0 && u < 3)
			continue;
		uint64_t rest = left % units[u].seconds;
		uint64_t lower = u < 3 ? rest / units[u + 1].seconds : 0;
		if (lower > 0)
			snprintf(text, RELAYCTL_TEXT_SIZE, "%" PRIu64 " %s %" PRIu64 " %s", amount,
				units[u].name, lower, units[u + 1].name);
		else
			snprintf(text, RELAYCTL_TEXT_SIZE, "%" PRIu64 " %s", amount, units[u].name);
		break;
	}
	return text;
}

const char *relayctl_text_auth(unsigned auth, char text[static RELAYCTL_TEXT_SIZE])
{
	static const struct {
		unsigned bit;
		const char *name;
	} names[] = {{CONFIG_AUTH_OPEN, "open"}, {CONFIG_AUTH_STATIC, "static"},
		{CONFIG_AUTH_REST, "rest"}, {CONFIG_AUTH_TOKEN, "token"}};
	size_t length = 0;

	text[0] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (auth & names[i].bit)
			length += (size_t)snprintf(text + length, RELAYCTL_TEXT_SIZE - length,
				"%s%s", length > 0 ? ", " : "", names[i].name);
	return text;
}

const char *relayctl_text_admission(uint32_t admission)
{
	switch (admission) {
	case CONFIG_ADMISSION_OPEN:
		return "open";
	case CONFIG_ADMISSION_POW:
		return "pow";
	case CONFIG_ADMISSION_TOKEN:
		return "token";
	}
	return "unknown";
}

const char *relayctl_text_key(
	const uint8_t key[static 32], char text[static RELAYCTL_KEY_TEXT_SIZE])
{
	return sodium_bin2base64(
		text, RELAYCTL_KEY_TEXT_SIZE, key, 32, sodium_base64_VARIANT_ORIGINAL);
}

const char *relayctl_text_state(uint32_t state)
{
	switch (state) {
	case ADMIN_STATE_SERVING:
		return "serving";
	case ADMIN_STATE_DRAINING:
		return "draining";
	case ADMIN_STATE_UNREACHABLE:
		return "dataplane unreachable";
	}
	return "unknown";
}

const char *relayctl_text_steering(unsigned way)
{
	static const char *const names[] = {
		[API_STEERING_NONE] = "none",
		[API_STEERING_ONE_WORKER] = "one worker",
		[API_STEERING_RSS] = "rss",
		[API_STEERING_RULES] = "rules",
		[API_STEERING_NTUPLE] = "ntuple",
		[API_STEERING_HANDOFF] = "hand-off",
	};
	return way < sizeof(names) / sizeof(names[0]) ? names[way] : "unknown";
}

const char *relayctl_text_outcome(uint32_t outcome)
{
	switch (outcome) {
	case ADMIN_APPLIED:
		return "applied";
	case ADMIN_NEEDS_DATAPLANE:
		return "needs restart of relay-dataplane";
	case ADMIN_NEEDS_CONTROLPLANE:
		return "needs restart of relay-controlplane";
	case ADMIN_NEEDS_BOTH:
		return "needs restart of relay-dataplane and relay-controlplane";
	}
	return "unknown";
}

const char *relayctl_text_worker(uint16_t worker, char text[static RELAYCTL_TEXT_SIZE])
{
	if (worker == API_NO_PORT)
		snprintf(text, RELAYCTL_TEXT_SIZE, "-");
	else
		snprintf(text, RELAYCTL_TEXT_SIZE, "%u", worker);
	return text;
}

void relayctl_clean_text(char *text, size_t size)
{
	text[size - 1] = 0;
	for (char *c = text; *c != 0; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

void relayctl_clean_status(struct admin_status *status)
{
	relayctl_clean_text(status->name, sizeof(status->name));
	relayctl_clean_text(status->realm, sizeof(status->realm));
	relayctl_clean_text(status->controlplane_version, sizeof(status->controlplane_version));
	relayctl_clean_text(status->dataplane_version, sizeof(status->dataplane_version));
	for (unsigned i = 0; i < ADMIN_WARNINGS_MAX; i++)
		relayctl_clean_text(status->warnings[i], sizeof(status->warnings[i]));
	if (status->listen_count > ADMIN_LISTEN_MAX)
		status->listen_count = ADMIN_LISTEN_MAX;
	if (status->warning_count > ADMIN_WARNINGS_MAX)
		status->warning_count = ADMIN_WARNINGS_MAX;
}

void relayctl_clean_ports(struct api_port *ports, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		relayctl_clean_text(ports[i].name, sizeof(ports[i].name));
		relayctl_clean_text(ports[i].driver, sizeof(ports[i].driver));
		relayctl_clean_text(ports[i].kernel_interface, sizeof(ports[i].kernel_interface));
	}
}

void relayctl_clean_counters(struct api_counter *counters, size_t count)
{
	for (size_t i = 0; i < count; i++)
		relayctl_clean_text(counters[i].name, sizeof(counters[i].name));
}

void relayctl_clean_changes(struct admin_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		relayctl_clean_text(changes[i].section, sizeof(changes[i].section));
		relayctl_clean_text(changes[i].key, sizeof(changes[i].key));
		relayctl_clean_text(changes[i].text, sizeof(changes[i].text));
	}
}
