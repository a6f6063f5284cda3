# Completion of timeserver(8) for fish.

complete -c timeserver -f
complete -c timeserver -s c -l config -r -F -d 'read this file'
complete -c timeserver -s o -l option -x -d 'one line of configuration'
complete -c timeserver -s n -l foreground -d 'stay in the foreground, log to standard error'
complete -c timeserver -s d -l debug -d 'like --foreground, and log more'
complete -c timeserver -s t -l test -d 'check the configuration'
complete -c timeserver -s T -l dump-config -d 'print the configuration in effect'
complete -c timeserver -s s -l signal -x -a 'stop reload status' -d 'send a command to the running daemon'
complete -c timeserver -s p -l pidfile -r -F -d 'use this pid file'
complete -c timeserver -s u -l user -x -a '(__fish_complete_users)' -d 'run as this user'
complete -c timeserver -l json -d 'print the status as JSON'
complete -c timeserver -l upgrade -d 'replace the running daemon without losing requests'
complete -c timeserver -s V -l version -d 'print the version'
complete -c timeserver -s h -l help -d 'print help'
