"""The table for Daytime over TCP: servers, measurements, targets."""

import os
import time

import lab
import peers
import report

NAME = "daytime-tcp"
TITLE = "Daytime over TCP"
OURS = "timeserver"
BASE = "bare"
LIMIT = "bare, resetting"  # text and FIN in one segment, but a client that has sent something is reset
KEY = "maximum"
COMPARED = (BASE, "xinetd")  # the ratio to these is printed

PORT = 13
LOSS_MAX = 0.01
SENT_MIN = 0.97  # share of the rate that the generator must reach
QUEUE_MAX_US = 2000  # median reply time above which a queue builds up
RATE_FIRST, RATE_LAST, RATE_STEP = 16000, 250000, 1.3
BISECTIONS = 6
OVERLOAD = 200000
STARTS = 10

COLUMNS = [
    report.Column("maximum", "max conn/s, at most 1 % lost", thousands=True),
    report.Column("overload", "conn/s at overload", thousands=True),
    report.Column("cpu", "CPU s per million, saturated", digits=1),
    report.Column("p99", "p99 µs, 64 at once"),
    report.Column("errors", "errors"),
    report.Column("resident", "resident MiB", digits=2),
    report.Column("resident_peak", "its peak", digits=2),
    report.Column("start", "start to serving, ms", digits=1),
]


def timeserver(build, work):
    program = os.path.join(build, "timeserver")
    pidfile = ["--pidfile", os.path.join(work, "timeserver.pid")]
    options = ["--option", f"listen daytime/tcp *:{PORT}", *pidfile]
    return peers.Server(OURS, [program, "--foreground", *options], daemon=[program, *options],
                        stop=[program, "--signal", "stop", *pidfile])


def servers(build, root, work):
    """The available servers, in the order of the table, and the names of the missing ones."""
    bare = [os.path.join(build, "bench", "bare"), str(PORT)]
    there = {BASE: peers.Server(BASE, bare), LIMIT: peers.Server(LIMIT, [*bare, "more"]),
             OURS: timeserver(build, work), "xinetd": peers.xinetd(root, work),
             "openbsd-inetd": peers.openbsd_inetd(root, work)}
    return ([server for server in there.values() if server],
            [name for name, server in there.items() if not server])


def flood(place, rate, seconds):
    return place.run_client(
        "flood", "-i", "client0", "-m", lab.SERVER_MAC, "-d", lab.SERVER_ADDRESS, "-p", PORT,
        "-r", rate, "-t", seconds, "-o", os.path.join(place.programs, "flood.bpf.o"))


def sustained(place, rate):
    """The result of a rate, and whether the server sustained it.

    Foreign load cannot help a server, so success counts at once; failure is measured again without
    foreign load.
    """
    for observe in (place.observe, place.observe_quietly):
        result = observe(lambda: flood(place, rate, 0.3))
        lost = 1 - result["replied"] / result["sent"]
        result["short"] = result["sent_rate"] < SENT_MIN * rate
        if lost <= LOSS_MAX and result["p50_us"] < QUEUE_MAX_US and not result["short"]:
            return result, True
        time.sleep(0.1)
    return result, False


def maximum(place):
    """The highest rate that the server sustains, in steps and then bisected.

    Also returns whether the generator was the limit.
    """
    good, bad, best, short = 0, 0, 0, False
    rate = RATE_FIRST
    steps = BISECTIONS
    while steps > 0 and rate < RATE_LAST:
        result, held = sustained(place, rate)
        if held:
            good, best = rate, result["reply_rate"]
        else:
            bad, short = rate, result["short"]
        if bad:
            steps -= 1
        rate = (good + bad) / 2 if bad else rate * RATE_STEP
    return best, short or not bad


def start_times(place, server):
    """Milliseconds from the start of a daemon's first process to its exit with 0."""
    found = []
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    for _ in range(STARTS if server.daemon else 0):
        with place.server.entered():
            begin = time.monotonic_ns()
            process = os.posix_spawn(server.daemon[0], server.daemon, os.environ,
                                     file_actions=quiet)
            status = os.waitpid(process, 0)[1]
            end = time.monotonic_ns()
        if status != 0 or not place.query(PORT):
            raise lab.Failure("does not start as a daemon")
        found.append((end - begin) / 1e6)
        stopper = os.posix_spawn(server.stop[0], server.stop, os.environ, file_actions=quiet)
        os.waitpid(stopper, 0)
    return found


def measure(place, server, log):
    """One round of one server."""
    starts = start_times(place, server)
    place.start(server.command, server.environment, log)
    place.await_reply(PORT)
    highest, limited = maximum(place)
    overload = place.observe_quietly(lambda: flood(place, OVERLOAD, 0.6))
    time.sleep(0.3)
    latency = place.observe_quietly(
        lambda: place.run_client("latency", lab.SERVER_ADDRESS, PORT, 64, 1.0))
    resident, resident_peak = place.server_memory()
    replies = max(overload["replied"], 1)
    return {
        "maximum": highest,
        "overload": overload["steady_rate"],
        "cpu": overload["server_seconds"] / replies * 1e6,
        "p99": latency["p99_us"],
        "errors": sum(latency[key] for key in ("refused", "broken", "bad", "local", "stuck")),
        "resident": resident,
        "resident_peak": resident_peak,
        "start": starts,
        "generator_limited": limited,
        "resets": overload["resets"],
        "offered": overload["sent_rate"],
        "foreign": max(overload["foreign"], latency["foreign"]),
    }


def targets(results):
    ours = results.get(OURS, [])

    def ratio(base):
        return report.median(report.ratios(results, OURS, base, KEY))

    def figure(key):
        return report.median(report.values_of(ours, key))

    return [
        report.Target.at_least("max conn/s at least 1.2 x bare", ratio(BASE), 1.2, " x"),
        report.Target.at_least("max conn/s at least 2 x xinetd", ratio("xinetd"), 2, " x"),
        report.Target.at_most("at most 2 MiB resident, at the peak", figure("resident_peak"), 2,
                              " MiB"),
        report.Target.at_most("start to serving in at most 10 ms", figure("start"), 10, " ms"),
        report.Target.at_most("no errors", figure("errors"), 0),
    ]
