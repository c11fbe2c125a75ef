#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The relay in a lab network, one run of register_load against it. Prints how many signatures the server's core can verify in a
# second, the generator's JSON lines, the same limit again, and what relayctl and the kernel say of the relay before and after:
# counters, leases, KiB of resident memory of both daemons. Cores: lab_cores.sh.
#
#   LEASES=N register_trial.sh REGISTER_LOAD-ARGUMENTS...
set -euo pipefail
export RELAY=blindrelay LAB_IDLE=${LAB_IDLE:-sleep} LAB_HUGEPAGES=${LAB_HUGEPAGES:-auto}
# No budget is in the way: what is asked is the work a registration costs.
export LAB_GUARD_LINES=$'punts = 4000000\npunts-with-allocation = 4000000\npunts-total = 4000000\nreply-bytes = 16777216'
export LAB_REGISTRATION_LINES="leases = ${LEASES:-262144}"$'\nhandles = 1024\nnew-leases = 4000000'
. "$(dirname "${BASH_SOURCE[0]}")/lab_cores.sh"
server_up

limit() { [ -z "${LIMIT:-}" ] || preferred "$LAB_ROOT/build/perf/register_load" --limit "$LIMIT" --core 1; }

resident() { # NAME...
	local name
	for name; do
		awk -v name="$name" '/^VmRSS|^HugetlbPages/ { kib += $2 } END { printf "\"%s\":%d,", name, kib }' "/proc/$(cat "$LAB_DIR/$name.pid")/status"
	done
}

relay() { # WHEN
	printf '{"relay":"%s",%s"status":%s,"stats":%s}\n' "$1" "$(resident dataplane controlplane)" \
		"$(lab_ctl -j status | tr -d '\n')" "$(lab_ctl -j stats | tr -d '\n')"
}

limit
relay before
[ -z "${WATCH:-}" ] || eval "$WATCH" # a profiler, say
clients_run register_load "$@"
relay after
limit
