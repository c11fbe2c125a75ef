#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# coturn's STUN client sees its own address, over both families.
#
#   turnutils_stunclient -- Binding --> relay
. "$(dirname "$0")/lab.sh"
lab_up
for pair in "$CLIENT4 $RELAY4" "$CLIENT6 $RELAY6"; do
	read -r client server <<<"$pair"
	timeout --foreground 20 ip netns exec "$NS_CLIENT" turnutils_stunclient -L "$client" "$server" >"$LAB_DIR/stunclient.log" 2>&1 ||
		fail "turnutils_stunclient $server ended with $?"
	grep -F "UDP reflexive addr:" "$LAB_DIR/stunclient.log"
	grep -qF "UDP reflexive addr: ${client}" <(tr -d '[]' <"$LAB_DIR/stunclient.log") ||
		fail "expected the reflexive address $client"
done
