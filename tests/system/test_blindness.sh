#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The house keeps its arrows, and nothing that could write or format an address is reachable from the dataplane, neither in its
# sources nor in the linked program; and the check would notice: the control plane, which may format, does not pass it.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/lint arrows blindness
if ! nm build/bin/relay-controlplane | grep -w net_address_format >/dev/null; then
	echo "FAILED: nm shows no formatter in relay-controlplane, so it would not show one in relay-dataplane"
	exit 1
fi
