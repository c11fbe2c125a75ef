#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# No branch and no address in lib/crypto and endpoint/session depends on a secret, in the code that the optimiser made of it: the programs
# of tests/secrets under valgrind. Valgrind does not see instructions that take longer for some operands: ML-KEM, whose keys divisions
# have given away, must have none. What valgrind has to say is shown when something is wrong; the reports on the cases that leak on
# purpose are in it.
set -uo pipefail
cd "$(dirname "$0")/../.."
programs=(build/secrets/crypto build/secrets/session)
if ! command -v valgrind >/dev/null; then
	echo "valgrind is not installed"
	exit 77
fi
for program in "${programs[@]}"; do
	if [ ! -x "$program" ]; then
		echo "$program is not built: make test-programs"
		exit 1
	fi
done
divisions() {
	objdump -d --no-show-raw-insn "$@" | grep -E $'\t''i?div[bwlq]? '
}
mapfile -t objects < <(ls build/obj/lib/crypto/{keccak,mlkem}*.o)
# tests/secrets/crypto.c has one on purpose.
if [ ${#objects[@]} -lt 6 ] || [ -z "$(divisions build/obj/tests/secrets/crypto.o)" ]; then
	echo "FAIL  the division on purpose is not found"
	exit 1
fi
if divisions "${objects[@]}"; then
	echo "FAIL  ML-KEM divides"
	exit 1
fi
reports=$(mktemp)
trap 'rm -f "$reports"' EXIT
result=0
for program in "${programs[@]}"; do
	valgrind --quiet --error-limit=no --num-callers=20 --log-file="$reports" --suppressions=tests/secrets/libsodium.supp "$program"
	one=$?
	if [ $one != 0 ]; then
		[ $one = 77 ] || cat "$reports"
		result=$one
	fi
done
exit $result
