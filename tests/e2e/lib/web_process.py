"""The web process of a daemon."""
import contextlib
import http.client

from lib.environment import wait_until
from lib.http_client import fetch
from lib.process import Process


def children_of(daemon):
    return [int(word) for word in daemon.proc(f"task/{daemon.pid}/children").read_text().split()]


@contextlib.contextmanager
def web_process_of(daemon):
    """The web process of a daemon, once there is exactly one."""
    pid, = wait_until(lambda: len(children_of(daemon)) == 1 and children_of(daemon), what="one web process")
    web = Process(pid)
    try:
        yield web
    finally:
        web.close()


def serves_http(port, path="/time.json", host="127.0.0.1"):
    """Whether a new connection gets a complete reply."""
    try:
        reply = fetch(port, path, host=host)
    except (OSError, http.client.HTTPException):
        return False
    return reply.status == 200 and len(reply.body) == int(reply.headers["Content-Length"])
