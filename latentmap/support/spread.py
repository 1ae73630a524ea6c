"""How far apart images are from each other, with intervals: support sets against random images.

Shapes: ``n`` images; pixels are uint8 ``(n, h, w, c)``.
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
from latentmap.support.finding import read_pixels
from latentmap.support.support_set import SupportSet

RANDOM_IMAGES = 1000
_BOOTSTRAP = 1000
_BLOCK = 250  # Bootstrap rounds at a time.


@dataclass(frozen=True, eq=False)
class Spread:
    """Mean squared distances in [0, 1] between the images of all pairs, with 95 % intervals.

    ``support`` is between all images of a support set, ``one_of_each`` without its fill-up,
    ``occupied`` between those of them that are members of their sectors; each is None where that is
    the one before, or fewer than two images. ``random`` is between ``n_random`` random images of
    the data, without those that were ``skipped``; ``ratio`` is support to random.
    """

    support: Estimate
    one_of_each: Estimate | None
    occupied: Estimate | None
    random: Estimate
    ratio: Estimate
    n_random: int
    skipped: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``."""
        named = {
            "support_mse": self.support,
            "one_of_each_mse": self.one_of_each,
            "occupied_mse": self.occupied,
            "random_mse": self.random,
            "ratio": self.ratio,
        }
        result: dict[str, Any] = {"n_random": self.n_random, "skipped": list(self.skipped)}
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
        )


def measure_spread(
    support: SupportSet, images: ImageSource, *, seed: int = 0, on_error: OnError = "stop"
) -> Spread:
    """The distances between the images of a support set, and between 1,000 random ones of the data,
    as its model sees them. ``on_error`` is about the random ones.

    Raises:
        SupportError: the data set lacks images of the support set, or they cannot be read; or one
            of both has fewer than two.
        ImageError: a random image cannot be read and ``on_error`` is ``stop``.
    """
    _check_number(len(support), len(images))
    # The set may hold its images; that these are of the same data is to be seen all the same.
    support.select_in(images)
    pixels = support.images if support.images is not None else support.pixels_in(images)
    generator = np.random.default_rng(seed)
    # No copies, of which a support set has none either: they are at no distance.
    candidates = one_of_each(units_of(images.digests), seed=seed)
    n = min(RANDOM_IMAGES, len(candidates))
    drawn = candidates[generator.choice(len(candidates), n, replace=False)]
    some, skipped = read_pixels(
        images.subset(np.sort(drawn)), support.view_of(images), on_error=on_error
    )
    _check_number(len(support), len(some))
    distances = pair_distances(pixels)
    all_mean, all_rounds = _mean_with_rounds(distances, seed=seed)
    random_mean, random_rounds = _mean_with_rounds(pair_distances(some), seed=seed + 1)

    def of_part(kept: np.ndarray) -> Estimate | None:
        if kept.all() or kept.sum() < 2:
            return None
        return mean_pair_distance(distances[np.ix_(kept, kept)], seed=seed)

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
    )


def _check_number(members: int, images: int) -> None:
    if min(members, images) < 2:
        raise SupportError(
            f"a distance needs two images, but there are {members} in the support set and {images} "
            "in the data that can be read: give more images"
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


def mean_pair_distance(distances: np.ndarray, *, seed: int = 0) -> Estimate:
    """The mean over all pairs of two different images of ``distances`` ``(n, n)``.

    The interval is a bootstrap over images, not over pairs, which share images: an image that is
    drawn twice counts twice in the pairs with others, and makes none with itself.
    """
    mean, rounds = _mean_with_rounds(distances, seed=seed)
    return Estimate(mean, *percentiles(rounds))


def _mean_with_rounds(distances: np.ndarray, *, seed: int) -> tuple[float, np.ndarray]:
    n = len(distances)
    generator = np.random.default_rng(seed)
    rounds = []
    for start in range(0, _BOOTSTRAP, _BLOCK):
        k = min(_BLOCK, _BOOTSTRAP - start)
        drawn = generator.integers(0, n, (k, n)) + n * np.arange(k)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=k * n).reshape(k, n).astype(np.float64)
        pairs = n * n - np.square(counts).sum(axis=1)
        total = ((counts @ distances) * counts).sum(axis=1)
        # A round that drew one image only has no pair.
        rounds.append(np.divide(total, pairs, out=np.full(k, np.nan), where=pairs > 0))
    return float(distances.sum() / (n * (n - 1))), np.concatenate(rounds)
