"""Plan: the shards of a data set, fixed before it is encoded.

So that any worker, at any time, makes the same shard of the same images. ``n`` images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from latentmap.cache.manifest import EntryKey, Manifest
from latentmap.cache.sealed import canonical, require_version, seal, unseal
from latentmap.cache.shards import DamageError
from latentmap.codes import Space
from latentmap.errors import CacheError, ImageError
from latentmap.files import reason_of
from latentmap.frames import Frame

if TYPE_CHECKING:
    from latentmap.images import ImageParts, ImageSource
    from latentmap.model import Model, Precision

PLAN = "plan.json"
_FORMAT = "latentmap-plan"
_SCHEMA = 1


@dataclass(frozen=True)
class PlannedEntry:
    """The entry of one model: its key, and what its manifest says beside that."""

    key: EntryKey
    space: Space
    frame: Frame

    def blank(self, images: int) -> Manifest:
        """The manifest before anything is done."""
        return Manifest(self.key, self.space, self.frame, images)


@dataclass(frozen=True)
class Plan:
    """How ``images`` images of ``data``, which is a name for people, are cut.

    A shard is ``shard_images`` images in a row, the last one what is left, and is encoded
    ``batch_size`` at a time. ``digests``, one a shard, are of the ids of its images and the content
    of the first, by which a worker knows that it has the images that were planned.
    """

    data: str
    images: int
    shard_images: int
    batch_size: int
    entries: tuple[PlannedEntry, ...]
    digests: tuple[str, ...]

    @property
    def id(self) -> str:
        """16 hex digits of the sha256 of all but the name of the data."""
        return hashlib.sha256(canonical({**self._body(), "data": ""})).hexdigest()[:16]

    @property
    def precision(self) -> Precision:
        """How the networks compute."""
        return cast("Precision", self.entries[0].key.precision)

    def __len__(self) -> int:
        return len(self.digests)

    def range(self, number: int) -> tuple[int, int]:
        """The images of a shard: the first, and the one after the last."""
        start = number * self.shard_images
        return start, min(start + self.shard_images, self.images)

    def shard(self, images: ImageParts, number: int) -> ImageSource:
        """The images of a shard, out of those that were planned.

        Raises:
            CacheError: these are others.
        """
        if len(images) != self.images:
            raise CacheError(
                f"the plan {self.id} is of {self.images} images of {self.data}, and there are "
                f"{len(images)}: give the images that were planned, or plan these (--plan)"
            )
        part = images.part(*self.range(number))
        if digest_of(part) != self.digests[number]:
            raise CacheError(
                f"shard {number} of the plan {self.id} is of other images of {self.data} than are "
                "there now: give the images that were planned, or plan these (--plan)"
            )
        return part

    def is_of(self, images: ImageParts) -> bool:
        """Whether some images are those that were planned, by their number and the first shard."""
        if len(images) != self.images:
            return False
        return digest_of(images.part(*self.range(0))) == self.digests[0]

    def require(self, models: Sequence[Model]) -> None:
        """Refuses models that are not those that were planned, in that order.

        Raises:
            CacheError: they are others.
        """
        for model, entry in zip(models, self.entries, strict=True):
            if model.fingerprint != entry.key.model:
                raise CacheError(
                    f"the plan {self.id} is for {entry.space}, not for {model.space}: give the "
                    "models that were planned, or plan for these (--plan)"
                )

    def to_bytes(self) -> bytes:
        """The file; the same plan gives the same bytes."""
        return seal(self._body())

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """The plan in a file.

        Raises:
            DamageError: the file is not what was written.
            CacheError: it was written by a newer version of latentmap.
        """
        body = unseal(data, PLAN)
        require_version(body, _FORMAT, (_SCHEMA,))
        try:
            plan = cls(
                data=body["data"],
                images=body["images"],
                shard_images=body["shard_images"],
                batch_size=body["batch_size"],
                entries=tuple(_entry(entry) for entry in body["entries"]),
                digests=tuple(body["digests"]),
            )
            numbers = (plan.images, plan.shard_images, plan.batch_size)
            sound = all(type(number) is int and number > 0 for number in numbers)
            sound &= bool(plan.entries) and all(isinstance(text, str) for text in plan.digests)
            sound = sound and len(plan) == -(-plan.images // plan.shard_images)
            sound = sound and len({entry.key.id for entry in plan.entries}) == len(plan.entries)
            sound = sound and plan.to_bytes() == data
        except (AttributeError, KeyError, TypeError, ValueError, ImageError) as error:
            raise DamageError(f"{PLAN} is not a plan ({reason_of(error)})") from error
        if not sound:
            raise DamageError(f"{PLAN} contradicts itself")
        return plan

    def _body(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "schema_version": _SCHEMA,
            "data": self.data,
            "images": self.images,
            "shard_images": self.shard_images,
            "batch_size": self.batch_size,
            "entries": [
                {
                    "key": asdict(entry.key),
                    "space": entry.space.to_json(),
                    "frame": entry.frame.to_json(),
                }
                for entry in self.entries
            ],
            "digests": list(self.digests),
        }


def digest_of(images: ImageSource) -> str:
    """Of the ids of some images, and of the content of the first."""
    names = (name.encode("utf-8", "surrogateescape") for name in images.ids.tolist())
    digest = hashlib.sha256(b"".join(len(one).to_bytes(4, "big") + one for one in names))
    digest.update(images.subset([0]).digests.tobytes())
    return digest.hexdigest()


def _entry(document: dict[str, Any]) -> PlannedEntry:
    return PlannedEntry(
        EntryKey(**document["key"]),
        Space.from_json(document["space"]),
        Frame.from_json(document["frame"]),
    )
