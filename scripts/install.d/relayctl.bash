# SPDX-License-Identifier: BSD-3-Clause
# bash completion for relayctl(8).

_relayctl() {
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' i
	local verbs='status stats top ports workers drain undrain reload guard token config version'
	COMPREPLY=()

	# Words that are the value of an option.
	case $previous in
	-s | --socket)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return
		;;
	-n | --count | -d | --delay | --deadline | --retire) return ;;
	esac

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-s | --socket | -n | --count | -d | --delay | --deadline | --retire) ((i++)) ;;
		-*) ;;
		*)
			verb=${COMP_WORDS[i]}
			break
			;;
		esac
	done

	local options='-s --socket -j --json -h --help'
	case $verb in
	'') options+=" $verbs" ;;
	stats) options+=' -a --all' ;;
	top) options+=' -d --delay -n --count' ;;
	drain) options+=' --deadline --wait' ;;
	reload) options+=' --check' ;;
	guard)
		[[ $previous != guard ]] || options='block allow remove'
		;;
	token)
		case $previous in
		token) options='keys public issue rotate' ;;
		rotate) options+=' --retire' ;;
		issue)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return
			;;
		esac
		;;
	config)
		if [[ $previous == check ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "$word")
			return
		fi
		[[ $previous != config ]] || options=check
		;;
	esac
	# Options are offered when asked for; otherwise they would hide the verbs.
	[[ $word == -* || -n $verb ]] || options=$verbs
	mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}
complete -F _relayctl relayctl
