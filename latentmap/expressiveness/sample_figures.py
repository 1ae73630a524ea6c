"""What is measured of the generated images of a model beside the images of a set.

Shapes: ``n`` real and ``m`` generated images, ``d`` variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Seen, hold_out
from latentmap.codes.held_out import TRAINED
from latentmap.expressiveness import memorisation as memory
from latentmap.expressiveness.coverage import Coverage, few_neighbours, measure_coverage
from latentmap.expressiveness.distances import Contrast, frechet_distance, kernel_distance
from latentmap.expressiveness.diversity import Diversity, vendi_score
from latentmap.expressiveness.image_sets import ImageSet
from latentmap.expressiveness.memorisation import Memorisation, memorisation
from latentmap.images import ImageSource
from latentmap.intervals import Estimate
from latentmap.model import Model

SHOWN = 8  # Images in a row of a picture.


@dataclass(frozen=True, eq=False)
class SetDistances:
    """What is measured of the generated images of a model beside the ``n_real`` images of a set, in
    ``space``, such as "codes of svae".

    ``frechet`` and ``kernel`` distance, of which gains are what the first model is further away,
    over the same real images and the same seeds, None of the first itself; the ``coverage``
    figures; the Vendi scores of generated and of real images, and of the first over the second;
    what is memorised, None with the reason in ``not_memorised``. ``notes`` say for which figures
    there are too few images; ``pictures`` are some images ``(k, c, h, w)`` in [0, 1] by what they
    are, and ``picture_ids`` the ids ``k`` of these.
    """

    name: str
    space: str
    n_real: int
    frechet: Estimate
    kernel: Estimate
    frechet_gain: Estimate | None
    kernel_gain: Estimate | None
    coverage: Coverage
    vendi: Estimate
    vendi_real: Estimate
    vendi_ratio: Estimate
    memorised: Memorisation | None
    not_memorised: str
    notes: tuple[str, ...]
    variables: tuple[int, ...]
    realism: tuple[tuple[str, float], ...]
    pictures: Mapping[str, Tensor]
    picture_ids: Mapping[str, Sequence[str]]

    def to_json(self) -> dict[str, Any]:
        """All figures, each with ``_low`` and ``_high``; and the realism of every image."""
        result: dict[str, Any] = {
            "target": self.name,
            "space": self.space,
            "n_real": self.n_real,
            "too_few_images": list(self.notes),
        }
        result |= self.frechet.to_json("frechet") | self.kernel.to_json("kernel")
        gains = {"frechet": self.frechet_gain, "kernel": self.kernel_gain}
        for name, gain in gains.items():
            key = f"{name}_gain_over_first"
            none = dict.fromkeys((key, f"{key}_low", f"{key}_high"))
            result |= none if gain is None else gain.to_json(key)
        for name in ("vendi", "vendi_real", "vendi_ratio"):
            result |= getattr(self, name).to_json(name)
        memorised = None if self.memorised is None else self.memorised.to_json()
        return {
            **result,
            "vendi_kernel": "cosine",
            "coverage": self.coverage.to_json(),
            "memorisation": memorised,
            "not_memorised": self.not_memorised or None,
            "images": [{"id": id, "realism": value} for id, value in self.realism],
        }


@dataclass(frozen=True, eq=False)
class Encoded:
    """Codes ``(n, d)`` of images, and where these are: row i is image ``positions[i]`` of
    ``images``, as ``viewer`` sees them.
    """

    codes: Tensor
    images: ImageSource
    positions: np.ndarray
    viewer: Model

    def ids(self, rows: np.ndarray) -> list[str]:
        """Those of the images of some rows."""
        return list(map(str, self.images.ids[self.positions[rows]]))

    def pictures(self, rows: np.ndarray) -> Tensor:
        """The images of some rows, in their order, ``(k, c, h, w)`` in [0, 1]."""
        wanted, back = np.unique(self.positions[rows], return_inverse=True)
        part = self.images.subset(wanted)
        (batch,) = part.batches([self.viewer.view], batch_size=max(len(wanted), 1))
        return batch.floats(0)[torch.from_numpy(back)]


@dataclass(frozen=True, eq=False)
class Real:
    """The distinct images of a set, their units ``(n,)``, and their Vendi score."""

    image_set: ImageSet
    encoded: Encoded
    units: np.ndarray
    vendi: Diversity

    @property
    def sector(self) -> np.ndarray | None:
        """Those of a support set, ``(n,)``."""
        sector = self.image_set.sector
        return None if sector is None else sector[self.encoded.positions]


def measure_set(
    real: Real,
    made: Encoded,
    model: Model,
    space: str,
    first: tuple[Contrast, Contrast] | None,
    *,
    seed: int,
) -> tuple[SetDistances, tuple[Contrast, Contrast]]:
    """All figures of a model's generated images beside those of a set, and both distances, for the
    gains of other models over this.
    """
    codes, generated, units = real.encoded.codes, made.codes, real.units
    distances = (
        frechet_distance(codes, generated, units=units, seed=seed),
        kernel_distance(codes, generated),
    )
    frechet, kernel = (one.estimate(units) for one in distances)
    gains: list[Estimate | None] = [None, None]
    if first is not None:
        gains = [
            other.minus(one).estimate(units) for other, one in zip(first, distances, strict=True)
        ]
    coverage = measure_coverage(codes, generated, units=units, groups=real.sector, seed=seed)
    vendi = vendi_score(generated, seed=seed)
    memorised, rows, reason = _memorised(real, made, model, seed)
    ids = made.ids(np.arange(len(generated)))
    shown = _shown(real, made, coverage, memorised, rows)
    result = SetDistances(
        name=real.image_set.name,
        space=space,
        n_real=len(codes),
        frechet=frechet,
        kernel=kernel,
        frechet_gain=gains[0],
        kernel_gain=gains[1],
        coverage=coverage,
        vendi=vendi.estimate(),
        vendi_real=real.vendi.estimate(units),
        vendi_ratio=vendi.over(real.vendi, units),
        memorised=memorised,
        not_memorised=reason,
        notes=too_few(len(codes), len(generated), codes.shape[1]),
        variables=real.image_set.variables,
        realism=tuple(zip(ids, coverage.realism_of.tolist(), strict=True)),
        pictures={kind: of.pictures(chosen) for kind, (of, chosen) in shown.items()},
        picture_ids={kind: of.ids(chosen) for kind, (of, chosen) in shown.items()},
    )
    return result, distances


def too_few(n: int, m: int, d: int) -> tuple[str, ...]:
    """For which figures ``n`` real and ``m`` generated images are too few, in ``d`` variables, by
    the rules of docs/expressiveness.md.
    """
    fewest, notes = min(n, m), []
    if fewest < 2 * d:
        notes.append(
            "the Fréchet distance and the Vendi score take 2 images a variable, "
            f"{2 * d:,} of each kind, not {fewest:,}: fewer leave a bias"
        )
    return (*notes, *few_neighbours(n, m))


def _memorised(
    real: Real, made: Encoded, model: Model, seed: int
) -> tuple[Memorisation | None, tuple[np.ndarray, np.ndarray], str]:
    """What is memorised, and the rows of the real images that were trained on and held out; or why
    that cannot be told. Of each unit there is one image, of both kinds as many.
    """
    nothing = np.zeros(0, np.int64)
    if model.seen is None:
        return None, (nothing, nothing), f"{model.name} does not know its training images"
    digests = real.image_set.digests[real.encoded.positions]
    groups = real.image_set.images.groups
    known = model.seen.contains(digests)
    seen_groups = None if groups is None else groups[real.encoded.positions][known]
    held = hold_out(
        digests,
        [Seen(TRAINED, digests[known], seen_groups)],
        groups=None if groups is None else groups[real.encoded.positions],
    ).positions
    rows = [_one_of_each(of, real.units, seed) for of in (np.flatnonzero(known), held)]
    n = min(map(len, rows))
    if n < memory.FEWEST:
        reason = (
            f"{real.image_set.name} has {len(rows[0])} images that {model.name} was trained on and "
            f"{len(rows[1])} others, of units of their own: memorisation takes {memory.FEWEST} of "
            "both"
        )
        return None, (nothing, nothing), reason
    chance = np.random.default_rng(seed)
    trained, others = (np.sort(chance.choice(of, n, replace=False)) for of in rows)
    codes = real.encoded.codes
    found = memorisation(
        made.codes, codes[torch.from_numpy(trained)], codes[torch.from_numpy(others)], seed=seed
    )
    return found, (trained, others), ""


def _one_of_each(rows: np.ndarray, units: np.ndarray, seed: int) -> np.ndarray:
    """A random one of the ``rows`` of each unit."""
    mixed = np.random.default_rng(seed).permutation(rows)
    _, first = np.unique(units[mixed], return_index=True)
    return np.sort(mixed[first])


def _shown(
    real: Real,
    made: Encoded,
    coverage: Coverage,
    memorised: Memorisation | None,
    rows: tuple[np.ndarray, np.ndarray],
) -> dict[str, tuple[Encoded, np.ndarray]]:
    """The images that are shown, as rows of some: the least and the most realistic, of few images
    half of them each, and the most suspicious ones over the nearest images that were trained on,
    and those that were not.
    """
    order = np.argsort(coverage.realism_of, kind="stable")
    n = min(SHOWN, -(-len(order) // 2))
    found = {
        "least realistic": (made, order[:n]),
        "most realistic": (made, order[n:][::-1][:n].copy()),
    }
    suspects = np.zeros(0, np.int64) if memorised is None else memorised.suspicious(SHOWN)
    if memorised is not None and len(suspects):
        found["most suspicious"] = (made, suspects)
        found["nearest training images"] = (real.encoded, rows[0][memorised.trained[suspects]])
        found["nearest held-out images"] = (real.encoded, rows[1][memorised.held_out[suspects]])
    return found
