# Completion of timeclient(1) for bash.

_timeclient()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

	case $before in
	--set)
		mapfile -t COMPREPLY < <(compgen -W 'step slew' -- "$word")
		return ;;
	-w | --timeout | -n | --count | -i | --interval | --format | -W | --warning | -C | --critical | \
		--expect | --wait | --max-offset)
		COMPREPLY=()
		return ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '-4 -6 -w --timeout -n --count -i --interval --utc
			--format -j --json -q --quiet --watch --check -W --warning -C --critical --expect
			--wait --set --max-offset --trust-one --dry-run -V --version -h --help' -- "$word")
		return
	fi
	compopt -o nospace
	mapfile -t COMPREPLY < <(compgen -W 'daytime:// daytime+udp:// time:// time+udp:// ntp://' -- "$word"
		compgen -A hostname -- "$word")
}

complete -F _timeclient timeclient
