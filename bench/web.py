"""The table for the web clock: its speed and precision, and its effect on NTP.

Three programs share two cores: the NTP worker has one; the generators and the web process share the
other, where the web process and wrk get what the NTP generator leaves. The response time of NTP is
measured by the server's kernel stamps, so it does not include the load of the other core.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import lab
import ntp_udp
import report
import udp

NAME = "web"
TITLE = "The web clock, and NTP beside it"
OURS, BASE = "timeserver, web clock loaded", "timeserver, web clock idle"
KEY = "replied"
COMPARED = (BASE,)
PORT, WEB_PORT = 123, 8037
RATE, SECONDS, TRIES = 20000, 0.6, 7
PACE, PACED = 5000, 10000  # requests a second, and in all
STAMPS = re.compile(rb'"receive":([\d.]+),.*"transmit":([\d.]+)')
REQUEST = b"GET /time.json HTTP/1.1\r\nHost: bench\r\n\r\n"

COLUMNS = [
    report.Column("replied", "NTP replies/requests at 20 k/s", digits=3),
    report.Column("response", "mean NTP response µs, kernel stamps", digits=2),
    report.Column("p99", "p99 at most µs", digits=1),
    report.Column("beside", "HTTP req/s beside NTP", thousands=True),
    report.Column("alone", "HTTP req/s alone", thousands=True),
    report.Column("core", "HTTP req/s per core", thousands=True),
    report.Column("stay", "median ms from receive to transmit at 5 k/s", digits=3),
    report.Column("stay_p99", "p99", digits=3),
]


def servers(build, _root, work):
    lines = (f"listen ntp {lab.SERVER_ADDRESS}:{PORT}", f"listen http {lab.SERVER_ADDRESS}:{WEB_PORT}",
             "busy-poll 2000")
    return [ntp_udp.timeserver(name, build, work, *lines) for name in (BASE, OURS)], []


def web_process(place):
    for process in place.server.processes():
        with contextlib.suppress(OSError), open(f"/proc/{process}/comm", encoding="ascii") as file:
            if file.read() == "timeserver-web\n":
                return process
    raise lab.Failure("no web process")


def seconds_of(process):
    with open(f"/proc/{process}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[0]) / 1e9


def connect(place):
    with place.client.entered():
        return socket.create_connection((lab.SERVER_ADDRESS, WEB_PORT), 2)


def fetch(connection, request):
    """The reply to a request on a persistent connection."""
    connection.sendall(request)
    reply = connection.recv(65536)
    head, _, body = reply.partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65536)
    return body


def response_times(place):
    """The server's histogram of NTP response times: counts by upper bound, and the sum."""
    with connect(place) as connection:
        text = fetch(connection, REQUEST.replace(b"/time.json", b"/metrics")).decode()
    name = "timeserver_response_time_seconds"
    steps = re.findall(name + r'_bucket{protocol="ntp",le="([^"]+)"} (\d+)', text)
    total = float(re.search(name + r"_sum\S* (\S+)", text)[1])
    return {float(bound): int(count) for bound, count in steps}, total


@contextlib.contextmanager
def loaded(place, wanted):
    """Runs wrk at the client's end, on the core of the generators with the lowest priority. The
    result has its requests per second once it has ended."""
    result = {}
    if not wanted:
        yield result
        return
    command = ["taskset", "-c", str(lab.GENERATOR_CORE), "nice", "-n", "19", "wrk", "-t1", "-c16", "-d30",
               f"http://{lab.SERVER_ADDRESS}:{WEB_PORT}/time.json"]
    with place.client.entered():
        load = subprocess.Popen(  # pylint: disable=consider-using-with
            command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        time.sleep(0.3)
        yield result
    finally:
        load.send_signal(signal.SIGINT)
        output = load.communicate(timeout=10)[0]
    result["beside"] = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def beside(place, process, wanted):
    """NTP at a fixed rate, with or without wrk beside it."""
    os.sched_setaffinity(process, {lab.GENERATOR_CORE})
    os.setpriority(os.PRIO_PROCESS, process, 19)
    figures = []
    with loaded(place, wanted) as result:
        for _ in range(TRIES):
            figures.append(once(place))
    return result | {key: report.median([figure[key] for figure in figures]) for key in figures[0]}


def once(place):
    """NTP for SECONDS, and its response times by the server's kernel stamps."""
    before, sum_before = response_times(place)
    result = udp.flood(place, "ntp", PORT, RATE, SECONDS)
    after, sum_after = response_times(place)
    counts = {bound: after[bound] - before[bound] for bound in after}
    total = counts[float("inf")]
    return {
        "replied": result["replied"] / result["sent"],
        "response": (sum_after - sum_before) / max(total, 1) * 1e6,
        "p99": min(bound for bound, count in counts.items() if count >= 0.99 * total) * 1e6,
    }


def alone(place, process):
    """wrk on one core, the web process on the other."""
    os.sched_setaffinity(process, {lab.SERVER_CORE})
    command = lab.on_core(lab.GENERATOR_CORE, ["wrk", "-t1", "-c16", "-d2",
                                               f"http://{lab.SERVER_ADDRESS}:{WEB_PORT}/time.json"])

    def load():
        with place.client.entered():
            output = subprocess.run(command, capture_output=True, text=True, check=True,
                                  start_new_session=True).stdout
        return {"requests": int(re.search(r"(\d+) requests in", output)[1]),
                "alone": float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])}
    before = seconds_of(process)
    result = place.observe(load)
    spent = seconds_of(process) - before
    return {"alone": result["alone"], "core": result["requests"] / spent, "foreign": result["foreign"]}


def paced(place):
    """The time from receive to transmit in the replies, at a given rate."""
    home = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {lab.GENERATOR_CORE})
    stays = []
    try:
        with contextlib.ExitStack() as stack:
            connections = [stack.enter_context(connect(place)) for _ in range(8)]
            due = time.monotonic()
            for number in range(PACED):
                while time.monotonic() < due:
                    pass
                due += 1 / PACE
                receive, transmit = STAMPS.search(fetch(connections[number % 8], REQUEST)).groups()
                stays.append((float(transmit) - float(receive)) * 1e3)
            late = time.monotonic() - due
    finally:
        os.sched_setaffinity(0, home)
    if late > 0.1 * PACED / PACE:
        raise lab.Failure(f"the rate was not kept: {late:.2f} s late")
    stays.sort()
    return {"stay": stays[len(stays) // 2], "stay_p99": stays[len(stays) * 99 // 100]}


def measure(place, server, log):
    place.start(server.command, server.environment, log)
    udp.await_reply(place, PORT, udp.NTP_REQUEST)
    process = web_process(place)
    figures = alone(place, process) | paced(place) if server.name == BASE else {}
    return figures | beside(place, process, server.name == OURS)


def targets(results):
    ratio = report.median(report.ratios(results, OURS, BASE, "replied"))
    response = report.median(report.ratios(results, OURS, BASE, "response"))
    return [
        report.Target.at_least("NTP replies, web clock loaded, at least 0.95 x idle", ratio, 0.95, " x"),
        report.Target.at_most("its mean response at most 1.05 x idle", response, 1.05, " x"),
        report.Target.at_least("/time.json on one core at least 5,000 a second",
                               udp.average(results, BASE, "core"), 5000),
        report.Target.at_most("receive to transmit at 5,000 a second, p99, at most 1 ms",
                              udp.average(results, BASE, "stay_p99"), 1, " ms"),
    ]
