#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# relay-dataplane starts, refuses to start, and ends: what an operator sees when something is wrong, that
# nothing of it stays behind on an interface or in the run directory, and that it starts with and
# without hugepages.
#
#    +--- relay namespace ---+      far namespace
#    | r0 (up)   d0 (down) --|----- f0, g0
#    +-----------------------+
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"
[ "$(id -u)" = 0 ] || skip "namespaces need root"

NAME=brstart$$
LAB_NAME=$NAME
LAB_DIR=$(mktemp -d)
PROGRAM=$LAB_BIN/relay-dataplane
RUN=$LAB_DIR/run
CONFIG=$LAB_DIR/relay.conf
PID=
HUGEPAGES=$(cat /proc/sys/vm/nr_hugepages)

tidy() {
	[ -z "$PID" ] || kill -KILL "$PID" 2>/dev/null || true
	ip netns del "$NAME-relay" 2>/dev/null || true
	ip netns del "$NAME-far" 2>/dev/null || true
	[ "$(cat /proc/sys/vm/nr_hugepages)" = "$HUGEPAGES" ] || sysctl -qw vm.nr_hugepages="$HUGEPAGES"
	rm -rf "$LAB_DIR"
}
trap tidy EXIT
trap 'exit 1' INT TERM HUP

lab_namespace relay
lab_namespace far
lab_wire relay r0 far f0
lab_wire relay d0 far g0
ip -n "$NAME-relay" address add 11.0.0.1/24 dev r0
ip -n "$NAME-far" address add 11.0.0.2/24 dev f0
ip -n "$NAME-relay" link set d0 down

# configure PORT [LINE...]: further lines of [dataplane].
configure() {
	local port=$1
	shift
	printf '[node]\nname = start\nrun = %s\n[dataplane]\nport = %s\nidle = sleep\n' "$RUN" "$port" >"$CONFIG"
	[ $# = 0 ] || printf '%s\n' "$@" >>"$CONFIG"
	[[ "$*" = *memory* ]] || echo "memory = 256" >>"$CONFIG"
	printf '[address]\nlisten = 11.0.0.1\n[turn]\nauth = open\n' >>"$CONFIG"
}

# refuses CODE PATTERN ARGUMENTS...: ends by itself with that code and says something like PATTERN.
refuses() {
	local code=$1 pattern=$2 got=0
	shift 2
	timeout 20 ip netns exec "$NAME-relay" "$PROGRAM" "$@" >"$LAB_DIR/out" 2>&1 </dev/null || got=$?
	[ "$got" = "$code" ] || fail "exit code $got of \"$*\", expected $code: $(cat "$LAB_DIR/out")"
	grep -qE -- "$pattern" "$LAB_DIR/out" || fail "\"$*\" said: $(cat "$LAB_DIR/out"); expected /$pattern/"
	[ ! -e "$RUN/dataplane.sock" ] || [ -n "$PID" ] || fail "\"$*\" left a socket behind"
	xdp_is_off || [ -n "$PID" ] || fail "\"$*\" left an XDP program on r0"
}

xdp_is_off() { ! ip -n "$NAME-relay" link show r0 | grep -q xdp; }

start() {
	rm -f "$LAB_DIR/dataplane.log"
	# A child of this shell, whose exit code it may ask for.
	ip netns exec "$NAME-relay" "$PROGRAM" -c "$CONFIG" >"$LAB_DIR/dataplane.log" 2>&1 </dev/null &
	PID=$!
	lab_wait 20 "relay-dataplane to serve" serves_or_death
	lab_running "$PID" || fail "did not start: $(cat "$LAB_DIR/dataplane.log")"
}

# A stale socket may lie there, so its file says nothing.
serves_or_death() { grep -q "serving UDP" "$LAB_DIR/dataplane.log" || lab_gone "$PID"; }

ends() { # SIGNAL
	local code=0
	kill -"$1" "$PID"
	lab_wait 10 "relay-dataplane to end" lab_gone "$PID" || fail "SIG$1 did not end it"
	wait "$PID" || code=$?
	PID=
	[ $code = 0 ] || fail "exit code $code after SIG$1: $(cat "$LAB_DIR/dataplane.log")"
	[ ! -e "$RUN/dataplane.sock" ] || fail "SIG$1 left the socket behind"
	xdp_is_off || fail "SIG$1 left the XDP program on r0"
	[ -z "$(lab_in relay tc filter show dev r0 ingress 2>/dev/null)" ] || fail "SIG$1 left a tc program on r0"
}

# ---- arguments and configuration ----
configure af_xdp:r0
refuses 2 "usage:"
refuses 2 "usage:" --no-such-option
refuses 2 "usage:" -c "$CONFIG" surplus
refuses 0 "usage: relay-dataplane -c FILE" --help
refuses 0 "relay-dataplane [0-9]" --version
refuses 1 "nowhere.conf" -c "$LAB_DIR/nowhere.conf"
configure af_xdp:r0 "workerz = 2"
refuses 1 "relay.conf:[0-9]+: .*workerz" -c "$CONFIG"

# ---- interfaces ----
configure af_xdp:eth9
refuses 1 "port af_xdp:eth9: no such interface" -c "$CONFIG"
configure af_packet:eth9
refuses 1 "port af_packet:eth9: no such interface" -c "$CONFIG"
configure af_xdp:d0
refuses 1 "port af_xdp:d0: the interface is down.*ip link set d0 up" -c "$CONFIG"
configure af_xdp:r0,queues=2
refuses 1 "port af_xdp:r0: queues=2, but the interface has 1" -c "$CONFIG"
configure tap:t0,kernel=r0
refuses 1 "port tap:t0: making its kernel interface r0: .*kernel=NAME" -c "$CONFIG"
ip -n "$NAME-relay" link set r0 mtu 3450
configure af_xdp:r0
refuses 1 "port af_xdp:r0: its MTU 3450 is more than" -c "$CONFIG"
ip -n "$NAME-relay" link set r0 mtu 1500

# ---- memory and CPUs ----
configure af_xdp:r0 "hugepages = yes" "memory = 1000000"
refuses 1 "hugepages = yes, but only .*nr_hugepages" -c "$CONFIG"
configure ring:a,queues=16 "port = ring:b,queues=16" "port = ring:c,queues=16" "hugepages = no"
refuses 1 "raise \[dataplane\] memory" -c "$CONFIG"
configure af_xdp:r0 "cores = 0,999"
refuses 1 "core 999 .*not available" -c "$CONFIG"

# ---- no permission ----
configure af_xdp:r0
chmod 755 "$LAB_DIR" && chmod 644 "$CONFIG"
got=0
timeout 20 ip netns exec "$NAME-relay" setpriv --reuid=65534 --regid=65534 --clear-groups "$PROGRAM" -c "$CONFIG" \
	>"$LAB_DIR/out" 2>&1 || got=$?
[ $got = 1 ] || fail "without privileges the exit code is $got"
grep -qi "permi" "$LAB_DIR/out" || fail "without privileges it said: $(cat "$LAB_DIR/out")"

# ---- a running one ----
for port in af_xdp af_packet; do
	configure $port:r0
	start
	lab_in far ping -c 1 -W 5 11.0.0.1 >/dev/null || fail "the kernel behind $port does not answer ping"
	[ "$(stat -c %a "$RUN/dataplane.sock")" = 660 ] || fail "socket mode $(stat -c %a "$RUN/dataplane.sock")"
	refuses 1 "another relay-dataplane runs there" -c "$CONFIG"
	[ -S "$RUN/dataplane.sock" ] || fail "the second one took the socket of the first away"
	kill -HUP "$PID"
	lab_wait 5 "a word about SIGHUP" grep -q "SIGHUP is ignored" "$LAB_DIR/dataplane.log"
	lab_running "$PID" || fail "SIGHUP ended it"
	ends INT
done

# A second instance with a run directory of its own keeps off the first one's interface.
configure af_xdp:r0
start
sed "s,^run = .*,run = $LAB_DIR/other," "$CONFIG" >"$LAB_DIR/other.conf"
refuses 1 "port af_xdp:r0: another relay-dataplane serves this interface" -c "$LAB_DIR/other.conf"
lab_in relay ip link show r0 | grep -q xdp || fail "the second one took the first one's XDP program away"
ends TERM

# ---- what a killed one leaves behind does not stop the next ----
start
kill -KILL "$PID"
lab_wait 5 "its end" lab_gone "$PID"
wait "$PID" 2>/dev/null || true
[ -S "$RUN/dataplane.sock" ] || fail "expected a stale socket for this test"
start
ends TERM

# ---- told to end while it starts, at many moments (SIGINT is ignored in background jobs until it is
# taken over, so SIGTERM stands in for Ctrl-C) ----
for delay in 0.02 0.06 0.1 0.15 0.2 0.3 0.4 0.6; do
	# A child of this shell, whose exit code it may ask for.
	ip netns exec "$NAME-relay" "$PROGRAM" -c "$CONFIG" >"$LAB_DIR/dataplane.log" 2>&1 </dev/null &
	PID=$!
	sleep $delay
	kill -TERM "$PID"
	lab_wait 10 "the end after an early SIGTERM" lab_gone "$PID" || fail "SIGTERM after $delay s did not end it"
	wait "$PID" 2>/dev/null || true
	PID=
	xdp_is_off || fail "SIGTERM after $delay s left the XDP program on r0"
	[ ! -e "$RUN/dataplane.sock" ] || fail "SIGTERM after $delay s left the socket behind"
done

# ---- with hugepages, where this machine can have them ----
configure af_xdp:r0 "hugepages = no"
start
grep -q "no hugepages" "$LAB_DIR/dataplane.log" || fail "hugepages = no: $(cat "$LAB_DIR/dataplane.log")"
ends TERM
sysctl -qw vm.nr_hugepages=$((HUGEPAGES + 160)) || true
if [ "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages)" -ge 140 ]; then
	for hugepages in yes auto; do
		configure af_xdp:r0 "hugepages = $hugepages"
		start
		grep -q ", hugepages" "$LAB_DIR/dataplane.log" ||
			fail "hugepages = $hugepages: $(cat "$LAB_DIR/dataplane.log")"
		ends TERM
	done
else
	echo "no hugepages could be reserved here: that part was not tried"
fi
echo "refusals, restarts, early ends and both kinds of memory: as expected"
