"""The table for NTP over UDP."""

import os

import lab
import peers
import report
import udp

NAME = "ntp-udp"
TITLE = "NTP over UDP"
BASE = "echo"
OURS = "timeserver"
ANY = "timeserver, listen *"
BUSY = "timeserver, busy-poll 2000"
KEY = "maximum"
PEERS = ("chronyd", "ntpd (ntpsec)")
COMPARED = (BASE, PEERS[0])
COLUMNS = udp.COLUMNS
PORT = 123


def timeserver(name, build, work, *lines):
    command = [os.path.join(build, "timeserver"), "--foreground", "--pidfile",
               os.path.join(work, "timeserver.pid")]
    for line in ("clock local", "workers 1", *lines):
        command += ["--option", line]
    return peers.Server(name, command)


def servers(build, root, work):
    one, every = f"listen ntp {lab.SERVER_ADDRESS}:{PORT}", f"listen ntp *:{PORT}"
    there = {BASE: peers.Server(BASE, [os.path.join(build, "bench", "echo"), str(PORT)]),
             OURS: timeserver(OURS, build, work, one), ANY: timeserver(ANY, build, work, every),
             BUSY: timeserver(BUSY, build, work, one, "busy-poll 2000"),
             PEERS[0]: peers.chronyd(root, work), PEERS[1]: peers.ntpsec(root, work)}
    return ([server for server in there.values() if server],
            [name for name, server in there.items() if not server])


def measure(place, server, log):
    return udp.measure(place, server, log, "ntp", PORT, udp.NTP_REQUEST)


def targets(results):
    ours = udp.average(results, OURS, "cpu")
    theirs = [cpu for cpu in (udp.average(results, name, "cpu") for name in PEERS) if cpu]
    ratio = report.median(report.ratios(results, OURS, BASE, KEY))
    least = min(theirs) / ours if ours and theirs else None
    return [
        report.Target.at_least("max req/s at least 1.0 x echo", ratio, 1.0, " x"),
        report.Target.at_least("CPU time of the best peer at least 1.0 x ours", least, 1.0, " x"),
        report.Target.at_least("replies/s at overload at least 0.8 x the max",
                               udp.average(results, OURS, "goodput"), 0.8),
        report.Target.at_most("busy-poll: p50 at 1 k/s at most 8 µs",
                              udp.average(results, BUSY, "p50"), 8, " µs"),
    ]
