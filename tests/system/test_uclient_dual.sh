#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Dual allocation: ADDITIONAL-ADDRESS-FAMILY gives one client a v4 and a v6 relayed address at once.
#
#   turnutils_uclient == one 5-tuple ==> relay v4 --> turnutils_peer v4
#         client                         relay v6 --> turnutils_peer v6
. "$(dirname "$0")/lab.sh"
lab_up
peer_echo
echo "to the v4 peer" && uclient 200 -Z -n 50 -m 4 -l 172 -e "$PEER4" "$RELAY4"
echo "to the v6 peer" && uclient 200 -Z -n 50 -m 4 -l 172 -e "$PEER6" "$RELAY4"
