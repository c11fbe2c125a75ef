// SPDX-License-Identifier: BSD-3-Clause
// Names of what is counted, as the socket tells them.

#include "dataplane/stats.h"

#define STATS_NAME(name) #name,

const char *const stats_stage_names[STATS_STAGE_COUNT] = {STATS_STAGES(STATS_NAME)};
const char *const stats_drop_names[STATS_DROP_COUNT] = {STATS_DROPS(STATS_NAME)};
const char *const stats_event_names[STATS_EVENT_COUNT] = {STATS_EVENTS(STATS_NAME)};
