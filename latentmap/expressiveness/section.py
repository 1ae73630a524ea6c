"""The benchmark of generators as a section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentmap.expressiveness.figures import reproduction_figure
from latentmap.expressiveness.result import Expressiveness, TargetScores
from latentmap.model import Model
from latentmap.report import Column, Measure, Picture, Row, Section, Table, section_id
from latentmap.report.embedding import embed_figure
from latentmap.report.parts import Block

_READING = (
    "How well generators reproduce images: their own, which they can by construction, and others. "
    "Where the error on others is many times the own one, they lie outside of what the generator "
    "can make. Intervals are 95 % over images."
)


def bench_section(results: Sequence[Expressiveness], models: Sequence[Model]) -> Section:
    """All generators of a benchmark: their errors, blind sectors, and worst, typical and best
    images.
    """
    blocks: list[Block] = [_errors(results)]
    if any(target.sectors for result in results for target in result.targets):
        blocks.append(_sectors(results))
    for result, model in zip(results, models, strict=True):
        for target in (result.own, *result.targets):
            title = f"{result.name}: {target.name}"
            shown = embed_figure(
                reproduction_figure(target, model),
                f"Images of {target.name}, the worst, typical and best, and what {result.name} "
                "makes of them",
            )
            blocks.append(Picture(title, shown))
    record = {
        **results[0].record,
        "models": {result.name: result.fingerprint for result in results},
    }
    text = [_READING, *(_calibration(result) for result in results)]
    id = section_id("bench", {**results[0].record, "results": [_identity(one) for one in results]})
    return Section(id, "What the generators can make", text, blocks, record)


def _identity(result: Expressiveness) -> dict[str, Any]:
    """What tells a result from others, beside its record."""
    targets = [
        {
            "name": target.name,
            "n": len(target.ids),
            "sectors": [sorted(one.positions.tolist()) for one in target.sectors],
            "methods": list(target.reproductions),
        }
        for target in (result.own, *result.targets)
    ]
    return {"model": result.fingerprint, "space": result.space, "targets": targets}


def _calibration(result: Expressiveness) -> str:
    if result.calibration is None:
        return f"{result.name} was not searched, so its limit is not known."
    trust = "it can be believed" if result.reliable else "its errors on others are too high"
    return (
        f"The search in {result.name} misses {result.calibration:.1%} of the variance of its own "
        f"images: {trust}."
    )


def _errors(results: Sequence[Expressiveness]) -> Table:
    columns = [
        Column("model"),
        Column("images"),
        Column("method"),
        Column("n"),
        Column("mse", "pixels in [0, 1]", "low"),
        Column("SSIM", "structural similarity", "high"),
        Column("x own", "error over that of the generator's own images", "low"),
    ]
    rows = [
        Row(
            [
                result.name,
                target.name,
                name,
                len(target.ids),
                Measure.of(one.mean_mse),
                Measure.of(one.mean_ssim),
                None if one.ratio is None else Measure.of(one.ratio),
            ]
        )
        for result in results
        for target in (result.own, *result.targets)
        for name, one in target.reproductions.items()
    ]
    return Table("Errors", columns, rows)


def _sectors(results: Sequence[Expressiveness]) -> Table:
    columns = [
        Column("model"),
        Column("images"),
        Column("sector"),
        Column("n"),
        Column("mse", "", "low"),
        Column("x rest", "error over that of all other images", "low"),
        Column("p", "chance that as many random images are as bad"),
        Column("blind", "too bad to be chance, and at least 1.5 times the rest"),
    ]
    rows = [
        Row([result.name, target.name, *cells])
        for result in results
        for target in result.targets
        for cells in _sector_cells(target)
    ]
    return Table("Sectors, or groups of similar images", columns, rows)


def _sector_cells(target: TargetScores) -> list[list[str | int | float | Measure]]:
    return [
        [
            one.number,
            len(one.positions),
            Measure.of(one.mse),
            float(one.excess),
            float(one.p_value),
            "blind" if one.blind else "",
        ]
        for one in target.sectors
    ]
