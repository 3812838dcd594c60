"""Deno's own Jupyter kernel as a child process: its start, Stop, and its end.

Imports only the standard library, so that Deno starts while Python still loads the rest.
"""

import json
import os
import random
import signal
import socket
import subprocess
import tempfile

CHANNELS = ("shell", "control", "stdin", "iopub", "hb")

# Below the ports that Linux, macOS and Windows give to sockets without a port of their own. Jupyter
# takes the ports of other kernels from those, before anything listens to them.
PORTS = range(20_000, 32_000)


class InnerKernel:
    """A process of Deno's kernel, which does not outlive this process."""

    def __init__(self, deno: str, connection: dict) -> None:
        """Starts the process.

        `connection` is the content of Jupyter's connection file. The inner kernel has the same key,
        so that signed messages pass without a change, and ports of its own.
        """
        self.connection = {
            **connection,
            "transport": "tcp",
            "ip": "127.0.0.1",
            **dict(zip((f"{channel}_port" for channel in CHANNELS), free_ports(len(CHANNELS)))),
        }
        # Only this user can read it, because the key is in it.
        file, self._connection_file = tempfile.mkstemp(suffix=".json")
        with os.fdopen(file, "w") as stream:
            json.dump(self.connection, stream)
        # Stop is a SIGINT, which ends a process without a listener, for example while a cell
        # imports the library. The shell ignores the signal and Deno inherits that; a later
        # listener, such as the one of lib/tensor/interrupt.ts, still receives it.
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", 'trap "" INT; exec "$0" "$@"', deno]
            + ["jupyter", "--kernel", "--conn", self._connection_file],
            # Jupyter signals the group of this process. In a group of its own the inner kernel
            # receives each Stop once, whether the group or only this process was meant.
            start_new_session=True,
        )
        # Its standard input closes when this process ends in whatever way; then it kills the inner
        # kernel. It is in a group of its own, because Jupyter kills whole groups.
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", 'trap "" INT TERM HUP; read _ || kill -9 "-$0"']
            + [str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def url(self, channel: str) -> str:
        return f"tcp://127.0.0.1:{self.connection[f'{channel}_port']}"

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def wait(self) -> int:
        """Waits for the end of the process, and returns its exit code as subprocess does."""
        code = self._process.wait()
        self.forget_connection_file()
        try:
            self._guard.communicate(b"\n", timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            pass
        return code

    def forget_connection_file(self) -> None:
        """Removes the connection file, which Deno reads only at its start."""
        try:
            os.remove(self._connection_file)
        except FileNotFoundError:
            pass

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass


def free_ports(count: int) -> list[int]:
    """Returns ports that nothing listens to. Another process can still take one before its use."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"Starting Deno's kernel: {count} ports of {PORTS} must be free.")
