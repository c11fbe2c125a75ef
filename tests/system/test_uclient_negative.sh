#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# coturn's negative tests: wrong and random requests between the right ones (-N: limited cases, -R:
# damaged protocol, -G: extra requests). The relay must go on serving: a clean run follows each.
#
#   turnutils_uclient == damaged messages ==> relay     turnutils_peer
#         client      == then clean ones  ==>       -->      peer
. "$(dirname "$0")/lab.sh"
lab_up
peer_echo
for mode in -N -R; do
	# What such a run reports is up to its dice, and it may wait for an answer that nobody owes it: it has
	# to reach the relay, and the clean run behind it has to be served. It waits in a busy loop, hence nice.
	timeout --foreground 8 nice -n 19 ip netns exec "$NS_CLIENT" stdbuf -oL turnutils_uclient -v -u "$LAB_USER" -w "$LAB_PASSWORD" $mode \
		-c -n 5 -m 2 -e "$PEER4" "$RELAY4" >"$LAB_DIR/negative$mode.log" 2>&1 || true
	asked=$(grep -c ' sent$' "$LAB_DIR/negative$mode.log" || true)
	answered=$(grep -c 'response received' "$LAB_DIR/negative$mode.log" || true)
	errors=$(grep -c ': error [0-9]' "$LAB_DIR/negative$mode.log" || true)
	echo "$mode: $asked requests, $answered answers, $errors errors; then clean:"
	[ "$asked" -gt 0 ] || fail "turnutils_uclient $mode sent nothing"
	uclient 40 -c -n 20 -m 2 -e "$PEER4" "$RELAY4"
done
echo "extra requests" && uclient 100 -G -c -n 50 -m 2 -e "$PEER4" "$RELAY4"
