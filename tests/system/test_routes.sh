#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The kernel's routing as the control plane tells it to a dataplane, which is played by fake_dataplane.py:
#
#      relay namespace                         far namespace
#   +-------------------------+             +---------------+
#   | fake_dataplane      r0  |=============| v0            |
#   | relay-controlplane  m0--m1 (not ours) | 10.9.0.2 .3   |
#   +-------------------------+ 10.9.0.0/24 +---------------+
#                    10.9.0.1   fd09::/64     fd09::2
#
# limit: 180
set -euo pipefail
cd "$(dirname "$0")/../.."
BIN=${LAB_BIN:-build/bin}
RELAY=br$$-routes FAR=br$$-far
DIR=$(mktemp -d)
STATE=$DIR/state
pids=()

finish() {
	local code=$?
	if [ $code -ne 0 ]; then
		echo "--- stats"; timeout 10 "$BIN/relayctl" -s "$DIR/control.sock" stats || true
	fi
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
	ip netns del "$RELAY" 2>/dev/null || true
	ip netns del "$FAR" 2>/dev/null || true
	if [ $code -ne 0 ]; then
		echo "--- state"; grep -v '^route 44' "$STATE" || true; grep -c '^route 44' "$STATE" || true
		echo "--- control plane"; cat "$DIR/control.log" || true
		echo "--- fake dataplane"; tail -n 40 "$DIR/fake.log" || true
	fi
	rm -rf "$DIR"
}
trap finish EXIT

until_true() { # WHAT COMMAND...
	local what=$1 deadline=$((SECONDS + 15))
	shift
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			echo "FAILED: $what"
			exit 1
		fi
		sleep 0.05
	done
	echo "ok: $what"
}

has() { grep -qx -- "$1" "$STATE"; }
has_not() { ! grep -q -- "$1" "$STATE"; }
expect() { until_true "$1" has "$1"; }
expect_not() { until_true "no $1" has_not "$1"; }
inside() { ip netns exec "$RELAY" "$@"; }
tell() { echo "$*" >&7; }

ip netns add "$RELAY"
ip netns add "$FAR"
inside sysctl -qw net.ipv6.conf.default.accept_dad=0
ip netns exec "$FAR" sysctl -qw net.ipv6.conf.default.accept_dad=0
ip -n "$RELAY" link set lo up
ip -n "$RELAY" link add r0 type veth peer name v0 netns "$FAR"
ip -n "$RELAY" link add m0 type veth peer name m1
ip -n "$RELAY" link set r0 up
ip -n "$RELAY" link set m0 up
ip -n "$RELAY" link set m1 up
ip -n "$FAR" link set v0 up
ip -n "$RELAY" address add 10.9.0.1/24 dev r0
ip -n "$RELAY" address add fd09::1/64 dev r0
ip -n "$RELAY" address add 10.77.0.1/24 dev m0
ip -n "$FAR" address add 10.9.0.2/24 dev v0
ip -n "$FAR" address add fd09::2/64 dev v0
PORT=$(inside cat /sys/class/net/r0/ifindex)
FAR_MAC=$(ip netns exec "$FAR" cat /sys/class/net/v0/address)

cat >"$DIR/relay.conf" <<EOF
[node]
run = $DIR
state = $DIR/node
[dataplane]
port = af_xdp:r0
[address]
listen = 10.9.0.1
listen = 10.9.0.200
[turn]
auth = open
EOF
mkfifo "$DIR/commands"
ip netns exec "$RELAY" /usr/bin/python3 tests/system/fake_dataplane.py "$DIR/dataplane.sock" "$STATE" r0 <"$DIR/commands" >"$DIR/fake.log" 2>&1 &
pids+=($!)
exec 7>"$DIR/commands"

start_control() {
	ip netns exec "$RELAY" "$BIN/relay-controlplane" -c "$DIR/relay.conf" >>"$DIR/control.log" 2>&1 7>&- &
	CONTROL=$!
	pids+=("$CONTROL")
}
start_control

expect "synced 1"
expect "snapshots 1"
expect "link $PORT port=r0 vlan=0 mtu=1500 mac=$(inside cat /sys/class/net/r0/address) up=1"
expect "route 10.9.0.0/24 @$PORT"
expect "route fd09::/64 @$PORT"
expect "route 10.77.0.0/24 blackhole"
expect_not "fe80::/64"
expect_not "link.*m0"

# Routes come, change and go, of all kinds.
ip -n "$RELAY" route add default via 10.9.0.2 metric 100
expect "route 0.0.0.0/0 10.9.0.2@$PORT"
until_true "the gateway is resolved before anybody sends" has "neighbour $PORT 10.9.0.2 $FAR_MAC"
ip -n "$RELAY" route add default via 10.9.0.3 metric 50
expect "route 0.0.0.0/0 10.9.0.3@$PORT"
ip -n "$RELAY" route delete default metric 50
expect "route 0.0.0.0/0 10.9.0.2@$PORT"
ip -n "$RELAY" route replace default via 10.9.0.3 metric 100
expect "route 0.0.0.0/0 10.9.0.3@$PORT"
ip -n "$RELAY" route append default via 10.9.0.4 metric 100
ip -n "$RELAY" route delete default via 10.9.0.3 metric 100
expect "route 0.0.0.0/0 10.9.0.4@$PORT"
ip -n "$RELAY" route add 10.50.0.0/16 nexthop via 10.9.0.2 nexthop via 10.9.0.3
expect "route 10.50.0.0/16 10.9.0.2@$PORT,10.9.0.3@$PORT"
ip -n "$RELAY" route add 10.51.0.0/16 via inet6 fe80::9 dev r0
expect "route 10.51.0.0/16 fe80::9@$PORT"
ip -n "$RELAY" route add unreachable 10.52.0.0/16
expect "route 10.52.0.0/16 blackhole"
ip -n "$RELAY" route add 10.53.0.0/16 via 10.77.0.2
expect "route 10.53.0.0/16 blackhole"
ip -n "$RELAY" route add 10.54.0.0/16 via 10.9.0.2 table 1000
ip -n "$RELAY" route add fd50::/16 via fd09::2
expect "route fd50::/16 fd09::2@$PORT"
ip -n "$RELAY" route append fd50::/16 via fd09::3
expect "route fd50::/16 fd09::2@$PORT,fd09::3@$PORT"
ip -n "$RELAY" route delete fd50::/16 via fd09::2
expect "route fd50::/16 fd09::3@$PORT"
expect_not "route 10.54"
ip -n "$RELAY" route delete 10.52.0.0/16
expect_not "route 10.52"
ip -n "$RELAY" nexthop add id 11 via 10.9.0.2 dev r0
ip -n "$RELAY" nexthop add id 12 via 10.9.0.3 dev r0
ip -n "$RELAY" nexthop add id 20 group 11/12
ip -n "$RELAY" route add 10.60.0.0/16 nhid 20
expect "route 10.60.0.0/16 10.9.0.2@$PORT,10.9.0.3@$PORT"
ip -n "$RELAY" nexthop replace id 20 group 12
expect "route 10.60.0.0/16 10.9.0.3@$PORT"
ip -n "$RELAY" nexthop delete id 20
expect_not "route 10.60"
# Where the kernel does not spell objects out in routes, they are looked up.
inside sysctl -qw net.ipv4.nexthop_compat_mode=0
ip -n "$RELAY" route add 10.61.0.0/16 nhid 11
expect "route 10.61.0.0/16 10.9.0.2@$PORT"

# Neighbours: what somebody set, what is asked for, what fails.
ip -n "$RELAY" neighbour add 10.9.0.50 lladdr 02:00:00:00:00:50 dev r0
expect "neighbour $PORT 10.9.0.50 02:00:00:00:00:50"
ip -n "$RELAY" neighbour change 10.9.0.50 lladdr 02:00:00:00:00:51 dev r0
expect "neighbour $PORT 10.9.0.50 02:00:00:00:00:51"
ip -n "$RELAY" neighbour delete 10.9.0.50 dev r0
expect_not "neighbour $PORT 10.9.0.50"
ip netns exec "$FAR" tcpdump -i v0 -nl 'arp or icmp6' >"$DIR/capture" 2>"$DIR/tcpdump.log" &
pids+=($!)
until_true "tcpdump listens" grep -q listening "$DIR/tcpdump.log"
ip -n "$FAR" address add 10.9.0.6/24 dev v0
ip -n "$FAR" address add fd09::6/64 dev v0
tell "want $PORT 10.9.0.6"
tell "want $PORT fd09::6"
tell "want $PORT 10.9.0.66"
tell "want 9999 10.9.0.7"
expect "neighbour $PORT 10.9.0.6 $FAR_MAC"
expect "neighbour $PORT fd09::6 $FAR_MAC"
until_true "ARP was asked for the wanted address" grep -q "who-has 10.9.0.6 " "$DIR/capture"
until_true "ARP was asked for the one nobody has" grep -q "who-has 10.9.0.66 " "$DIR/capture"
until_true "ND was asked for the wanted address" grep -q "who has fd09::6" "$DIR/capture"
has_not "neighbour $PORT 10.9.0.66"
# The router is replaced by another box with the same address.
ip -n "$FAR" link set v0 address 02:00:00:00:09:09
ip netns exec "$FAR" /usr/bin/python3 - <<'EOF'
import socket, struct
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("v0", 0))
me = bytes.fromhex("020000000909")
a = socket.inet_aton("10.9.0.6")
s.send(b"\xff" * 6 + me + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + me + a + b"\0" * 6 + a)
EOF
expect "neighbour $PORT 10.9.0.6 02:00:00:00:09:09"

# 802.1Q interfaces on a port are links of their own (not every kernel has them).
if ip -n "$RELAY" link add link r0 name r0.5 type vlan id 5 2>/dev/null; then
	ip -n "$RELAY" link set r0.5 up
	ip -n "$RELAY" address add 10.5.0.1/24 dev r0.5
	VLAN=$(inside cat /sys/class/net/r0.5/ifindex)
	until_true "the VLAN link" grep -q "link $VLAN port=r0 vlan=5" "$STATE"
	expect "route 10.5.0.0/24 @$VLAN"
	ip -n "$RELAY" link delete r0.5
	expect_not "link $VLAN"
else
	echo "not seen: this kernel has no 802.1Q interfaces"
fi

# A large table at once, and its end.
for i in $(seq 0 19999); do echo "route add 44.$((i / 256)).$((i % 256)).0/24 via 10.9.0.2"; done >"$DIR/batch"
ip -n "$RELAY" -batch "$DIR/batch"
many() { [ "$(grep -c "^route 44\..* 10.9.0.2@$PORT" "$STATE")" -eq "$1" ]; }
until_true "20000 routes" many 20000

# The control plane is killed: the dataplane keeps all, and the next one tells the same again.
grep -E '^(link|route)' "$STATE" >"$DIR/before"
kill -9 "$CONTROL"
expect "connected 0"
start_control
expect "synced 2"
grep -E '^(link|route)' "$STATE" >"$DIR/after"
cmp "$DIR/before" "$DIR/after"
[ "$(grep -c '^route delete' "$DIR/fake.log")" -lt 100 ]
echo "ok: a new control plane changed nothing"

# The dataplane is another one that knows nothing, and hears all.
tell restart
expect "synced 3"
until_true "20000 routes again" many 20000

# More changes than the kernel keeps for a control plane that does not look: it reads all anew.
kill -STOP "$CONTROL"
sed s/add/delete/ "$DIR/batch" >"$DIR/batch.delete"
for round in 1 2; do
	ip -n "$RELAY" -batch "$DIR/batch.delete"
	ip -n "$RELAY" -batch "$DIR/batch"
done
ip -n "$RELAY" -batch "$DIR/batch.delete"
ip -n "$RELAY" -batch - < <(head -n 77 "$DIR/batch")
kill -CONT "$CONTROL"
until_true "77 routes are left" many 77
"$BIN/relayctl" -s "$DIR/control.sock" stats | grep "control_netlink_overruns  *[1-9]"
ip -n "$RELAY" -batch - < <(head -n 77 "$DIR/batch.delete")
until_true "no more of them" many 0

# Events were lost: allocations are counted again.
tell resync
expect "snapshots 4"

# The link goes down; IPv4 routes over it vanish without a word from the kernel.
ip -n "$RELAY" link set r0 down
expect_not "route 0.0.0.0/0"
expect_not "route 10.50"
expect "link $PORT port=r0 vlan=0 mtu=1500 mac=$(inside cat /sys/class/net/r0/address) up=0"
expect_not neighbour
ip -n "$RELAY" link set r0 up
expect "route 10.9.0.0/24 @$PORT"

# What is wrong is said by status: a listen address that no interface has, until one has.
status_tells() { "$BIN/relayctl" -s "$DIR/control.sock" status 2>&1 | grep -q "$1"; }
status_quiet() { "$BIN/relayctl" -s "$DIR/control.sock" status 2>&1 | (! grep -q "$1"); }
until_true "status names the missing address" status_tells 10.9.0.200.*no.interface
ip -n "$RELAY" address add 10.9.0.200/24 dev r0
until_true "and then no longer" status_quiet no.interface
"$BIN/relayctl" -s "$DIR/control.sock" drain >/dev/null
expect "draining 1"

kill -TERM "$CONTROL"
wait "$CONTROL"
[ ! -e "$DIR/control.sock" ]
echo "ok: ended cleanly"
