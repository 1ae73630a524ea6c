"""EntryWriter: adds codes to one entry, shard by shard; a crash keeps all that was committed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import TracebackType

import numpy as np

from latentmap.cache.entries import (
    ENTRY_FILE,
    Known,
    claim,
    find_damage,
    load_manifest,
    lock_path,
    open_codes,
)
from latentmap.cache.manifest import MANIFEST, Manifest, Skipped
from latentmap.cache.shards import DamageError, ShardContent, ShardRecord, pack_shard
from latentmap.cache.storage import Storage, advice_on
from latentmap.codes import Codes
from latentmap.errors import CacheError
from latentmap.files import Notify, hold_lock, look_into, refuse_links


@dataclass
class _Pending:
    """What was appended since the last commit; ``stop`` is the position after it."""

    stop: int
    positions: list[np.ndarray] = field(default_factory=list)
    codes: list[np.ndarray] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    size: int = 0
    since: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, eq=False)
class Access:
    """How a cache meets its disk: ``storage`` is the disk, a shard is closed when it has
    ``shard_bytes`` or is ``shard_seconds`` old, ``known`` are the files whose bytes were checked,
    and ``notify`` gets a line when damage is repaired, or another process is waited for.
    """

    storage: Storage
    shard_bytes: int
    shard_seconds: float
    notify: Notify | None
    known: Known = field(default_factory=set)


class EntryWriter:
    """Writes the codes of one entry, in the order of its images; made by ``LatentCache.writer``.

    As a context manager it holds the entry's lock. Entering waits for another writer, removes what
    a killed one left half done, and drops shards that are damaged, with all after them: ``done``
    says where to go on. Codes are committed, and so survive any crash, when a shard is full or old
    enough, at ``finish``, and when the block is left.
    """

    def __init__(
        self,
        folder: Path,
        blank: Manifest,
        access: Access,
        *,
        ids: np.ndarray,
        digests: np.ndarray,
        timeout: float | None,
    ) -> None:
        self._folder = folder
        self._manifest = blank
        self._access = access
        self._ids = ids
        self._digests = digests
        self._timeout = timeout
        self._stack = ExitStack()
        self._failed = False
        self._published = False
        self._pending = _Pending(blank.done)

    @property
    def done(self) -> int:
        """How many of the first images are committed, whatever happens from now on."""
        return self._manifest.done

    @property
    def stop(self) -> int:
        """The position after the last image that was appended."""
        return self._pending.stop

    @property
    def complete(self) -> bool:
        """Whether all images are committed."""
        return self._published and self._manifest.complete

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The committed images that could not be read."""
        return self._manifest.skipped

    def __enter__(self) -> EntryWriter:
        with ExitStack() as stack, self._saving():
            lock = lock_path(self._folder)
            refuse_links(lock.parent, self._folder.parent, self._folder, error=CacheError)
            claim(lock.parents[1], self._access.storage, self._access.notify)
            self._access.storage.make_folder(lock.parent)
            what = f"entry {self._folder.name} of {lock.parents[1]}"
            stack.enter_context(
                hold_lock(lock, what, timeout=self._timeout, notify=self._access.notify)
            )
            self._access.storage.make_folder(self._folder)
            self._resume()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._stack:
            if self._pending.stop == self.done or self._failed:
                return
            # What is there is kept. An error on its way out is what the caller has to hear of.
            with suppress(CacheError) if error else nullcontext():
                self._commit()

    def append(
        self,
        positions: np.ndarray,
        codes: np.ndarray,
        *,
        stop: int,
        failed: Sequence[tuple[int, str]] = (),
    ) -> None:
        """Adds the codes, float32 ``(k, d)``, of the images at ``positions``, in ascending order.

        ``stop`` is the position after the batch; every position since the batch before is in
        ``positions`` or, with a message, in ``failed``. Positions that are already there are
        passed over.

        Raises:
            CacheError: the codes do not fit the entry, or the disk is full or broken.
        """
        pending = self._pending
        fresh = positions >= pending.stop
        positions = positions[fresh]
        failures = [(place, message) for place, message in failed if place >= pending.stop]
        expected = max(stop - pending.stop, 0)
        shape = (len(fresh), self._manifest.space.dim)
        if codes.shape != shape or len(positions) + len(failures) != expected:
            raise CacheError(
                f"images {pending.stop} to {stop} need {expected} codes or failures, and codes of "
                f"shape {shape}, not {len(positions)} codes, {len(failures)} failures and "
                f"shape {codes.shape}: append in order"
            )
        if not expected:
            return
        pending.positions.append(positions)
        pending.codes.append(codes[fresh])
        pending.skipped += [
            Skipped(int(place), str(self._ids[place]), message) for place, message in failures
        ]
        pending.size += pending.codes[-1].nbytes
        pending.stop = stop
        old = time.monotonic() - pending.since >= self._access.shard_seconds
        if old or pending.size >= self._access.shard_bytes:
            self._commit()

    def finish(self) -> Codes:
        """Commits what is left, and gives back the codes of the whole entry.

        Raises:
            CacheError: images are missing, or the disk is full or broken.
        """
        if self._pending.stop != self._manifest.images:
            raise CacheError(
                f"{self._pending.stop} of {self._manifest.images} images were appended: "
                "append the rest before finish"
            )
        if not self.complete:
            self._commit()
        return open_codes(self._folder, self._manifest, checksum=False, known=self._access.known)

    def _resume(self) -> None:
        """Takes over what is committed and right, and removes what else we left in the folder."""
        blank = self._manifest
        note = ""
        try:
            manifest = load_manifest(self._folder) or blank
            self._published = manifest is not blank
        except DamageError as error:
            manifest, note = blank, f"{error}; all images are encoded again"
        for number, shard in enumerate(manifest.shards):
            if problem := find_damage(self._folder, shard, known=self._access.known):
                lost = manifest.done - shard.start
                note = f"{problem}; {lost} images from position {shard.start} on are encoded again"
                manifest = manifest.cut(number)
                break
        if note:
            manifest = replace(manifest, repairs=(*manifest.repairs, note))
        self._manifest = manifest
        self._pending = _Pending(manifest.done)
        self._move_aside()
        if note:
            # Before the files go: no manifest may name a file that is not there.
            self._access.storage.publish(self._folder / MANIFEST, manifest.to_bytes())
            self._published = True
            if self._access.notify:
                self._access.notify(f"entry {self._folder.name} was damaged: {note}")
        keep = {MANIFEST, *(shard.name for shard in manifest.shards)}
        for path in look_into(self._folder, ENTRY_FILE).ours:
            if path.name not in keep:
                self._access.storage.unlink(path)

    def _move_aside(self) -> None:
        """Gives what stands where our files go, and is no file, another name: it is not ours."""
        for path in look_into(self._folder, ENTRY_FILE).others:
            if not ENTRY_FILE.fullmatch(path.name):
                continue
            numbered = (path.with_name(f"{path.name}.moved-{n}") for n in count(1))
            other = next(name for name in numbered if not os.path.lexists(name))
            self._access.storage.rename(path, other)
            if self._access.notify:
                self._access.notify(f"{path} is not of latentmap: it is now {other.name}")

    def _commit(self) -> None:
        """Makes what was appended durable: first the shard, then the manifest that names it."""
        with self._saving():
            manifest = replace(
                self._manifest,
                done=self._pending.stop,
                skipped=(*self._manifest.skipped, *self._pending.skipped),
            )
            if any(map(len, self._pending.positions)):
                manifest = replace(manifest, shards=(*manifest.shards, self._publish_shard()))
            self._access.storage.publish(self._folder / MANIFEST, manifest.to_bytes())
        self._manifest = manifest
        self._published = True
        self._pending = _Pending(manifest.done)

    def _publish_shard(self) -> ShardRecord:
        positions = np.concatenate(self._pending.positions)
        content = ShardContent(
            np.concatenate(self._pending.codes),
            self._ids[positions],
            self._digests[positions],
            positions,
        )
        record, image = pack_shard(
            content,
            start=self._manifest.done,
            stop=self._pending.stop,
            provenance=self._manifest.provenance(),
        )
        self._access.storage.publish(self._folder / record.name, image)
        return record

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Says what is safe when the disk fails."""
        try:
            yield
        except CacheError:
            raise
        except OSError as error:
            self._failed = True
            raise CacheError(
                f"{self._folder.parents[1]} cannot be written ({error.strerror or error}): "
                f"{self.done} of {self._manifest.images} images are safe; {advice_on(error)}"
            ) from error
