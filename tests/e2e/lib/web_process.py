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
    """Its web process, once there is exactly one."""
    pid, = wait_until(lambda: len(children_of(daemon)) == 1 and children_of(daemon), what="one web process")
    web = Process(pid)
    try:
        yield web
    finally:
        web.close()


def serves_http(port, path="/time.json"):
    """Whether a new connection gets a complete response."""
    try:
        answer = fetch(port, path)
    except (OSError, http.client.HTTPException):
        return False
    return answer.status == 200 and len(answer.body) == int(answer.headers["Content-Length"])
