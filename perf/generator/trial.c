// SPDX-License-Identifier: BSD-3-Clause
#include "perf/generator/trial.h"

#include <stdio.h>

enum { PROBES_MAX = 16 };

static double microseconds(const struct trial *t, double fraction, double hz)
{
	return (double)histogram_quantile(&t->latency, fraction) * 1e6 / hz;
}

void trial_print(const char *kind, const char *extra, const struct trial *t, double hz)
{
	printf("{\"trial\":\"%s\",%s\"rate\":%.0f,\"offered\":%.0f,\"back\":%.0f,\"sent\":%lu,"
	       "\"received\":%lu,\"lost\":%ld,\"refused\":%lu,\"flood\":%lu,\"flood_refused\":%lu,"
	       "\"other\":%lu,"
	       "\"foul\":%lu,\"p50_us\":%.1f,"
	       "\"p99_us\":%.1f,\"p999_us\":%.1f,\"busy\":%.2f,\"generator_limit\":%s}\n",
		kind, extra, t->asked, t->offered, t->rate_back, t->sent, t->received,
		trial_lost(t), t->refused, t->flood_sent, t->flood_refused, t->other, t->foul,
		microseconds(t, 0.5, hz), microseconds(t, 0.99, hz), microseconds(t, 0.999, hz),
		t->busy, trial_offered(t) ? "false" : "true");
	fflush(stdout);
}

double rate_search_run(const struct rate_search *search)
{
	double low = 0, high = search->high, try = search->try;
	bool bounded = false; // something has failed: high does not hold
	for (unsigned i = 0; i < PROBES_MAX; i++) {
		if (search->holds(search->context, try)) {
			low = try;
		} else {
			high = try;
			bounded = true;
		}
		if (low >= high || (bounded && high - low <= search->resolution * high))
			break;
		if (low == 0)
			try = high / 2;
		else if (bounded)
			try = (low + high) / 2;
		else
			try = low * 1.5 < high ? low * 1.5 : high;
	}
	return low;
}
