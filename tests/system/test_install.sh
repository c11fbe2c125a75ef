#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# `make install` into an empty folder: every file is in its place and usable, an edited configuration
# survives the next install, and what is written about the configuration is complete. Needs no
# namespaces; the last part uses a mount namespace of its own.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

wrong() {
	echo "$*"
	failed=1
}

env -u MAKEFLAGS make -s install DESTDIR="$dir" PREFIX=/usr >"$dir/log" 2>&1 || {
	cat "$dir/log"
	exit 1
}

# ---- places and modes ----

while read -r mode path; do
	[ -f "$dir$path" ] || { wrong "$path was not installed"; continue; }
	[ "$(stat -Lc %a "$dir$path")" = "$mode" ] || wrong "$path has mode $(stat -Lc %a "$dir$path"), expected $mode"
	[ -s "$dir$path" ] || wrong "$path is empty"
done <<-FILES
	755 /usr/sbin/relay-dataplane
	755 /usr/sbin/relay-controlplane
	755 /usr/bin/relayctl
	755 /usr/bin/relaycall
	644 /usr/lib/libendpoint.so
	644 /usr/lib/pkgconfig/endpoint.pc
	644 /usr/include/blindrelay/endpoint/endpoint.h
	644 /usr/include/blindrelay/endpoint/contact.h
	644 /usr/include/blindrelay/endpoint/driver.h
	644 /usr/include/blindrelay/endpoint/tokens.h
	644 /usr/include/blindrelay/endpoint/phone/phone.h
	644 /usr/include/blindrelay/endpoint/phone/phone_driver.h
	644 /usr/share/man/man1/relaycall.1
	644 /usr/share/bash-completion/completions/relaycall
	644 /usr/lib/systemd/system/relay-dataplane.service
	644 /usr/lib/systemd/system/relay-controlplane.service
	644 /usr/share/man/man8/relay-dataplane.8
	644 /usr/share/man/man8/relay-controlplane.8
	644 /usr/share/man/man8/relayctl.8
	644 /usr/share/man/man5/blindrelay.conf.5
	644 /usr/share/bash-completion/completions/relayctl
	644 /usr/lib/sysctl.d/60-blindrelay.conf
	644 /usr/share/doc/blindrelay/blindrelay.conf.sample
	640 /etc/blindrelay/blindrelay.conf
FILES
[ "$(stat -c %a "$dir/etc/blindrelay")" = 750 ] || wrong "/etc/blindrelay is open to everybody"
grep -rlE '@(PREFIX|VERSION)@' "$dir/usr/lib" "$dir/usr/share" "$dir/etc" && wrong "a file still holds @PREFIX@"
[ -z "$(find "$dir/etc" -name '.blindrelay*')" ] || wrong "a temporary configuration was left behind"

relayctl=$dir/usr/bin/relayctl
config=$dir/etc/blindrelay/blindrelay.conf
"$relayctl" config check "$config" >"$dir/log" || { wrong "the sample is refused:"; cat "$dir/log"; }
for program in sbin/relay-dataplane sbin/relay-controlplane bin/relayctl bin/relaycall; do
	"$dir/usr/$program" --help >/dev/null || wrong "$program --help fails"
done

# ---- a second install ----

echo "# mine" >>"$config"
env -u MAKEFLAGS make -s install DESTDIR="$dir" PREFIX=/usr >/dev/null 2>&1 || wrong "the second install failed"
grep -q '^# mine$' "$config" || wrong "the second install replaced an edited configuration"
DESTDIR=$dir PREFIX=usr scripts/install-files >/dev/null 2>&1 && wrong "a relative PREFIX was accepted"
DESTDIR=$dir/local PREFIX=/usr/local scripts/install-files >/dev/null || wrong "PREFIX=/usr/local fails"
grep -q '^ExecStart=/usr/local/sbin/relay-dataplane ' "$dir/local/usr/local/lib/systemd/system/relay-dataplane.service" ||
	wrong "the unit does not follow PREFIX"

# ---- units ----

if command -v systemd-analyze >/dev/null; then
	for unit in relay-dataplane relay-controlplane; do
		# Its programs are below DESTDIR.
		sed "s,^ExecStart=,&$dir," "$dir/usr/lib/systemd/system/$unit.service" >"$dir/$unit.service"
	done
	systemd-analyze verify --man=no "$dir"/relay-{dataplane,controlplane}.service >"$dir/log" 2>&1 || wrong "systemd-analyze verify fails:"
	grep -E '^(/|relay-)' "$dir/log" && failed=1
fi
for unit in "$dir"/usr/lib/systemd/system/*.service; do
	for line in Type=notify LimitCORE=0 LimitMEMLOCK=infinity MemorySwapMax=0 NoNewPrivileges=yes ProtectSystem=strict \
		RuntimeDirectory=blindrelay RuntimeDirectoryPreserve=yes; do
		grep -qx "$line" "$unit" || wrong "$(basename "$unit") lacks $line"
	done
done

# ---- manuals ----

if command -v groff >/dev/null; then
	for page in "$dir"/usr/share/man/man?/*; do
		warnings=$(groff -mandoc -ww -Tutf8 -z "$page" 2>&1)
		[ -z "$warnings" ] || wrong "$(basename "$page"): $warnings"
		text=$(groff -mandoc -Tutf8 -P-cbou "$page")
		[[ $text == *NAME*DESCRIPTION*"SEE ALSO"* ]] || wrong "$(basename "$page") lacks a section"
	done
fi

# The program itself tells which keys there are: an unknown one is answered with the known ones.
for section in node dataplane address turn peers guard registration tokens; do
	printf '[%s]\nno-such-key = 1\n' $section >"$dir/keys.conf"
	keys=$("$relayctl" config check "$dir/keys.conf" 2>&1 | sed -n 's/.*; expected //p' | sed 's/,/ /g; s/ or / /')
	[ -n "$keys" ] || wrong "no keys are told for [$section]"
	for key in $keys; do
		sed -n "/^\[$section\]/,/^\[/p" "$config" | grep -qE "^#?$key = " || wrong "the sample lacks [$section] $key"
		sed -n "/^.Ss Section $section/,/^.S[sh] /p" "$dir/usr/share/man/man5/blindrelay.conf.5" | grep -qx ".It Cm $key" ||
			wrong "blindrelay.conf(5) lacks [$section] $key"
	done
done

# Values that the sample shows as defaults are: switching one on changes nothing but its own line.
sed -E 's/^#([a-z-]+ = )/\1/; /^(cores|realm|user|deny|allow|listen = 2001)/d' "$config" >"$dir/defaults.conf"
chmod 600 "$dir/defaults.conf"
"$relayctl" config check "$dir/defaults.conf" >/dev/null || wrong "the sample's defaults are refused"

# ---- completion ----

# complete_of PROGRAM WORD...: what is offered for the last one.
complete_of() {
	local program=$1
	shift
	bash --norc -c '
		. "$1"; program=$2; shift 2
		COMP_WORDS=("$program" "$@") COMP_CWORD=$#
		"_$program" 2>/dev/null
		printf "%s " "${COMPREPLY[@]}"
	' completion "$dir/usr/share/bash-completion/completions/$program" "$program" "$@"
}
complete_words() { complete_of relayctl "$@"; }
verbs=$("$relayctl" --help | sed -n 's/^  \([a-z]\+\).*/\1/p')
[ "$(echo "$verbs" | wc -w)" -ge 9 ] || wrong "relayctl --help lists too few verbs: $verbs"
for verb in $verbs; do
	[[ " $(complete_words "") " == *" $verb "* ]] || wrong "completion does not offer $verb"
done
[ "$(complete_words -s /run/x.sock sta)" = "status stats " ] || wrong "completion of sta: $(complete_words -s /run/x.sock sta)"
[[ $(complete_words drain --) == *--deadline*--wait* ]] || wrong "completion of drain --: $(complete_words drain --)"
[ "$(complete_words config "")" = "check " ] || wrong "completion of config: $(complete_words config "")"
[ "$(complete_words config check "$dir/etc/bli")" = "$dir/etc/blindrelay " ] || wrong "completion of config check"

[ "$(complete_of relaycall "")" = "id contacts call answer listen send token " ] || wrong "completion of relaycall: $(complete_of relaycall "")"
[[ $(complete_of relaycall -j listen --) == *--dir*--ask* ]] || wrong "completion of relaycall listen --"
[[ $(complete_of relaycall contacts "") == "list add accept show remove " ]] || wrong "completion of relaycall contacts: $(complete_of relaycall contacts "")"
[ "$(complete_of relaycall send CONTACT "$dir/etc/bli")" = "$dir/etc/blindrelay " ] || wrong "completion of relaycall send"
# Every option that one of the three tells is known to the other two.
page=$dir/usr/share/man/man1/relaycall.1
for option in $("$dir/usr/bin/relaycall" --help | grep -oE -- '--[a-z-]+' | sort -u); do
	grep -q "Fl ${option#-}" "$page" || wrong "relaycall(1) lacks $option"
	grep -q -- "$option" "$dir/usr/share/bash-completion/completions/relaycall" || wrong "completion lacks $option"
done
for option in $(grep -oE 'Fl -[a-z-]+' "$page" | sed 's/Fl /-/' | sort -u); do
	"$dir/usr/bin/relaycall" --help | grep -q -- "$option" || wrong "relaycall --help lacks $option"
done

# ---- the library, as somebody who knows pkg-config alone ----

flags=$(PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig pkg-config --define-variable=prefix="$dir/usr" --cflags --libs endpoint)
[ "$(PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig pkg-config --modversion endpoint)" = "$("$dir/usr/bin/relaycall" --version | sed 's/.* //')" ] ||
	wrong "endpoint.pc tells another version than relaycall"
for example in endpoint/example/*.c; do
	# shellcheck disable=SC2086
	${CC:-gcc} -std=gnu17 -Wall -Wextra -Werror -o "$dir/example" "$example" $flags || wrong "$example does not build"
	LD_LIBRARY_PATH=$dir/usr/lib "$dir/example" >"$dir/log" 2>&1
	[ $? = 2 ] || wrong "$example without arguments: $(cat "$dir/log")"
done
exported=$(nm -D --defined-only "$dir/usr/lib/libendpoint.so" | awk '{print $3}' | grep -vE '^(endpoint|phone)_')
[ -z "$exported" ] || wrong "libendpoint.so shows what is nobody else's: $exported"
if command -v g++ >/dev/null; then
	for header in "$dir"/usr/include/blindrelay/endpoint/{,phone/}*.h; do
		g++ -fsyntax-only -Wall -Werror -I"$dir/usr/include/blindrelay" -include "$header" -x c++ /dev/null ||
			wrong "$(basename "$header") is no C++"
	done
fi

# ---- an install on a machine, not for a package: the secret is made there ----

if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	for i in 1 2; do
		# shellcheck disable=SC2016
		unshare -m bash -c '
			mount -t tmpfs none /etc && PREFIX=$1/machine scripts/install-files >/dev/null &&
				cat /etc/blindrelay/blindrelay.conf >"$1/machine.conf.$2"
		' machine "$dir" $i || wrong "an install without DESTDIR fails"
		chmod 600 "$dir/machine.conf.$i"
		"$relayctl" config check "$dir/machine.conf.$i" | grep -q warning && wrong "the secret made at install is weak"
	done
	cmp -s "$dir/machine.conf.1" "$dir/machine.conf.2" && wrong "two installs made the same secret"
	[ ! -e "$dir/machine/etc" ] || wrong "an install without DESTDIR wrote below PREFIX"
fi
exit $failed
