#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One relay in a lab network, one run of the generator against it. Prints turn_load's JSON lines.
#
#   lab_trial.sh blindrelay|coturn|nat TURN_LOAD-ARGUMENTS...
#
#   client [c0] ==veth== [r0] relay under test [r1] ==veth== [p0] peer
#
# nat is the kernel forwarding the same flows, with the destination and the source of every packet translated (nftables), as a relay does it.
#
# The generator, both ends of it, has core 0; everything of the relay under test has core 1, and both go first there whatever else the machine does.
# On veth the sender's core also runs the receiver's interrupt work, so core 0 pays for what comes into r0 and core 1 for what goes out of it as far
# as p0's XDP socket. The kernel's NAT would happen on core 0 altogether, so r0's packets are received by a thread on core 1 (threaded NAPI), as if they
# came from a network card whose interrupt is there; core 1 then pays for receiving, too. Receive packet steering (RPS) would do it with an interrupt from core
# to core for nearly every packet, which a virtual machine's generator cannot afford: 150,000 packets/s instead of 550,000. Neighbours are permanent on the relay's side: AF_XDP takes every frame at the ends, ARP too.
set -euo pipefail
export RELAY=$1 LAB_IDLE=${LAB_IDLE:-poll}
shift
export LAB_COTURN_LINES=$'relay-threads=1\nno-software-attribute'
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lab.d/lab.sh"

FLOWS=50 PLAIN_PORT=30000

# Where the kernel groups threads by session, a session has to be preferred, not a thread.
prefer() { echo -20 >"/proc/$1/autogroup" 2>/dev/null || true; }

# Kernel threads are in nobody's namespace; this one carries the number of a NAPI context made since.
nat_threads() {
	local all
	all=$(pgrep '^napi/r0-') && comm -13 <(sort <<<"$NAPI_BEFORE") <(sort <<<"$all") | grep .
}

nat() {
	local port pid
	NAPI_BEFORE=$(pgrep '^napi/r0-' || true)
	lab_names
	trap lab_exit EXIT
	lab_network
	lab_in relay sysctl -qw net.ipv4.ip_forward=1
	{
		echo 'table ip bench {'
		echo '	map peers { type inet_service : ipv4_addr . inet_service; elements = {'
		for ((port = 0; port < FLOWS; port++)); do
			echo "		$((PLAIN_PORT + port)) : $PEER4 . $((5000 + port)),"
		done
		echo '	} }'
		echo '	chain to { type nat hook prerouting priority dstnat; iif r0 ip daddr '$RELAY4' dnat ip to udp dport map @peers; }'
		echo '	chain from { type nat hook postrouting priority srcnat; oif r1 masquerade; }'
		echo '}'
	} | lab_in relay nft -f -
	lab_in relay ethtool -K r0 gro on # gives it NAPI
	lab_in relay sh -c 'echo 1 >/sys/class/net/r0/threaded'
	lab_wait 5 "the thread of r0's NAPI" nat_threads
	for pid in $(nat_threads); do
		taskset -cp 1 "$pid" >/dev/null
		renice -n -20 -p "$pid" >/dev/null
	done
}

case $RELAY in
nat)
	nat >&2
	how=(--plain)
	port=$PLAIN_PORT
	;;
*)
	lab_up >&2
	how=()
	port=3478
	;;
esac

for name in turnserver dataplane controlplane; do
	[ -e "$LAB_DIR/$name.pid" ] || continue
	pid=$(cat "$LAB_DIR/$name.pid")
	prefer "$pid"
	for task in /proc/"$pid"/task/*; do
		taskset -cp 1 "${task##*/}" >/dev/null
		renice -n -20 -p "${task##*/}" >/dev/null
	done
done

mac() { lab_in "$1" cat "/sys/class/net/$2/address"; }
ip -n "$NS_RELAY" neighbour replace $CLIENT4 lladdr "$(mac client c0)" dev r0 nud permanent
ip -n "$NS_RELAY" neighbour replace $PEER4 lladdr "$(mac peer p0)" dev r1 nud permanent

prefer self
nice -n -20 timeout 300 "$LAB_ROOT/build/perf/turn_load" --client "$NS_CLIENT,c0,$CLIENT4" --peer "$NS_PEER,p0,$PEER4" \
	--server "$RELAY4:$port" --relay-mac "$(mac relay r0)" --login "$LAB_USER:$LAB_PASSWORD" --core 0 --watch 1 "${how[@]}" "$@"
