"""Upkeep of a cache: its entries listed, verified, removed and exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from latentmap.cache.entries import (
    ENTRIES,
    ENTRY_FILE,
    ENTRY_NAME,
    MARKER,
    find_damage,
    is_cache,
    load_manifest,
    lock_path,
    open_codes,
)
from latentmap.cache.manifest import MANIFEST, Manifest
from latentmap.cache.shards import DamageError
from latentmap.cache.storage import Storage
from latentmap.codes import CodeFormat, Codes, export_codes, require_code_output
from latentmap.errors import CacheError
from latentmap.files import folders_in, hold_lock, look_into, refuse_links, size_of
from latentmap.progress import Progress

if TYPE_CHECKING:
    from latentmap.images.thumbnails import Thumbnails

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

    @property
    def state(self) -> Literal["damaged", "empty", "complete", "unfinished"]:
        """How far it is."""
        if self.problem:
            return "damaged"
        if self.manifest is None:
            return "empty"
        return "complete" if self.manifest.complete else "unfinished"

    def to_json(self) -> dict[str, Any]:
        """What it is, what made it, and how far it is."""
        known = {"entry": self.id, "state": self.state, "bytes": self.size, "problem": self.problem}
        if self.manifest is None:
            return known
        return {
            **known,
            **self.manifest.provenance(),
            "images": self.manifest.images,
            "done": self.manifest.done,
            "skipped": [skip.id for skip in self.manifest.skipped],
            "repairs": list(self.manifest.repairs),
        }

    def __str__(self) -> str:
        if self.manifest is None:
            return f"{self.id} ({self.state})"
        return f"{self.id} ({self.manifest.space.model}, {self.manifest.done} images)"


class Entries:
    """All entries of the cache in a folder; ``storage`` is the disk, which tests replace."""

    def __init__(self, path: str | Path, *, storage: Storage | None = None) -> None:
        self.path = Path(path)
        self.storage = storage or Storage()

    def all(self) -> tuple[Entry, ...]:
        """All entries, in the order of their ids.

        Raises:
            CacheError: the folder is not a cache.
        """
        self.require()
        return tuple(self._entry(name) for name in self.names())

    def require(self) -> None:
        """Refuses a folder that is not a cache.

        Raises:
            CacheError: that is so, or it cannot be read.
        """
        try:
            if is_cache(self.path):
                return
        except OSError as error:
            raise CacheError(f"{self.path} cannot be read: {error.strerror}") from error
        raise CacheError(
            f"{self.path} is not a cache (it has neither a {MARKER} nor an entry): name the folder "
            "that was encoded to"
        )

    def named(self, prefix: str = "") -> Entry:
        """The one entry whose id begins with ``prefix``.

        Raises:
            CacheError: none does, or several do; the message lists them.
        """
        entries = self.all()
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

    def of_model(self, name: str) -> list[Entry]:
        """The entries of a model, by its name or the beginning of its fingerprint.

        Raises:
            CacheError: there are none; the message lists the models that there are.
        """
        entries = [(entry, entry.manifest.space) for entry in self.all() if entry.manifest]
        found = [
            entry
            for entry, space in entries
            if name == space.model or space.fingerprint.startswith(name)
        ]
        if not found:
            names = sorted({space.model for _, space in entries})
            raise CacheError(
                f"no entry of model {name!r} in {self.path}: its models are "
                f"{', '.join(names) or 'none'}"
            )
        return found

    def verify(self, progress: Progress | None = None) -> list[str]:
        """Reads every byte, and gives back a line for each file that is not as it was written.

        ``progress`` counts bytes.
        """
        entries = self.all()
        problems = [entry.problem for entry in entries if entry.problem]
        shards = [
            (self.folder(entry.id), shard)
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
                problems.append(self._damage(folder.name, problem))
            done += shard.size
            if progress:
                progress(done, total)
        return problems

    def remove(self, entry: Entry, *, timeout: float | None = 10) -> tuple[Path, ...]:
        """Removes an entry, which frees ``entry.size`` bytes, and tells what else was in its folder
        and stays there: it is not ours.

        Waits at most ``timeout`` seconds for a writer.

        Raises:
            CacheError: the entry is being written, or cannot be removed.
        """
        folder = self.folder(entry.id)
        what = f"entry {entry.id} of {self.path}"
        try:
            refuse_links(lock_path(folder).parent, error=CacheError)
            self.storage.make_folder(lock_path(folder).parent)
            with hold_lock(lock_path(folder), what, timeout=timeout):
                found = look_into(folder, ENTRY_FILE)
                # The manifest goes first: what is left of an interrupted removal holds no codes.
                for path in sorted(found.ours, key=lambda one: one.name != MANIFEST):
                    self.storage.unlink(path)
                    if path.name == MANIFEST:
                        self.storage.sync_folder(folder)
                if not found.others:
                    self.storage.rmdir(folder)
                    self.storage.sync_folder(self._path)
                return found.others
        except CacheError:
            raise
        except OSError as error:
            raise CacheError(f"{what} cannot be removed: {error.strerror or error}") from error

    def export(
        self,
        path: str | Path,
        *,
        prefix: str = "",
        force: bool = False,
        format: CodeFormat | None = None,
        thumbnails: Thumbnails | None = None,
    ) -> Codes:
        """Writes the codes of one entry to one file, as ``export_codes`` does, and gives them back;
        with ``thumbnails`` those of the images, too.

        Raises:
            CacheError: no entry or several begin with ``prefix``; or it is damaged or not
                complete.
            ImageError: the images of the thumbnails are not those that were encoded, or cannot be
                read.
            OutputError: the file exists and ``force`` is not set, or has another suffix, or cannot
                be written.
        """
        require_code_output(path, force=force, format=format)
        entry = self.named(prefix)
        if entry.problem:
            raise CacheError(entry.problem)
        manifest, codes = entry.manifest, None
        if manifest is not None and manifest.complete:
            codes = self.read(entry.id, self._open)
        if manifest is None or codes is None:
            raise CacheError(
                f"{entry} is not complete: encode its images again to go on, then export it"
            )
        export_codes(
            codes,
            Path(path),
            provenance=manifest.provenance(),
            force=force,
            format=format,
            thumbnails=None if thumbnails is None else thumbnails.of(codes),
        )
        return codes

    @property
    def _path(self) -> Path:
        return self.path / ENTRIES

    def folder(self, name: str) -> Path:
        """Where the entry with this id is, or would be."""
        return self._path / name

    def names(self) -> list[str]:
        """The ids of all entries, sorted; none where there is no cache yet."""
        if not self._path.is_dir():
            return []
        return [path.name for path in folders_in(self._path, ENTRY_NAME)]

    def manifest(self, name: str) -> Manifest | None:
        """What was committed to the entry with this id; None when nothing was.

        Raises:
            CacheError: it is damaged, or cannot be read.
        """
        return self.read(name, lambda manifest: manifest)

    def _entry(self, name: str) -> Entry:
        try:
            size = size_of(look_into(self.folder(name), ENTRY_FILE).ours)
            return Entry(name, size, self.manifest(name))
        except FileNotFoundError:
            # Removed by another process in this moment.
            return Entry(name, 0, None)
        except CacheError as error:
            return Entry(name, size, None, str(error))
        except OSError as error:
            problem = f"entry {name} of {self.path} cannot be read: {error.strerror or error}"
            return Entry(name, 0, None, problem)

    def read(self, name: str, use: Callable[[Manifest], T | None]) -> T | None:
        """What ``use`` makes of an entry's manifest; None without one.

        Errors get the name of the entry here.
        """
        try:
            manifest = load_manifest(self.folder(name))
            return None if manifest is None else use(manifest)
        except DamageError as error:
            raise DamageError(self._damage(name, str(error))) from error
        except OSError as error:
            reason = error if isinstance(error, CacheError) else error.strerror
            raise CacheError(f"entry {name} of {self.path} cannot be read: {reason}") from error

    def _open(self, manifest: Manifest) -> Codes:
        # Every byte is read, whatever this process has read before.
        return open_codes(self.folder(manifest.key.id), manifest, checksum=True, known=set())

    def _damage(self, name: str, problem: str) -> str:
        return (
            f"entry {name} of {self.path} is damaged: {problem}; "
            "encode its images again to repair it, "
            f"or remove it with: latentmap cache rm {name} --cache {self.path}"
        )
