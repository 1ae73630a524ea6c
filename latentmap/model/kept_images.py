"""What a folder keeps of generated images, told by names alone, without reading any.

Packs and their locks, and the parts of unfinished ones; whatever else is there is somebody else's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from latentmap.errors import OutputError
from latentmap.files import TEMPORARY, folders_in, look_into, size_of

GENERATED = "generated"  # The folder of them in a cache.
_PACK = re.compile(rf"[0-9a-f]{{16}}\.(h5|lock)|\.[0-9a-f]{{16}}{TEMPORARY}\.h5")
_PARTS = re.compile(r"[0-9a-f]{16}\.[0-9a-f]{16}\.parts")
PART_FILE = re.compile(rf"\d{{9,}}-\d{{9,}}\.npy|\.\d{{9,}}-\d{{9,}}{TEMPORARY}\.npy")


@dataclass(frozen=True)
class Kept:
    """The generated images in a folder: their ``files``, and the ``parts`` of unfinished ones;
    ``others`` is what else is there, which is not ours.
    """

    files: tuple[Path, ...]
    parts: tuple[Path, ...]
    others: tuple[Path, ...]
    bytes: int


def kept_in(folder: str | Path) -> Kept:
    """What of a folder are generated images, by their names; links are not followed.

    Raises:
        OutputError: it cannot be read.
    """
    folder = Path(folder)
    try:
        found = look_into(folder, _PACK)
        parts = tuple(folders_in(folder, _PARTS))
        inside = [look_into(path, PART_FILE) for path in parts]
        files = (*found.ours, *(path for part in inside for path in part.ours))
        size = size_of(files)
    except OSError as error:
        raise OutputError(f"{folder} cannot be read: {error.strerror}") from error
    others = [path for path in found.others if path not in parts]
    return Kept(files, parts, (*others, *(path for part in inside for path in part.others)), size)


def remove_kept(folder: str | Path) -> Kept:
    """Removes all generated images in ``folder``, and gives back what there was; they can be made
    again.

    Raises:
        OutputError: a file cannot be removed.
    """
    kept = kept_in(folder)
    try:
        for path in kept.files:
            path.unlink()
        for path in kept.parts:
            if not any(path.iterdir()):
                path.rmdir()
        if Path(folder).is_dir() and not kept.others:
            Path(folder).rmdir()
    except OSError as error:
        raise OutputError(f"{folder} cannot be removed: {error.strerror}") from error
    return kept
