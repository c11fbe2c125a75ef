# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# A lab network in namespaces of its own with a running relay, for people (scripts/lab, scripts/run)
# and for tests (tests/system). Sourced by bash; `lab_up` makes everything, the EXIT trap removes it.
#
#      client                          relay                            peer
#   +-----------+               +----------------+               +-----------+
#   |        c0 |===============| r0          r1 |===============| p0        |
#   +-----------+   11.0.0.0/24 +----------------+ 11.0.1.0/24   +-----------+
#    .2 .4           2a00:b10c:1::/64  .1 (.3)  .1 2a00:b10c:2::/64    .2 .3
#    behind it: 11.0.2.0/24, 2a00:b10c:3::/64      behind it: 11.0.3.0/24, 2a00:b10c:4::/64
#
# The relay listens on the client side; relayed addresses are the listen addresses. Every address of
# "behind it" may be bound in that namespace (AnyIP), for tests that need many hosts.
# These are addresses of the public Internet on purpose, so that the default peer rules hold; they
# exist inside the namespaces only. IPv6 duplicate address detection is off, checksum offload on.
#
# Knobs, all environment variables read by lab_up:
#   RELAY=blindrelay|coturn   what is started in the relay namespace (coturn: a reference to test tests)
#   LAB_BIN=build/bin         whose daemons; build/asan/bin for the sanitizer builds
#   LAB_PORT=af_xdp|af_packet|tap|memif
#   LAB_WORKERS=1   LAB_IDLE=sleep|poll   LAB_HUGEPAGES=auto|yes|no
#   LAB_AUTH="static"         open | static | rest | "static rest"
#   LAB_LISTEN="v4 v6"        which of the two listen addresses
#   LAB_SECOND=1              a second listen address of each family (RFC 5780)
#   LAB_ONE_SEGMENT=1         client and peer on one L2 segment, the relay has r0 only
#   LAB_VLAN=100              the client segment is a VLAN with that tag
#   LAB_OFFLOAD=off           checksum offload off on all veth interfaces
#   LAB_RELAY_PORTS=49152-65535
#   LAB_NODE_LINES LAB_DATAPLANE_LINES LAB_ADDRESS_LINES LAB_TURN_LINES LAB_PEERS_LINES LAB_GUARD_LINES
#   LAB_REGISTRATION_LINES    further lines of the configuration's sections
#   LAB_COTURN_LINES          further lines of turnserver's configuration
#   LAB_NETWORKS="a=cone b=symmetric"  hosts behind such networks around a core (tests/lab) in place of
#                             client and peer; then LAB_DELAY=25 (ms, each access wire), LAB_RELAYS=2
#                             and LAB_SEED=1 (of losses, jitter, and the wires' NATs)
#   CAPTURE=1                 tcpdump in client and peer (or core), kept when the test fails
#   KEEP=1                    keep the directory in any case
#
# After lab_up: LAB_DIR (logs, configuration, captures), NS_CLIENT NS_RELAY NS_PEER, and the
# addresses RELAY4 RELAY6 RELAY4B RELAY6B CLIENT4 CLIENT6 CLIENT4B CLIENT6B PEER4 PEER6 PEER4B PEER6B.
# All are exported, so a child may source this file and call lab_controlplane_start and the like.

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

: "${RELAY:=blindrelay}" "${LAB_BIN:=build/bin}" "${LAB_PORT:=af_xdp}" "${LAB_WORKERS:=1}"
: "${LAB_IDLE:=sleep}" "${LAB_HUGEPAGES:=auto}" "${LAB_AUTH:=static}" "${LAB_LISTEN:=v4 v6}"
: "${LAB_RELAY_PORTS:=49152-65535}" "${LAB_SECOND:=}" "${LAB_ONE_SEGMENT:=}" "${LAB_VLAN:=}"
: "${LAB_OFFLOAD:=on}" "${CAPTURE:=}" "${KEEP:=}"
: "${LAB_USER:=alice}" "${LAB_PASSWORD:=wonderland}" "${LAB_SECRET:=queen-of-hearts}"
: "${LAB_REALM:=lab.blindrelay}" "${LAB_NETWORKS:=}" "${LAB_DELAY:=0}" "${LAB_RELAYS:=1}"
# Where the relay is, and from where it is asked whether it answers.
: "${LAB_RELAY_SPACE:=relay}" "${LAB_PROBE:=client}"
case $LAB_BIN in /*) ;; *) LAB_BIN=$LAB_ROOT/$LAB_BIN ;; esac

. "$LAB_ROOT/scripts/lab.d/networks.sh"

lab_say() { echo "lab: $*" >&2; }

lab_die() {
	lab_say "$*"
	exit 1
}

# lab_wait SECONDS "what for" COMMAND...: polls until COMMAND succeeds; the one way to wait.
lab_wait() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if [ $SECONDS -ge $deadline ]; then
			lab_say "gave up waiting for $what"
			return 1
		fi
		sleep 0.05
	done
}

# lab_in client|relay|peer COMMAND...
lab_in() {
	local name=$1
	shift
	ip netns exec "$LAB_NAME-$name" "$@"
}

# lab_spawn NAME client|relay|peer COMMAND...: in the background, output to $LAB_DIR/NAME.log. Its pid
# is in $LAB_DIR/NAME.pid and $LAB_PID. In a session of its own: Ctrl-C is for whoever is in the
# foreground, and what runs here is ended in order. (No job control, so setsid need not fork.)
lab_spawn() {
	local name=$1 where=$2
	shift 2
	(
		set +m
		setsid ip netns exec "$LAB_NAME-$where" "$@" >>"$LAB_DIR/$name.log" 2>&1 </dev/null &
		echo $! >"$LAB_DIR/$name.pid"
	)
	LAB_PID=$(<"$LAB_DIR/$name.pid")
}

lab_alive() { [ -e "$LAB_DIR/$1.pid" ] && kill -0 "$(cat "$LAB_DIR/$1.pid")" 2>/dev/null; }

lab_gone() { ! lab_running "$1"; }

# A zombie waits for its parent, which may be another process than this one. One whose other threads
# are still there has not let go of its files and locks: the first thread is often the first to die.
lab_running() {
	local state tasks
	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
	tasks=("/proc/$1/task"/*)
	[ -n "$state" ] && { [ "$state" != Z ] || [ ${#tasks[@]} -gt 1 ]; }
}

# lab_stop NAME [SIGNAL]: ends what lab_spawn started, by its pid, harder after five seconds.
lab_stop() {
	local pid
	[ -e "$LAB_DIR/$1.pid" ] || return 0
	pid=$(cat "$LAB_DIR/$1.pid")
	rm -f "$LAB_DIR/$1.pid"
	kill -"${2:-TERM}" "$pid" 2>/dev/null || return 0
	if ! lab_wait 5 "$1 to end" lab_gone "$pid"; then
		kill -KILL "$pid" 2>/dev/null || true
		return 1
	fi
}

# ---- the network ----

lab_names() {
	LAB_NAME=brlab$$
	LAB_DIR=$(mktemp -d /tmp/brlab$$.XXXXXX)
	NS_CLIENT=$LAB_NAME-client NS_RELAY=$LAB_NAME-relay NS_PEER=$LAB_NAME-peer
	CLIENT4=11.0.0.2 CLIENT4B=11.0.0.4 RELAY4=11.0.0.1 RELAY4B=11.0.0.3
	CLIENT6=2a00:b10c:1::2 CLIENT6B=2a00:b10c:1::4 RELAY6=2a00:b10c:1::1 RELAY6B=2a00:b10c:1::3
	PEER4=11.0.1.2 PEER4B=11.0.1.3 PEER6=2a00:b10c:2::2 PEER6B=2a00:b10c:2::3
	if [ -n "$LAB_ONE_SEGMENT" ]; then
		PEER4=11.0.0.12 PEER4B=11.0.0.13 PEER6=2a00:b10c:1::12 PEER6B=2a00:b10c:1::13
	fi
	lab_files
	export LAB_NAME LAB_DIR NS_CLIENT NS_RELAY NS_PEER LAB_CONFIG LAB_CONTROL LAB_ROOT LAB_BIN RELAY
	export CLIENT4 CLIENT4B CLIENT6 CLIENT6B RELAY4 RELAY4B RELAY6 RELAY6B PEER4 PEER4B PEER6 PEER6B
	export LAB_USER LAB_PASSWORD LAB_SECRET LAB_REALM LAB_PORT LAB_AUTH LAB_LISTEN LAB_SECOND
	export LAB_NETWORKS LAB_DELAY LAB_RELAYS LAB_RELAY_PORTS LAB_RELAY_SPACE LAB_PROBE LAB_ONE_SEGMENT
}

lab_files() {
	LAB_CONFIG=$LAB_DIR/blindrelay.conf
	LAB_CONTROL=$LAB_DIR/run/control.sock
}

lab_namespace() {
	ip netns add "$LAB_NAME-$1"
	# accept_dad must be set before an interface exists to hold for it.
	lab_in "$1" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.all.accept_ra=0 net.ipv6.conf.default.accept_ra=0 \
		net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.ip_nonlocal_bind=1
	ip -n "$LAB_NAME-$1" link set lo up
}

# lab_wire NS IF NS IF: a veth pair, both ends up.
lab_wire() {
	ip -n "$LAB_NAME-$1" link add "$2" type veth peer name "$4" netns "$LAB_NAME-$3"
	if [ "$LAB_OFFLOAD" = off ]; then
		lab_in "$1" ethtool -K "$2" tx off rx off >/dev/null
		lab_in "$3" ethtool -K "$4" tx off rx off >/dev/null
	fi
	ip -n "$LAB_NAME-$1" link set "$2" up
	ip -n "$LAB_NAME-$3" link set "$4" up
}

# lab_address NS IF ADDRESS/LENGTH...
lab_address() {
	local name=$1 interface=$2 address
	shift 2
	for address; do
		case $address in
		*:*) ip -n "$LAB_NAME-$name" address add "$address" dev "$interface" nodad ;;
		*) ip -n "$LAB_NAME-$name" address add "$address" dev "$interface" ;;
		esac
	done
}

lab_relay_addresses() { # interface of the client segment, interface of the peer segment or ""
	lab_address relay "$1" $RELAY4/24 $RELAY6/64
	[ -z "$LAB_SECOND" ] || lab_address relay "$1" $RELAY4B/24 $RELAY6B/64
	ip -n "$NS_RELAY" route add 11.0.2.0/24 via $CLIENT4
	ip -n "$NS_RELAY" route add 2a00:b10c:3::/64 via $CLIENT6
	[ -z "$2" ] || lab_address relay "$2" 11.0.1.1/24 2a00:b10c:2::1/64
	ip -n "$NS_RELAY" route add 11.0.3.0/24 via $PEER4
	ip -n "$NS_RELAY" route add 2a00:b10c:4::/64 via $PEER6
}

lab_network() {
	local client_side=c0
	lab_namespace client
	lab_namespace relay
	lab_namespace peer
	lab_in relay sysctl -qw "net.ipv4.ip_local_reserved_ports=$LAB_RELAY_PORTS"
	if [ -n "$LAB_ONE_SEGMENT" ]; then
		lab_namespace switch
		ip -n "$LAB_NAME-switch" link add b0 type bridge
		ip -n "$LAB_NAME-switch" link set b0 up
		lab_wire client c0 switch s0
		lab_wire relay r0 switch s1
		lab_wire peer p0 switch s2
		for port in s0 s1 s2; do
			ip -n "$LAB_NAME-switch" link set $port master b0
		done
	else
		lab_wire client c0 relay r0
		lab_wire peer p0 relay r1
	fi
	if [ -n "$LAB_VLAN" ]; then
		client_side=c0.$LAB_VLAN
		ip -n "$NS_CLIENT" link add link c0 name "$client_side" type vlan id "$LAB_VLAN"
		ip -n "$NS_CLIENT" link set "$client_side" up
	fi
	lab_address client "$client_side" $CLIENT4/24 $CLIENT4B/24 $CLIENT6/64 $CLIENT6B/64
	lab_address peer p0 $PEER4/24 $PEER4B/24 $PEER6/64 $PEER6B/64
	ip -n "$NS_CLIENT" route add local 11.0.2.0/24 dev lo
	ip -n "$NS_CLIENT" route add local 2a00:b10c:3::/64 dev lo
	ip -n "$NS_PEER" route add local 11.0.3.0/24 dev lo
	ip -n "$NS_PEER" route add local 2a00:b10c:4::/64 dev lo
	ip -n "$NS_CLIENT" route add default via $RELAY4
	ip -n "$NS_CLIENT" route add default via $RELAY6
	if [ -n "$LAB_ONE_SEGMENT" ]; then
		ip -n "$NS_PEER" route add default via $RELAY4
		ip -n "$NS_PEER" route add default via $RELAY6
	else
		ip -n "$NS_PEER" route add default via 11.0.1.1
		ip -n "$NS_PEER" route add default via 2a00:b10c:2::1
	fi
	case $LAB_PORT in
	af_xdp | af_packet)
		local relay_side=r0 peer_side=r1
		if [ -n "$LAB_VLAN" ]; then
			relay_side=r0.$LAB_VLAN
			ip -n "$NS_RELAY" link add link r0 name "$relay_side" type vlan id "$LAB_VLAN"
			ip -n "$NS_RELAY" link set "$relay_side" up
		fi
		[ -z "$LAB_ONE_SEGMENT" ] || peer_side=
		lab_relay_addresses "$relay_side" "$peer_side"
		;;
	# Otherwise the interfaces with the addresses appear when the dataplane starts. Those that only
	# carry frames must not answer ARP in their place.
	*) lab_in relay sysctl -qw net.ipv4.conf.all.arp_ignore=1 ;;
	esac
}

# ---- the relay ----

lab_listen() {
	local listen=
	[[ $LAB_LISTEN != *v4* ]] || listen+=" $RELAY4"
	[[ $LAB_LISTEN != *v6* ]] || listen+=" $RELAY6"
	if [ -n "$LAB_SECOND" ]; then
		[[ $LAB_LISTEN != *v4* ]] || listen+=" $RELAY4B"
		[[ $LAB_LISTEN != *v6* ]] || listen+=" $RELAY6B"
	fi
	echo "$listen"
}

lab_ports() {
	case $LAB_PORT in
	af_xdp | af_packet)
		echo "port = $LAB_PORT:r0"
		[ -n "$LAB_ONE_SEGMENT" ] || echo "port = $LAB_PORT:r1"
		;;
	tap) printf 'port = tap:t%s,kernel=relay%s\n' 0 0 1 1 ;;
	memif)
		printf "port = memif:$LAB_DIR/memif%s.sock,id=0,role=server,queues=$LAB_WORKERS,kernel=relay%s\n" 0 0 1 1
		;;
	*) lab_die "LAB_PORT=$LAB_PORT: expected af_xdp, af_packet, tap or memif" ;;
	esac
}

lab_configure() {
	mkdir -p "$LAB_DIR/run" "$LAB_DIR/state"
	(
		umask 077
		{
			echo "[node]"
			echo "name = lab"
			echo "state = $LAB_DIR/state"
			echo "run = $LAB_DIR/run"
			printf '%s' "${LAB_NODE_LINES:+$LAB_NODE_LINES$'\n'}"
			echo "[dataplane]"
			lab_ports
			echo "workers = $LAB_WORKERS"
			echo "idle = $LAB_IDLE"
			echo "hugepages = $LAB_HUGEPAGES"
			printf '%s' "${LAB_DATAPLANE_LINES:+$LAB_DATAPLANE_LINES$'\n'}"
			echo "[address]"
			printf 'listen = %s\n' $(lab_listen)
			echo "relay-ports = $LAB_RELAY_PORTS"
			printf '%s' "${LAB_ADDRESS_LINES:+$LAB_ADDRESS_LINES$'\n'}"
			echo "[turn]"
			echo "realm = $LAB_REALM"
			echo "auth = $LAB_AUTH"
			[[ $LAB_AUTH != *static* ]] || echo "user = $LAB_USER:$LAB_PASSWORD"
			[[ $LAB_AUTH != *rest* ]] || echo "secret = $LAB_SECRET"
			printf '%s' "${LAB_TURN_LINES:+$LAB_TURN_LINES$'\n'}"
			[ -z "${LAB_PEERS_LINES:-}" ] || printf '[peers]\n%s\n' "$LAB_PEERS_LINES"
			[ -z "${LAB_GUARD_LINES:-}" ] || printf '[guard]\n%s\n' "$LAB_GUARD_LINES"
			[ -z "${LAB_REGISTRATION_LINES:-}" ] ||
				printf '[registration]\n%s\n' "$LAB_REGISTRATION_LINES"
		} >"$LAB_CONFIG"
		{
			printf 'listening-ip=%s\n' $(lab_listen)
			printf 'relay-ip=%s\n' $(lab_listen)
			echo "min-port=${LAB_RELAY_PORTS%-*}"
			echo "max-port=${LAB_RELAY_PORTS#*-}"
			echo "realm=$LAB_REALM"
			case $LAB_AUTH in
			open) echo no-auth ;;
			*rest*)
				echo lt-cred-mech
				echo use-auth-secret
				echo "static-auth-secret=$LAB_SECRET"
				;;
			*)
				echo lt-cred-mech
				echo "user=$LAB_USER:$LAB_PASSWORD"
				;;
			esac
			printf '%s\n' no-tls no-dtls no-cli no-stdout-log fingerprint stale-nonce simple-log \
				"log-file=$LAB_DIR/turnserver.log" "pidfile=$LAB_DIR/turnserver.own-pid" \
				"userdb=$LAB_DIR/state/turndb"
			[ -n "$LAB_SECOND" ] || echo no-rfc5780
			printf '%s' "${LAB_COTURN_LINES:+$LAB_COTURN_LINES$'\n'}"
		} >"$LAB_DIR/turnserver.conf"
	)
}

lab_dataplane_start() {
	lab_spawn dataplane "$LAB_RELAY_SPACE" "$LAB_BIN/relay-dataplane" -c "$LAB_CONFIG"
	local pid=$LAB_PID
	lab_wait 30 "the dataplane's socket" lab_socket_or_death dataplane.sock "$pid" &&
		lab_running "$pid" || return 1
	case $LAB_PORT in
	tap) lab_tap_wires ;;
	memif) lab_memif_wires ;;
	esac
}

lab_socket_or_death() { [ -S "$LAB_DIR/run/$1" ] || lab_gone "$2"; }

lab_controlplane_start() {
	lab_spawn controlplane "$LAB_RELAY_SPACE" "$LAB_BIN/relay-controlplane" -c "$LAB_CONFIG"
}

# Kills it with the signal and returns when it is gone.
lab_controlplane_stop() { lab_stop controlplane "${1:-TERM}"; }

lab_ctl() { "$LAB_BIN/relayctl" -s "$LAB_CONTROL" "$@"; }

lab_answers() { # one Binding through the network
	local address
	for address in $(lab_listen); do
		lab_in "$LAB_PROBE" /usr/bin/python3 "$LAB_ROOT/tests/system/turn_client.py" binding "$address" || return 1
	done
}

lab_ready() {
	if [ "$RELAY" = coturn ]; then
		lab_alive turnserver && lab_answers
	else
		lab_ctl status && lab_answers
	fi
}

lab_ready_or_death() {
	local name
	for name in dataplane controlplane turnserver; do
		[ ! -e "$LAB_DIR/$name.pid" ] || lab_running "$(cat "$LAB_DIR/$name.pid")" || return 0
	done
	lab_ready
}

lab_relay_start() {
	if [ "$RELAY" = coturn ]; then
		lab_spawn turnserver "$LAB_RELAY_SPACE" turnserver -c "$LAB_DIR/turnserver.conf"
	else
		[ -x "$LAB_BIN/relay-dataplane" ] || lab_die "$LAB_BIN/relay-dataplane is missing: make build"
		lab_dataplane_start || lab_die "relay-dataplane did not start: $(tail -n 3 "$LAB_DIR/dataplane.log")"
		lab_controlplane_start
	fi
	lab_wait "${LAB_START_SECONDS:-30}" "the relay to answer" lab_ready_or_death && lab_ready >/dev/null 2>&1 ||
		lab_die "the relay did not become ready"
}

# The far end of a TAP port's wire is a Linux interface: bridge it to the veth that leads away. The
# relay's addresses sit on the exception TAP.
lab_tap_wires() {
	local i
	for i in 0 1; do
		ip -n "$NS_RELAY" link add b$i type bridge
		ip -n "$NS_RELAY" link set r$i master b$i
		ip -n "$NS_RELAY" link set t$i master b$i
		ip -n "$NS_RELAY" link set b$i up
		ip -n "$NS_RELAY" link set t$i up
		ip -n "$NS_RELAY" link set relay$i up
	done
	lab_relay_addresses relay0 relay1
}

# memif leads to another process: testpmd carries the frames between it and the veth.
lab_memif_wires() {
	local i
	for i in 0 1; do
		ip -n "$NS_RELAY" link set r$i promisc on
	done
	lab_spawn testpmd relay dpdk-testpmd --no-huge -m 256 --no-shconf --no-pci --no-telemetry \
		--vdev="net_memif0,role=client,id=0,socket=$LAB_DIR/memif0.sock,socket-abstract=no" \
		--vdev="net_memif1,role=client,id=0,socket=$LAB_DIR/memif1.sock,socket-abstract=no" \
		--vdev=net_af_packet0,iface=r0 --vdev=net_af_packet1,iface=r1 \
		-- --forward-mode=io --portmask=0xf --portlist=0,2,1,3 --auto-start --total-num-mbufs=8192 --stats-period=5
	for i in 0 1; do
		ip -n "$NS_RELAY" link set relay$i up
	done
	lab_relay_addresses relay0 relay1
}

# ---- beginning and end ----

lab_capture() {
	if [ -n "$LAB_NETWORKS" ]; then
		lab_spawn capture-core core tcpdump -U -n -i any -w "$LAB_DIR/core.pcap"
		lab_wait 10 tcpdump test -s "$LAB_DIR/core.pcap"
		return
	fi
	lab_spawn capture-client client tcpdump -U -n -i c0 -w "$LAB_DIR/client.pcap"
	lab_spawn capture-peer peer tcpdump -U -n -i p0 -w "$LAB_DIR/peer.pcap"
	lab_wait 10 tcpdump test -s "$LAB_DIR/client.pcap" -a -s "$LAB_DIR/peer.pcap"
}

lab_up() {
	[ "$(id -u)" = 0 ] || lab_die "namespaces need root"
	lab_names
	trap lab_exit EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	if [ -n "$LAB_NETWORKS" ]; then
		lab_networks
	else
		lab_network
	fi
	lab_configure
	[ -z "$CAPTURE" ] || lab_capture
	lab_relay_start
	[ "$LAB_RELAYS" = 1 ] || (
		trap - EXIT
		lab_second_relay
		lab_configure
		lab_relay_start
	)
}

# For a person who looks at a failure.
lab_report() {
	local log
	for log in "$LAB_DIR"/*.log "$LAB_DIR"/relay2/*.log; do
		[ -s "$log" ] || continue
		echo "---- ${log##*/} (last 60 lines) ----"
		tail -n 60 "$log"
	done >&2
	if [ "$RELAY" != coturn ] && lab_alive controlplane; then
		echo "---- relayctl stats ----" >&2
		timeout 5 "$LAB_BIN/relayctl" -s "$LAB_CONTROL" stats >&2 || true
	fi
	if [ -n "$CAPTURE" ]; then
		lab_say "captures: $(echo "$LAB_DIR"/*.pcap); logs and configuration beside them"
	else
		lab_say "CAPTURE=1 keeps captures of both sides, KEEP=1 the logs"
	fi
}

lab_stop_all() {
	local file name
	for file in "$LAB_DIR"/*.pid; do
		[ -e "$file" ] || continue
		name=${file##*/}
		lab_stop "${name%.pid}" 2>/dev/null || true
	done
}

lab_down() {
	local pid file
	[ ! -d "$LAB_DIR/relay2" ] || (LAB_DIR=$LAB_DIR/relay2 && lab_stop_all)
	lab_stop_all
	# Whatever else was started in the namespaces, which nobody else can be in.
	for pid in $(lab_inhabitants); do
		[ "$pid" = "$$" ] || kill -KILL "$pid" 2>/dev/null || true
	done
	for file in "/run/netns/$LAB_NAME"-*; do
		[ ! -e "$file" ] || echo "netns delete ${file##*/}"
	done | ip -force -batch - 2>/dev/null || true
}

# The processes in this lab's namespaces. (`ip netns pids` looks through all processes for each one.)
lab_inhabitants() {
	local spaces
	spaces=$(stat -Lc %i "/run/netns/$LAB_NAME"-* 2>/dev/null | paste -sd'|') || return 0
	[ -z "$spaces" ] || stat -Lc '%i %n' /proc/[0-9]*/ns/net 2>/dev/null |
		sed -nE "s#^($spaces) /proc/([0-9]+)/ns/net#\\2#p"
}

# A daemon that ended unasked, or what a sanitizer build found, fails whatever ran in the lab.
lab_daemons_well() {
	local name
	for name in dataplane controlplane turnserver wire relay2/dataplane relay2/controlplane; do
		if [ -e "$LAB_DIR/$name.pid" ] && ! lab_running "$(cat "$LAB_DIR/$name.pid")"; then
			lab_say "$name ended by itself"
			return 1
		fi
	done
	! grep -l -E 'ERROR: [A-Za-z]+Sanitizer|runtime error:' "$LAB_DIR"/*.log "$LAB_DIR"/relay2/*.log 2>/dev/null ||
		return 1
}

lab_exit() {
	local status=$?
	trap '' INT TERM HUP
	trap - EXIT
	if [ $status = 0 ]; then
		lab_daemons_well || status=1
	fi
	if [ $status != 0 ] && [ $status != 77 ] && [ $status != 130 ] && [ -z "${LAB_QUIET:-}" ]; then
		lab_report
	fi
	lab_down
	# Leaks are told at the end of the process.
	if [ $status = 0 ] && ! lab_daemons_well; then
		status=1
		lab_report
	fi
	if [ -n "$KEEP" ] || { [ -n "$CAPTURE" ] && [ $status != 0 ]; }; then
		lab_say "kept $LAB_DIR"
	else
		rm -rf "$LAB_DIR"
	fi
	exit $status
}

# Removes what labs left whose process is gone (killed with -9). Only names this file makes.
lab_sweep() {
	local path name owner pid
	for path in /run/netns/brlab*-*; do
		[ -e "$path" ] || continue
		name=${path##*/}
		owner=${name#brlab}
		owner=${owner%%-*}
		! lab_running "$owner" || continue
		for pid in $(ip netns pids "$name" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null || true
		done
		ip netns delete "$name" 2>/dev/null || true
	done
	for path in /tmp/brlab*.*; do
		[ -d "$path" ] || continue
		name=${path##*/brlab}
		lab_running "${name%%.*}" || [ -e "$path/client.pcap" ] || [ -e "$path/core.pcap" ] || rm -rf "$path"
	done
}
