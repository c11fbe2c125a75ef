# SPDX-License-Identifier: BSD-3-Clause
# bash completion for relaycall(1).

_relaycall() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' i operands=0
	local verbs='id contacts call answer listen send token'
	COMPREPLY=()

	_relaycall_files() {
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen "$1" -- "$word")
	}

	# Not by compgen -W, which would expand what is in a name.
	_relaycall_names() {
		local name
		while read -r name _; do
			[[ $name != "$word"* ]] || COMPREPLY+=("$(printf %q "$name")")
		done < <("${COMP_WORDS[0]}" contacts list 2>/dev/null)
	}

	# Words that are the value of an option.
	case $previous in
	--in)
		_relaycall_files -f
		mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W 'tone speech silence' -- "$word")
		return
		;;
	--identity | --tokens | --qr-file | --out | --stats)
		_relaycall_files -f
		return
		;;
	--dir)
		_relaycall_files -d
		return
		;;
	--relay | --relay-key | --second-relay | --second-relay-key | --limit | --text | --timeout | --epoch | --device | --relay-after | --duration) return ;;
	esac

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--identity | --tokens | --dir | --relay | --relay-key | --second-relay | --second-relay-key | --qr-file | --limit | --text | --timeout | --epoch | \
			--in | --out | --stats | --device | --relay-after | --duration) ((i++)) ;;
		-*) ;;
		*)
			if [[ -z $verb ]]; then
				verb=${COMP_WORDS[i]}
			else
				operands=$((operands + 1))
			fi
			;;
		esac
	done

	local talking='--in --out --device --relay-only --relay-after --duration --hangup-at-end --stats -v --verbose --tokens --epoch'
	local options='--identity -j --json -h --help --version'
	case $verb in
	'') options+=" $verbs" ;;
	id) options+=' --relay --relay-key --second-relay --second-relay-key --no-second-relay --qr --qr-file --fingerprint' ;;
	contacts)
		[[ $operands -gt 0 || $word == -* ]] || options='list add accept show remove'
		if [[ $operands -eq 1 && $word != -* ]]; then
			_relaycall_names
			return
		fi
		;;
	call)
		options+=" $talking --timeout"
		if [[ $word != -* && $operands -eq 0 ]]; then
			_relaycall_names
			return
		fi
		;;
	answer) options+=" $talking --relay --relay-key --auto --ask --known --once" ;;
	listen) options+=' --relay --relay-key --dir --limit --ask --once --tokens --epoch' ;;
	send)
		options+=' --text --by-address --timeout --tokens --epoch'
		if [[ $word != -* && $operands -ge 1 ]]; then
			_relaycall_files -f
			return
		elif [[ $word != -* && $operands -eq 0 ]]; then
			_relaycall_names
			return
		fi
		;;
	token)
		if [[ $operands -eq 0 ]]; then
			options='request take count'
		elif [[ $word != -* ]]; then
			_relaycall_files -f
			return
		else
			options+=' --relay-key'
		fi
		;;
	esac
	# Options are offered when asked for; otherwise they would hide the verbs.
	[[ $word == -* || -n $verb ]] || options=$verbs
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _relaycall relaycall
