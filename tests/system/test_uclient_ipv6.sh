#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# IPv6, and translation between the families (REQUESTED-ADDRESS-FAMILY).
#
#   client v6 ==> relay --> peer v6     client v4 ==> relay --> peer v6
#   client v6 ==> relay --> peer v4     (-x: ask for a v6 relayed address, -X: for a v4 one)
. "$(dirname "$0")/lab.sh"
lab_up
peer_echo
echo "v6 client, v6 peer" && uclient 200 -x -n 50 -m 4 -l 172 -e "$PEER6" "$RELAY6"
echo "v4 client, v6 peer" && uclient 200 -x -n 50 -m 4 -l 172 -e "$PEER6" "$RELAY4"
echo "v6 client, v4 peer" && uclient 200 -X -n 50 -m 4 -l 172 -e "$PEER4" "$RELAY6"
echo "v4 client, v6 peer, indications" && uclient 200 -s -x -n 50 -m 4 -l 172 -e "$PEER6" "$RELAY4"
