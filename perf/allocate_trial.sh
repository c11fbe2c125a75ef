#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One server in a lab network, one run of allocate_load against it. Prints the generator's JSON lines, then one with the
# CPU seconds that the server's threads took meanwhile.
#
#   allocate_trial.sh coturn|blindrelay ALLOCATE_LOAD-ARGUMENTS...
#
# The generator has core 0. LAYOUT says what the server has: `one` (default): everything of it core 1; `two`: Blindrelay's workers
# core 1, its main thread and the control plane core 0 beside the generator; coturn's threads both cores.
set -euo pipefail
export RELAY=$1
shift
: "${LAYOUT:=one}" "${SOURCES:=11.64.0.0}"
export LAB_IDLE=${LAB_IDLE:-sleep} LAB_RELAY_PORTS=10240-65535
export LAB_TURN_LINES=$'quota = 0\nprefix-quota = 0' LAB_DATAPLANE_LINES=$'mappings = 262144'
# No budget is in the way: what is asked is the work a request costs.
export LAB_GUARD_LINES=$'punts = 4000000\npunts-with-allocation = 4000000\npunts-total = 4000000\nnew-allocations = 4000000\nreply-bytes = 16777216'
export LAB_COTURN_LINES="relay-threads=${COTURN_THREADS:-1}"$'\nno-software-attribute'
ulimit -n "$(ulimit -Hn)"
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lab.d/lab.sh"
lab_up >&2

tasks() {
	local name
	for name in turnserver dataplane controlplane; do
		[ -e "$LAB_DIR/$name.pid" ] || continue
		ls -d "/proc/$(cat "$LAB_DIR/$name.pid")"/task/*
	done
}

for task in $(tasks); do
	cores=1
	if [ "$LAYOUT" = two ]; then
		cores=0,1
		case $(cat "$task/comm") in
		relay-controlpl | relay-dataplane) cores=0 ;;
		lcore-worker* | rte-worker*) cores=1 ;;
		esac
	fi
	taskset -cp "$cores" "${task##*/}" >/dev/null
done

# Whatever else the machine does, both sides go first; where the kernel groups threads by session, the sessions do.
for name in turnserver dataplane controlplane; do
	[ ! -e "$LAB_DIR/$name.pid" ] || echo -20 >"/proc/$(cat "$LAB_DIR/$name.pid")/autogroup" || true
done
for task in $(tasks); do
	renice -n -20 -p "${task##*/}" >/dev/null
done

mac() { lab_in "$1" cat "/sys/class/net/$2/address"; }
ip -n "$NS_RELAY" neighbour replace $CLIENT4 lladdr "$(mac client c0)" dev r0 nud permanent
ip -n "$NS_RELAY" route add 11.64.0.0/11 via $CLIENT4

# What each thread has taken: name and nanoseconds.
thread_times() {
	local task fields
	for task in $(tasks); do
		read -ra fields <"$task/schedstat"
		echo "$(cat "$task/comm") ${fields[0]}"
	done
}

[ -z "${WATCH:-}" ] || eval "$WATCH" # a profiler, say
before=$(thread_times)
setsid -w bash -c 'echo -20 >/proc/$$/autogroup || true; exec timeout -s KILL 120 nice -n -20 "$@"' - "$LAB_ROOT/build/perf/allocate_load" --client "$NS_CLIENT,c0" --server "$RELAY4:3478" --relay-mac "$(mac relay r0)" \
	--sources "$SOURCES" --peer "$PEER4" --login "$LAB_USER:$LAB_PASSWORD" --core 0 "$@"
paste -d' ' <(echo "$before") <(thread_times) | awk '
	{ taken[$1] += $4 - $2; all += $4 - $2 }
	END { printf "{\"cpu_seconds\":%.4f,\"threads\":{", all / 1e9
	      for (n in taken) printf "%s\"%s\":%.4f", i++ ? "," : "", n, taken[n] / 1e9
	      print "}}" }'
[ -z "${STATS:-}" ] || [ "$RELAY" = coturn ] || lab_ctl stats >&2
