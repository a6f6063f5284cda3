# Completion of timeserver(8) for bash.

_timeserver()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

	# "=" is a word of its own: "--signal=st" is "--signal", "=" and "st".
	if [[ $word == = ]]; then
		word=''
	elif [[ $before == = ]]; then
		before=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $before in
	-c | --config | -p | --pidfile)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	-s | --signal)
		mapfile -t COMPREPLY < <(compgen -W 'stop reload status' -- "$word") ;;
	-u | --user)
		mapfile -t COMPREPLY < <(compgen -u -- "$word") ;;
	-o | --option)
		COMPREPLY=() ;;
	*)
		mapfile -t COMPREPLY < <(compgen -W '-c --config -o --option -n --foreground -d --debug
			-t --test -T --dump-config -s --signal -p --pidfile -u --user --json --upgrade
			-V --version -h --help' -- "$word") ;;
	esac
}

complete -F _timeserver timeserver
