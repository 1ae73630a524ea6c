"""Storage: the only door through which the cache changes the disk.

Every write, fsync, rename, unlink and new folder of the cache is one call here, so that tests can
record them, tear them, lose them and make them fail.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from latentmap.files import fsync_folder


class Storage:
    """The real disk. ``publish`` and ``make_folder`` are made of the single steps below them."""

    def publish(self, path: Path, data: bytes) -> None:
        """Puts ``data`` at ``path``: after any crash there is the old file or the new one.

        The temporary name is fixed, so only the holder of the entry's lock may publish; what a
        killed process left under it is overwritten.
        """
        temporary = temporary_of(path)
        try:
            self.write(temporary, data)
            self.sync(temporary)
            self.rename(temporary, path)
        except OSError:
            # On a full disk half a shard would be in the way of whoever wants to free space.
            with suppress(OSError):
                self.unlink(temporary)
            raise
        self.sync_folder(path.parent)

    def make_folder(self, folder: Path) -> None:
        """Makes a folder and those above it, durably; one that exists is left as it is."""
        if folder.is_dir():
            return
        self.make_folder(folder.parent)
        self.mkdir(folder)
        self.sync_folder(folder.parent)

    def write(self, path: Path, data: bytes) -> None:
        """Writes a whole file; not durable until ``sync``."""
        path.write_bytes(data)

    def sync(self, path: Path) -> None:
        """Makes the content of a file durable."""
        with path.open("rb+") as file:
            os.fsync(file.fileno())

    def rename(self, source: Path, target: Path) -> None:
        """Gives a file another name, maybe another's; not durable until ``sync_folder``."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Removes a file; not durable until ``sync_folder``."""
        path.unlink()

    def mkdir(self, folder: Path) -> None:
        """Makes one folder, for its owner alone; another process may be faster."""
        folder.mkdir(0o700, exist_ok=True)

    def rmdir(self, folder: Path) -> None:
        """Removes an empty folder."""
        folder.rmdir()

    def sync_folder(self, folder: Path) -> None:
        """Makes the names in a folder durable."""
        fsync_folder(folder)


def advice_on(error: OSError) -> str:
    """What to do where the disk of a cache failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free space and run the same command to go on"
    return (
        "make the folder writable, name another (--cache FOLDER), or check the disk, and run the "
        "same command to go on"
    )


def temporary_of(path: Path) -> Path:
    """The name under which a file is written before it is at ``path``."""
    return path.with_name(path.name + ".tmp")
