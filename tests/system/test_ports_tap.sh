#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# TAP ports: no kernel interface of their own, so what is not the relay's goes to the kernel through an
# exception TAP, which has the addresses.
#
#   client -- veth r0 -- bridge -- [t0 tap] relay [t1 tap] -- bridge -- r1 veth -- peer
#                                   relay0         relay1  (exception TAPs, 11.0.0.1 and 11.0.1.1)
. "$(dirname "$0")/lab.sh"
[ "$RELAY" != coturn ] || skip "turnserver has no ports"
LAB_PORT=tap
lab_up
peer_echo
uclient 200 -c -n 100 -m 2 -l 172 -e "$PEER4" "$RELAY4"
uclient 100 -c -s -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY6"
host_answers
