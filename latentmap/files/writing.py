"""Files that are there whole or not at all: written to a temporary name, fsynced, renamed."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from latentmap.errors import LatentmapError, OutputError
from latentmap.files.ownership import look_into

# What a temporary name ends with: the machine and the process that write, and a random part.
TEMPORARY = r"\.(?P<host>[0-9a-f]{4})-(?P<process>[0-9a-f]+)-[0-9a-f]{8}\.tmp"
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:4]
_STEM = 60  # Characters of a name that a temporary one repeats: names have an end.
_ABANDONED = 24 * 3600.0  # Seconds after which a file of another machine has no writer any more.


@contextmanager
def replace_atomic(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path that takes the place of ``path`` when the block ends well.

    Otherwise it is removed, and ``path`` is as it was. What killed writers of ``path`` left is
    removed first.

    Raises:
        OutputError: the folder is missing, the file cannot be written, or what is there is no file.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise OutputError(
            f"{path} is a folder, a device or a pipe, which no file replaces: choose another path"
        )
    temporary = temporary_beside(path)
    with suppress(OSError):
        _clear(path)
    try:
        with _writing(path):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
    try:
        fsync_folder(path.parent)
    except OSError as error:
        raise OutputError(
            f"{path} was written, but may not survive a power loss: its folder cannot be synced "
            f"({error.strerror or error})"
        ) from error


@contextmanager
def replace_together(*paths: Path) -> Iterator[list[Path]]:
    """Yields temporary paths that take the places of ``paths`` when the block ends well: of all of
    them, or of none.

    The first is what the others belong to: it takes its place last, and what was there goes first,
    so that a writer that is killed leaves it missing, and never beside others than its own.

    Raises:
        OutputError: as ``replace_atomic``.
    """
    kept: dict[Path, Path] = {}
    renaming = False
    try:
        with ExitStack() as stack:
            temporaries = [stack.enter_context(replace_atomic(path)) for path in paths]
            with _writing(paths[0]):
                yield temporaries
                # What a disk refuses late is refused before anything is renamed.
                for temporary in temporaries:
                    _sync(temporary)
            for path in paths:
                if os.path.lexists(path):
                    aside = temporary_beside(path)
                    path.rename(aside)
                    kept[path] = aside
            renaming = True
    except BaseException:
        for path in reversed(paths):
            if path in kept:
                kept[path].replace(path)
            elif renaming:
                path.unlink(missing_ok=True)
        raise
    for aside in kept.values():
        with suppress(OSError):
            aside.unlink()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except LatentmapError:
        raise
    except OSError as error:
        raise OutputError(
            f"{path} could not be written: {error.strerror or error}; nothing was changed"
        ) from error


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def temporary_beside(path: Path) -> Path:
    """A new name for what becomes the file ``path``, or is needed while that is made; a file that
    it has when its process is killed is removed by the next writer of ``path``.
    """
    mark = f"{_HOST}-{os.getpid():x}-{secrets.token_hex(4)}"
    # Keeps the suffix: some writers choose the format by it.
    return path.with_name(f".{path.stem[:_STEM]}.{mark}.tmp{path.suffix}")


def _clear(written: Path) -> None:
    """Removes the temporary files of a path that no process writes any more."""
    names = re.compile(
        re.escape(f".{written.stem[:_STEM]}") + TEMPORARY + re.escape(written.suffix)
    )
    for path in look_into(written.parent, names).ours:
        found = names.fullmatch(path.name)
        assert found is not None
        if found["host"] == _HOST:
            left = not _runs(int(found["process"], 16))
        else:
            left = time.time() - path.stat().st_mtime > _ABANDONED
        if left:
            path.unlink()


def _runs(process: int) -> bool:
    """Whether there is a process of this number on this machine."""
    try:
        os.kill(process, 0)
    except PermissionError:
        return True  # It is somebody else's.
    except (OSError, OverflowError):
        return False
    return True


def write_atomic(path: Path, data: bytes) -> None:
    """Puts ``data`` at ``path``, whole or not at all."""
    with replace_atomic(path) as temporary:
        temporary.write_bytes(data)


def fsync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_equal(paths: Mapping[str, Path | None]) -> None:
    """Refuses one path for two outputs, before any work is done; ``paths`` are by their options,
    None where an output is not asked for.

    Raises:
        OutputError: two are equal.
    """
    known: dict[Path, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        first = known.setdefault(Path(os.path.realpath(path)), name)
        if first != name:
            raise OutputError(f"{first} and {name} are both {path}: give each a path of its own")


def refuse_existing(path: str | Path, *, force: bool) -> None:
    """Refuses an output path that cannot be used, before any work is done.

    Raises:
        OutputError: the path exists and ``force`` is not set, or its folder is missing or cannot be
            written.
    """
    require_parent(path)
    # A link to nothing is somebody's, too.
    if os.path.lexists(path) and not force:
        raise OutputError(f"{path} exists: choose another path, or add --force to replace it")


def require_parent(path: str | Path) -> None:
    """Refuses an output path whose folder cannot take it.

    Raises:
        OutputError: the folder is missing, or nothing can be written into it; or the path is no
            UTF-8, by which safetensors could not read it again.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise OutputError(f"the name {path} is no UTF-8: choose another one") from None
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise OutputError(f"the folder of {path} does not exist: make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"nothing can be written into the folder of {path}: choose another one")
