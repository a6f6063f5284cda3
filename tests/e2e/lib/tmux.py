"""A terminal whose screen a test can read."""

from lib.environment import wait_until


class Tmux:
    """A shell in a terminal of tmux."""

    def __init__(self, testbed, columns, rows, shell="bash --norc"):
        self.testbed, self.socket = testbed, testbed.root / "tmux"
        self("new-session", "-d", "-x", columns, "-y", rows, f"env PS1='$ ' LC_ALL=C.UTF-8 {shell}")
        self.type("clear; echo before")
        wait_until(lambda: self.lines()[:1] == ["before"], what="a shell")

    def __call__(self, *words):
        result = self.testbed.run("tmux", "-S", self.socket, "-f", "/dev/null", *words,
                                  env={"LC_ALL": "C.UTF-8", "TERM": "xterm"})
        assert result.code == 0, result
        return result.out

    def type(self, text):
        self("send-keys", "-l", text)
        self("send-keys", "Enter")

    def lines(self):
        return self("capture-pane", "-p").rstrip("\n").split("\n")

    def cursor(self):
        return self("display-message", "-p", "#{cursor_flag} #{alternate_on}").split()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self("kill-server")
