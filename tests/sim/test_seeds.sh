#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The simulation from a few fixed seeds and from every seed that ever failed (seeds.txt), two at a time, and one seed
# twice: it must repeat itself exactly.
# limit: 300
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
sim=build/tests/sim
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

[[ -x $sim ]] || { echo "$sim is not built"; exit 1; }
runs() {
	local seed
	for seed in 1 2 3 4; do
		echo "$seed 60"
	done
	echo "5 24 again"
	echo "5 24"
	grep -vE '^(#|$)' tests/sim/seeds.txt | awk '{print $1, $2}'
}
run() {
	timeout 180 "$sim" --quiet --seed "$1" --clients "$2" >"$out/$1.$2${3:+.$3}" 2>&1 || touch "$out/failed"
	cat "$out/$1.$2${3:+.$3}"
}
export -f run
export sim out
runs | sort -u | xargs -P 2 -L 1 bash -c 'run "$@"' run
[[ ! -e $out/failed ]] || exit 1
digest() {
	grep -o 'digest .*' "$1"
}
if [[ "$(digest "$out/5.24")" != "$(digest "$out/5.24.again")" ]]; then
	echo "seed 5 did not repeat itself"
	exit 1
fi
