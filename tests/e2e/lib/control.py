"""Reloads, the control socket, and the protocol of an upgrade."""
import array
import json
import socket

from lib.environment import longer
from lib.testbed import directives


def start_with_file(testbed, *lines):
    testbed.config("".join(f"{line}\n" for line in lines))
    return testbed.start("-c", testbed.dir / "t.conf")


def reload(testbed, *lines):
    """Reloads with another configuration; returns the exit status and output of the command."""
    testbed.config("".join(f"{line}\n" for line in lines))
    return tuple(testbed.signal("reload"))


def reloaded(daemon):
    """What reload() returns if it succeeds."""
    return 0, f"timeserver: process {daemon.pid} reloaded\n", ""


def listener_of(daemon, port):
    """The inodes of the daemon's listeners at a port: a listener that stays keeps its inode."""
    own, found = set(daemon.descriptors().values()), set()
    for table in ("tcp", "tcp6"):
        for line in daemon.proc(f"net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{words[9]}]")
    return found & own


def connect_control(testbed):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(longer(5))
    connection.connect(str(testbed.pidfile.with_suffix(".sock")))
    return connection


def ntp_and_daytime(port, *more):
    """The options of a daemon with NTP and Daytime at one port."""
    return directives(f"listen ntp {port}", f"listen daytime/tcp {port}", "clock local", *more)


def request_upgrade(testbed):
    """Requests an upgrade as a new process does. Returns the connection, and the messages and
    descriptors that the daemon hands over."""
    connection = connect_control(testbed)
    connection.send(b'{"version":1,"command":"upgrade"}')
    messages, descriptors = [], array.array("i")
    while not messages or messages[-1]["item"] != "end":
        data, attached, _, _ = connection.recvmsg(1000, socket.CMSG_SPACE(4))
        assert data, messages
        messages.append(json.loads(data))
        for _, _, content in attached:
            descriptors.frombytes(content)
    return connection, messages, descriptors
