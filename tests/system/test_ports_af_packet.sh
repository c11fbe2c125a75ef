#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# af_packet ports instead of AF_XDP: the same traffic, and the kernel keeps its own (ping, TCP).
#
#   client -- veth -- [r0 af_packet] relay [r1 af_packet] -- veth -- peer
. "$(dirname "$0")/lab.sh"
LAB_PORT=af_packet
lab_up
peer_echo
uclient 200 -c -n 100 -m 2 -l 172 -e "$PEER4" "$RELAY4"
uclient 100 -c -s -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY6"
host_answers
