// SPDX-License-Identifier: BSD-3-Clause
// One "port =" value: TYPE:TARGET[,option=value...]. Network interface names, whether used or made,
// are one space: the same name twice in the file is an error.

#include "lib/config/parser.h"

#include <stdio.h>

enum {
	QUEUES_MAX = 64,
	INTERFACE_MAX = 15, // IFNAMSIZ without the final 0
};

static const char *const type_names[] = {
	[CONFIG_PORT_AF_XDP] = "af_xdp",
	[CONFIG_PORT_AF_PACKET] = "af_packet",
	[CONFIG_PORT_TAP] = "tap",
	[CONFIG_PORT_MEMIF] = "memif",
	[CONFIG_PORT_RING] = "ring",
	[CONFIG_PORT_PCI] = "pci",
	NULL,
};

static bool is_interface_name(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= INTERFACE_MAX && strpbrk(name, "/: \t") == NULL &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool is_hex(const char *text, size_t count)
{
	return strspn(text, "0123456789abcdefABCDEF") >= count;
}

// "0000:01:00.0", or "01:00.0" in domain 0; kept in the long form.
static bool parse_pci(const char *text, char out[static CONFIG_PATH_SIZE])
{
	const char *rest = text;

	if (is_hex(rest, 4) && rest[4] == ':')
		rest += 5;
	if (!(is_hex(rest, 2) && rest[2] == ':' && is_hex(rest + 3, 2) && rest[5] == '.' &&
		    rest[6] >= '0' && rest[6] <= '7' && rest[7] == 0))
		return false;
	snprintf(out, CONFIG_PATH_SIZE, "%s%s", rest == text ? "0000:" : "", text);
	for (char *c = out; *c != 0; c++)
		if (*c >= 'A' && *c <= 'F')
			*c = (char)(*c - 'A' + 'a');
	return true;
}

static bool parse_target(struct config_parser *parser, struct config_port *port, const char *target)
{
	switch (port->type) {
	case CONFIG_PORT_AF_XDP:
	case CONFIG_PORT_AF_PACKET:
	case CONFIG_PORT_TAP:
		if (!is_interface_name(target)) {
			config_fail(parser,
				"\"%.40s\" is no interface name; expected %s:NAME of at most %d "
				"characters",
				target, type_names[port->type], INTERFACE_MAX);
			return false;
		}
		return config_copy(parser, target, port->target, CONFIG_PATH_SIZE, "interface");
	case CONFIG_PORT_MEMIF:
		return config_path(parser, target, port->target, CONFIG_PATH_SIZE);
	case CONFIG_PORT_RING:
		if (target[strspn(target, "abcdefghijklmnopqrstuvwxyz0123456789_-")] != 0 ||
			strlen(target) > INTERFACE_MAX) {
			config_fail(parser,
				"\"%.40s\" is no ring name; expected ring, or ring:NAME of at most "
				"%d characters a-z, 0-9, _ and -",
				target, INTERFACE_MAX);
			return false;
		}
		return config_copy(parser, *target != 0 ? target : "ring", port->target,
			CONFIG_PATH_SIZE, "ring");
	case CONFIG_PORT_PCI:
		if (!parse_pci(target, port->target)) {
			config_fail(parser,
				"\"%.40s\" is no PCI address; expected one like pci:0000:01:00.0",
				target);
			return false;
		}
		return true;
	}
	return false;
}

static bool set_kernel_name(
	struct config_parser *parser, struct config_port *port, const char *value)
{
	if (port->type == CONFIG_PORT_AF_XDP || port->type == CONFIG_PORT_AF_PACKET) {
		config_fail(parser,
			"kernel= with %s; expected it only on tap, memif, ring and pci: this port "
			"has a kernel interface of its own",
			type_names[port->type]);
		return false;
	}
	if (!is_interface_name(value)) {
		config_fail(parser,
			"kernel=%.40s is no interface name; expected at most %d characters", value,
			INTERFACE_MAX);
		return false;
	}
	return config_copy(parser, value, port->kernel, sizeof(port->kernel), "kernel=");
}

enum option {
	OPTION_QUEUES,
	OPTION_ID,
	OPTION_ROLE,
	OPTION_KERNEL,
};

static bool parse_option(
	struct config_parser *parser, struct config_port *port, char *option, unsigned *seen)
{
	static const char *const names[] = {"queues", "id", "role", "kernel", NULL};
	static const char *const roles[] = {"client", "server", NULL};
	char *value = strchr(option, '=');
	unsigned number;

	if (value != NULL)
		*value++ = 0;
	int which = config_choice(option, names);
	if (which < 0 || value == NULL || *value == 0) {
		config_fail(parser,
			"\"%.40s\" is no port option; expected queues=, id=, role= or kernel= with "
			"a value",
			option);
		return false;
	}
	if (*seen & 1u << which) {
		config_fail(parser, "%s= given twice; expected once", option);
		return false;
	}
	*seen |= 1u << which;
	if ((which == OPTION_ID || which == OPTION_ROLE) && port->type != CONFIG_PORT_MEMIF) {
		config_fail(parser, "%s= with %s; expected it only on memif", option,
			type_names[port->type]);
		return false;
	}
	switch ((enum option)which) {
	case OPTION_QUEUES:
		if (!config_number(parser, value, 1, QUEUES_MAX, &number))
			return false;
		port->queues = (uint16_t)number;
		return true;
	case OPTION_ID:
		if (!config_number(parser, value, 0, UINT16_MAX, &number))
			return false;
		port->memif_id = (uint16_t)number;
		return true;
	case OPTION_ROLE: {
		int role = config_choice(value, roles);
		if (role < 0) {
			config_fail(parser, "role=%.40s is not known; expected client or server",
				value);
			return false;
		}
		port->memif_server = role == 1;
		return true;
	}
	case OPTION_KERNEL:
		return set_kernel_name(parser, port, value);
	}
	return false;
}

static bool is_interface(const struct config_port *port)
{
	return port->type == CONFIG_PORT_AF_XDP || port->type == CONFIG_PORT_AF_PACKET ||
	       port->type == CONFIG_PORT_TAP;
}

static bool same_name(const char *a, const char *b)
{
	return a != NULL && b != NULL && *a != 0 && strcmp(a, b) == 0;
}

static bool clashes(const struct config_port *a, const struct config_port *b)
{
	const char *a_interface = is_interface(a) ? a->target : NULL;
	const char *b_interface = is_interface(b) ? b->target : NULL;

	if (same_name(a_interface, b_interface) || same_name(a_interface, b->kernel) ||
		same_name(a->kernel, b_interface) || same_name(a->kernel, b->kernel))
		return true;
	return a->type == b->type && !is_interface(a) && strcmp(a->target, b->target) == 0 &&
	       a->memif_id == b->memif_id;
}

void config_port_parse(struct config_parser *parser, const char *value)
{
	struct config *config = parser->config;
	struct config_port port = {0};
	char text[CONFIG_LINE_MAX + 1];
	unsigned seen = 0;

	snprintf(text, sizeof(text), "%s", value);
	char *options = strchr(text, ',');
	if (options != NULL)
		*options++ = 0;
	char *target = strchr(text, ':');
	if (target != NULL)
		*target++ = 0;
	int type = config_choice(text, type_names);
	if (type < 0 || (target == NULL && type != CONFIG_PORT_RING)) {
		config_fail(parser,
			"\"%.40s\" is no port; expected af_xdp:IF, af_packet:IF, tap:NAME, "
			"memif:PATH, ring or pci:ADDRESS",
			value);
		return;
	}
	port.type = (enum config_port_type)type;
	if (!parse_target(parser, &port, target != NULL ? target : ""))
		return;
	while (options != NULL) {
		char *option = options;
		options = strchr(option, ',');
		if (options != NULL)
			*options++ = 0;
		if (!parse_option(parser, &port, option, &seen))
			return;
	}
	if (is_interface(&port) && same_name(port.kernel, port.target)) {
		config_fail(parser, "kernel= names the port itself; expected another name");
		return;
	}
	for (unsigned i = 0; i < config->dataplane.port_count; i++)
		if (clashes(&config->dataplane.ports[i], &port)) {
			config_fail(parser,
				"uses what the port on line %u uses; expected each once",
				parser->port_line[i]);
			return;
		}
	if (config->dataplane.port_count == CONFIG_PORTS_MAX) {
		config_fail(parser, "too many; expected at most %d ports", CONFIG_PORTS_MAX);
		return;
	}
	parser->port_line[config->dataplane.port_count] = parser->line;
	config->dataplane.ports[config->dataplane.port_count++] = port;
}
