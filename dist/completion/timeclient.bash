# Completion of timeclient(1) for bash.

_timeclient()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} target scheme='' kept=''

	# "=" is a word of its own: "--set=st" is "--set", "=" and "st".
	if [[ $word == = ]]; then
		word=''
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
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

	# ":" is a word of its own, too; what is before it stays.
	target=${COMP_LINE:0:COMP_POINT}
	target=${target##*[[:blank:]]}
	[[ $target == *://* ]] && scheme=${target%%://*}://
	[[ $target == *:* && $COMP_WORDBREAKS == *:* ]] && kept=${target%"${target##*:}"}
	compopt -o nospace
	mapfile -t COMPREPLY < <(compgen -W 'daytime:// daytime+udp:// time:// time+udp:// ntp://' -- "$target"
		compgen -P "$scheme" -A hostname -- "${target#"$scheme"}")
	COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

complete -F _timeclient timeclient
