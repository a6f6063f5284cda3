"""The tables for Daytime and Time over UDP: requests of one byte."""

import os

import ntp_udp
import peers
import report
import udp

BASE = "echo"
OURS = "timeserver"
KEY = "maximum"
COMPARED = (BASE, "openbsd-inetd")
COLUMNS = [column for column in udp.COLUMNS if column.key not in ("p50", "p99")]


class Table:
    """The table for Daytime or Time."""

    BASE, OURS, KEY, COMPARED, COLUMNS = BASE, OURS, KEY, COMPARED, COLUMNS

    def __init__(self, service, port):
        self.service, self.port = service, port
        self.NAME, self.TITLE = f"{service}-udp", f"{service.capitalize()} over UDP"

    def servers(self, build, root, work):
        echo = peers.Server(BASE, [os.path.join(build, "bench", "echo"), str(self.port)])
        ours = ntp_udp.timeserver(OURS, build, work, "ratelimit off",
                                  f"listen {self.service}/udp 10.99.0.2:{self.port}")
        there = {BASE: echo, OURS: ours, "xinetd": peers.xinetd(root, work, self.service, "udp"),
                 "openbsd-inetd": peers.openbsd_inetd(root, work, self.service, "udp")}
        return ([server for server in there.values() if server],
                [name for name, server in there.items() if not server])

    def measure(self, place, server, log):
        return udp.measure(place, server, log, "byte", self.port, b"\n")

    def targets(self, results):
        ratio = report.median(report.ratios(results, OURS, BASE, KEY))
        return [report.Target.at_least("max req/s at least 1.0 x echo", ratio, 1.0, " x")]


TABLES = (Table("daytime", 13), Table("time", 37))
