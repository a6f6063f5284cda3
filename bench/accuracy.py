"""The table for the accuracy of NTP: server and client share a clock, so every offset is an error."""

import os
import subprocess

import lab
import ntp_udp
import peers
import report
import udp

NAME = "accuracy"
TITLE = "Accuracy of NTP in basic mode"
OURS = "timeserver"
KEY = "median"
COMPARED = ("chronyd",)
PORT = 123
COUNT, PER_SECOND = 400, 64
LOAD = 100000

COLUMNS = [
    report.Column("median", "median abs offset µs", digits=2),
    report.Column("p99", "p99", digits=2),
    report.Column("signed", "signed median", digits=2),
    report.Column("there", "delay to the server µs", digits=2),
    report.Column("back", "delay back µs", digits=2),
    report.Column("loaded", "median abs offset at 100 k req/s", digits=2),
    report.Column("loaded_p99", "p99", digits=2),
]


def servers(build, root, work):
    there = {OURS: ntp_udp.timeserver(OURS, build, work, f"listen ntp *:{PORT}"),
             "chronyd": peers.chronyd(root, work), "ntpd (ntpsec)": peers.ntpsec(root, work)}
    return ([server for server in there.values() if server],
            [name for name, server in there.items() if not server])


def offset(place, count):
    return place.run_client("offset", lab.SERVER_ADDRESS, PORT, count, PER_SECOND)


def measure(place, server, log):
    place.start(server.command, server.environment, log)
    udp.await_reply(place, PORT, udp.NTP_REQUEST)
    alone = place.observe_quietly(lambda: offset(place, COUNT))
    command = lab.on_core(lab.GENERATOR_CORE, [
        os.path.join(place.programs, "flood"), "-i", "client0", "-m", lab.SERVER_MAC, "-d",
        lab.SERVER_ADDRESS, "-p", str(PORT), "-r", str(LOAD), "-t", "5", "-k", "ntp", "-o",
        os.path.join(place.programs, "flood.bpf.o")])
    with place.client.entered():
        load = subprocess.Popen(  # pylint: disable=consider-using-with
            command, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        beside = offset(place, COUNT // 2)
    finally:
        load.wait(20)
    figures = {key: alone[key] for key in ("median", "p99", "signed", "there", "back", "foreign")}
    return figures | {"loaded": beside["median"], "loaded_p99": beside["p99"]}


def targets(results):
    return [
        report.Target.at_most("median abs offset at most 1.5 µs",
                              udp.average(results, OURS, "median"), 1.5, " µs"),
        report.Target.at_most("its p99 at most 8 µs", udp.average(results, OURS, "p99"), 8, " µs"),
        report.Target.at_most("median abs offset at 100,000 req/s at most 1.0 µs",
                              udp.average(results, OURS, "loaded"), 1.0, " µs"),
    ]
