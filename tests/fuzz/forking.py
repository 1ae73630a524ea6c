"""Processes that look into HDF5 files, as forks of one that has imported what they need: of what a
start takes, nearly all is imports.

What runs in them is what runs otherwise, within the same limits; the first of each target are
started as always.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

_ORDER, _ANSWER = struct.Struct("4I"), struct.Struct("Ix")
_SERVE = "import sys; sys.path += sys.argv[1:]; import forking; forking.serve()"
_SUBREAPER = 36  # Of prctl: whose parents end become children of this process.


def forks(search_path: Sequence[str]) -> Callable[..., Forked]:
    """What takes the place of ``subprocess.Popen``: a process of its own that forks."""
    prctl = ctypes.CDLL(None).prctl
    server = subprocess.Popen(
        [sys.executable, "-I", "-c", _SERVE, *search_path, str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        bufsize=0,
    )
    atexit.register(_end, server)

    alone = threading.Lock()

    def fork(_: Sequence[str], *, pass_fds: tuple[int], **__: Any) -> Forked:
        assert server.stdin is not None and server.stdout is not None
        (given, stdin), (stdout, taken) = os.pipe(), os.pipe()
        with alone:
            # No longer than it takes, since those of others may be orphans, too.
            prctl(_SUBREAPER, 1, 0, 0, 0)
            server.stdin.write(_ORDER.pack(os.getpid(), given, taken, *pass_fds))
            answer = b""
            while len(answer) < _ANSWER.size and (part := server.stdout.read(_ANSWER.size)):
                answer += part
            prctl(_SUBREAPER, 0, 0, 0, 0)
        os.close(given)
        os.close(taken)
        (number,) = _ANSWER.unpack(answer)
        return Forked(number, os.fdopen(stdin, "wb", 0), os.fdopen(stdout, "rb", 0))

    return fork


def _end(server: subprocess.Popen[bytes]) -> None:
    for stream in (server.stdin, server.stdout):
        if stream is not None:
            stream.close()
    server.wait()


class Forked:
    """As much of ``subprocess.Popen`` as is used."""

    def __init__(self, pid: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self.returncode: int | None = None

    def poll(self, options: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while deadline is not None and self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("fork", timeout or 0)
            time.sleep(0.001)
        return self.poll(0)


def serve() -> None:
    """Forks for each order on stdin, and answers by the number of the process."""
    import hdf5_child  # type: ignore[import-not-found]  # As it is found where it runs.

    while order := os.read(0, _ORDER.size):
        middle = os.fork()
        if not middle:
            owner, *numbers = _ORDER.unpack(order)
            modes = (os.O_RDONLY, os.O_WRONLY, os.O_RDONLY)
            opened = [
                os.open(f"/proc/{owner}/fd/{number}", mode)
                for number, mode in zip(numbers, modes, strict=True)
            ]
            child = os.fork()
            if child:
                os.setpgid(child, child)
                os.write(1, struct.pack("I", child))
                os._exit(0)
            code = 1
            try:
                for one, number in zip(opened, (0, 1, numbers[2]), strict=True):
                    os.dup2(one, number)
                hdf5_child.main()
                code = 0
            finally:
                os._exit(code)
        # From now on the child is one of whoever ordered it.
        os.waitpid(middle, 0)
        os.write(1, b"\0")
