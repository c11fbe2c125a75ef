#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# The client segment is a VLAN, the peers' is not.
#
#   client [c0.100] == tagged ==> [r0, r0.100] relay [r1] -- untagged --> peer
. "$(dirname "$0")/lab.sh"
ip link add link lo name "vlan$$" type vlan id 9 2>/dev/null || skip "this kernel has no VLAN interfaces (8021q)"
ip link delete "vlan$$"
LAB_VLAN=100
lab_up
peer_echo
uclient 200 -c -n 100 -m 2 -l 172 -e "$PEER4" "$RELAY4"
uclient 100 -c -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY6"
uclient 100 -y -c -n 50 -m 2 -l 172 "$RELAY4"
host_answers
