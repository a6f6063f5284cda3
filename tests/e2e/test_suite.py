"""The tests' own tools: a test that hangs fails in time and says where."""
import os
import socket
import time

import pytest

from lib.environment import longer
from lib.process import read_within
from lib.time_limit import limited


def read_pipe(descriptors):
    os.read(descriptors[0], 1)


def receive_datagram(_):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("127.0.0.1", 0))
        client.recv(1)


def wait_for_child(_):
    child = os.fork()
    if child == 0:
        time.sleep(longer(30))
        os._exit(0)
    try:
        os.waitpid(child, 0)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.parametrize("hang", [read_pipe, receive_datagram, wait_for_child])
def test_a_test_that_hangs_fails(hang):
    descriptors = os.pipe()
    began = time.monotonic()
    with pytest.raises(pytest.fail.Exception, match="still running after 0.2 s") as failed, limited(0.2):
        hang(descriptors)
    assert hang.__name__ in [entry.name for entry in failed.traceback], "it shows where"
    assert time.monotonic() - began < longer(20)
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_limit_ends_with_its_block():
    with limited(0.1):
        pass
    time.sleep(0.3)


def test_a_pipe_that_stays_open_is_no_end():
    reader, writer = os.pipe()
    with pytest.raises(AssertionError, match="nothing to read, and not closed"):
        read_within(reader, 1, 0.1)
    os.close(writer)
    assert read_within(reader, 1) == b""
    os.close(reader)
