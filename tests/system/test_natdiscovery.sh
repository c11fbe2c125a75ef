#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# NAT behaviour discovery (RFC 5780) against two listen addresses: OTHER-ADDRESS, RESPONSE-ORIGIN and
# CHANGE-REQUEST in all four directions. There is no NAT, and that is what has to come out.
#
#   turnutils_natdiscovery <--> relay A:3478  A:3479  B:3478  B:3479
. "$(dirname "$0")/lab.sh"
LAB_SECOND=1
lab_up
for set in "$CLIENT4 $RELAY4 $RELAY4B" "$CLIENT6 $RELAY6 $RELAY6B"; do
	read -r client first second <<<"$set"
	timeout --foreground 60 ip netns exec "$NS_CLIENT" turnutils_natdiscovery -m -f -L "$client" "$first" \
		>"$LAB_DIR/natdiscovery.log" 2>&1 || fail "turnutils_natdiscovery $first ended with $?"
	# Answers come from where they were asked from: the same, the other address, both changed.
	wanted="$first:3478 $second:3478 $first:3478 $second:3479"
	# Its first line about an answer is printed twice when it is the first of its kind.
	seen=$(sed -n 's/.*Response origin: : //p' "$LAB_DIR/natdiscovery.log" | uniq | tr '\n' ' ')
	echo "$first: answers from $seen"
	[ "$seen" = "$wanted " ] || fail "expected answers from $wanted"
	grep -q "Other addr: : $second:3479" "$LAB_DIR/natdiscovery.log" || fail "expected OTHER-ADDRESS $second:3479"
	grep -q "Endpoint Independent Mapping" "$LAB_DIR/natdiscovery.log" || fail "expected endpoint independent mapping"
	grep -q "Endpoint Independent Filtering" "$LAB_DIR/natdiscovery.log" || fail "expected endpoint independent filtering"
done
