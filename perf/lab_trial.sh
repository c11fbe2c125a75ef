#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One relay in a lab network, one run of the generator against it. Prints turn_load's JSON lines, then one with the
# CPU seconds that the relay's processes took meanwhile.
#
#   lab_trial.sh coturn|blindrelay TURN_LOAD-ARGUMENTS...
#
# The generator has core 0, everything of the relay under test core 1. Neighbours are permanent on the relay's side: AF_XDP takes every frame at the ends, ARP too.
set -euo pipefail
export RELAY=$1 LAB_IDLE=${LAB_IDLE:-poll}
shift
export LAB_COTURN_LINES=$'relay-threads=1\nno-software-attribute'
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lab.d/lab.sh"
lab_up >&2

for name in turnserver dataplane controlplane; do
	[ -e "$LAB_DIR/$name.pid" ] || continue
	for task in /proc/"$(cat "$LAB_DIR/$name.pid")"/task/*; do
		taskset -cp 1 "${task##*/}" >/dev/null
	done
done

mac() { lab_in "$1" cat "/sys/class/net/$2/address"; }
ip -n "$NS_RELAY" neighbour replace $CLIENT4 lladdr "$(mac client c0)" dev r0 nud permanent
ip -n "$NS_RELAY" neighbour replace $PEER4 lladdr "$(mac peer p0)" dev r1 nud permanent

cpu_ticks() {
	local name total=0 fields
	for name in turnserver dataplane controlplane; do
		[ -e "$LAB_DIR/$name.pid" ] || continue
		read -ra fields <"/proc/$(cat "$LAB_DIR/$name.pid")/stat"
		total=$((total + fields[13] + fields[14]))
	done
	echo $total
}

before=$(cpu_ticks)
timeout 300 "$LAB_ROOT/build/perf/turn_load" --client "$NS_CLIENT,c0,$CLIENT4" --peer "$NS_PEER,p0,$PEER4" \
	--server "$RELAY4:3478" --relay-mac "$(mac relay r0)" --login "$LAB_USER:$LAB_PASSWORD" --core 0 "$@"
echo "{\"cpu_seconds\": $(($(cpu_ticks) - before))e-2}"
