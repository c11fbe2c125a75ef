#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The same on hugepages, where this machine lets some be reserved (they are given back), and refused with a
# clear word where it is told to use them and there are none.
#
#   client ==> relay (packet buffers in 2 MiB pages) --> peer
. "$(dirname "$0")/lab.sh"
[ "$RELAY" != coturn ] || skip "turnserver has no hugepages"
pages=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
[ -w $pages ] || skip "this kernel has no 2 MiB pages"
before=$(<$pages)
wanted=192
echo $((before + wanted)) >$pages
trap 'echo $before >$pages' EXIT
[ "$(<$pages)" -ge $((before + wanted)) ] || skip "$wanted pages of 2 MiB could not be reserved"

LAB_HUGEPAGES=yes LAB_DATAPLANE_LINES="memory = 320"
lab_up
trap 'status=$?; echo $before >$pages; (exit $status); lab_exit' EXIT
peer_echo
lab_ctl -j status | grep -q '"hugepages": true' || fail "it does not use them"
uclient 400 -n 100 -m 4 -l 172 -e "$PEER4" "$RELAY4"
uclient 100 -c -s -x -n 50 -m 2 -l 172 -e "$PEER6" "$RELAY6"
