#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# The same by Send and Data indications, with DONT-FRAGMENT in the Allocate.
#
#   turnutils_uclient == Send ==> relay -- UDP --> turnutils_peer
#         client      <== Data ==       <-- UDP --     peer
. "$(dirname "$0")/lab.sh"
lab_up
peer_echo
uclient 400 -s -g -n 100 -m 4 -l 172 -e "$PEER4" "$RELAY4"
