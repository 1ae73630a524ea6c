"""Which images may be judged: those of units that nothing judged by them has seen.

The one place that decides it, for maps, comparisons, support sets and benchmarks. Shapes: ``n``
images, digests ``(n, 16)`` uint8.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from latentmap.codes.units import contains, units_of

FITTED, TRAINED = "fitted", "trained"
# What is said of so many images that are left out, by the reason.
WORDS = {
    FITTED: "that the map was fitted on",
    f"{FITTED}_unit": "of the groups of these",
    TRAINED: "that a model was trained on",
    f"{TRAINED}_unit": "of the groups of these",
}


@dataclass(frozen=True, eq=False)
class Seen:
    """Images that something has seen before: ``digests`` ``(m, 16)``, and their ``groups`` ``(m,)``
    where they are known, by the names that the groups of the judged images have.

    ``reason``, such as ``FITTED``, is why an image is left out that is one of them; ``WORDS`` has
    it, and ``{reason}_unit``.
    """

    reason: str
    digests: np.ndarray
    groups: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The images that may be judged: their ``positions`` ``(k,)`` in order and ``units`` ``(k,)``.

    ``left_out`` says of how many others why not: by the reason of ``Seen`` those that were seen,
    and as ``{reason}_unit`` those of which another image of the unit was. Each stands once.
    """

    positions: np.ndarray
    units: np.ndarray
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def n_left_out(self) -> int:
        return sum(self.left_out.values())


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """What ``HeldOut.left_out`` says, empty where nothing was left out.

    Example:
        >>> left_out_in_words({"fitted": 12, "fitted_unit": 3})
        'left out 12 images that the map was fitted on and 3 images of the groups of these'
    """
    parts = [
        f"{n:,} image{'' if n == 1 else 's'} {WORDS[reason]}" for reason, n in left_out.items()
    ]
    return f"left out {' and '.join(parts)}" if parts else ""


def hold_out(
    digests: np.ndarray, seen: Iterable[Seen], *, groups: np.ndarray | None = None
) -> HeldOut:
    """The images with ``digests`` of whose units nothing was seen.

    An image is known by its content, so a copy under another name was seen too, and so were the
    other images of its unit; see ``units_of``. Where the groups of seen images are known, all
    images of these are left out, whichever of them were seen.

    Example:
        >>> digests = np.arange(4, dtype=np.uint8)[:, None].repeat(16, 1)
        >>> held = hold_out(digests, [Seen("fitted", digests[1:2])], groups=np.array([5, 6, 6, 7]))
        >>> held.positions.tolist(), held.left_out
        ([0, 3], {'fitted': 1, 'fitted_unit': 1})
    """
    out = np.zeros(len(digests), dtype=bool)
    left_out: dict[str, int] = {}
    for one in seen:
        again = contains(one.digests, digests)
        found = {one.reason: again}
        if groups is not None:
            found[f"{one.reason}_unit"] = _related(digests, groups, one) & ~again
        for reason, mine in found.items():
            left_out[reason] = left_out.get(reason, 0) + int((mine & ~out).sum())
            out |= mine
    positions = np.flatnonzero(~out)
    units = units_of(digests[positions], None if groups is None else groups[positions])
    return HeldOut(positions, units, {reason: n for reason, n in left_out.items() if n})


def _related(digests: np.ndarray, groups: np.ndarray, seen: Seen) -> np.ndarray:
    """Which images ``(n,)`` are of the unit of a seen one."""
    n, m = len(digests), len(seen.digests)
    if seen.groups is None:
        _, named = np.unique(groups, return_inverse=True)
        # Seen images of unknown groups are known by their contents alone.
        labels = np.concatenate([named, n + np.arange(m)])
    else:
        labels = np.concatenate([groups, seen.groups])
    units = units_of(np.concatenate([digests, seen.digests]), labels)
    return np.isin(units[:n], units[n:])
