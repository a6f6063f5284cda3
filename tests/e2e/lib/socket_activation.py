"""Starts timeserver with inherited sockets, as a service manager does."""
import sys

# Passes the sockets as descriptors 3 and up, and says in the environment which process they are for.
ACTIVATE = """
import os, sys
count = int(sys.argv[1])
held = [os.dup(int(word)) for word in sys.argv[2:2 + count]]
high = [os.dup2(fd, 100 + number) for number, fd in enumerate(held)]
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number, inheritable=True)
os.closerange(3 + count, 200)
pid = os.getpid() + int(os.environ.get("OFF", 0))
os.environ.update(LISTEN_FDS=str(count), LISTEN_PID=str(pid))
os.execvp(sys.argv[2 + count], sys.argv[2 + count:])
"""


def activate(testbed, sockets, *arguments, names=None, env=None, start=None):
    numbers = [one.fileno() for one in sockets]
    before = [sys.executable, "-c", ACTIVATE, len(numbers), *numbers]
    env = (env or {}) | ({"LISTEN_FDNAMES": names} if names is not None else {})
    return (start or testbed.foreground)(*arguments, before=before, pass_fds=numbers, env=env)
