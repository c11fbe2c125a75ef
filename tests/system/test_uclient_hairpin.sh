#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Two clients whose peers are each other's relayed addresses: relay to relay inside one box, by channels
# and by indications. No packet reaches the peer's segment.
#
#   turnutils_uclient ==> [ relayed a -> relayed b ] ==> turnutils_uclient
#              client            relay                   client
. "$(dirname "$0")/lab.sh"
lab_up
uclient 400 -y -n 100 -m 4 -l 172 "$RELAY4"
uclient 400 -y -s -n 100 -m 4 -l 172 "$RELAY4"
uclient 200 -y -x -n 50 -m 4 -l 172 "$RELAY6"
