// SPDX-License-Identifier: BSD-3-Clause
// Rates between two readings.

#include "controlplane/relayctl/sample.h"

#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/table.h"

#include <stdlib.h>
#include <string.h>

enum { REASONS_MAX = 256, REASONS_SHOWN = 10 };

struct reason {
	const char *name; // borrowed from the sample
	double rate;
};

void relayctl_sample_clear(struct relayctl_sample *sample)
{
	free(sample->workers.items);
	free(sample->counters.items);
	*sample = (struct relayctl_sample){0};
}

double relayctl_rate(uint64_t before, uint64_t now, double seconds)
{
	if (now <= before || seconds <= 0)
		return 0;
	return (double)(now - before) / seconds;
}

static const struct api_worker *find_worker(const struct relayctl_sample *sample, uint16_t worker)
{
	const struct api_worker *workers = sample->workers.items;

	for (size_t i = 0; i < sample->workers.count; i++)
		if (workers[i].worker == worker)
			return &workers[i];
	return NULL;
}

static uint64_t find_value(const struct relayctl_sample *sample, const struct api_counter *like)
{
	const struct api_counter *counters = sample->counters.items;

	for (size_t i = 0; i < sample->counters.count; i++)
		if (counters[i].worker == like->worker && counters[i].kind == like->kind &&
			strcmp(counters[i].name, like->name) == 0)
			return counters[i].value;
	return 0;
}

static int compare_reasons(const void *a, const void *b)
{
	const struct reason *left = a, *right = b;

	if (left->rate != right->rate)
		return left->rate < right->rate ? 1 : -1;
	return strcmp(left->name, right->name);
}

// Drop reasons with a rate, over all workers, highest first; how many.
static size_t drop_rates(const struct relayctl_sample *before, const struct relayctl_sample *now,
	struct reason reasons[static REASONS_MAX])
{
	const struct api_counter *counters = now->counters.items;
	double seconds = now->time_s - before->time_s;
	size_t count = 0;

	for (size_t i = 0; i < now->counters.count; i++) {
		const struct api_counter *c = &counters[i];
		size_t r = 0;
		if (c->kind != API_COUNTER_DROP)
			continue;
		double rate = relayctl_rate(find_value(before, c), c->value, seconds);
		while (r < count && strcmp(reasons[r].name, c->name) != 0)
			r++;
		if (rate == 0 || r == REASONS_MAX)
			continue;
		if (r == count)
			reasons[count++] = (struct reason){.name = c->name};
		reasons[r].rate += rate;
	}
	qsort(reasons, count, sizeof(reasons[0]), compare_reasons);
	return count;
}

// Share of cycles spent on packets between the readings, 0 to 1.
static double busy_share(const struct api_worker *before, const struct api_worker *now)
{
	double busy = relayctl_rate(before->busy_cycles, now->busy_cycles, 1);
	double idle = relayctl_rate(before->idle_cycles, now->idle_cycles, 1);

	return busy + idle > 0 ? busy / (busy + idle) : 0;
}

static void print_summary(const struct relayctl_sample *before, const struct relayctl_sample *now,
	double seconds, FILE *out)
{
	const struct admin_status *a = &before->status, *b = &now->status;
	struct relayctl_table *table =
		relayctl_table_create("lrrr", "DIRECTION|PACKETS/S|MBIT/S|BYTES/PACKET");
	const struct {
		const char *name;
		double packets, bytes;
	} rows[] = {
		{"to peers", relayctl_rate(a->to_peer_packets, b->to_peer_packets, seconds),
			relayctl_rate(a->to_peer_bytes, b->to_peer_bytes, seconds)},
		{"to clients", relayctl_rate(a->to_client_packets, b->to_client_packets, seconds),
			relayctl_rate(a->to_client_bytes, b->to_client_bytes, seconds)},
	};

	fprintf(out, "%s: %s, %llu of %llu allocations, %.0f drops/s\n\n", b->name,
		relayctl_text_state(b->state), (unsigned long long)b->allocations,
		(unsigned long long)b->allocations_max, relayctl_rate(a->drops, b->drops, seconds));
	for (unsigned i = 0; i < 2; i++) {
		relayctl_table_cell(table, "%s", rows[i].name);
		relayctl_table_cell(table, "%.0f", rows[i].packets);
		relayctl_table_cell(table, "%.1f", rows[i].bytes * 8 / 1e6);
		relayctl_table_cell(
			table, "%.0f", rows[i].packets > 0 ? rows[i].bytes / rows[i].packets : 0);
	}
	relayctl_table_print(table, out);
}

static void print_workers(const struct relayctl_sample *before, const struct relayctl_sample *now,
	double seconds, FILE *out)
{
	const struct api_worker *workers = now->workers.items;
	struct relayctl_table *table = relayctl_table_create(
		"rrrrrrr", "WORKER|CORE|BUSY|ALLOCATIONS|RX/S|TX/S|HAND-OFFS/S");

	for (size_t i = 0; i < now->workers.count; i++) {
		const struct api_worker *b = &workers[i], *a = find_worker(before, b->worker);
		if (a == NULL)
			continue;
		relayctl_table_cell(table, "%u", b->worker);
		relayctl_table_cell(table, "%u", b->core);
		relayctl_table_cell(table, "%.1f %%", 100 * busy_share(a, b));
		relayctl_table_cell(table, "%llu", (unsigned long long)b->allocations);
		relayctl_table_cell(
			table, "%.0f", relayctl_rate(a->rx_packets, b->rx_packets, seconds));
		relayctl_table_cell(
			table, "%.0f", relayctl_rate(a->tx_packets, b->tx_packets, seconds));
		relayctl_table_cell(
			table, "%.0f", relayctl_rate(a->handoffs_out, b->handoffs_out, seconds));
	}
	relayctl_table_print(table, out);
}

void relayctl_sample_print(
	const struct relayctl_sample *before, const struct relayctl_sample *now, FILE *out)
{
	struct reason reasons[REASONS_MAX] = {0};
	size_t count = drop_rates(before, now, reasons);
	double seconds = now->time_s - before->time_s;

	print_summary(before, now, seconds, out);
	fputc('\n', out);
	print_workers(before, now, seconds, out);
	if (count == 0)
		return;
	fputc('\n', out);
	struct relayctl_table *table = relayctl_table_create("lr", "DROP REASON|PACKETS/S");
	for (size_t i = 0; i < count && i < REASONS_SHOWN; i++) {
		relayctl_table_cell(table, "%s", reasons[i].name);
		relayctl_table_cell(table, "%.0f", reasons[i].rate);
	}
	relayctl_table_print(table, out);
}

static void set_real(json_t *object, const char *key, double value)
{
	json_object_set_new(object, key, json_real(value));
}

json_t *relayctl_sample_json(
	const struct relayctl_sample *before, const struct relayctl_sample *now)
{
	const struct admin_status *a = &before->status, *b = &now->status;
	const struct api_worker *items = now->workers.items;
	double seconds = now->time_s - before->time_s;
	struct reason reasons[REASONS_MAX] = {0};
	size_t count = drop_rates(before, now, reasons);
	json_t *object = json_object(), *workers = json_array(), *drops = json_object();

	set_real(object, "seconds", seconds);
	json_object_set_new(object, "allocations", json_integer((json_int_t)b->allocations));
	set_real(object, "to_peers_packets_per_s",
		relayctl_rate(a->to_peer_packets, b->to_peer_packets, seconds));
	set_real(object, "to_peers_bytes_per_s",
		relayctl_rate(a->to_peer_bytes, b->to_peer_bytes, seconds));
	set_real(object, "to_clients_packets_per_s",
		relayctl_rate(a->to_client_packets, b->to_client_packets, seconds));
	set_real(object, "to_clients_bytes_per_s",
		relayctl_rate(a->to_client_bytes, b->to_client_bytes, seconds));
	set_real(object, "dropped_per_s", relayctl_rate(a->drops, b->drops, seconds));
	for (size_t i = 0; i < now->workers.count; i++) {
		const struct api_worker *w = find_worker(before, items[i].worker);
		json_t *worker = json_object();
		if (w == NULL)
			w = &items[i];
		json_object_set_new(worker, "worker", json_integer(items[i].worker));
		set_real(worker, "busy", busy_share(w, &items[i]));
		set_real(worker, "rx_packets_per_s",
			relayctl_rate(w->rx_packets, items[i].rx_packets, seconds));
		set_real(worker, "tx_packets_per_s",
			relayctl_rate(w->tx_packets, items[i].tx_packets, seconds));
		set_real(worker, "handoffs_per_s",
			relayctl_rate(w->handoffs_out, items[i].handoffs_out, seconds));
		json_array_append_new(workers, worker);
	}
	json_object_set_new(object, "workers", workers);
	for (size_t i = 0; i < count; i++)
		set_real(drops, reasons[i].name, reasons[i].rate);
	json_object_set_new(object, "drops_per_s", drops);
	return object;
}
