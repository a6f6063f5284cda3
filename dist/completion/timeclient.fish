# Completion of timeclient(1) for fish.

complete -c timeclient -f
complete -c timeclient -a 'daytime:// daytime+udp:// time:// time+udp:// ntp://' -d scheme
complete -c timeclient -a '(__fish_print_hostnames)' -d host
complete -c timeclient -s 4 -d 'ask over IPv4 only'
complete -c timeclient -s 6 -d 'ask over IPv6 only'
complete -c timeclient -s w -l timeout -x -d 'wait at most so many seconds'
complete -c timeclient -s n -l count -x -d 'take so many samples'
complete -c timeclient -s i -l interval -x -d 'seconds from one sample to the next'
complete -c timeclient -l utc -d 'print times in UTC'
complete -c timeclient -l format -x -d 'print times in this form of strftime'
complete -c timeclient -s j -l json -d 'print JSON objects'
complete -c timeclient -s q -l quiet -d 'say nothing of targets on standard error'
complete -c timeclient -l watch -d 'go on asking'
complete -c timeclient -l check -d 'be a monitoring plugin'
complete -c timeclient -s W -l warning -x -d 'the offset to warn at'
complete -c timeclient -s C -l critical -x -d 'the offset that is critical'
complete -c timeclient -l wait -x -d 'ask again until a target answers'
complete -c timeclient -l set -x -a 'step slew' -d 'set the clock'
complete -c timeclient -l max-offset -x -d 'leave the clock alone if it is off by more'
complete -c timeclient -l trust-one -d 'one target is enough'
complete -c timeclient -l dry-run -d 'only say what would be done'
complete -c timeclient -s V -l version -d 'print the version'
complete -c timeclient -s h -l help -d 'print a summary'
