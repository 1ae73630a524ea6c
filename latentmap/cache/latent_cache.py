"""LatentCache: codes on disk, found again by what they were made from.

A cache is a folder of entries, one for each model, data, view and precision; an entry is a folder
of immutable HDF5 shards and a manifest with their digests, which is the commit point::

    CACHE/entries/<16 hex digits of the key>/manifest.json
                                             shard-<first position>-<stop position>.h5
    CACHE/locks/<16 hex digits of the key>.lock

What the images contained, so that they need not be read again, stands beside them
(content_files.py).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from latentmap.cache.content_files import ContentFiles
from latentmap.cache.covering import Cover, Held, Wanted
from latentmap.cache.entries import claim, open_codes, peek_digests
from latentmap.cache.entry_writer import Access, EntryWriter
from latentmap.cache.manifest import EntryKey, Manifest
from latentmap.cache.storage import Storage
from latentmap.cache.upkeep import Entries
from latentmap.codes import Codes, Space
from latentmap.errors import CacheError
from latentmap.files import Notify
from latentmap.frames import Frame


class LatentCache:
    """Codes of images in the spaces of models, kept in a folder.

    ``path`` is made when something is written. Sizes are compared with the manifest whenever an
    entry is opened, and with ``checksums`` every byte at the first time (1.8 GB/s). A shard is
    closed when it has ``shard_bytes`` or is ``shard_seconds`` old: that much work is lost when the
    process is killed. ``notify`` gets a line when a folder is made that nobody named, when damage
    is repaired, and when another process is waited for. ``storage`` is the disk; tests replace it.
    The entries are looked after by ``entries``; ``contents`` knows images by the looks of their
    files.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        checksums: bool = True,
        shard_bytes: int = 64 << 20,
        shard_seconds: float = 60.0,
        storage: Storage | None = None,
        notify: Notify | None = None,
    ) -> None:
        self.path = Path(path)
        self.entries = Entries(path, storage=storage)
        self.contents = ContentFiles(self.path, self.entries.storage, notify)
        self.checksums = checksums
        self._access = Access(self.entries.storage, shard_bytes, shard_seconds, notify)

    def __repr__(self) -> str:
        return f"LatentCache({str(self.path)!r})"

    def claim(self) -> None:
        """Makes the folder of the cache where it is not there, for what is kept beside the codes.

        Raises:
            CacheError: it cannot be made.
        """
        try:
            claim(self.path, self.entries.storage, self._access.notify)
        except OSError as error:
            raise CacheError(
                f"nothing can be kept in {self.path} ({error.strerror or error}): make that folder "
                "writable, or name another (--cache FOLDER)"
            ) from error

    def find(self, key: EntryKey) -> Codes | None:
        """The codes with this key, still on disk; None unless all images were committed.

        Raises:
            CacheError: the entry is damaged or cannot be read.
        """

        def use(manifest: Manifest) -> Codes | None:
            return self._open(manifest) if manifest.complete else None

        return self.entries.read(key.id, use)

    def find_covering(self, key: EntryKey, ids: np.ndarray, digests: np.ndarray) -> Codes | None:
        """The codes of images with these ids ``(n,)`` and digests ``(n, 16)``, by their contents,
        where entries of other images hold all of them; see ``cover``. Their data is that of
        ``key``.
        """
        cover = self.cover(key, digests)
        return cover.codes(ids, digests, data=key.data) if cover.complete else None

    def cover(self, key: EntryKey, digests: np.ndarray) -> Cover:
        """Where the codes of images with these contents ``(n, 16)`` are: in all the entries with
        the same key but for its data, also in those that are not complete.

        Of an entry no more is read than its manifest until it may hold what is missing, and no
        more than the digests in it until it does. Damaged entries are passed over.
        """
        wanted = Wanted(digests)
        found = []
        for manifest in self._alike(key):
            if not wanted.missing.any():
                break
            try:
                codes = self._open(manifest) if self._may_hold(manifest, wanted) else None
            except (CacheError, OSError):
                continue
            if codes is not None:
                found.append((codes, *wanted.take_from(codes.digests)))
        return Cover.of(wanted, found)

    def held(self, key: EntryKey) -> Held:
        """The contents of all images that ``cover`` would find for this key."""
        found: list[np.ndarray] = []
        for manifest in self._alike(key):
            with suppress(CacheError, OSError):
                found += peek_digests(self.entries.folder(manifest.key.id), manifest)
        return Held(found)

    def writer(
        self,
        key: EntryKey,
        *,
        space: Space,
        frame: Frame,
        ids: np.ndarray,
        digests: np.ndarray,
        timeout: float | None = None,
    ) -> EntryWriter:
        """A writer for the entry with this key.

        It holds codes in ``space`` of the images with ``ids`` ``(n,)`` and ``digests`` ``(n,
        16)``. ``timeout`` is how many seconds to wait for another writer (None: as long as it
        takes).
        """
        return EntryWriter(
            self.entries.folder(key.id),
            Manifest(key, space, frame, len(ids)),
            self._access,
            ids=ids,
            digests=digests,
            timeout=timeout,
        )

    def _open(self, manifest: Manifest) -> Codes:
        folder = self.entries.folder(manifest.key.id)
        return open_codes(folder, manifest, checksum=self.checksums, known=self._access.known)

    def _alike(self, key: EntryKey) -> list[Manifest]:
        """What other entries with the same key but for its data have, the largest first."""
        found = []
        for name in self.entries.names():
            try:
                manifest = self.entries.read(name, lambda one: one) if name != key.id else None
            except CacheError:
                continue
            if manifest and manifest.rows and replace(manifest.key, data=key.data) == key:
                found.append(manifest)
        return sorted(found, key=lambda manifest: manifest.rows, reverse=True)

    def _may_hold(self, manifest: Manifest, wanted: Wanted) -> bool:
        folder = self.entries.folder(manifest.key.id)
        return any(wanted.any_in(digests) for digests in peek_digests(folder, manifest))
