"""Content files: what is known of the contents of images, in the folder of a cache::

    CACHE/contents/<16 hex digits of the images' place>

They spare reading and may be lost at any time, so that nothing about them is an error.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from latentmap.cache.entries import MARKER
from latentmap.cache.storage import Storage
from latentmap.errors import CacheError
from latentmap.files import open_regular, refuse_links
from latentmap.images.contents import KnownContents, size_of_contents

CONTENTS = "contents"
_SLACK = 1 << 26  # Bytes of records of images that were removed since.


class ContentFiles:
    """The contents of images that a cache knows; see ``latentmap.images.contents``."""

    def __init__(self, cache: Path, storage: Storage) -> None:
        self._cache = cache
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
        with suppress(OSError, CacheError):
            refuse_links(self._folder, error=CacheError)
            self._storage.make_folder(self._folder)
            if not os.path.lexists(self._cache / MARKER):
                self._storage.write(self._cache / MARKER, b"")
            self._storage.publish(self._file(place), known.to_bytes())

    def _file(self, place: str) -> Path:
        name = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return self._folder / name
