"""Content files: what is known of the contents of images, in the folder of a cache::

    CACHE/contents/<16 hex digits of the images' place>

They spare reading and may be lost at any time, so that nothing about them is an error.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from latentmap.cache.entries import claim, lock_path
from latentmap.cache.storage import Storage, temporary_of
from latentmap.errors import CacheError
from latentmap.files import Notify, hold_lock, open_regular, refuse_links
from latentmap.images.contents import KnownContents, size_of_contents

CONTENTS = "contents"
_SLACK = 1 << 26  # Bytes of records of images that were removed since.
_PATIENCE = 10.0  # Seconds that another process may take to write the same file.


class ContentFiles:
    """The contents of images that a cache knows; see ``latentmap.images.contents``."""

    def __init__(self, cache: Path, storage: Storage, notify: Notify | None = None) -> None:
        self._cache, self._notify = cache, notify
        self._folder = cache / CONTENTS
        self._storage = storage

    def load(self, place: str, most: int) -> KnownContents:
        """What is known of the images at a place; nothing where the file is none of ours."""
        size = size_of_contents(most) + _SLACK
        try:
            with open_regular(self._file(place)) as file:
                # Whoever wrote it, it takes no more memory than the images are worth.
                data = file.read(size + 1)
            return KnownContents.from_bytes(data if len(data) <= size else b"")
        except (OSError, ValueError):
            return KnownContents.nothing()

    def save(self, place: str, known: KnownContents) -> None:
        """Replaces what is known of the images at a place, if it can be written."""
        file = self._file(place)
        lock, temporary = lock_path(file), temporary_of(file)
        with suppress(OSError, CacheError):
            refuse_links(self._folder, lock.parent, temporary, error=CacheError)
            if os.path.lexists(temporary) and not temporary.is_file():
                return  # Nothing of ours.
            claim(self._cache, self._storage, self._notify)
            self._storage.make_folder(self._folder)
            self._storage.make_folder(lock.parent)
            # Of two that write at once neither would be whole.
            with hold_lock(lock, str(file), timeout=_PATIENCE):
                self._storage.publish(file, known.to_bytes())

    def _file(self, place: str) -> Path:
        name = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return self._folder / name
