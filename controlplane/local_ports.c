// SPDX-License-Identifier: BSD-3-Clause
// See local_ports.h.
#include "controlplane/local_ports.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PORTS = 65536,
	RESERVED_TEXT_MAX = 4096,
};

// "a-b" or "a" at *text; moves behind it and a following comma.
static bool take_span(const char **text, unsigned long *from, unsigned long *to)
{
	char *end;
	*from = strtoul(*text, &end, 10);
	if (end == *text)
		return false;
	*to = *from;
	if (*end == '-') {
		const char *second = end + 1;
		*to = strtoul(second, &end, 10);
		if (end == second)
			return false;
	}
	*text = *end == ',' ? end + 1 : end;
	return *from <= *to && *to < PORTS;
}

unsigned local_ports_overlap(const char *range, const char *reserved, uint16_t first, uint16_t last)
{
	unsigned from, to, overlap = 0;
	bool is_reserved[PORTS] = {false};
	unsigned long a, b;
	if (sscanf(range, "%u %u", &from, &to) != 2)
		return 0;
	while (take_span(&reserved, &a, &b))
		for (unsigned long port = a; port <= b; port++)
			is_reserved[port] = true;
	for (unsigned port = from > first ? from : first; port <= to && port <= last; port++)
		overlap += !is_reserved[port];
	return overlap;
}

static void read_text(const char *path, char *text, int size)
{
	FILE *file = fopen(path, "re");
	if (file == NULL || fgets(text, size, file) == NULL)
		text[0] = 0;
	if (file != NULL)
		fclose(file);
}

unsigned local_ports_overlap_here(uint16_t first, uint16_t last)
{
	char range[64], reserved[RESERVED_TEXT_MAX];
	read_text("/proc/sys/net/ipv4/ip_local_port_range", range, sizeof(range));
	read_text("/proc/sys/net/ipv4/ip_local_reserved_ports", reserved, sizeof(reserved));
	return local_ports_overlap(range, reserved, first, last);
}
