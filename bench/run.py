#!/usr/bin/python3
"""Measures timeserver, minimal servers and peers: see bench/README.md.

Each round measures every server once (A B C, A B C, ...), each in a new lab. The report goes to
standard output, in Markdown; progress goes to standard error.
"""

import sys

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import argparse
import os
import shlex
import shutil
import signal
import subprocess
import tempfile

import accuracy
import daytime_tcp
import lab
import ntp_udp
import peers
import report
import udp_small
import web

TABLES = {table.NAME: table for table in (daytime_tcp, ntp_udp, *udp_small.TABLES, accuracy, web)}

# Debian packages that are needed, and how to detect them.
TOOLS = [
    ("clang", lambda: shutil.which("clang")),
    ("libbpf-dev", lambda: os.path.exists("/usr/include/bpf/bpf_helpers.h")),
    ("iproute2", lambda: shutil.which("ip")),
    ("netbase", lambda: os.path.exists("/etc/services")),  # inetd looks up the port of Daytime
    ("wrk", lambda: shutil.which("wrk")),
    ("util-linux", lambda: shutil.which("setpriv") and shutil.which("taskset")),
]


def talk(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def stop(signal_number, _frame):
    raise SystemExit(128 + signal_number)


def tools_missing():
    """Prints what is missing in one line; returns the exit status."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    packages = [package for package, there in TOOLS if not there()]
    if packages:
        talk(f"missing: {' '.join(packages)}; on Debian: apt-get install {' '.join(packages)}")
        return 1
    if os.geteuid() != 0:
        talk("needs root, for network namespaces and BPF")
        return 77
    if not {lab.GENERATOR_CORE, lab.SERVER_CORE} <= os.sched_getaffinity(0):
        talk(f"needs cores {lab.GENERATOR_CORE} and {lab.SERVER_CORE}")
        return 1
    return 0


def options():
    parser = argparse.ArgumentParser(description="Measure time servers side by side.")
    parser.add_argument("--table", choices=[*TABLES, "all"], default="all")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--only", metavar="NAME,...", help="only these servers")
    parser.add_argument("--server", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server, which stays in the foreground; repeatable")
    parser.add_argument("--build", default="build", metavar="DIRECTORY", help="default: build")
    parser.add_argument("--check-tools", action="store_true",
                        help="only check that all tools are there")
    return parser.parse_args()


def servers_chosen(table, chosen, work):
    build = os.path.abspath(chosen.build)
    root = os.path.abspath(os.environ.get("BENCH_PEERS", os.path.join(build, "peers")))
    servers, missing = table.servers(build, root, work)
    for extra in chosen.server:
        name, _, command = extra.partition("=")
        servers.append(peers.Server(name, shlex.split(command)))
    for name in missing:
        talk(f"{name} is missing and left out; bench/fetch-peers downloads it")
    if chosen.only:
        names = chosen.only.split(",")
        servers = [server for server in servers if server.name in names]
        missing = []
    return servers, missing


def show(figures):
    parts = []
    for key, value in figures.items():
        value = report.median(value) if isinstance(value, list) else value
        if isinstance(value, bool):
            parts += [key] if value else []
        elif value is not None:
            parts.append(f"{key} {value:.2f}" if value < 1000 else f"{key} {value:.0f}")
    return ", ".join(parts)


def rounds_run(table, servers, chosen, work):
    """The figures of every server and round; none for a round that failed."""
    programs = os.path.join(os.path.abspath(chosen.build), "bench")
    results = {server.name: [] for server in servers}
    for number in range(chosen.rounds):
        for server in servers:
            figures = {}
            try:
                with lab.Lab(programs) as place:
                    figures = table.measure(place, server, os.path.join(work, "server.log"))
                talk(f"round {number + 1}, {server.name}: {show(figures)}")
            except (lab.Failure, OSError, subprocess.SubprocessError) as failure:
                talk(f"round {number + 1}, {server.name}: failed: {failure}")
            results[server.name].append(figures)
    return results


def command_line():
    """The command that runs the same again."""
    flags = sys.argv[1:]
    if "--build" in flags:
        at = flags.index("--build")
        del flags[at:at + 2]
    return "make bench" + (" " + shlex.quote(f"BENCH_FLAGS={shlex.join(flags)}") if flags else "")


def head_print(table, servers, missing, rounds):
    print(f"# {table.TITLE}\n")
    print(f"{report.today()}, {rounds} rounds, by `{command_line()}`, on {report.machine()}.")
    versions = [f"{server.name} {server.version}" for server in servers if server.version]
    if versions:
        print(f"Peers: {', '.join(versions)} (Debian).")
    if missing:
        print(f"Missing, left out: {', '.join(missing)}.")
    print("Medians over the rounds, the range in brackets.\n")


def caveats_print(results):
    """Prints what disturbed the measurements."""
    foreign = [figures["foreign"] for rounds in results.values() for figures in rounds
               if "foreign" in figures]
    if foreign:
        print(f"Other processes took {100 * report.median(foreign):.0f} % of a core, "
              f"{100 * max(foreign):.0f} % at most.")
        if report.median(foreign) > lab.FOREIGN_MAX:
            print("**Too much: measure again on an idle machine.**")
    limited = [name for name, rounds in results.items()
               if any(figures.get("generator_limited") for figures in rounds)]
    if limited:
        print(f"The generator was the limit in some rounds: {', '.join(limited)}.")
    print()


def report_print(table, results):
    print(report.figures_table(table.COLUMNS, results))
    caveats_print(results)
    print("Ratio per round:\n" if table.KEY != "maximum"
          else "Ratio of the maxima per round:\n")
    print(report.ratios_table(results, table.KEY, table.COMPARED))
    print(report.targets_table(table.targets(results)), end="")


def table_run(table, chosen):
    """Measures and prints a table. Returns whether every round of every server has figures."""
    with tempfile.TemporaryDirectory(prefix="timeserver-bench-") as work:
        servers, missing = servers_chosen(table, chosen, work)
        results = rounds_run(table, servers, chosen, work)
    head_print(table, servers, missing, chosen.rounds)
    report_print(table, results)
    print(flush=True)
    return all(all(rounds) for rounds in results.values())


def main():
    chosen = options()
    status = tools_missing()
    if status or chosen.check_tools:
        return status
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    whole = True
    for table in TABLES.values():
        if chosen.table in (table.NAME, "all"):
            whole = table_run(table, chosen) and whole
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
