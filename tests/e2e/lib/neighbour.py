"""Another host on a link: a network namespace at the other end of a pair of virtual interfaces."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess

from lib.isolate import check, CLONE_NEWNET, libc


def ip(*commands, options=()):
    """Runs commands of ip(8), each a line."""
    subprocess.run(["ip", *options, "-batch", "-"], input="\n".join(commands), text=True, check=True)


def set_network_option(path, value):
    pathlib.Path(f"/proc/sys/net/{path}").write_text(f"{value}\n")


class Neighbour:
    """A host with the interface NAME1, linked to our interface NAME0."""

    def __init__(self, name="lan"):
        self.near, self.far = f"{name}0", f"{name}1"
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        check(libc.unshare(CLONE_NEWNET), "unshare")
        self.namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        check(libc.setns(self.home, 0), "setns")
        ip(f"link add {self.near} type veth peer name {self.far} netns"
           f" /proc/{os.getpid()}/fd/{self.namespace}", f"link set {self.near} up")
        set_network_option(f"ipv4/conf/{self.near}/rp_filter", 0)
        with self.inside():
            ip("link set lo up", f"link set {self.far} up")

    @contextlib.contextmanager
    def inside(self):
        """Sockets and processes that are made in the with block are the neighbour's."""
        check(libc.setns(self.namespace, 0), "setns")
        try:
            yield
        finally:
            check(libc.setns(self.home, 0), "setns")

    def address(self, *near, far=()):
        """Gives addresses with prefix lengths to both ends of the link."""
        ip(*(f"addr add {address} dev {self.near} {nodad(address)}" for address in near))
        with self.inside():
            ip(*(f"addr add {address} dev {self.far} {nodad(address)}" for address in far))

    def learn(self, near=(), far=()):
        """Makes each end know these addresses of the other one, without ARP or neighbour discovery. All
        network namespaces share a table of 1,024 neighbours, in which such entries do not count."""
        def add(addresses, device, link):
            ip(*(f"neigh replace {address} lladdr {link} nud permanent dev {device}" for address in addresses))
        near_link = link_address(self.near)
        with self.inside():
            far_link = link_address(self.far)
            add(far, self.far, near_link)
        add(near, self.near, far_link)

    def udp_socket(self, address=None, family=socket.AF_INET):
        """A socket of the neighbour, at one of its addresses."""
        if address:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.inside():
            made = socket.socket(family, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.far.encode())
        if address:
            made.bind((address, 0))
        return made

    def close(self):
        ip(f"link del {self.near}")
        os.close(self.namespace)
        os.close(self.home)


def link_address(device):
    shown = subprocess.run(["ip", "-json", "link", "show", device], check=True, capture_output=True)
    return json.loads(shown.stdout)[0]["address"]


def nodad(address):
    return "nodad" if ":" in address else ""


@contextlib.contextmanager
def neighbour(name="lan"):
    with contextlib.closing(Neighbour(name)) as made:
        yield made
