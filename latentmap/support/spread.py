"""How far apart images are from each other, with intervals: support sets against random images.

Distances are between images of different units (see ``latentmap.codes.units_of``): two images of
one person say how alike he is to himself.

Shapes: ``n`` images of ``u`` units; pixels are uint8 ``(n, h, w, c)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentmap.codes import one_of_each, units_of
from latentmap.errors import SupportError
from latentmap.images import ImageSource, OnError
from latentmap.intervals import Estimate, percentiles
from latentmap.report.words import images_in_words
from latentmap.support.finding import find_by_content, read_pixels
from latentmap.support.support_set import SupportSet

RANDOM_IMAGES = 1000
_BOOTSTRAP = 1000
_BLOCK = 250  # Bootstrap rounds at a time.


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean squared distances in [0, 1] between images of different units, over all such pairs, with
    95 % intervals over units; not defined for one unit.

    ``support`` is between the ``n_support`` images of a support set, which are of
    ``n_support_units`` units (both are 0 where a file of an earlier version does not say);
    ``one_of_each`` is without its fill-up, ``occupied`` between those of them that are members of
    their sectors; each is None where that is the one before, or fewer than two images. ``random``
    is between ``n_random`` random images of the data, each of another unit, without those that were
    ``skipped``; ``ratio`` is support to random.
    """

    support: Estimate
    one_of_each: Estimate | None
    occupied: Estimate | None
    random: Estimate
    ratio: Estimate
    n_random: int
    skipped: tuple[str, ...] = ()
    n_support: int = 0
    n_support_units: int = 0

    @property
    def left_out(self) -> str:
        """For people, which pairs are left out; nothing where none is."""
        if self.n_support_units >= self.n_support:
            return ""
        of = images_in_words(self.n_support, self.n_support_units)
        return f" Pairs of one group are left out: the set has {of}."

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``."""
        named = {
            "support_mse": self.support,
            "one_of_each_mse": self.one_of_each,
            "occupied_mse": self.occupied,
            "random_mse": self.random,
            "ratio": self.ratio,
        }
        result: dict[str, Any] = {
            "n_support": self.n_support,
            "n_support_units": self.n_support_units,
            "n_random": self.n_random,
            "skipped": list(self.skipped),
        }
        for name, estimate in named.items():
            names = (name, f"{name}_low", f"{name}_high")
            result |= dict.fromkeys(names) if estimate is None else estimate.to_json(name)
        return result

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Spread:
        """What ``to_json`` gave.

        Raises:
            KeyError: a figure is missing.
        """

        def estimate(name: str) -> Estimate | None:
            return None if record[name] is None else Estimate.from_json(record, name)

        return cls(
            Estimate.from_json(record, "support_mse"),
            estimate("one_of_each_mse"),
            estimate("occupied_mse"),
            Estimate.from_json(record, "random_mse"),
            Estimate.from_json(record, "ratio"),
            int(record["n_random"]),
            tuple(record.get("skipped", ())),
            # Files of earlier versions do not say these.
            int(record.get("n_support", 0)),
            int(record.get("n_support_units", 0)),
        )


def measure_spread(
    support: SupportSet, images: ImageSource, *, seed: int = 0, on_error: OnError = "stop"
) -> Spread:
    """The distances between the images of a support set, and between 1,000 random ones of the data,
    as its model sees them. ``on_error`` is about the random ones.

    Images are of one unit where they have one content, or one of the groups of ``images``.

    Raises:
        SupportError: the data set lacks images of the support set, or they cannot be read; or the
            set has fewer than two images, or the data fewer than two units.
        ImageError: a random image cannot be read and ``on_error`` is ``stop``.
    """
    units = units_of(images.digests, images.groups)
    # One of each: copies, and images of one group, do not show how far apart the data is.
    candidates = one_of_each(units, seed=seed)
    _check_number(len(support), len(candidates))
    # The set may hold its images; that these are of the same data is to be seen all the same.
    support.select_in(images)
    pixels = support.images if support.images is not None else support.pixels_in(images)
    generator = np.random.default_rng(seed)
    n = min(RANDOM_IMAGES, len(candidates))
    drawn = candidates[generator.choice(len(candidates), n, replace=False)]
    some, skipped = read_pixels(
        images.subset(np.sort(drawn)), support.view_of(images), on_error=on_error
    )
    _check_number(len(support), len(some))
    distances = pair_distances(pixels)
    mine = units[find_by_content(images, support.digests)[0]]
    all_mean, all_rounds = _mean_with_rounds(distances, mine, seed=seed)
    random_mean, random_rounds = _mean_with_rounds(
        pair_distances(some), np.arange(len(some)), seed=seed + 1
    )

    def of_part(kept: np.ndarray) -> Estimate | None:
        if kept.all() or kept.sum() < 2:
            return None
        return mean_pair_distance(distances[np.ix_(kept, kept)], mine[kept], seed=seed)

    # Images that are all alike have no distance that others could be compared with.
    ratio = all_mean / random_mean if random_mean > 0 else math.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = all_rounds / random_rounds
    return Spread(
        Estimate(all_mean, *percentiles(all_rounds)),
        of_part(~support.filled),
        of_part(~support.filled & ~support.relaxed) if support.relaxed.any() else None,
        Estimate(random_mean, *percentiles(random_rounds)),
        Estimate(ratio, *percentiles(ratios)),
        len(some),
        skipped,
        len(support),
        len(np.unique(mine)),
    )


def _check_number(members: int, images: int) -> None:
    if min(members, images) < 2:
        raise SupportError(
            f"a distance needs two images, but there are {members} in the support set and {images} "
            "in the data that can be read, copies and images of one group being one: give more "
            "images"
        )


def pair_distances(pixels: np.ndarray) -> np.ndarray:
    """The mean squared error in [0, 1] between every two images, float64 ``(n, n)``."""
    rows = pixels.reshape(len(pixels), -1).astype(np.float32) / 255
    # About their mean, so that the subtraction below costs no digits.
    rows -= rows.mean(axis=0)
    products = (rows @ rows.T).astype(np.float64)
    squares = products.diagonal()
    distances = np.maximum(squares[:, None] + squares - 2 * products, 0) / rows.shape[1]
    np.fill_diagonal(distances, 0)
    return np.asarray(distances)


def mean_pair_distance(
    distances: np.ndarray, units: np.ndarray | None = None, *, seed: int = 0
) -> Estimate:
    """The mean of ``distances`` ``(n, n)`` over all pairs of images of two different ``units``
    ``(n,)``, without which each image is one; not defined for one unit.

    The interval is a bootstrap over units, not over pairs, which share images: a unit that is drawn
    twice counts twice in the pairs with others, and makes none with itself.
    """
    each = np.arange(len(distances)) if units is None else units
    mean, rounds = _mean_with_rounds(distances, each, seed=seed)
    return Estimate(mean, *percentiles(rounds))


def _mean_with_rounds(
    distances: np.ndarray, units: np.ndarray, *, seed: int
) -> tuple[float, np.ndarray]:
    sums, sizes = _between(distances, units)
    u = len(sizes)
    generator = np.random.default_rng(seed)
    rounds = []
    for start in range(0, _BOOTSTRAP, _BLOCK):
        k = min(_BLOCK, _BOOTSTRAP - start)
        drawn = generator.integers(0, u, (k, u)) + u * np.arange(k)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=k * u).reshape(k, u).astype(np.float64)
        images = counts * sizes
        pairs = np.square(images.sum(axis=1)) - np.square(images).sum(axis=1)
        total = ((counts @ sums) * counts).sum(axis=1)
        # A round that drew one unit only has no pair.
        rounds.append(np.divide(total, pairs, out=np.full(k, np.nan), where=pairs > 0))
    pairs_of_all = sizes.sum() ** 2 - np.square(sizes).sum()
    mean = float(sums.sum() / pairs_of_all) if pairs_of_all > 0 else math.nan
    return mean, np.concatenate(rounds)


def _between(distances: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sums of distances between the images of two units, ``(u, u)``, 0 of one with itself, and
    how many images each has, ``(u,)``.
    """
    _, numbers = np.unique(units, return_inverse=True)
    sizes = np.bincount(numbers).astype(np.float64)
    if len(sizes) == len(units):
        return distances, sizes
    order = np.argsort(numbers, kind="stable")
    starts = np.cumsum(sizes, dtype=np.int64) - sizes.astype(np.int64)
    rows = np.add.reduceat(distances[order], starts, axis=0)
    sums: np.ndarray = np.add.reduceat(rows[:, order], starts, axis=1)
    np.fill_diagonal(sums, 0)
    return sums, sizes
