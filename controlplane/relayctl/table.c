// SPDX-License-Identifier: BSD-3-Clause
// Aligned tables. A column's width is its widest cell's, in characters (UTF-8), headings included.

#include "controlplane/relayctl/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS_MAX = 16, GAP = 2 };

struct relayctl_table {
	char columns[COLUMNS_MAX + 1];
	unsigned column_count;
	char **cells;
	size_t count, room;
};

static void *need(void *memory)
{
	if (memory == NULL) {
		fputs("relayctl: out of memory\n", stderr);
		exit(1);
	}
	return memory;
}

static void add(struct relayctl_table *table, char *cell)
{
	for (char *c = cell; *c != 0; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (table->count == table->room) {
		table->room = table->room == 0 ? 64 : table->room * 2;
		table->cells = need(reallocarray(table->cells, table->room, sizeof(*table->cells)));
	}
	table->cells[table->count++] = cell;
}

struct relayctl_table *relayctl_table_create(const char *columns, const char *headings)
{
	struct relayctl_table *table = need(calloc(1, sizeof(*table)));

	snprintf(table->columns, sizeof(table->columns), "%s", columns);
	table->column_count = (unsigned)strlen(table->columns);
	for (const char *h = headings; h != NULL;) {
		size_t length = strcspn(h, "|");
		add(table, need(strndup(h, length)));
		h = h[length] == '|' ? h + length + 1 : NULL;
	}
	return table;
}

void relayctl_table_cell(struct relayctl_table *table, const char *format, ...)
{
	char *cell = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&cell, format, arguments) < 0)
		cell = NULL;
	va_end(arguments);
	add(table, need(cell));
}

static int width_of(const char *text)
{
	int width = 0;

	for (; *text != 0; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

static void print_row(
	const struct relayctl_table *table, char *const *row, const int *widths, FILE *out)
{
	int owed = 0; // blanks that are printed only if something follows

	for (unsigned c = 0; c < table->column_count; c++) {
		int space = widths[c] - width_of(row[c]);
		if (table->columns[c] == 'r')
			owed += space;
		if (row[c][0] != 0) {
			fprintf(out, "%*s%s", owed, "", row[c]);
			owed = 0;
		}
		if (table->columns[c] != 'r')
			owed += space;
		owed += GAP;
	}
	fputc('\n', out);
}

void relayctl_table_print(struct relayctl_table *table, FILE *out)
{
	int widths[COLUMNS_MAX] = {0};
	size_t rows = table->count / table->column_count;

	for (size_t i = 0; i < rows * table->column_count; i++) {
		int width = width_of(table->cells[i]);
		if (width > widths[i % table->column_count])
			widths[i % table->column_count] = width;
	}
	for (size_t r = 0; r < rows && out != NULL; r++)
		print_row(table, table->cells + r * table->column_count, widths, out);
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}
