#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# light
# Who somebody is, as people meet it: a card as text and as a QR code that a reader reads, contacts noted,
# used, refused when they are somebody else, accepted on purpose; and folders and disks that are in the way.
set -u
cd "$(dirname "$0")/../.." || exit 1
relaycall=$(realpath "${RELAYCALL:-build/bin/relaycall}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export HOME=$dir/home
unset XDG_CONFIG_HOME
umask 022
failed=0

wrong() {
	echo "$*"
	failed=1
}

# expect CODE "words in output" ARGUMENTS...: stdout and stderr together must hold the words.
expect() {
	local code=$1 words=$2 status
	shift 2
	output=$(timeout 20 "$relaycall" "$@" 2>&1 </dev/null)
	status=$?
	if [ $status != "$code" ] || [[ $output != *"$words"* ]]; then
		wrong "relaycall $*: expected exit $code and \"$words\", got exit $status and: ${output:0:2000}"
	fi
}

# person NAME [OPTION...]: their card.
person() {
	local name=$1
	shift
	"$relaycall" --identity "$dir/$name" id "$@" 2>/dev/null
}

[ -x "$relaycall" ] || { echo "$relaycall is not built: make build"; exit 1; }
cd "$dir" || exit 1

# ---- QR codes ----

expect 2 "ends with .svg or .pbm" id --qr-file code.png
expect 2 "ends with .svg or .pbm" id --qr-file .svg
expect 2 "--qr is for people" -j id --qr
expect 2 "either --fingerprint or a QR code" id --qr --fingerprint
key=$(head -c 32 /dev/urandom | base64)
# Nothing on stderr of the reader's that matters: it looks for a desktop.
decode() { zbarimg --quiet --raw -Sdisable -Sqrcode.enable "$1" 2>/dev/null; }
card=$(person alice --relay 192.0.2.1 --relay-key "$key")
[ ${#card} = 201 ] || wrong "the card of one relay has ${#card} characters"
person alice --qr-file one.svg --qr-file one.pbm >/dev/null
both=$(person alice --relay 192.0.2.1 --relay '[2001:db8::1]:5000' --relay-key "$key" --second-relay relay.example.org --second-relay-key "$key")
person alice --qr-file both.pbm >both.text
person alice --qr-file both.svg >/dev/null
rsvg-convert both.svg -o both.png
[ "$(decode one.pbm)" = "$card" ] || wrong "one relay, PBM: read $(decode one.pbm), not $card"
for picture in both.pbm both.png; do
	[ "$(decode $picture)" = "$both" ] || wrong "both relays, $picture: read $(decode $picture), not $both"
done
[ "$(cat both.text)" = "$both" ] || wrong "--qr-file prints something else than the card"
[ ! -e one.svg ] || wrong "two pictures were written"

# What a terminal shows, as a picture: each character is an upper and a lower module.
picture_of() {
	/usr/bin/python3 -c '
import re, sys
text = sys.stdin.read().replace("\r", "")
dark = re.search("\033\\[38;5;16;48;5;231m", text)
lines = [line for line in re.sub("\033\\[[0-9;]*m", "", text).split("\n") if line and not line.startswith("blindrelay:")]
halves = {" ": (0, 0), "\u2584": (0, 1), "\u2580": (1, 0), "\u2588": (1, 1)}
rows = [[halves[c][half] for c in line] for line in lines for half in (0, 1)]
print("P1", 4 * len(rows[0]), 4 * len(rows))
for row in rows:
    print("\n".join(" ".join(str(module) for module in row for _ in range(4)) for _ in range(4)))
sys.exit(0 if bool(dark) == (sys.argv[1] == "terminal") else 1)
' "$1"
}
person alice --qr >shown.text
picture_of file <shown.text >shown.pbm || wrong "colours in a file"
[ "$(decode shown.pbm)" = "$both" ] || wrong "--qr: read $(decode shown.pbm)"
[ "$(tail -n 1 shown.text)" = "$both" ] || wrong "--qr does not print the card, too"
on_terminal() { script -qec "stty cols $1 rows 50; '$relaycall' --identity '$dir/alice' id --qr" /dev/null </dev/null; }
on_terminal 80 | picture_of terminal >shown.pbm || wrong "no colours on a terminal"
[ "$(decode shown.pbm)" = "$both" ] || wrong "--qr on a terminal: read $(decode shown.pbm)"
grep -q "the terminal 40: make it wider" <(on_terminal 40) || wrong "nothing is said about a narrow terminal"
# The longest names that there may be.
long=$(printf 'a%.0s' {1..63}).$(printf 'a%.0s' {1..63}).$(printf 'a%.0s' {1..63}).$(printf 'a%.0s' {1..60})
# shellcheck disable=SC2046
expect 1 "longer than a QR code may be" --identity long id --qr --relay-key "$key" --second-relay-key "$key" \
	$(printf -- "--relay ${long}%s " a b c d && printf -- "--second-relay ${long}%s " a b c d)
expect 1 "cannot write" --identity alice id --qr-file nothing/here.svg
echo "QR codes: 201 and ${#both} characters, read as pictures and from a terminal"

# ---- contacts ----

bob=$(person bob --relay 192.0.2.2)
eve=$(person eve --relay 192.0.2.2)
expect 0 "no contacts yet" contacts
for words in "now" "add" "add bob" "show" "remove" "remove a b" "list bob" "accept bob"; do
	expect 2 "contacts accept NAME CARD" contacts $words
done
expect 2 "unexpected word" contacts add bob "$bob" now
expect 2 "does not take: contacts" contacts --relay 192.0.2.1
expect 2 "this is no contact card" contacts add bob "${bob%?}"
expect 2 "cannot be a name" contacts add "b o b" "$bob"
expect 2 "cannot be a name" contacts add "$bob" "$bob"
expect 1 "there are no contacts yet" contacts remove bob
[ ! -e "$HOME" ] || wrong "wrong usage has made something"
fingerprint=$("$relaycall" --identity bob id --fingerprint)
[[ $fingerprint =~ ^[0-9a-f]{4}(\ [0-9a-f]{4}){7}$ ]] || wrong "fingerprint: $fingerprint"
expect 0 "added bob, fingerprint $fingerprint" contacts add bob "$bob"
contacts=$HOME/.config/blindrelay/contacts
[ "$(stat -c %a "$contacts")" = 600 ] || wrong "the contacts have mode $(stat -c %a "$contacts")"
[ "$(ls "$HOME/.config/blindrelay")" = contacts ] || wrong "noting a contact has made $(ls "$HOME/.config/blindrelay")"
expect 0 "added bob" contacts add bob "$bob"
expect 0 "bob  $fingerprint" contacts list
expect 0 "$bob" contacts show BOB
[[ $output == *"relay        192.0.2.2:3478 (its key is not known)"* ]] || wrong "contacts show: $output"
expect 1 'there is no contact "eve"' contacts show eve
/usr/bin/python3 - "$bob" "$fingerprint" "$("$relaycall" -j contacts)" "$("$relaycall" -j contacts show bob)" <<'END' || wrong "contacts -j"
import json, sys
card, fingerprint, listed, shown = sys.argv[1:]
entry = json.loads(listed)
assert entry == json.loads(shown), shown
assert (entry["name"], entry["contact"], entry["fingerprint"]) == ("bob", card, fingerprint), entry
assert entry["relays"] == [{"addresses": ["192.0.2.2:3478"]}], entry
END

before=$(cat "$contacts")
expect 1 "bob is somebody else now" contacts add bob "$eve"
[[ $output == *"noted  $fingerprint"*"shown  $("$relaycall" --identity eve id --fingerprint)"*"relaycall contacts accept bob CARD"* ]] ||
	wrong "a changed identity: $output"
expect 1 "this is bob" contacts add robert "$bob"
moved=$(person bob --relay 192.0.2.9)
expect 1 "another place" contacts add bob "$moved"
# The same delivery key with another identity, which somebody who wants to be called in bob's place would make.
sed "s/^delivery-seed.*/$(grep '^delivery-seed' bob)/; s/^namespace.*/$(grep '^namespace' bob)/" eve >mallory && chmod 600 mallory
mallory=$(person mallory)
expect 1 "bob is somebody else now" send "$mallory" --text hello
expect 1 "bob is somebody else now" contacts add mallory "$mallory"
[ "$(cat "$contacts")" = "$before" ] || wrong "what was refused has changed the book"
expect 0 "accepted bob" contacts accept bob "$moved"
expect 0 "192.0.2.9:3478" contacts show bob
expect 1 'no contact "carol"' contacts accept carol "$eve"
expect 0 "accepted bob, fingerprint $("$relaycall" --identity eve id --fingerprint)" contacts accept bob "$eve"
expect 0 '"result":"removed"' -j contacts remove bob
expect 2 'there is no contact "bob"' send bob --text hello
[ ! -e "$HOME/.config/blindrelay/identity" ] || wrong "contacts need no identity, and made one"

# Each identity has its own, and a name may stand for a card.
expect 0 "added carol" --identity alice contacts add carol "$(person carol --relay no-such-host.invalid)"
[ -e alice.contacts ] || wrong "alice's contacts are not beside her identity: $(ls)"
if [ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null; then
	output=$(unshare -n timeout 20 "$relaycall" --identity alice send carol --text x 2>&1)
	[ $? = 3 ] && [[ $output == *"cannot be found: no-such-host.invalid"* ]] || wrong "send carol: $output"
fi
echo "contacts: noted, refused, accepted, forgotten"

# ---- identities of version 1 ----

printf 'namespace = %s\nseed = %s\nrelay = 192.0.2.1:3478\n' "$key" "$key" >old
chmod 600 old
expect 0 "has an identity key of its own now" --identity old id
new=$(person old)
[[ $output == *"$new" ]] || wrong "the upgraded identity is another one: $output"
grep -q "^delivery-seed = $(tr '+/' '-_' <<<"${key%=}")$" old || wrong "the seed was lost: $(cat old)"
[ "$(stat -c %a old)" = 600 ] || wrong "the upgraded identity has mode $(stat -c %a old)"

# ---- folders and disks ----

expect 0 "added" --identity "$dir/new/folder/identity" contacts add bob "$bob"
[ "$(stat -c %a new new/folder | tr '\n' ' ')" = "700 700 " ] || wrong "folders open to others: $(stat -c '%a %n' new new/folder)"
chmod 644 "$contacts"
expect 1 "can be read by others: chmod 600" contacts
expect 1 "can be read by others: chmod 600" contacts add bob "$bob"
chmod 600 "$contacts"
echo "nonsense" >>"$contacts"
expect 1 "line 2: not understood" contacts
expect 1 "line 2: not understood" send bob --text x
expect 1 "is not a file" --identity "$dir/x/identity" contacts add bob "$(mkdir -p x/contacts; echo "$bob")"
if [ "$(id -u)" = 0 ]; then
	# Somebody else, who may neither read nor write there.
	chmod 755 "$dir"
	cp "$relaycall" "$dir/tool"
	output=$(setpriv --reuid 65534 --clear-groups "$dir/tool" --identity "$dir/alice" contacts 2>&1)
	[ $? = 1 ] && [[ $output == *"cannot read $dir/alice.contacts: Permission denied"* ]] || wrong "somebody else's contacts: $output"
	output=$(setpriv --reuid 65534 --clear-groups "$dir/tool" --identity "$dir/mine" id --relay 192.0.2.1 2>&1)
	[ $? = 1 ] && [[ $output == *"cannot write $dir/mine: Permission denied"* ]] || wrong "somebody else's folder: $output"
	output=$(setpriv --reuid 65534 --clear-groups "$dir/tool" --identity "$dir/mine" contacts add bob "$bob" 2>&1)
	[ $? = 1 ] && [[ $output == *"cannot change $dir/mine.contacts: Permission denied"* ]] || wrong "somebody else's folder: $output"
fi
full_disk() {
	mkdir disk && mount -t tmpfs -o size=12k none disk || return 77
	"$relaycall" --identity disk/identity id --relay 192.0.2.1 >/dev/null 2>&1 && "$relaycall" --identity disk/identity contacts add bob "$bob" >/dev/null || return 1
	dd if=/dev/zero of=disk/rest bs=1k 2>/dev/null
	sha256sum disk/identity disk/contacts >before
	! "$relaycall" --identity disk/identity contacts add eve "$eve" 2>log || return 1
	grep -q "cannot write disk/contacts: No space left on device" log || return 1
	! "$relaycall" --identity disk/identity id --relay 192.0.2.9 2>log || return 1
	grep -q "cannot write disk/identity: No space left on device" log || return 1
	sha256sum --quiet -c before && [ "$(ls disk)" = "$(printf 'contacts\nidentity\nrest')" ]
}
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	export relaycall bob eve
	unshare -m bash -c "$(declare -f full_disk); full_disk"
	case $? in 0 | 77) ;; *) wrong "a full disk: $(cat log)" ;; esac
fi
echo "folders and disks: said so, and nothing lost"
exit $failed
