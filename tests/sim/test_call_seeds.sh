#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The simulation of calls from a few fixed seeds and from every seed that ever failed (call_seeds.txt), two at a time, and
# one seed twice: it must repeat itself exactly.
# limit: 120
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
sim=build/tests/sim-calls
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

[[ -x $sim ]] || { echo "$sim is not built"; exit 1; }
runs() {
	local seed
	for seed in {1..8}; do
		echo "$seed 4"
	done
	echo "1 4 again"
	grep -vE '^(#|$)' tests/sim/call_seeds.txt | awk '{print $1, $2}'
}
run() {
	timeout 60 "$sim" --quiet --seed "$1" --pairs "$2" >"$out/$1.$2${3:+.$3}" 2>&1 || touch "$out/failed"
	cat "$out/$1.$2${3:+.$3}"
}
export -f run
export sim out
runs | sort -u | xargs -P 2 -L 1 bash -c 'run "$@"' run
[[ ! -e $out/failed ]] || exit 1
digest() {
	grep -o 'digest .*' "$1"
}
if [[ "$(digest "$out/1.4")" != "$(digest "$out/1.4.again")" ]]; then
	echo "seed 1 did not repeat itself"
	exit 1
fi
