"""An HTTP client: parsed and raw replies."""
import contextlib
import http.client
import re
import types

from lib.daytime_client import connect, receive_all
from lib.environment import longer
from lib.testbed import directives

DEADLINE = 10  # seconds for a request, and between two requests
PAGES = ["/", "/time.json", "/cgi-bin/json", "/status", "/status.json", "/metrics", "/healthz"]


def start_web(testbed, port, *lines, clock="local"):
    """Starts a daemon that serves HTTP, with more lines of configuration."""
    lines = [f"clock {clock}", f"listen http 127.0.0.1:{port}", *lines]
    return testbed.start(*directives(*lines))


def fetch(port, path, method="GET", body=None, host="127.0.0.1", **headers):
    """The status, headers and body of the reply."""
    connection = http.client.HTTPConnection(host, port, timeout=longer(5))
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return types.SimpleNamespace(status=reply.status, headers=reply.headers,
                                     body=reply.read())


def send_raw(port, data):
    """All bytes received until the server closes; b"" if it resets."""
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(data)
        return receive_all(connection)
    return b""


def status_code(reply):
    """The status code of a raw reply; None if the connection was closed without one."""
    match = re.match(rb"HTTP/1\.[01] (\d{3}) ", reply)
    assert match or reply == b"", reply[:200]
    return int(match[1]) if match else None


def is_closed(connection):
    """Whether the other end has closed; data is discarded."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def connections_of(port):
    text = fetch(port, "/metrics").body.decode()
    return int(re.search(r"(?m)^timeserver_http_connections (\d+)$", text)[1])
