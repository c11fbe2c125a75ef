// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/thread_times.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void add(struct thread_times *out, const char *name, uint64_t ns)
{
	unsigned i = 0;
	while (i < out->count && strcmp(out->of[i].name, name) != 0)
		i++;
	if (i == THREAD_TIMES_MAX)
		return;
	if (i == out->count) {
		snprintf(out->of[i].name, sizeof(out->of[i].name), "%s", name);
		out->of[i].ns = 0;
		out->count++;
	}
	out->of[i].ns += ns;
}

static void read_thread(struct thread_times *out, pid_t process, const char *thread)
{
	char path[320], name[16] = "";
	unsigned long ns = 0;
	FILE *file;
	snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", process, thread);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	bool named = fscanf(file, "%15[^\n]", name) == 1;
	fclose(file);
	snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", process, thread);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (named && fscanf(file, "%lu", &ns) == 1)
		add(out, name, ns);
	fclose(file);
}

void thread_times_read(struct thread_times *out, const pid_t *processes, unsigned count)
{
	out->count = 0;
	for (unsigned i = 0; i < count; i++) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/task", processes[i]);
		DIR *tasks = opendir(path);
		const struct dirent *task;
		while (tasks != NULL && (task = readdir(tasks)) != NULL)
			if (task->d_name[0] != '.')
				read_thread(out, processes[i], task->d_name);
		if (tasks != NULL)
			closedir(tasks);
	}
}

void thread_times_print(const struct thread_times *before, const struct thread_times *after)
{
	printf("{");
	for (unsigned i = 0; i < after->count; i++) {
		uint64_t ns = after->of[i].ns;
		for (unsigned k = 0; k < before->count; k++)
			if (strcmp(before->of[k].name, after->of[i].name) == 0)
				ns -= before->of[k].ns;
		printf("%s\"%s\":%.4f", i ? "," : "", after->of[i].name, (double)ns / 1e9);
	}
	printf("}");
}
