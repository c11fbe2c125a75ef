# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# What lab.sh draws when LAB_NETWORKS is set: hosts behind NATs around a core, and perhaps a second
# relay. Sourced by lab.sh; tests/lab has the networks.

# Hosts behind NATs, with a wire program between them and the core (tests/lab/build.py).
lab_networks() {
	[ -x "$LAB_ROOT/build/tests/wire" ] || lab_die "build/tests/wire is missing: make build/tests/wire"
	case $LAB_PORT in
	af_xdp | af_packet) ;;
	*) lab_die "LAB_PORT=$LAB_PORT: expected af_xdp or af_packet with LAB_NETWORKS" ;;
	esac
	LAB_PROBE=core LAB_ONE_SEGMENT=1
	lab_namespace core
	lab_spawn wire core "$LAB_ROOT/build/tests/wire" "$LAB_DIR/wire.sock"
	/usr/bin/python3 "$LAB_ROOT/tests/lab/build.py" || lab_die "the networks could not be made"
}

# What follows is about the second relay of LAB_RELAYS=2, within a subshell.
lab_second_relay() {
	LAB_DIR=$LAB_DIR/relay2 LAB_RELAY_SPACE=relay2 RELAY4=11.0.9.1 RELAY6=2a00:b10c:9::1
	mkdir -p "$LAB_DIR"
	lab_files
}
