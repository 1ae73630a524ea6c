"""The benchmark of generators as a section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentmap.expressiveness.by_attribute_tables import group_sentences, groups_rows
from latentmap.expressiveness.figures import reproduction_rows
from latentmap.expressiveness.result import Expressiveness
from latentmap.expressiveness.tables import bench_tables
from latentmap.model import Model
from latentmap.report import Section, section_id, titled
from latentmap.report.parts import Block

_READING = (
    "How well generators reproduce images: their own, which they can by construction, and others. "
    "The error on others over the own one says how exactly own images are reproduced. Whether a "
    "set is more than a generator can make, random real images tell: how much harder the set is "
    "than these, also over what its images are. Intervals are 95 % over images, or their groups."
)


def bench_section(results: Sequence[Expressiveness], models: Sequence[Model]) -> Section:
    """All generators of a benchmark: their errors, blind sectors, and worst, typical and best
    images.
    """
    blocks: list[Block] = [*bench_tables(results)]
    id = section_id("bench", {**results[0].record, "results": [_identity(one) for one in results]})
    for number, (result, model) in enumerate(zip(results, models, strict=True)):
        for place, scores in enumerate((result.own, *result.sets)):
            title = f"{result.name}: {scores.name}"
            rows = reproduction_rows(scores, model, id=f"{id}-{number}-{place}", title=title)
            blocks.append(rows)
            for cut, family in enumerate(scores.groups):
                by = f"{title} by {family[0].by}"
                blocks.append(
                    groups_rows(scores, family, model, id=f"{rows.id}-by-{cut}", title=by)
                )
    record = {
        **results[0].record,
        "models": {result.name: result.fingerprint for result in results},
    }
    said = [f"{sentence}." for sentence in group_sentences(results)]
    return Section(id, bench_title(results), [*said, _READING], blocks, record)


def bench_title(results: Sequence[Expressiveness]) -> str:
    """What the results of a benchmark are called."""
    return titled("What the generators can make", results[0].record)


def _identity(result: Expressiveness) -> dict[str, Any]:
    """What tells a result from others, beside its record."""
    sets = [
        {
            "name": scores.name,
            "n": len(scores.ids),
            "sectors": [sorted(one.positions.tolist()) for one in scores.sectors],
            "methods": list(scores.reproductions),
        }
        for scores in (result.own, *result.sets)
    ]
    return {"model": result.fingerprint, "space": result.space, "targets": sets}
