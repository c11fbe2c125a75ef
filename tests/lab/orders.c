// SPDX-License-Identifier: BSD-3-Clause
// See orders.h.
#include "tests/lab/orders.h"

#include "lib/net/address_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t orders_split(char *line, char *words[ORDERS_WORDS_MAX])
{
	size_t count = 0;
	char *rest = line;
	for (char *word; count < ORDERS_WORDS_MAX && (word = strtok_r(rest, " \t\r\n", &rest));)
		words[count++] = word;
	return count;
}

// The value behind "name=", or NULL.
static const char *value_of(const char *word, const char *name)
{
	size_t length = strlen(name);
	return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

// A decimal number times `unit`; *end is where it ended. `most`: of the result.
static bool parse_number(const char *text, double unit, double most, uint32_t *out, char **end)
{
	if ((*text < '0' || *text > '9') && *text != '.')
		return false;
	double value = strtod(text, end) * unit;
	if (*end == text || !(value >= 0 && value <= most))
		return false;
	*out = (uint32_t)llround(value);
	return true;
}

enum { MS = 1000, PERCENT = 10000, DAY_MS = 86400000 };

// A number and nothing behind it; *out stays as it was otherwise.
static bool parse_whole(const char *text, double unit, double most, uint32_t *out)
{
	char *end;
	uint32_t number;
	if (!parse_number(text, unit, most, &number, &end) || *end != 0)
		return false;
	*out = number;
	return true;
}

static bool parse_ms(const char *text, uint32_t *us)
{
	return parse_whole(text, MS, 60e6, us);
}

static bool parse_percent(const char *text, uint32_t *of_a_million)
{
	return parse_whole(text, PERCENT, 1e6, of_a_million);
}

static bool parse_count(const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
	uint32_t number;
	if (!parse_whole(text, 1, most, &number) || number < least)
		return false;
	*out = number;
	return true;
}

static bool parse_choice(const char *text, const char *const names[], unsigned *out)
{
	for (unsigned i = 0; names[i] != NULL; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool parse_yes(const char *text, bool *out)
{
	unsigned choice = 0;
	if (!parse_choice(text, (const char *const[]){"no", "yes", NULL}, &choice))
		return false;
	*out = choice == 1;
	return true;
}

static bool parse_reorder(const char *text, struct wire_quality *quality)
{
	char *end;
	uint32_t chance, us;
	if (!parse_number(text, PERCENT, 1e6, &chance, &end) || *end != ',' ||
		!parse_ms(end + 1, &us))
		return false;
	quality->reorder = chance;
	quality->reorder_us = us;
	return true;
}

static bool parse_burst(const char *text, struct wire_quality *quality)
{
	char *end;
	uint32_t begin, over, lost;
	if (!parse_number(text, PERCENT, 1e6, &begin, &end) || *end != ',' ||
		!parse_number(end + 1, PERCENT, 1e6, &over, &end) || *end != ',' ||
		!parse_percent(end + 1, &lost))
		return false;
	quality->good_to_bad = begin;
	quality->bad_to_good = over;
	quality->loss_bad = lost;
	return true;
}

const char *orders_quality(const char *word, struct wire_quality *quality)
{
	const char *value;
	if ((value = value_of(word, "delay")))
		return parse_ms(value, &quality->delay_us) ? NULL : "delay=MILLISECONDS";
	if ((value = value_of(word, "jitter")))
		return parse_ms(value, &quality->jitter_us) ? NULL : "jitter=MILLISECONDS";
	if ((value = value_of(word, "loss")))
		return parse_percent(value, &quality->loss) ? NULL : "loss=PERCENT";
	if ((value = value_of(word, "duplicate")))
		return parse_percent(value, &quality->duplicate) ? NULL : "duplicate=PERCENT";
	if ((value = value_of(word, "reorder")))
		return parse_reorder(value, quality) ? NULL : "reorder=PERCENT,MILLISECONDS";
	if ((value = value_of(word, "burst")))
		return parse_burst(value, quality) ? NULL
						   : "burst=PERCENT_IN,PERCENT_OUT,PERCENT_LOST";
	if ((value = value_of(word, "cut")))
		return parse_yes(value, &quality->cut) ? NULL : "cut=yes or cut=no";
	return "delay= jitter= loss= duplicate= reorder= burst= or cut=";
}

static const char *const dependences[] = {"independent", "address", "port", NULL};
static const char *const allocations[] = {"preserve", "sequential", "random", "blocks", NULL};

static bool parse_dependence(const char *text, enum nat_dependence *out)
{
	unsigned choice;
	if (!parse_choice(text, dependences, &choice))
		return false;
	*out = (enum nat_dependence)choice;
	return true;
}

static bool parse_allocation(const char *text, enum nat_allocation *out)
{
	unsigned choice;
	if (!parse_choice(text, allocations, &choice))
		return false;
	*out = (enum nat_allocation)choice;
	return true;
}

static bool parse_port(const char *text, uint16_t *out)
{
	uint32_t number;
	if (!parse_count(text, 1, 65535, &number))
		return false;
	*out = (uint16_t)number;
	return true;
}

static bool parse_ports(const char *text, struct nat_behaviour *behaviour)
{
	unsigned low, high;
	int end = 0;
	if (sscanf(text, "%5u-%5u%n", &low, &high, &end) != 2 || text[end] != 0 || low < 1 ||
		low > high || high > 65535)
		return false;
	behaviour->port_low = (uint16_t)low;
	behaviour->port_high = (uint16_t)high;
	return true;
}

static bool parse_outside(const char *text, struct net_address *out)
{
	struct net_address address;
	if (net_address_parse(text, &address) != 0 || address.family != NET_IPV4)
		return false;
	*out = address;
	return true;
}

static bool parse_allow(const char *text, struct nat_behaviour *behaviour)
{
	for (unsigned i = 0; i < NAT_ALLOWED_MAX; i++) {
		if (behaviour->allowed[i].family != NET_UNSPECIFIED)
			continue;
		if (net_address_parse(text, &behaviour->allowed[i]) != 0)
			return false;
		behaviour->blocked = true;
		return true;
	}
	return false;
}

const char *orders_nat(const char *word, struct nat_behaviour *behaviour)
{
	const char *value;
	if ((value = value_of(word, "mapping")))
		return parse_dependence(value, &behaviour->mapping)
			       ? NULL
			       : "mapping=independent, address or port";
	if ((value = value_of(word, "filtering")))
		return parse_dependence(value, &behaviour->filtering)
			       ? NULL
			       : "filtering=independent, address or port";
	if ((value = value_of(word, "allocation")))
		return parse_allocation(value, &behaviour->allocation)
			       ? NULL
			       : "allocation=preserve, sequential, random or blocks";
	if ((value = value_of(word, "translates")))
		return parse_yes(value, &behaviour->translates) ? NULL : "translates=yes or no";
	if ((value = value_of(word, "hairpin")))
		return parse_yes(value, &behaviour->hairpin) ? NULL : "hairpin=yes or no";
	if ((value = value_of(word, "inbound")))
		return parse_yes(value, &behaviour->refreshed_inbound) ? NULL : "inbound=yes or no";
	if ((value = value_of(word, "outside")))
		return parse_outside(value, &behaviour->outside) ? NULL : "outside=IPV4_ADDRESS";
	if ((value = value_of(word, "ports")))
		return parse_ports(value, behaviour) ? NULL : "ports=LOW-HIGH";
	if ((value = value_of(word, "step")))
		return parse_port(value, &behaviour->step) ? NULL : "step=PORTS";
	if ((value = value_of(word, "block")))
		return parse_port(value, &behaviour->block) ? NULL : "block=PORTS";
	if ((value = value_of(word, "timeout")))
		return parse_count(value, 1, DAY_MS, &behaviour->timeout_ms)
			       ? NULL
			       : "timeout=MILLISECONDS";
	if ((value = value_of(word, "sessions")))
		return parse_count(value, 1, 65536, &behaviour->sessions) ? NULL
									  : "sessions=1 to 65536";
	if ((value = value_of(word, "allow")))
		return parse_allow(value, behaviour) ? NULL : "allow=ADDRESS, at most four times";
	return "mapping= filtering= allocation= translates= hairpin= inbound= outside= ports= "
	       "step= "
	       "block= timeout= sessions= or allow=";
}
