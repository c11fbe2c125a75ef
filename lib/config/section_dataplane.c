// SPDX-License-Identifier: BSD-3-Clause
// [dataplane]: ports, workers, cores and memory of relay-dataplane.

#include "lib/config/parser.h"

#include <stdio.h>

enum {
	WORKERS_MAX = 64,
	CORE_MAX = 1023, // what a kernel CPU mask holds
};

static void parse_workers(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 1, WORKERS_MAX, &parser->config->dataplane.workers);
}

static bool add_core(struct config_parser *parser, unsigned core)
{
	struct config *config = parser->config;

	for (unsigned i = 0; i < config->dataplane.core_count; i++)
		if (config->dataplane.cores[i] == core) {
			config_fail(
				parser, "core %u is listed twice; expected each core once", core);
			return false;
		}
	if (config->dataplane.core_count == CONFIG_CORES_MAX) {
		config_fail(parser, "more than %d cores; expected one per worker and one more",
			CONFIG_CORES_MAX);
		return false;
	}
	config->dataplane.cores[config->dataplane.core_count++] = core;
	return true;
}

// Digits at *text, which is moved behind them.
static bool read_core(const char **text, unsigned *core)
{
	const char *c = *text;
	unsigned number = 0;

	for (; *c >= '0' && *c <= '9' && number <= CORE_MAX; c++)
		number = number * 10 + (unsigned)(*c - '0');
	if (c == *text || number > CORE_MAX)
		return false;
	*text = c;
	*core = number;
	return true;
}

static void parse_cores(struct config_parser *parser, const char *value)
{
	for (const char *c = value;;) {
		unsigned first, last;

		c += strspn(c, " \t");
		if (!read_core(&c, &first))
			break;
		last = first;
		if (*c == '-') {
			c++;
			if (!read_core(&c, &last) || last < first)
				break;
		}
		for (unsigned core = first; core <= last; core++)
			if (!add_core(parser, core))
				return;
		c += strspn(c, " \t");
		if (*c == 0)
			return;
		if (*c++ != ',')
			break;
	}
	config_fail(parser,
		"\"%.64s\" is no list of cores; expected something like 0,2-5 (0 to %d)", value,
		CORE_MAX);
}

static void parse_hugepages(struct config_parser *parser, const char *value)
{
	static const char *const choices[] = {"auto", "yes", "no", NULL};
	int choice = config_choice(value, choices);

	if (choice < 0)
		config_fail(parser, "\"%.40s\" is not known; expected auto, yes or no", value);
	else
		parser->config->dataplane.hugepages = (enum config_hugepages)choice;
}

static void parse_memory(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 64, 1024 * 1024, &parser->config->dataplane.memory);
}

static void parse_mappings(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 16, 16 * 1024 * 1024, &parser->config->dataplane.mappings);
}

static void parse_allocations(struct config_parser *parser, const char *value)
{
	config_number(parser, value, 16, 4 * 1024 * 1024, &parser->config->dataplane.allocations);
}

static void parse_idle(struct config_parser *parser, const char *value)
{
	static const char *const choices[] = {"poll", "sleep", NULL};
	int choice = config_choice(value, choices);

	if (choice < 0)
		config_fail(parser, "\"%.40s\" is not known; expected poll or sleep", value);
	else
		parser->config->dataplane.idle = (enum config_idle)choice;
}

static const struct config_key keys[] = {
	{"port", CONFIG_KEY_DATAPLANE_PORT, true, config_port_parse},
	{"workers", CONFIG_KEY_DATAPLANE_WORKERS, false, parse_workers},
	{"cores", CONFIG_KEY_DATAPLANE_CORES, false, parse_cores},
	{"hugepages", CONFIG_KEY_DATAPLANE_HUGEPAGES, false, parse_hugepages},
	{"memory", CONFIG_KEY_DATAPLANE_MEMORY, false, parse_memory},
	{"mappings", CONFIG_KEY_DATAPLANE_MAPPINGS, false, parse_mappings},
	{"allocations", CONFIG_KEY_DATAPLANE_ALLOCATIONS, false, parse_allocations},
	{"idle", CONFIG_KEY_DATAPLANE_IDLE, false, parse_idle},
};

const struct config_section config_section_dataplane = {
	"dataplane", keys, sizeof(keys) / sizeof(keys[0])};
