# Completion of timeclient(1) for fish.

function __timeclient_targets
    set -l scheme (string match -r '^[a-z+]+://' -- (commandline -ct))
    printf '%s\n' "$scheme"(__fish_print_hostnames)
end

complete -c timeclient -f
complete -c timeclient -a 'daytime:// daytime+udp:// time:// time+udp:// ntp://' -d scheme
complete -c timeclient -a '(__timeclient_targets)' -d host
complete -c timeclient -s 4 -d 'use IPv4 only'
complete -c timeclient -s 6 -d 'use IPv6 only'
complete -c timeclient -s w -l timeout -x -d 'time limit of a query in seconds'
complete -c timeclient -s n -l count -x -d 'take N samples'
complete -c timeclient -s i -l interval -x -d 'seconds between samples'
complete -c timeclient -l utc -d 'print times in UTC'
complete -c timeclient -l format -x -d 'print times in this format of strftime'
complete -c timeclient -s j -l json -d 'print one JSON object per target'
complete -c timeclient -s q -l quiet -d 'no messages about targets on standard error'
complete -c timeclient -l watch -d 'repeat queries'
complete -c timeclient -l check -d 'run as a monitoring plugin'
complete -c timeclient -s W -l warning -x -d 'offset above which to warn'
complete -c timeclient -s C -l critical -x -d 'offset that is critical'
complete -c timeclient -l expect -x -d 'the offset to expect'
complete -c timeclient -l wait -x -d 'repeat until a target replies'
complete -c timeclient -l set -x -a 'step slew' -d 'set the clock'
complete -c timeclient -l max-offset -x -d 'do not correct more than this'
complete -c timeclient -l trust-one -d 'accept a single target'
complete -c timeclient -l dry-run -d 'only print what would be done'
complete -c timeclient -s V -l version -d 'print the version'
complete -c timeclient -s h -l help -d 'print help'
