#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Time-limited credentials: turnutils_uclient derives them from the shared secret itself.
#
#   turnutils_uclient (user "expiry:id", password HMAC) ==> relay --> turnutils_peer
. "$(dirname "$0")/lab.sh"
LAB_AUTH=rest
lab_up
peer_echo
uclient 100 -W "$LAB_SECRET" -u guest -c -n 50 -m 2 -e "$PEER4" "$RELAY4"
if timeout --foreground 20 ip netns exec "$NS_CLIENT" turnutils_uclient -W not-the-secret -u guest -c -n 5 -m 1 \
	-e "$PEER4" "$RELAY4" >"$LAB_DIR/wrong.log" 2>&1 && grep -q 'tot_recv_msgs=[1-9]' "$LAB_DIR/wrong.log"; then
	fail "a wrong secret was served"
fi
