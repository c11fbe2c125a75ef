#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Two workers, one port each: the client's worker owns the mapping, what comes from peers arrives at the other
# one and is handed over.
#
#   client ==> [r0] worker 0  <- hand-off ->  worker 1 [r1] <== peer
. "$(dirname "$0")/lab.sh"
LAB_WORKERS=2
lab_up
peer_echo
uclient 400 -n 100 -m 4 -l 172 -e "$PEER4" "$RELAY4"
uclient 200 -y -n 50 -m 4 -l 172 "$RELAY4"
uclient 100 -c -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY6"
if [ "$RELAY" != coturn ]; then
	lab_ctl workers
	handed=$(lab_ctl -j workers | sed -n 's/.*"handoffs_in": \([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n }')
	[ "$handed" -gt 0 ] || fail "nothing was handed over: the test does not test what it says"
fi
