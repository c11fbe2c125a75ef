#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The hour turns every two seconds: bob is found at each moment, under four addresses or more one after the other,
# and none of alice's lines is lost, whichever side of a turn it is sent on.
: "${LAB_REGISTRATION_LINES:=epoch = 2}"
. "$(dirname "$0")/lab.sh"
[ "$RELAY" != coturn ] || skip "turnserver knows nothing of the native protocol"
lab_up

alice() { timeout --foreground 20 ip netns exec "$NS_CLIENT" "$LAB_BIN/relaycall" --identity "$LAB_DIR/alice.id" "$@"; }

bob=$(ip netns exec "$NS_PEER" "$LAB_BIN/relaycall" --identity "$LAB_DIR/bob.id" id --relay "$RELAY4" 2>/dev/null)
lab_spawn bob peer "$LAB_BIN/relaycall" --identity "$LAB_DIR/bob.id" -j listen --epoch 2
lab_wait 10 "bob to be registered" grep -q '"registered"' "$LAB_DIR/bob.log"
epochs() { sed -n 's/.*"registered".*"epoch":\([0-9]*\).*/\1/p' "$LAB_DIR/bob.log" | sort -u | wc -l; }

sent=0 end=$((SECONDS + 30))
until [ "$(epochs)" -ge 6 ]; do
	[ $SECONDS -lt $end ] || fail "only $(epochs) epochs in 30 seconds: $(cat "$LAB_DIR/bob.log")"
	sent=$((sent + 1))
	alice send "$bob" --epoch 2 --text "line $sent" >"$LAB_DIR/alice.log" 2>&1 || fail "line $sent: $(cat "$LAB_DIR/alice.log")"
done
all_heard() { [ "$(grep -c '"text":"line ' "$LAB_DIR/bob.log")" = "$sent" ]; }
lab_wait 5 "all lines" all_heard || fail "heard $(grep -c '"text":"line ' "$LAB_DIR/bob.log") of $sent lines"
grep -q refused "$LAB_DIR/bob.log" && fail "refused: $(grep refused "$LAB_DIR/bob.log")"
echo "$sent lines over $(epochs) epochs, none lost"
# An address of an hour that is over is nobody's.
expired() { lab_ctl -j status | grep -q '"leases": *0'; }
expired && fail "status knows of no lease while bob listens"
lab_stop bob INT
lab_wait 10 "all leases to be gone" expired || fail "leases are left: $(lab_ctl status)"
