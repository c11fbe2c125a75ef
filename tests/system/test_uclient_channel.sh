#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Voice-like ChannelData from two RTP and RTCP pairs (EVEN-PORT and RESERVATION-TOKEN), to an echo and
# back: what was sent must be received.
#
#   turnutils_uclient == ChannelData ==> relay -- UDP --> turnutils_peer
#         client      <== ChannelData ==       <-- UDP --     peer
. "$(dirname "$0")/lab.sh"
lab_up
peer_echo
uclient 1000 -n 250 -m 4 -l 172 -e "$PEER4" "$RELAY4"
