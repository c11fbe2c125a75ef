// SPDX-License-Identifier: BSD-3-Clause
// See lines.h.
#include "endpoint/relaycall/lines.h"

#include <errno.h>
#include <string.h>

struct lines lines_make(char *text, size_t size)
{
	return (struct lines){.at = text, .end = text + size};
}

// Ends the text at `end` and takes the space away from both of its sides.
static char *trim(char *text, char *end)
{
	while (end > text && strchr(" \t\r", end[-1]) != NULL)
		end--;
	*end = 0;
	return text + strspn(text, " \t\r");
}

int lines_next(struct lines *lines, char **key, char **value)
{
	while (lines->at < lines->end) {
		char *line = lines->at;
		char *end = memchr(line, '\n', (size_t)(lines->end - line));
		if (end == NULL)
			end = lines->end;
		lines->at = end + 1;
		lines->number++;
		if (memchr(line, 0, (size_t)(end - line)) != NULL)
			return -EINVAL;
		line = trim(line, end);
		if (*line == 0 || *line == '#')
			continue;
		char *equals = strchr(line, '=');
		if (equals == NULL)
			return -EINVAL;
		*value = trim(equals + 1, equals + 1 + strlen(equals + 1));
		*key = trim(line, equals);
		return **key != 0 && **value != 0 ? 1 : -EINVAL;
	}
	return 0;
}
