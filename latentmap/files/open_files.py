"""Files that are read at any place, of which a few are open at a time."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path

from latentmap.files.opening import Identity, identity_of, open_regular

_MOST = 64  # Of the thousand that a process may have.


class OpenFile:
    """A regular file that is open for reading as long as somebody has this: ``descriptor`` may be
    used by several threads at once.
    """

    def __init__(self, path: Path) -> None:
        with open_regular(path) as file:
            self.identity = identity_of(file)
            self.descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.descriptor)


class OpenFiles:
    """Files that are opened when they are read; those that nobody has read for long are closed."""

    def __init__(self) -> None:
        self._files: OrderedDict[Path, OpenFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, identity: Identity) -> OpenFile:
        """The file at ``path``.

        Raises:
            OSError: it cannot be opened, or is not the one that was known.
        """
        with self._lock:
            file = self._files.pop(path, None) or OpenFile(path)
            if file.identity != identity:
                raise OSError(None, "the file was written to since it was listed")
            self._files[path] = file
            # Whoever reads one of these still has it.
            while len(self._files) > _MOST:
                self._files.popitem(last=False)
            return file
