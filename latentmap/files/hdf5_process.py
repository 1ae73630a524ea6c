"""The process that reads an HDF5 file of a stranger: libhdf5 never meets such a file in ours.

It may take little memory, has little time for an answer, and opens no other file; see
hdf5_child.py. What it says is no more believed than the file is.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from latentmap.limits import advice, limit, memory_for

NO_ANSWER = "the process that reads it gave no answer"

_BYTES_A_SECOND = 50_000_000
_LONGEST_WAIT = 1_000_000  # Seconds that the system can wait.
# So begun, Python finds no file of the folder that somebody works in, and runs none of those that
# packages have for every beginning, which costs a tenth of it.
_ALONE = ("-I", "-S")
_START = "import sys; sys.path += sys.argv[1:]; import hdf5_child; hdf5_child.main()"


class ReadingProcess:
    """A process with one open file, or the part of it from ``start`` that is ``size`` bytes long.

    It ends with this object, or with this process.
    """

    def __init__(self, file: IO[bytes], start: int, size: int) -> None:
        self._seconds = limit("seconds") + size // _BYTES_A_SECOND
        self._size = size
        # A thread each: every one takes memory for itself.
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, *_ALONE, "-c", _START, *_search_path()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(file.fileno(),),
            start_new_session=True,
            bufsize=0,
            env={**os.environ, **alone},
        )
        self.end = weakref.finalize(self, _end, self._process, os.getpid())
        self._send(
            {
                "descriptor": file.fileno(),
                "start": start,
                "size": size,
                "memory": memory_for(size),
                "seconds": self._seconds,
            }
        )

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
        """The answer to a request, and the bytes that come with it.

        Raises:
            ValueError: the file cannot be read, or not within the limits.
        """
        try:
            deadline = time.monotonic() + self._seconds
            self._send(request)
            most = memory_for(self._size)
            length = int.from_bytes(self._receive(8, deadline), "little")
            if length > most // 4:
                raise ValueError(NO_ANSWER)
            answer = json.loads(self._receive(length, deadline))
            following = answer.get("bytes", 0) if isinstance(answer, dict) else None
            if type(following) is not int or not 0 <= following <= most:
                raise ValueError(NO_ANSWER)
            data = self._receive(following, deadline)
        except BaseException:
            # Whatever it still has to say would be the answer to something else.
            self.end()
            raise
        if "error" in answer:
            more = f"; {advice('memory')}" if answer.get("limit") == "memory" else ""
            raise ValueError(f"{answer['error']}{more}")
        return answer, data

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # Told by what is received.
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    def _receive(self, count: int, deadline: float) -> bytearray:
        assert self._process.stdout is not None
        data, got = bytearray(count), 0
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        while got < count:
            left = min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT)
            if not poll.poll(left * 1000):
                raise ValueError(
                    f"reading it took longer than {self._seconds} seconds; {advice('seconds')}"
                )
            taken = self._process.stdout.readinto(memoryview(data)[got:])  # type: ignore[attr-defined]
            if not taken:
                raise ValueError(_why_ended(self._process))
            got += taken
        return data


def _search_path() -> list[str]:
    """Where h5py, and this module's neighbour, are found; never where somebody works."""
    known = [path for path in sys.path if Path(path).is_absolute()]
    with suppress(FileNotFoundError):
        here = Path.cwd()
        known = [path for path in known if Path(path) != here]
    return [*known, str(Path(__file__).parent)]


def _why_ended(process: subprocess.Popen[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)
    code = process.returncode
    if code == -signal.SIGXCPU:
        return f"reading it takes too long; {advice('seconds')}"
    if code is not None and code < 0:
        return f"the HDF5 library fails on it ({signal.Signals(-code).name}): it is damaged"
    return f"the process that reads it could not run (exit {code})"


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """Ends a process at once: there may be no other way out of libhdf5."""
    # A fork of the owner has a copy of everything but the child.
    if os.getpid() != owner:
        return
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    process.wait()
