# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# One server in a lab network (scripts/lab.d/lab.sh, whose knobs are set before) for clients by the ten thousand: who runs where, and
# the generator's start. server_up comes first.
#
# The generator has core 0. LAYOUT says what the server has: `one` (default): everything of it core 1; `two`: Blindrelay's workers core 1,
# its main thread and the control plane core 0 beside the generator; coturn's threads both cores.

. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lab.d/lab.sh"

server_pids() {
	local name
	for name in turnserver dataplane controlplane; do
		[ ! -e "$LAB_DIR/$name.pid" ] || cat "$LAB_DIR/$name.pid"
	done
}

server_tasks() {
	local pid
	for pid in $(server_pids); do
		ls -d "/proc/$pid"/task/*
	done
}

# Whatever else the machine does, both sides go first; where the kernel groups threads by session, the sessions do.
server_prefer() {
	local task pid cores
	for task in $(server_tasks); do
		cores=1
		if [ "${LAYOUT:-one}" = two ]; then
			cores=0,1
			case $(cat "$task/comm") in
			relay-controlpl | relay-dataplane) cores=0 ;;
			lcore-worker* | rte-worker*) cores=1 ;;
			esac
		fi
		taskset -cp "$cores" "${task##*/}" >/dev/null
		renice -n -20 -p "${task##*/}" >/dev/null
	done
	for pid in $(server_pids); do
		echo -20 >"/proc/$pid/autogroup" || true
	done
}

mac() { lab_in "$1" cat "/sys/class/net/$2/address"; }

server_up() {
	lab_up >&2
	server_prefer
	# The clients' prefixes are behind c0, whose AF_XDP socket takes ARP too.
	ip -n "$NS_RELAY" neighbour replace "$CLIENT4" lladdr "$(mac client c0)" dev r0 nud permanent
	ip -n "$NS_RELAY" route add 11.64.0.0/11 via "$CLIENT4"
}

preferred() { # COMMAND...
	setsid -w bash -c 'echo -20 >/proc/$$/autogroup || true; exec timeout -s KILL 120 nice -n -20 "$@"' - "$@"
}

# clients_run GENERATOR ARGUMENTS...
clients_run() {
	local generator=$1 pid watched=()
	shift
	for pid in $(server_pids); do
		watched+=(--process "$pid")
	done
	preferred "$LAB_ROOT/build/perf/$generator" --client "$NS_CLIENT,c0" --server "$RELAY4:3478" --relay-mac "$(mac relay r0)" \
		--sources "${SOURCES:-11.64.0.0}" --core 0 "${watched[@]}" "$@"
}
