#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One server in a lab network, one run of allocate_load against it. Prints the generator's JSON lines. Cores: lab_cores.sh.
#
#   allocate_trial.sh coturn|blindrelay ALLOCATE_LOAD-ARGUMENTS...
set -euo pipefail
export RELAY=$1
shift
export LAB_IDLE=${LAB_IDLE:-sleep} LAB_RELAY_PORTS=10240-65535
export LAB_TURN_LINES=$'quota = 0\nprefix-quota = 0' LAB_DATAPLANE_LINES=$'mappings = 262144'
# No budget is in the way: what is asked is the work a request costs.
export LAB_GUARD_LINES=$'punts = 4000000\npunts-with-allocation = 4000000\npunts-total = 4000000\nnew-allocations = 4000000\nreply-bytes = 16777216'
export LAB_COTURN_LINES="relay-threads=${COTURN_THREADS:-1}"$'\nno-software-attribute'
ulimit -n "$(ulimit -Hn)"
. "$(dirname "${BASH_SOURCE[0]}")/lab_cores.sh"
server_up

[ -z "${WATCH:-}" ] || eval "$WATCH" # a profiler, say
clients_run allocate_load --peer "$PEER4" --login "$LAB_USER:$LAB_PASSWORD" "$@"
[ -z "${STATS:-}" ] || [ "$RELAY" = coturn ] || lab_ctl stats >&2
