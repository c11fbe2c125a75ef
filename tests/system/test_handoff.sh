#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two workers, each with one single-queue port, so that every packet crosses from one to the other: the
# client's worker owns the mapping and sends to peers on the other's queue; packets from peers come in
# there and are handed to the owner. Nothing is lost, and the hand-offs are counted.
#
#    client == r0, worker 0 (owner) <== hand-off rings ==> worker 1, r1 -- peer
. "$(dirname "$0")/lab.sh"
LAB_WORKERS=2
lab_up
peer_echo
PACKETS=1000
uclient $PACKETS -c -e "$PEER4" -r 3480 -n 100 -m 10 -l 172 -z 5 "$RELAY4"
lab_ctl -j workers | PACKETS=$PACKETS /usr/bin/python3 -c '
import json, os, sys
packets = int(os.environ["PACKETS"])
workers = json.load(sys.stdin)
assert len(workers) == 2, workers
assert sum(w["queues"] for w in workers) == 2, workers
for w in workers:
    assert w["queues"] == 1, w
    assert w["handoffs_in"] >= packets and w["handoffs_out"] >= packets, w
assert sum(w["handoffs_in"] for w in workers) == sum(w["handoffs_out"] for w in workers), workers
owners = [w for w in workers if w["rx_packets"] > packets]
assert owners, workers
print("each worker handed over", *(w["handoffs_out"] for w in workers), "packets")
' || fail "the workers did not hand over what they should: $(lab_ctl workers)"
lab_ctl stats | grep -E "handoff_ring_full|transmit_full|not_owner" && fail "packets were dropped on the way"
echo "no packet was lost between the workers"
