// SPDX-License-Identifier: BSD-3-Clause
// A table of text that is aligned when it is printed. One thread.
#pragma once

#include <stdio.h>

struct relayctl_table;

// columns: one character per column, l or r (aligned left or right); headings: as many, separated
// by single |, or NULL for none. Never NULL: out of memory ends the program.
struct relayctl_table *relayctl_table_create(const char *columns, const char *headings);
// The next cell, row by row. Control characters are printed as "?".
void relayctl_table_cell(struct relayctl_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
// Prints complete rows (none when out is NULL), and frees the table. Nothing behind the last
// character of a line.
void relayctl_table_print(struct relayctl_table *table, FILE *out);
