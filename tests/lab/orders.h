// SPDX-License-Identifier: BSD-3-Clause
// The words with which the wire program is told what to be (tests/lab/README.md lists them). Text
// to settings; no I/O.
#pragma once

#include "tests/lab/nat.h"
#include "tests/lab/wire.h"

#include <stddef.h>

enum { ORDERS_WORDS_MAX = 32 };

// Cuts a line at its blanks, in place. Returns how many words there are; those beyond
// ORDERS_WORDS_MAX are not looked at.
size_t orders_split(char *line, char *words[ORDERS_WORDS_MAX]);

// One "name=value" each, whatever else stays as it was. Returns NULL, or what was expected.
// delay jitter: ms; loss duplicate: percent; reorder=PERCENT,MS
// burst=PERCENT_IN,PERCENT_OUT,PERCENT_LOST cut=yes|no. Numbers may have decimals.
const char *orders_quality(const char *word, struct wire_quality *quality);
// mapping filtering: independent|address|port; allocation: preserve|sequential|random|blocks;
// hairpin inbound translates: yes|no; outside=ADDRESS ports=LOW-HIGH step block timeout (ms)
// sessions; allow=ADDRESS (again for further ones): blocked but for these.
const char *orders_nat(const char *word, struct nat_behaviour *behaviour);
