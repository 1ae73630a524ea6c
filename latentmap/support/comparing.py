"""Comparing support sets: which images make the best map, and are they better than random ones.

Maps are fitted on the sets of every strategy at every size, several times, and scored on the same
images, of which none was a candidate. Shapes: ``n`` images, ``m`` maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from latentmap.cache import Coder, CoderLike
from latentmap.codes import Codes, HeldOut, Pairs, find_ids, hold_out
from latentmap.codes.channel_means import channel_space
from latentmap.codes.codes import ArrayRows
from latentmap.errors import MapError, SupportError
from latentmap.images import ImageSource
from latentmap.images.finding import groups_of, positions_of
from latentmap.mapping import FitOptions, LinearMap
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.model import Model, count_seen
from latentmap.progress import Stage
from latentmap.relocation import TrainingPairs, fit_training
from latentmap.relocation.measuring import measure, of_own_mean
from latentmap.relocation.measuring_codes import code_rows
from latentmap.relocation.scored_figures import is_high
from latentmap.relocation.scores import figures_of
from latentmap.support.activity import inactivity_of
from latentmap.support.building import SupportOptions
from latentmap.support.centers import Center, check_center
from latentmap.support.ordering import OrderOptions, order_by_gain
from latentmap.support.sectors import check_count
from latentmap.support.selection import STRATEGIES, ChoiceOptions, Strategy, choose_support_set
from latentmap.support.verdicts import SupportComparison, points_of


@dataclass(frozen=True)
class StrategyOptions:
    """Which support sets are compared: of ``sizes`` images, by ``strategies``, each chosen
    ``draws`` times by other seeds; random sets are always among them.

    Sets are chosen by the codes of one ``space``. Sectors are those of ``variables`` (None: the
    ``k`` with the largest information gain, by default 7, or all of fewer) at a ``threshold`` about
    a ``center``, see ``ChoiceOptions``. R2 is of all test images, the efficiency, for which every
    map's images are decoded, of ``n_images`` random ones.
    """

    sizes: Sequence[int]
    strategies: Sequence[Strategy] = STRATEGIES
    draws: int = 5
    space: Literal["source", "target"] = "source"
    k: int | None = None
    variables: Sequence[int] | None = None
    threshold: float | Literal["auto"] = "auto"
    center: Center = "mean"
    n_images: int = 256

    def check(self, model: Model, n: int) -> None:
        """Refuses what cannot be compared with ``n`` candidates that ``model`` encodes, before any
        work is done.

        Raises:
            MapError: a size is below 2 or above ``n``, or there is none.
            SupportError: an unknown strategy or center, one draw, or too many leading variables.
        """
        check_center(self.center, channel_space(model.space))
        wrong = [size for size in self.sizes if not 2 <= size <= n]
        if wrong or not self.sizes:
            raise MapError(
                f"support sets are compared at sizes from 2 to the {n} training images, not "
                f"{', '.join(map(str, wrong)) or 'none'}"
            )
        unknown = [name for name in self.strategies if name not in STRATEGIES]
        if unknown:
            raise SupportError(
                f"unknown strategy {unknown[0]!r}: choose one of {', '.join(STRATEGIES)}"
            )
        if self.draws < 2:
            raise SupportError(f"error bars need at least 2 draws, not {self.draws}")
        if "sectors" in self.strategies and self.variables is None:
            check_count(self.leading(model), channel_space(model.space).dim, n)

    def leading(self, model: Model) -> int:
        """How many variables lead in the space of a model."""
        return SupportOptions(k=self.k).leading(channel_space(model.space).dim)

    def codes_of(self, pairs: Pairs) -> Codes:
        """Those of some pairs by which sets are chosen."""
        return pairs.source if self.space == "source" else pairs.target

    @property
    def plan(self) -> list[tuple[Strategy, int, int]]:
        """Every set that is built: strategy, size, and number of the draw."""
        names: list[Strategy] = list(dict.fromkeys(("random", *self.strategies)))
        return [
            (name, size, draw)
            for size in sorted(set(self.sizes))
            for name in names
            for draw in range(self.draws)
        ]


def compare_strategies(
    training: TrainingPairs,
    test: ImageSource,
    coder: CoderLike = None,
    *,
    options: StrategyOptions,
    fitting: FitOptions | None = None,
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> SupportComparison:
    """Maps from support sets of the training pairs, by every strategy and at every size, all scored
    on the ``test`` images.

    Test images of the units of training images are left out, see ``hold_out``. ``record`` goes into
    the result. ``progress=True`` shows how far it is.

    Raises:
        MapError, SupportError: as ``StrategyOptions.check``, or all test images are training
            images, or a fit fails.
        ImageError, CacheError, PairError: as encoding and pairing raise them.
    """
    coder = Coder.of(training.coder_of(coder), progress=progress)
    model = training.source if options.space == "source" else training.target
    options.check(model, len(training))
    training = replace(training, pairs=_in_memory(training.pairs))
    codes = options.codes_of(training.pairs)
    variables = _leading(training, model, codes, options, seed, coder.stage)
    maps, built = _fitted(training, codes, variables, options, fitting, seed, coder.stage)
    with coder.stage("fitting", "steps") as told:
        maps.append(fit_training(training, options=fitting, seed=seed, progress=told))
    scored = coder.pairs(training.source, training.target, test)
    held = _held_out(training, scored, test)
    r2 = _r2(maps, scored.take(held.positions), held.units)
    seen = np.random.default_rng(seed).permutation(held.positions)[: options.n_images]
    efficiency, has_high_floor = _efficiency(
        maps, training, scored.take(np.sort(seen)), test, coder
    )
    made = _record(training, test, scored, held, options, variables)
    return SupportComparison(
        points_of(options.plan, r2[:-1], efficiency[:-1], built),
        float(r2[-1]),
        float(efficiency[-1]),
        len(codes),
        len(held),
        len(np.unique(held.units)),
        len(seen),
        {
            **training.record,
            "method": maps[-1].method,
            "versions": maps[-1].record["versions"],
            **made,
            "seed": seed,
            **(record or {}),
        },
        has_high_floor,
    )


def _leading(
    training: TrainingPairs,
    model: Model,
    codes: Codes,
    options: StrategyOptions,
    seed: int,
    stage: Stage,
) -> list[int] | None:
    """The leading variables of the sectors: those that are given, else those that gain most."""
    if options.variables is not None:
        return [int(number) for number in options.variables]
    if "sectors" not in options.strategies:
        return None
    k, images = options.leading(model), training.images
    candidates = images.subset(np.flatnonzero(find_ids(codes.ids, images.ids) >= 0))
    with stage("ordering variables", "decodes") as progress:
        ordering = order_by_gain(
            model,
            candidates,
            codes,
            OrderOptions(leading=k, center=options.center),
            seed=seed,
            progress=progress,
        )
    return [int(number) for number in ordering.order[:k]]


def _held_out(training: TrainingPairs, scored: Pairs, test: ImageSource) -> HeldOut:
    """The test pairs of whose units none is a candidate."""
    held = hold_out(scored.digests, [training.seen], groups=groups_of(test, scored.ids))
    found = len(np.unique(held.units))
    if found < 2:
        of = f", all {len(held)} copies of each other or of one group" if len(held) > found else ""
        raise MapError(
            f"scores need at least 2 images that are no candidates, and of the {len(scored)} test "
            f"images {found} are none{of}: give other images"
        )
    return held


def _fitted(
    training: TrainingPairs,
    codes: Codes,
    variables: Sequence[int] | None,
    options: StrategyOptions,
    fitting: FitOptions | None,
    seed: int,
    stage: Stage,
) -> tuple[list[LinearMap], dict[tuple[Strategy, int], dict[str, float]]]:
    """The maps of the plan, in its order, and how the sectors of each size were made."""
    row = {name: number for number, name in enumerate(codes.ids.tolist())}
    maps: list[LinearMap] = []
    built: dict[tuple[Strategy, int], dict[str, float]] = {}
    with stage("choosing and fitting", "maps") as progress:
        for done, (strategy, size, draw) in enumerate(options.plan):
            chosen = choose_support_set(
                codes,
                (variables or ()) if strategy == "sectors" else (),
                ChoiceOptions(strategy, options.threshold, size, center=options.center),
                seed=seed + draw,
            )
            if strategy == "sectors":
                made = built.setdefault((strategy, size), {"relaxed": 0.0})
                made |= {name: chosen.settings[name] for name in ("k", "threshold")}
                made["relaxed"] += float(chosen.relaxed.mean()) * len(chosen) / options.draws
            part = training.take(np.array([row[name] for name in chosen.ids.tolist()]))
            maps.append(fit_training(part, options=fitting, seed=seed))
            if progress:
                progress(done + 1, len(options.plan))
    return maps, built


def _in_memory(pairs: Pairs) -> Pairs:
    """The same pairs with their rows in memory, where every set takes some."""

    def loaded(codes: Codes) -> Codes:
        return replace(codes, rows=ArrayRows(codes.vectors.numpy()))

    return replace(pairs, source=loaded(pairs.source), target=loaded(pairs.target))


def _r2(maps: Sequence[LinearMap], pairs: Pairs, units: np.ndarray) -> np.ndarray:
    """The share of the variance of the target codes that each map predicts, ``(m,)``, from the
    moments of the pairs, or of maps of patches from the codes; NaN where these do not vary.
    """
    raised = of_own_mean(pairs.target, units)
    if any(m.patches is not None for m in maps):
        _, spreads, misses, _ = code_rows([(m, pairs.source) for m in maps], pairs.target, None)
        total = raised * float(spreads.sum())
        return np.asarray(
            1 - misses.sum(1).numpy() / total if total > 0 else np.full(len(maps), np.nan)
        )
    moments = moments_of_pairs(pairs, targets="squares")
    missed = np.array([float(moments.squared_error(m.weight, m.bias).sum()) for m in maps])
    spread = raised * float(moments.squares_y.sum())
    return np.asarray(1 - missed / spread if spread > 0 else np.full(len(maps), np.nan))


def _efficiency(
    maps: Sequence[LinearMap],
    training: TrainingPairs,
    pairs: Pairs,
    test: ImageSource,
    coder: Coder,
) -> tuple[np.ndarray, bool]:
    """The efficiency of each map, ``(m,)``, over the decoded images of some pairs, and whether
    their floor is high.
    """
    with coder.stage("scoring") as progress:
        measured = measure(
            maps,
            pairs,
            training.source,
            training.target,
            test,
            batch_size=coder.batch_size,
            progress=progress,
        )
    figures = [figures_of(one.errors) for one in measured]
    has_high_floor = is_high(figures[0]["floor_mse"], figures[0]["baseline_mse"])
    return np.array([one["efficiency"] for one in figures]), has_high_floor


def _record(
    training: TrainingPairs,
    test: ImageSource,
    scored: Pairs,
    held: HeldOut,
    options: StrategyOptions,
    variables: Sequence[int] | None,
) -> dict[str, Any]:
    """What the result says of its images, and of how the sets were chosen."""
    pairs = training.pairs
    return {
        "scored_data": test.fingerprint,
        "n_left_out": held.n_left_out,
        "left_out": dict(held.left_out),
        "n_seen": count_seen(
            [training.source, training.target],
            test.digests,
            test.groups,
            among=positions_of(test, scored.ids[held.positions]),
        ),
        "built_in": str(options.codes_of(pairs).space),
        "variables": variables,
        "threshold": options.threshold,
        "centered_on": options.center,
        "warnings": [*filter(None, map(inactivity_of, (pairs.source, pairs.target)))],
    }
