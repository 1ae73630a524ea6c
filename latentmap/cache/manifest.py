"""The manifest of a cache entry: what was committed, and from what it was made.

It is a sealed document (sealed.py). An entry that several workers write has holes while they do.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from latentmap import __version__
from latentmap.cache.sealed import canonical, require_version, seal, unseal
from latentmap.cache.shards import DamageError, ShardRecord
from latentmap.codes import Space
from latentmap.errors import ImageError
from latentmap.files import reason_of
from latentmap.frames import Frame

if TYPE_CHECKING:
    from latentmap.images import ImageSource
    from latentmap.model import Model

MANIFEST = "manifest.json"
_FORMAT = "latentmap-cache-entry"
_SCHEMA = 1
_SCHEMA_OF_HOLES = 2  # Which an older latentmap does not read.


@dataclass(frozen=True)
class EntryKey:
    """What decides the codes of an entry; all of it is content, nothing is a name.

    ``model`` is the fingerprint of the weights, ``space`` the kind of code, ``data`` the
    fingerprint of the images, ``view`` what the model saw of them (frame, size, channels),
    ``before`` what had been done to the pixels when they were packed, ``precision`` how the
    network computed. Codes are stored as float32 whatever the precision was.
    """

    model: str
    space: str
    data: str
    view: dict[str, Any]
    before: dict[str, Any]
    precision: str = "float32"

    @classmethod
    def of(
        cls,
        model: Model,
        images: ImageSource,
        *,
        precision: str = "float32",
        data: str | None = None,
    ) -> EntryKey:
        """The key of the codes that ``model`` gives for ``images``, or for others by their
        fingerprint ``data``.
        """
        view = model.view
        seen = {
            "frame": view.frame.to_json(),
            "size": list(view.size),
            "channels": view.channels,
        }
        before = images.view_key(view)
        data = images.fingerprint if data is None else data
        return cls(model.fingerprint, model.space.kind, data, seen, before, precision)

    @property
    def id(self) -> str:
        """The name of the entry's folder: 16 hex digits of the sha256 of the key."""
        document = {"schema": _SCHEMA, **asdict(self)}
        return hashlib.sha256(canonical(document)).hexdigest()[:16]


class Skipped(NamedTuple):
    """An image that could not be read and has no row."""

    position: int
    id: str
    message: str


@dataclass(frozen=True)
class Manifest:
    """What an entry holds: ``done`` of ``images`` images, in ``shards`` or ``skipped``.

    They are the first ones but for ``holes``, runs of images (from, to) that lie before others that
    are done. ``repairs`` tells what was found damaged and made again; ``version`` is the library
    that began the entry.
    """

    key: EntryKey
    space: Space
    frame: Frame
    images: int
    done: int = 0
    shards: tuple[ShardRecord, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    repairs: tuple[str, ...] = ()
    holes: tuple[tuple[int, int], ...] = ()
    version: str = __version__

    @property
    def complete(self) -> bool:
        return self.done == self.images

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def end(self) -> int:
        """The position after the last image that is done."""
        return self.done + sum(stop - start for start, stop in self.holes)

    def has(self, start: int, stop: int) -> bool:
        """Whether the images from ``start`` to ``stop`` are done."""
        return stop <= self.end and all(
            last <= start or stop <= first for first, last in self.holes
        )

    def provenance(self) -> dict[str, Any]:
        """What made the codes, as JSON, for files that have to explain themselves."""
        return {
            "key": asdict(self.key),
            "space": self.space.to_json(),
            "frame": self.frame.to_json(),
            "latentmap": self.version,
        }

    def cut(self, count: int) -> Manifest:
        """This manifest with its first ``count`` shards, and what was skipped before the next."""
        done = self.shards[count].start
        skipped = tuple(skip for skip in self.skipped if skip.position < done)
        return replace(self, done=done, shards=self.shards[:count], skipped=skipped)

    def to_bytes(self) -> bytes:
        """The file; the same manifest gives the same bytes."""
        body = {
            "format": _FORMAT,
            "schema_version": _SCHEMA_OF_HOLES if self.holes else _SCHEMA,
            **self.provenance(),
            "images": self.images,
            "done": self.done,
            "complete": self.complete,
            "shards": [{"name": shard.name, **vars(shard)} for shard in self.shards],
            "skipped": [skip._asdict() for skip in self.skipped],
            "repairs": list(self.repairs),
        }
        if self.holes:
            body["holes"] = [list(hole) for hole in self.holes]
        return seal(body)

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """The manifest in a file.

        Raises:
            DamageError: the file is not what was written.
            CacheError: it was written by a newer version of latentmap.
        """
        body = unseal(data, MANIFEST)
        require_version(body, _FORMAT, (_SCHEMA, _SCHEMA_OF_HOLES))
        try:
            manifest = cls(
                key=EntryKey(**body["key"]),
                space=Space.from_json(body["space"]),
                frame=Frame.from_json(body["frame"]),
                images=body["images"],
                done=body["done"],
                shards=tuple(_record(shard) for shard in body["shards"]),
                skipped=tuple(Skipped(**skip) for skip in body["skipped"]),
                repairs=tuple(body["repairs"]),
                holes=tuple((start, stop) for start, stop in body.get("holes", ())),
                version=body["latentmap"],
            )
            sound = manifest._typed() and manifest.to_bytes() == data and manifest._covers()
        except (AttributeError, KeyError, TypeError, ValueError, ImageError) as error:
            raise DamageError(f"{MANIFEST} is not a manifest ({reason_of(error)})") from error
        if not sound:
            raise DamageError(f"{MANIFEST} contradicts itself")
        return manifest

    def _typed(self) -> bool:
        """Whether all that it is made of has the types that it should have."""
        key, numbers = self.key, [self.images, self.done]
        texts = [key.model, key.space, key.data, key.precision, self.version, *self.repairs]
        for shard in self.shards:
            numbers += [shard.start, shard.stop, shard.rows, shard.size]
            texts.append(shard.sha256)
        for skip in self.skipped:
            numbers.append(skip.position)
            texts += [skip.id, skip.message]
        for hole in self.holes:
            numbers += hole
        return (
            isinstance(key.view, dict)
            and isinstance(key.before, dict)
            and all(isinstance(text, str) for text in texts)
            and all(type(number) is int and number >= 0 for number in numbers)
        )

    def _covers(self) -> bool:
        """Whether every position before the last that is done is in one shard, or is skipped, or is
        in a hole, and no other is.
        """
        place, end = 0, self.end
        for shard in self.shards:
            if not (
                place <= shard.start < shard.stop and 0 < shard.rows <= shard.stop - shard.start
            ):
                return False
            place = shard.stop
        taken = sorted([*((shard.start, shard.stop) for shard in self.shards), *self.holes])
        apart = all(one[1] <= other[0] for one, other in itertools.pairwise(taken))
        real = all(start < stop <= end for start, stop in self.holes)
        counted = self.rows + len(self.skipped) == self.done
        return place <= end <= self.images and counted and apart and real


def _record(document: dict[str, Any]) -> ShardRecord:
    # The name follows from the positions, so that no manifest can point outside its folder.
    return ShardRecord(**{name: value for name, value in document.items() if name != "name"})
