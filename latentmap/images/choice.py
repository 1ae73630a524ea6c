"""How images were chosen among those of a place, in words and for the record of a result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from latentmap.images.splits import Split

_LONGEST = 100  # Letters of an expression in a title; the record has all of it.


@dataclass(frozen=True)
class Unlisted:
    """That ``n`` of ``of`` images are not in a ``table``, and were left out for it."""

    table: str
    n: int
    of: int

    def __str__(self) -> str:
        return f"left out {self.n:,} of {self.of:,} images, which are not in {self.table}"


@dataclass(frozen=True)
class Choice:
    """Which images of a ``file``, or folder, were chosen; None for what nobody chose by.

    ``ids`` and ``exclude`` are the names of lists of those that are taken and left out, ``where``
    is the condition that their attributes fulfil. ``limit`` is how many are left of more, of each
    split apart where it is ``by_split``. ``unlisted`` are those that a table did not have.

    Example:
        >>> print(Choice("faces.zip", split="test", where="Wearing_Hat == 1", limit=500))
        faces.zip, test, Wearing_Hat == 1, the first 500
    """

    file: str
    split: Split | None = None
    ids: str | None = None
    exclude: str | None = None
    where: str | None = None
    limit: int | None = None
    by_split: bool = False
    unlisted: tuple[Unlisted, ...] = ()

    def __str__(self) -> str:
        parts = [
            self.file,
            self.split,
            self.ids and f"only those in {self.ids}",
            self.exclude and f"without those in {self.exclude}",
            self.where and _shortened(self.where),
            self.limit and f"the first {self.limit:,}" + " of each split" * self.by_split,
        ]
        return ", ".join(part for part in parts if part)

    def without(self, unlisted: Unlisted) -> Choice:
        """The same without some images more that a table does not have; without none, as it is."""
        return replace(self, unlisted=(*self.unlisted, unlisted)) if unlisted.n else self

    def to_json(self) -> dict[str, Any]:
        """All of it, and ``in_words`` as results are called."""
        unlisted = [asdict(one) for one in self.unlisted]
        return {"in_words": str(self), **asdict(self), "unlisted": unlisted}


def _shortened(expression: str) -> str:
    text = " ".join(expression.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
