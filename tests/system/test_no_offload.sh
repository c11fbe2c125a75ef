#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Checksum offload off on every interface: all checksums on the wire are whole and must stay so. (All other
# tests run with offload on, where a sender leaves the sum to the card.)
#
#   client == whole checksums ==> relay == whole checksums ==> peer
. "$(dirname "$0")/lab.sh"
LAB_OFFLOAD=off
lab_up
peer_echo
uclient 200 -c -n 100 -m 2 -l 172 -e "$PEER4" "$RELAY4"
uclient 100 -c -s -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY6"
uclient 100 -c -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY4"
wrong=$(lab_in peer cat /proc/net/snmp | awk '/^Udp:/ { n = $8 } END { print n }')
[ "$wrong" = 0 ] || fail "the peer counted $wrong wrong UDP checksums"
