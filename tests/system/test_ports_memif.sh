#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# memif ports: shared memory to another process, here testpmd, which carries the frames to and from the wire.
#
#   client -- veth r0 -- testpmd -- [memif0] relay [memif1] -- testpmd -- r1 veth -- peer
#                                    relay0         relay1  (exception TAPs, 11.0.0.1 and 11.0.1.1)
. "$(dirname "$0")/lab.sh"
[ "$RELAY" != coturn ] || skip "turnserver has no ports"
LAB_PORT=memif LAB_OFFLOAD=off
lab_up
peer_echo
uclient 200 -c -n 100 -m 2 -l 172 -e "$PEER4" "$RELAY4"
host_answers
