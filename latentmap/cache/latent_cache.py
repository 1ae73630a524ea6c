"""LatentCache: codes on disk, found again by what they were made from.

A cache is a folder of entries, one for each model, data, view and precision; an entry is a folder
of immutable HDF5 shards and a manifest with their digests, which is the commit point::

    CACHE/entries/<16 hex digits of the key>/manifest.json
                                             shard-<first position>-<stop position>.h5
    CACHE/locks/<16 hex digits of the key>.lock
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from latentmap.cache.covering import locate, select
from latentmap.cache.entries import Known, find_damage, load_manifest, open_codes
from latentmap.cache.entry_writer import EntryWriter
from latentmap.cache.manifest import MANIFEST, EntryKey, Manifest
from latentmap.cache.shards import DamageError
from latentmap.cache.storage import Storage
from latentmap.codes import Codes, Space, export_codes
from latentmap.errors import CacheError
from latentmap.files import Notify, hold_lock, lock_path
from latentmap.frames import Frame
from latentmap.progress import Progress

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One entry as it is listed: what was committed, or what is wrong, and its bytes on disk.

    Without a manifest and without a problem nothing was committed yet.
    """

    id: str
    size: int
    manifest: Manifest | None
    problem: str = ""

    def __str__(self) -> str:
        if self.manifest is None:
            return f"{self.id} ({'damaged' if self.problem else 'empty'})"
        return f"{self.id} ({self.manifest.space.model}, {self.manifest.done} images)"


class LatentCache:
    """Codes of images in the spaces of models, kept in a folder.

    ``path`` is made when something is written. Sizes are compared with the manifest whenever an
    entry is opened, and with ``checksums`` every byte at the first time (1.8 GB/s). A shard is
    closed when it has ``shard_bytes`` or is ``shard_seconds`` old: that much work is lost when the
    process is killed. ``notify`` gets a line when damage is repaired, and when another process is
    waited for. ``storage`` is the disk; tests replace it.
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
        self.checksums = checksums
        self._shard_bytes = shard_bytes
        self._shard_seconds = shard_seconds
        self._storage = storage or Storage()
        self._notify = notify
        self._known: Known = set()

    def find(self, key: EntryKey) -> Codes | None:
        """The codes with this key, still on disk; None unless all images were committed.

        Raises:
            CacheError: the entry is damaged or cannot be read.
        """

        def use(manifest: Manifest) -> Codes | None:
            return self._open(manifest) if manifest.complete else None

        return self._read(key.id, use)

    def find_covering(self, key: EntryKey, ids: np.ndarray, digests: np.ndarray) -> Codes | None:
        """The codes of the images with these ids ``(n,)`` and digests ``(n, 16)`` among others.

        They come from an entry with the same key but for its data; the result takes that from
        ``key``. Damaged entries are passed over.
        """
        for name in self._names():
            try:
                codes = self._read(name, lambda found: self._cover(found, key, ids, digests))
            except CacheError:
                continue
            if codes is not None:
                return codes
        return None

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
            self._folder(key.id),
            Manifest(key, space, frame, len(ids)),
            ids=ids,
            digests=digests,
            storage=self._storage,
            shard_bytes=self._shard_bytes,
            shard_seconds=self._shard_seconds,
            known=self._known,
            timeout=timeout,
            notify=self._notify,
        )

    def entries(self) -> tuple[Entry, ...]:
        """All entries, in the order of their ids.

        Raises:
            CacheError: the folder is not a cache.
        """
        if not self._entries.is_dir():
            raise CacheError(
                f"{self.path} is not a cache (it has no folder 'entries'): "
                "name the folder that was encoded to"
            )
        return tuple(self._entry(name) for name in self._names())

    def entry(self, prefix: str = "") -> Entry:
        """The one entry whose id begins with ``prefix``.

        Raises:
            CacheError: none does, or several do; the message lists them.
        """
        entries = self.entries()
        matching = [entry for entry in entries if entry.id.startswith(prefix)]
        if len(matching) == 1:
            return matching[0]
        listed = ", ".join(str(entry) for entry in matching or entries) or "none"
        problem = (
            f"several entries begin with {prefix!r}"
            if matching
            else f"no entry begins with {prefix!r}"
        )
        raise CacheError(f"{problem} in {self.path}: name one of {listed}")

    def verify(self, progress: Progress | None = None) -> list[str]:
        """Reads every byte, and gives back a line for each file that is not as it was written.

        ``progress`` counts bytes.
        """
        entries = self.entries()
        problems = [entry.problem for entry in entries if entry.problem]
        shards = [
            (self._folder(entry.id), shard)
            for entry in entries
            if entry.manifest is not None
            for shard in entry.manifest.shards
        ]
        total = sum(shard.size for _, shard in shards)
        done = 0
        for folder, shard in shards:
            # Not what this process has read before: every byte, now.
            try:
                problem = find_damage(folder, shard, known=set())
            except OSError as error:
                problem = f"{shard.name} cannot be read ({error.strerror})"
            if problem:
                problems.append(self._describe(folder.name, problem))
            done += shard.size
            if progress:
                progress(done, total)
        return problems

    def remove(self, entry: Entry, *, timeout: float | None = 10) -> None:
        """Removes an entry, which frees ``entry.size`` bytes.

        Waits at most ``timeout`` seconds for a writer.

        Raises:
            CacheError: the entry is being written, or cannot be removed.
        """
        folder = self._folder(entry.id)
        what = f"entry {entry.id} of {self.path}"
        try:
            self._storage.make_folder(lock_path(folder).parent)
            with hold_lock(lock_path(folder), what, timeout=timeout):
                # The manifest goes first: what is left of an interrupted removal holds no codes.
                if (folder / MANIFEST).exists():
                    self._storage.unlink(folder / MANIFEST)
                    self._storage.sync_folder(folder)
                for path in sorted(folder.iterdir()):
                    self._storage.unlink(path)
                self._storage.rmdir(folder)
                self._storage.sync_folder(self._entries)
        except CacheError:
            raise
        except OSError as error:
            raise CacheError(f"{what} cannot be removed: {error.strerror or error}") from error

    def export(self, path: str | Path, *, prefix: str = "", force: bool = False) -> Codes:
        """Writes the codes of one entry to one file, ``.npz`` or ``.h5``, and gives them back.

        Raises:
            CacheError: no entry or several begin with ``prefix``; or it is damaged or not
                complete.
            OutputError: the file exists and ``force`` is not set, or has another suffix, or cannot
                be written.
        """
        entry = self.entry(prefix)
        if entry.problem:
            raise CacheError(entry.problem)
        manifest = entry.manifest
        codes = self.find(manifest.key) if manifest else None
        if manifest is None or codes is None:
            raise CacheError(
                f"{entry} is not complete: encode its images again to go on, then export it"
            )
        export_codes(codes, path, provenance=manifest.provenance(), force=force)
        return codes

    @property
    def _entries(self) -> Path:
        return self.path / "entries"

    def _folder(self, name: str) -> Path:
        return self._entries / name

    def _names(self) -> list[str]:
        if not self._entries.is_dir():
            return []
        return sorted(path.name for path in self._entries.iterdir() if path.is_dir())

    def _entry(self, name: str) -> Entry:
        try:
            size = sum(path.stat().st_size for path in self._folder(name).iterdir())
            return Entry(name, size, self._read(name, lambda manifest: manifest))
        except FileNotFoundError:
            # Removed by another process in this moment.
            return Entry(name, 0, None)
        except CacheError as error:
            return Entry(name, size, None, str(error))

    def _open(self, manifest: Manifest) -> Codes:
        folder = self._folder(manifest.key.id)
        return open_codes(folder, manifest, checksum=self.checksums, known=self._known)

    def _cover(
        self, manifest: Manifest, key: EntryKey, ids: np.ndarray, digests: np.ndarray
    ) -> Codes | None:
        if replace(manifest.key, data=key.data).id != key.id or manifest.rows < len(ids):
            return None
        folder = self._folder(manifest.key.id)
        # Most entries do not cover: what they are is read first, and every byte only of the one
        # that does.
        candidate = open_codes(folder, manifest, checksum=False, known=self._known)
        index = locate(candidate, ids, digests)
        return None if index is None else select(self._open(manifest), index, data=key.data)

    def _read(self, name: str, use: Callable[[Manifest], T | None]) -> T | None:
        """What ``use`` makes of an entry's manifest; None without one.

        Errors get the name of the entry here.
        """
        try:
            manifest = load_manifest(self._folder(name))
            return None if manifest is None else use(manifest)
        except DamageError as error:
            raise DamageError(self._describe(name, str(error))) from error
        except OSError as error:
            reason = error if isinstance(error, CacheError) else error.strerror
            raise CacheError(f"entry {name} of {self.path} cannot be read: {reason}") from error

    def _describe(self, name: str, problem: str) -> str:
        return (
            f"entry {name} of {self.path} is damaged: {problem}; "
            "encode its images again to repair it, "
            f"or remove it with: latentmap cache rm {self.path} --entry {name}"
        )
