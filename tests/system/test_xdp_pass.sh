#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The box stays a box: with the steering program on its interface, ping, TCP, ARP and UDP to other
# ports are the kernel's as before, the relay's UDP reaches the dataplane and nobody else, and all
# that survives a dataplane that is killed.
#
#   br$$-client                      br$$-relay
#     near 10.9.0.2/24 ==== veth ==== far 10.9.0.1/24     kernel: TCP 22, UDP 5000, UDP 3478
#          fd09::2/64                     fd09::1/64      AF_XDP: the dataplane
#
# Twice: with dpdk-testpmd, which echoes what it gets and lets the test configure the program, and
# with the relay. DATAPLANE=testpmd or DATAPLANE=relay runs one of them.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

skip() { echo "skipped: $*"; exit 77; }
fail() {
	echo "FAILED: $*"
	echo "--- dataplane:"; tail -n 20 "$work/dataplane.log" || true
	ip -n "$relay" -d link show far || true
	exit 1
}
step() { echo "- $*"; }

[ "$(id -u)" = 0 ] || skip "needs root"
if [ -z "${DATAPLANE:-}" ]; then
	DATAPLANE=testpmd tests/system/test_xdp_pass.sh
	DATAPLANE=relay exec tests/system/test_xdp_pass.sh
fi
dataplane=$DATAPLANE
program=build/obj/ebpf/steer.bpf.o
[ -e "$program" ] || skip "$program is not built"
[ "$dataplane" = testpmd ] || [ -x build/bin/relay-dataplane ] || skip "relay-dataplane is not built"
[ "$dataplane" = relay ] || command -v bpftool >/dev/null || skip "bpftool is not installed"
[ "$dataplane" = relay ] || command -v dpdk-testpmd >/dev/null || skip "dpdk-testpmd is not installed"

client=br$$-client
relay=br$$-relay
work=$(mktemp -d)
server= dataplane_pid=
cleanup() {
	for pid in $dataplane_pid $server; do
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	ip netns del "$client" 2>/dev/null || true
	ip netns del "$relay" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT

on_client() { ip netns exec "$client" "$@"; }
# Waits, 20 seconds at most, until a command succeeds.
until_true() {
	local deadline=$((SECONDS + 20))
	until "$@"; do
		[ $SECONDS -lt $deadline ] || return 1
		sleep 0.1
	done
}

# ---- the network ----

ip netns add "$client"
ip netns add "$relay"
ip link add near netns "$client" type veth peer name far netns "$relay"
for end in "$client near 2" "$relay far 1"; do
	read -r namespace interface number <<<"$end"
	ip -n "$namespace" address add "10.9.0.$number/24" dev "$interface"
	ip -n "$namespace" address add "fd09::$number/64" dev "$interface" nodad
	ip -n "$namespace" link set lo up
	ip -n "$namespace" link set "$interface" up
done
# testpmd sends back the checksum that it got; an unfinished one would not pass the client's kernel.
[ "$dataplane" = relay ] || on_client ethtool -K near tx off >/dev/null

# ---- what the kernel serves, and who asks ----

cat >"$work/serve.py" <<'PYTHON'
# Echoes on TCP 22 and UDP 5000; on UDP 3478 it only counts, into the file argv[1].
import selectors, socket, sys
selector = selectors.DefaultSelector()
def tcp_accept(listener):
    connection, _ = listener.accept()
    selector.register(connection, selectors.EVENT_READ, tcp_echo)
def tcp_echo(connection):
    data = connection.recv(65536)
    if data:
        connection.sendall(data)
    else:
        selector.unregister(connection)
        connection.close()
def udp_echo(sock):
    sock.sendto(*sock.recvfrom(65536))
count = 0
def udp_count(sock):
    global count
    sock.recvfrom(65536)
    count += 1
    open(sys.argv[1], "w").write(str(count))
def udp(port, handler):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.bind(("::", port))
    selector.register(sock, selectors.EVENT_READ, handler)
open(sys.argv[1], "w").write("0")
udp(5000, udp_echo)
udp(3478, udp_count)
listener = socket.create_server(("::", 22), family=socket.AF_INET6, dualstack_ipv6=True)
selector.register(listener, selectors.EVENT_READ, tcp_accept)
open(sys.argv[1] + ".ready", "w").close()
while True:
    for key, _ in selector.select():
        key.data(key.fileobj)
PYTHON

cat >"$work/ask.py" <<'PYTHON'
# udp HOST PORT: a STUN Binding request, up to 5 times; prints who answered it.   tcp HOST: 256 KiB echoed.
# session HOST: one TCP connection; each line on stdin goes through it and comes out again.
import os, socket, struct, sys
def udp(host, port):
    request = struct.pack("!HHI", 1, 0, 0x2112A442) + os.urandom(12)
    info = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(info[0], socket.SOCK_DGRAM)
    sock.settimeout(1)
    for _ in range(int(os.environ.get("TRIES", "5"))):
        sock.sendto(request, info[4])
        try:
            answer, source = sock.recvfrom(2048)
        except TimeoutError:
            continue
        if answer[8:20] == request[8:] and source[1] == int(port):
            sys.exit(0)
    sys.exit("no answer from %s port %s" % (host, port))
def through(sock, data):
    sock.sendall(data)
    back = b""
    while len(back) < len(data):
        piece = sock.recv(65536)
        if not piece:
            sys.exit("connection closed")
        back += piece
    if back != data:
        sys.exit("other bytes came back")
def tcp(host):
    through(socket.create_connection((host, 22), timeout=10), os.urandom(16384) * 16)
def session(host):
    sock = socket.create_connection((host, 22), timeout=20)
    for line in sys.stdin:
        through(sock, line.encode())
        print(line, end="", flush=True)
globals()[sys.argv[1]](*sys.argv[2:])
PYTHON

ask() { on_client /usr/bin/python3 "$work/ask.py" "$@"; }
kernel_saw() { cat "$work/kernel"; }

ip netns exec "$relay" /usr/bin/python3 "$work/serve.py" "$work/kernel" &
server=$!
until_true test -e "$work/kernel.ready" || fail "the kernel's services did not start"

coproc SESSION { exec ip netns exec "$client" /usr/bin/python3 "$work/ask.py" session fd09::1; }
session_lives() {
	local line
	echo "$1" >&"${SESSION[1]}" && read -r -t 20 line <&"${SESSION[0]}" && [ "$line" = "$1" ]
}

box_is_a_box() {
	local host
	for host in 10.9.0.1 fd09::1; do
		on_client ping -q -c 2 -i 0.2 -W 2 "$host" >/dev/null || fail "$1: no ping to $host"
		ask tcp "$host" || fail "$1: no TCP to $host"
		ask udp "$host" 5000 || fail "$1: no UDP to another port of $host"
	done
	session_lives "$1" || fail "$1: the TCP connection from before is dead"
}

# ---- the dataplane ----
# Started by `ip netns exec`, which becomes the program, and not by a shell function, which would be
# a shell of its own: $! has to be the program's pid.

program_id() { ip -n "$relay" -j link show far | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)[0].get("xdp", {}).get("prog", {}).get("id", ""))'; }
program_attached() { [ -n "$(program_id)" ]; }

testpmd_start() {
	[ -p "$work/input" ] || mkfifo "$work/input"
	exec 9<>"$work/input"
	# One file prefix for each run: another DPDK program may be at work on this machine.
	ip netns exec "$relay" stdbuf -oL dpdk-testpmd -l 0,1 --no-pci --no-huge -m 256 --no-shconf --file-prefix "br$$" \
		--vdev "net_af_xdp0,iface=far,xdp_prog=$program" -- --forward-mode=5tswap \
		--auto-start --total-num-mbufs=16384 <&9 >"$work/dataplane.log" 2>&1 9>&- &
	dataplane_pid=$!
	until_true grep -q 'Press enter' "$work/dataplane.log" || fail "testpmd did not start"
}

# What steer_configure does.
testpmd_configure() {
	local map name settings= addresses=
	for map in $(bpftool -j prog show id "$(program_id)" |
		/usr/bin/python3 -c 'import json,sys; print(*json.load(sys.stdin)["map_ids"])'); do
		name=$(bpftool -j map show id "$map" | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["name"])')
		case $name in
		steer_settings) settings=$map ;;
		steer_addresses) addresses=$map ;;
		esac
	done
	bpftool map update id "$addresses" value 0 key 10 9 0 1 0 0 0 0 0 0 0 0 0 0 0 0 4 0 0 0
	bpftool map update id "$addresses" value 1 key \
		0xfd 9 0 0 0 0 0 0 0 0 0 0 0 0 0 1 6 0 0 0
	bpftool map update id "$settings" key 0 0 0 0 value hex 01 00 00 00 96 0d 97 0d 00 c0 ff ff 00 c0 ff ff
}

answers_once() { TRIES=1 ask udp 10.9.0.1 3478 2>/dev/null; }

relay_start() {
	cat >"$work/relay.conf" <<-CONF
		[node]
		name = steer
		run = $work/run
		state = $work/state
		[dataplane]
		port = af_xdp:far
		[address]
		listen = 10.9.0.1
		listen = fd09::1
		[turn]
		auth = open
	CONF
	mkdir -p "$work/run" "$work/state"
	ip netns exec "$relay" build/bin/relay-dataplane -c "$work/relay.conf" >"$work/dataplane.log" 2>&1 &
	dataplane_pid=$!
	# The program alone tells nothing: a predecessor's may still be attached.
	until_true answers_once || fail "relay-dataplane does not answer"
}

dataplane_kill() {
	kill -9 "$dataplane_pid"
	wait "$dataplane_pid" 2>/dev/null || true
	dataplane_pid=
}

dataplane_answers() {
	local host before port
	before=$(kernel_saw)
	for host in 10.9.0.1 fd09::1; do
		ask udp "$host" 3478 || fail "$1: no answer from $host"
	done
	[ "$(kernel_saw)" = "$before" ] || fail "$1: the kernel saw the relay's UDP"
}

# ---- the story ----

step "before: everything is the kernel's"
box_is_a_box before
program_attached && fail "a program is attached before the dataplane has started"

step "$dataplane starts on the interface"
"${dataplane}_start"
until_true program_attached || fail "no program on the interface"
if [ "$dataplane" = testpmd ]; then
	step "the program passes everything until it is configured"
	box_is_a_box unconfigured
	before=$(kernel_saw)
	TRIES=1 ask udp 10.9.0.1 3478 2>/dev/null && fail "answered before it was configured"
	[ "$(kernel_saw)" = $((before + 1)) ] || fail "unconfigured: the kernel did not see the UDP"
	testpmd_configure
fi

step "its UDP reaches the dataplane, everything else the kernel"
dataplane_answers running
box_is_a_box running
ip -n "$client" neighbour flush dev near
ip -n "$relay" neighbour flush dev far
box_is_a_box "neighbours forgotten"

step "killed: the program stays, and passes everything"
dataplane_kill
program_attached || fail "the program has gone"
box_is_a_box killed
before=$(kernel_saw)
TRIES=1 ask udp 10.9.0.1 3478 2>/dev/null && fail "answered by a dead dataplane"
[ "$(kernel_saw)" -gt "$before" ] || fail "killed: the kernel did not get the UDP back"

step "started again"
[ "$dataplane" = relay ] || ip -n "$relay" link set far xdp off # the relay removes its own
"${dataplane}_start"
[ "$dataplane" = relay ] || testpmd_configure
dataplane_answers "started again"
box_is_a_box "started again"

if [ "$dataplane" = testpmd ]; then
	step "ended in order: the program is gone"
	echo >&9
	wait "$dataplane_pid" || fail "testpmd ended with an error"
else
	step "ended in order: the program is gone"
	kill -TERM "$dataplane_pid"
	wait "$dataplane_pid" || fail "relay-dataplane ended with an error"
fi
dataplane_pid=
program_attached && fail "the program is still attached"
box_is_a_box ended
echo passed
