#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two workers on ports with two queues each that nobody can steer (TAP): the kernel chooses the queue, the
# worker that receives a packet hands it to the one that owns the mapping. Nothing is lost, what goes out of
# one worker comes into the other, and relayctl says which way it is.
#
#   client -- veth r0 -- bridge -- [t0 tap, 2 queues] worker 0, worker 1 [t1 tap, 2 queues] -- bridge -- r1 veth -- peer
. "$(dirname "$0")/lab.sh"
[ "$RELAY" != coturn ] || skip "turnserver has no ports"
LAB_PORT=tap LAB_WORKERS=2
lab_up
peer_echo
uclient 1000 -c -n 50 -m 20 -l 172 -z 10 -e "$PEER4" "$RELAY4"
uclient 200 -c -s -x -n 50 -m 4 -l 172 -e "$PEER6" "$RELAY6"
lab_ctl workers
lab_ctl -j workers | /usr/bin/python3 -c '
import json, sys
workers = json.load(sys.stdin)
assert len(workers) == 2, workers
for w in workers:
    assert w["queues"] == 2, w
    assert all(p["queues"] == 2 for p in w["ports"]), w
    assert all(p["steering_ipv4"] == p["steering_ipv6"] == "hand-off" for p in w["ports"]), w
handed_in, handed_out = (sum(w[k] for w in workers) for k in ("handoffs_in", "handoffs_out"))
assert handed_in == handed_out, workers
print("handed over:", handed_out)
' || fail "not what two workers with two queues each look like"
lab_ctl stats | grep -E "handoff_ring_full|handoff_share|transmit_full|not_owner" && fail "packets were dropped on the way"
echo "no packet was lost between the workers"
