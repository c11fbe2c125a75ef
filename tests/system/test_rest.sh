#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# limit: 240
# idle = sleep: on every port type that this machine has, a worker without packets sleeps until one comes. A worker
# that naps is told by how often it gives the core away: thousands of times a second; one that sleeps, by its
# 10 ms of expiry and little more.
. "$(dirname "$0")/lab.sh"
[ "$RELAY" != coturn ] || skip "turnserver has no workers"

worker_switches() {
	local pid task
	pid=$(cat "$LAB_DIR/dataplane.pid")
	for task in /proc/"$pid"/task/*; do
		[[ $(cat "$task/comm") != *worker* ]] || sed -n 's/^voluntary_ctxt_switches:\t//p' "$task/status"
	done
}

# Of a second in which no packet came (the lab's own chatter of neighbours settles; buffers are wiped meanwhile).
sleeps() {
	local before after
	before=$(worker_switches)
	sleep 1
	after=$(worker_switches)
	echo "$LAB_PORT: $((after - before)) sleeps in a second"
	[ $((after - before)) -lt 400 ]
}

if [ -z "${REST_PORT:-}" ]; then
	for port in af_xdp af_packet tap memif; do
		REST_PORT=$port "$0"
	done
	exit 0
fi
LAB_PORT=$REST_PORT LAB_OFFLOAD=off
lab_up
lab_wait 20 "a worker that sleeps" sleeps || fail "$LAB_PORT: the worker does not sleep, $(worker_switches) switches"
# Woken every time, whatever it sleeps on, at every depth of sleep.
for pause in 0.01 0.1 1; do
	sleep $pause
	lab_answers >/dev/null || fail "$LAB_PORT: no answer after $pause s of silence"
done
peer_echo
uclient 100 -c -n 100 -m 1 -l 172 -e "$PEER4" "$RELAY4"
echo "$LAB_PORT: sleeps, and wakes for every packet"
