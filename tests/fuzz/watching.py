"""Watching: what a process does while it reads a case, and what it may not do.

An audit hook sees imports, executions, processes, connections, and files that are opened or changed
by Python; the kernel tells when a library opens the file that is not to be read.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import latentmap.cli
import latentmap.encoders
from latentmap.printing import printable

# Where our own code stands.
OURS = tuple(
    f"{Path(package.__file__ or '').parent}/"
    for package in (latentmap, latentmap.encoders, latentmap.cli)
)

_FORBIDDEN = (
    *(
        "code.__new__",
        "ctypes.",
        "exec",
        "ftplib.",
        "function.__new__",
        "http.",
        "import",
        "marshal.",
    ),
    *("os.chdir", "os.chmod", "os.chown", "os.exec", "os.fork", "os.link", "os.mkdir"),
    *(
        "os.posix_spawn",
        "os.putenv",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.spawn",
        "os.symlink",
    ),
    *(
        "os.system",
        "os.truncate",
        "os.utime",
        "pickle.",
        "shutil.",
        "smtplib.",
        "socket.",
        "subprocess.",
        "urllib.",
    ),
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_METADATA = str(Path(importlib.metadata.__file__).parent)
_IN_OPEN = 0x20  # Of inotify.
# Above what a reader may take: the machine goes on, and the reader is told that there is no more.
_ROOM = 1 << 30


class Watch:
    """Remembers what first happened while ``on`` that reading a file has no need of, as ``event``:
    its name, the place in our code, and what it was about.

    Files may be read in ``folders``, and written in ``temporary``. What installed packages say of
    themselves may be read, too: an unknown family may be one of theirs.
    """

    def __init__(self, folders: Sequence[Path], temporary: Path) -> None:
        self.on = False
        self.event: tuple[str, str, str] | None = None
        self._folders = (*(f"{folder}/" for folder in folders), f"{temporary}/", "/proc/self/")
        self._temporary = f"{temporary}/"
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            allowed = self._may_open(*args)
        elif event == "compile":
            # Trees are made, of conditions and of the headers of arrays; running one is "exec".
            allowed = args[1] in ("<unknown>", b"<unknown>")
        elif event.startswith(_FORBIDDEN):
            allowed = event in ("os.remove", "os.mkdir", "os.rmdir") and self._is_temporary(args[0])
        else:
            return
        if not allowed:
            self.on = False  # What comes of it is not worth another word.
            self.event = (event, _place(sys._getframe(1)), printable(repr(args)[:200]))

    def _may_open(self, path: Any, mode: str | None, flags: int) -> bool:
        if isinstance(path, int):
            return True
        if flags & _WRITES:
            return self._is_temporary(path) or path == "/dev/null"
        return os.fsdecode(path).startswith(self._folders) or _asks_packages(sys._getframe(2))

    def _is_temporary(self, path: Any) -> bool:
        return not isinstance(path, int) and f"{os.fsdecode(path)}/".startswith(self._temporary)


def _asks_packages(frame: FrameType | None) -> bool:
    """Whether our code has asked what packages are installed."""
    while frame is not None and not frame.f_code.co_filename.startswith(OURS):
        if frame.f_code.co_filename.startswith(_METADATA):
            return True
        frame = frame.f_back
    return False


def _place(frame: FrameType | None) -> str:
    while frame is not None and not frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    return "" if frame is None else f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


class Secret:
    """Files that lie outside of every case: whoever opens one is seen, libraries too."""

    def __init__(self, folder: Path) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = library.inotify_init1(os.O_NONBLOCK)
        added = library.inotify_add_watch(self._descriptor, os.fsencode(folder), _IN_OPEN)
        if self._descriptor < 0 or added < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(folder))

    def was_opened(self) -> bool:
        """Whether one was opened since the last time."""
        try:
            return bool(os.read(self._descriptor, 1 << 16))
        except BlockingIOError:
            return False


class Memory:
    """The peak of this process, above what it had before."""

    def __init__(self) -> None:
        self._status = os.open("/proc/self/status", os.O_RDONLY)
        self._clear = os.open("/proc/self/clear_refs", os.O_WRONLY)
        self._hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        self._give_room()

    def begin(self) -> None:
        """Forgets the peak, and what libraries have kept of earlier cases."""
        self._give_room()
        os.pwrite(self._clear, b"5", 0)
        self._before = self._read(b"VmRSS:")

    def taken(self) -> int:
        """Bytes at the peak, above those at the beginning."""
        return self._read(b"VmHWM:") - self._before

    def _give_room(self) -> None:
        most = self._read(b"VmData:") + _ROOM
        resource.setrlimit(resource.RLIMIT_DATA, (most, self._hard))

    def _read(self, name: bytes) -> int:
        status = os.pread(self._status, 1 << 13, 0)
        return int(status.partition(name)[2].split(None, 1)[0]) * 1024
