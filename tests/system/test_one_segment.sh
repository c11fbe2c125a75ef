#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# One port: client and peer are on one segment with the relay.
#
#   client ---+
#             +--- switch --- [r0] relay
#   peer -----+
. "$(dirname "$0")/lab.sh"
LAB_ONE_SEGMENT=1
lab_up
peer_echo
uclient 200 -c -n 100 -m 2 -l 172 -e "$PEER4" "$RELAY4"
uclient 100 -c -s -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY6"
host_answers
