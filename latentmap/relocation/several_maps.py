"""Several maps between the same two models: by all methods, from the same pairs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentmap.cache import Coder, CoderLike
from latentmap.errors import MapError, ModelError
from latentmap.images import ImageSource
from latentmap.mapping import METHODS, FitOptions, LinearMap
from latentmap.mapping.shared_fits import SharedFits
from latentmap.relocation.baselines import Baseline
from latentmap.relocation.fitting import fit_training
from latentmap.relocation.pairing import TrainingPairs
from latentmap.relocation.relocating import score_models
from latentmap.relocation.scores import Scores
from latentmap.report import Shown, Table, with_interval


@dataclass(frozen=True, eq=False)
class MethodResult:
    """A map by one method, what it scores, and how long fitting it took, selection included."""

    linear_map: LinearMap
    scores: Scores
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The method, its settings and its scores."""
        one = self.linear_map
        return {
            "method": one.method,
            "settings": dict(one.settings),
            "figures": dict(one.figures),
            "rank": one.rank,
            "condition": one.condition,
            "seconds": self.seconds,
            **self.scores.to_json(),
        }


@dataclass(frozen=True, eq=False)
class MethodComparison(Shown):
    """All methods on the same pairs and images; ``failed`` says of the others why they have no
    map.
    """

    results: Sequence[MethodResult]
    failed: dict[str, str]

    def __repr__(self) -> str:
        best = max(self.results, key=lambda one: one.scores.r2.value)
        r2 = with_interval(best.scores.r2, 3)
        name = best.linear_map.method
        return f"<MethodComparison: {len(self.results)} methods, {name} with an R2 of {r2}>"

    def tables(self) -> list[Table]:
        return [table.bare("R2", "L_mse", "M_mse", "efficiency") for table in self.whole_tables()]

    def whole_tables(self) -> list[Table]:
        from latentmap.relocation.tables import beside_methods, methods_table

        return [methods_table(self), *beside_methods(self)]

    def to_json(self) -> dict[str, Any]:
        """The results, and why methods have none."""
        return {"results": [one.to_json() for one in self.results], "failed": self.failed}


def compare_methods(
    training: TrainingPairs,
    test: ImageSource,
    coder: CoderLike = None,
    *,
    options: FitOptions | None = None,
    baselines: Sequence[Baseline] = (),
    seed: int = 0,
    record: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> MethodComparison:
    """Every method of ``METHODS``, fitted on the training pairs and scored on the ``test`` images;
    what ``baselines`` give on these stands beside each.

    ``options`` hold for those methods that take them: a given rank goes to all that have one, a
    criterion to those whose penalty is that of ridge. ``record`` goes into each result.
    ``progress=True`` shows how far it is.

    Raises:
        MapError: no method has a map.
    """
    coder = Coder.of(training.coder_of(coder), progress=progress)
    options = options or FitOptions()
    training = training.in_memory()
    shared = SharedFits(training.pairs, list(METHODS), options, groups=training.groups, seed=seed)
    fitted, failed = [], {}
    for name, method in METHODS.items():
        started = time.perf_counter()
        with coder.stage(f"fitting {name}", "steps") as told:
            try:
                linear_map = fit_training(
                    training,
                    options=options.of(method),
                    seed=seed,
                    shared=shared,
                    record=record,
                    progress=told,
                )
            except (MapError, ModelError) as error:
                failed[name] = str(error)
                continue
        fitted.append((linear_map, time.perf_counter() - started))
    if not fitted:
        raise MapError(f"no method has a map of these pairs: {next(iter(failed.values()))}")
    maps = [linear_map for linear_map, _ in fitted]
    scores = score_models(
        maps,
        training.source,
        training.target,
        test,
        coder,
        seen=[training.seen],
        baselines=baselines,
        seed=seed,
    )
    results = [
        MethodResult(linear_map, score, seconds)
        for (linear_map, seconds), score in zip(fitted, scores, strict=True)
    ]
    return MethodComparison(results, failed)
