#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# auth = open: no credentials are asked for.
#
#   turnutils_uclient (no user) ==> relay --> turnutils_peer
. "$(dirname "$0")/lab.sh"
LAB_AUTH=open
lab_up
peer_echo
uclient 100 -c -n 50 -m 2 -e "$PEER4" "$RELAY4"
