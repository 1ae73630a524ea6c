"""Comparing support sets: which images make the best map, and are they better than random ones.

Maps are fitted on the sets of every strategy at every size, several times, and scored on the same
images, of which none was a candidate. Shapes: ``n`` images, ``m`` maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from scipy.stats import t as student

from latentmap.cache import LatentCache
from latentmap.codes import Codes, Pairs
from latentmap.codes.codes import ArrayRows
from latentmap.errors import MapError, SupportError
from latentmap.images import ImageSource, OnError
from latentmap.intervals import Estimate
from latentmap.mapping import FitOptions, LinearMap
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.model import Model
from latentmap.relocation import Stage, TrainingPairs, fit_training
from latentmap.relocation.pairing import pair_images
from latentmap.relocation.relocating import contains
from latentmap.relocation.scores import evaluate_all
from latentmap.support.selection import STRATEGIES, Strategy, build_support_set
from latentmap.support.verdicts import StrategyPoint, SupportComparison

_LEVEL = 0.95


def compare_strategies(
    training: TrainingPairs,
    source: Model,
    target: Model,
    images: ImageSource,
    test: ImageSource,
    *,
    sizes: Sequence[int],
    strategies: Sequence[Strategy] = STRATEGIES,
    draws: int = 5,
    space: Literal["source", "target"] = "source",
    variables: Sequence[int] | None = None,
    threshold: float | Literal["auto"] = "auto",
    n_images: int = 256,
    cache: LatentCache,
    options: FitOptions | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    on_error: OnError = "stop",
    record: Mapping[str, Any] | None = None,
    stage: Stage,
) -> SupportComparison:
    """Maps from support sets of the training pairs, by every strategy and at every size, ``draws``
    times with other seeds, all scored on the ``test`` images; random sets are always among them.

    Sets are chosen by the codes of one ``space``; ``variables``, ``threshold``: see
    ``build_support_set``. R2 is of all test images, the efficiency, for which every map's images
    are decoded, of ``n_images`` random ones. Test images that are among the training images are
    left out. ``record`` goes into the result.

    Raises:
        SupportError: as ``build_support_set`` raises it, or fewer than two draws.
        MapError: a size is below 2 or above the number of pairs, all test images are training
            images, or a fit fails.
    """
    check_sizes(sizes, len(training.pairs))
    _check(strategies, draws)
    training = replace(training, pairs=_in_memory(training.pairs))
    codes = training.pairs.source if space == "source" else training.pairs.target
    names: list[Strategy] = list(dict.fromkeys(("random", *strategies)))
    plan = [(name, n, draw) for n in sorted(set(sizes)) for name in names for draw in range(draws)]
    row = {name: number for number, name in enumerate(codes.ids.tolist())}
    maps: list[LinearMap] = []
    built: dict[tuple[Strategy, int], dict[str, float]] = {}
    with stage("choosing and fitting") as progress:
        for done, (strategy, size, draw) in enumerate(plan):
            chosen = build_support_set(
                codes,
                strategy=strategy,
                variables=variables if strategy == "sectors" else None,
                threshold=threshold,
                size=size,
                seed=seed + draw,
            )
            if strategy == "sectors":
                made = built.setdefault((strategy, size), {"relaxed": 0.0})
                made |= {name: chosen.settings[name] for name in ("k", "threshold")}
                made["relaxed"] += float(chosen.relaxed.mean()) * len(chosen) / draws
            part = training.take(np.array([row[name] for name in chosen.ids.tolist()]))
            maps.append(fit_training(part, source, images, options=options, seed=seed))
            if progress:
                progress(done + 1, len(plan))
    maps.append(fit_training(training, source, images, options=options, seed=seed))
    precision = training.record["precision"]
    scored = pair_images(source, target, test, cache, precision, batch_size, on_error, stage)
    unseen = np.flatnonzero(~contains(training.pairs.digests, scored.digests))
    if len(unseen) < 2:
        raise MapError(
            f"scores need at least 2 images that are no candidates, and of the {len(scored)} test "
            f"images {len(unseen)} are none: give other images"
        )
    r2 = _r2(maps, scored.take(unseen))
    seen = np.random.default_rng(seed).permutation(unseen)[:n_images]
    with stage("scoring") as progress:
        scores = evaluate_all(
            maps,
            scored.take(np.sort(seen)),
            source,
            target,
            test,
            seed=seed,
            n_bootstrap=1,  # The intervals are those over draws.
            batch_size=batch_size,
            progress=progress,
        )
    efficiency = np.array([one.efficiency.value for one in scores])
    return SupportComparison(
        _points(plan, r2[:-1], efficiency[:-1], draws, built),
        float(r2[-1]),
        float(efficiency[-1]),
        len(codes),
        len(unseen),
        len(seen),
        {
            **training.record,
            "method": maps[-1].method,
            "versions": maps[-1].record["versions"],
            "scored_data": test.fingerprint,
            "n_left_out": len(scored) - len(unseen),
            "built_in": str(codes.space),
            "variables": None if variables is None else [int(number) for number in variables],
            "threshold": threshold,
            "seed": seed,
            **(record or {}),
        },
    )


def check_sizes(sizes: Sequence[int], n: int) -> None:
    """Refuses sizes that sets of ``n`` images cannot have.

    Raises:
        MapError: one is below 2 or above ``n``, or there is none.
    """
    wrong = [size for size in sizes if not 2 <= size <= n]
    if wrong or not sizes:
        raise MapError(
            f"support sets are compared at sizes from 2 to the {n} training images, not "
            f"{', '.join(map(str, wrong)) or 'none'}"
        )


def _check(strategies: Sequence[str], draws: int) -> None:
    unknown = [name for name in strategies if name not in STRATEGIES]
    if unknown:
        raise SupportError(
            f"unknown strategy {unknown[0]!r}: choose one of {', '.join(STRATEGIES)}"
        )
    if draws < 2:
        raise SupportError(f"error bars need at least 2 draws, not {draws}")


def _in_memory(pairs: Pairs) -> Pairs:
    """The same pairs with their rows in memory, where every set takes some."""

    def loaded(codes: Codes) -> Codes:
        return replace(codes, rows=ArrayRows(codes.vectors.numpy()))

    return replace(pairs, source=loaded(pairs.source), target=loaded(pairs.target))


def _r2(maps: Sequence[LinearMap], pairs: Pairs) -> np.ndarray:
    """The share of the variance of the target codes that each map predicts, ``(m,)``, from the
    moments of the pairs; NaN where the codes do not vary.
    """
    moments = moments_of_pairs(pairs)
    missed = np.array([float(moments.squared_error(m.weight, m.bias).sum()) for m in maps])
    spread = float(moments.squares_y.sum())
    return np.asarray(1 - missed / spread if spread > 0 else np.full(len(maps), np.nan))


def _points(
    plan: Sequence[tuple[Strategy, int, int]],
    r2: np.ndarray,
    efficiency: np.ndarray,
    draws: int,
    built: Mapping[tuple[Strategy, int], Mapping[str, float]],
) -> list[StrategyPoint]:
    """One point for each strategy and size; the maps are in the order of the plan."""
    points = []
    keys = [(name, size) for name, size, draw in plan if draw == 0]
    figures = np.stack([r2, efficiency]).reshape(2, len(keys), draws)
    for number, (name, size) in enumerate(keys):
        mine, others = figures[:, number], figures[:, keys.index(("random", size))]
        r2_mean, efficiency_mean, r2_gain, efficiency_gain = map(
            _mean_with_interval, (*mine, *(mine - others))
        )
        points.append(
            StrategyPoint(
                name,
                size,
                draws,
                r2_mean,
                efficiency_mean,
                r2_gain,
                efficiency_gain,
                built.get((name, size), {}),
            )
        )
    return points


def _mean_with_interval(values: np.ndarray) -> Estimate:
    """The mean of some draws, with its interval by Student's t."""
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(student.ppf((1 + _LEVEL) / 2, len(values) - 1)) * error
    return Estimate(mean, mean - half, mean + half)
