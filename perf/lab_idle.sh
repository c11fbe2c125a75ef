#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A relay with nothing to do in a lab network, for whoever looks at it: says {"pids": [dataplane, control plane]} and waits for the end of its input.
#
#   lab_idle.sh ALLOCATIONS    so many are live, made by the generator, which has gone
#
# Main lcore and control plane on core 0, the worker on core 1.
set -euo pipefail
allocations=$1
export RELAY=blindrelay LAB_IDLE=${LAB_IDLE:-sleep} LAB_DATAPLANE_LINES='cores = 0,1' LAB_TURN_LINES=$'quota = 0\nprefix-quota = 0'
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lab.d/lab.sh"
lab_up >&2
mac() { lab_in "$1" cat "/sys/class/net/$2/address"; }
if [ "$allocations" -gt 0 ]; then
	timeout 60 "$LAB_ROOT/build/perf/turn_load" --client "$NS_CLIENT,c0,$CLIENT4" --peer "$NS_PEER,p0,$PEER4" --server "$RELAY4:3478" \
		--relay-mac "$(mac relay r0)" --login "$LAB_USER:$LAB_PASSWORD" --core 0 --allocations "$allocations" --rate 1000 --seconds 0.5 >&2
	lab_ctl -j status >&2
fi
echo "{\"pids\": [$(cat "$LAB_DIR/dataplane.pid"), $(cat "$LAB_DIR/controlplane.pid")]}"
cat >/dev/null
