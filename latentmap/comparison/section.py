"""The comparison of several models as sections of a report."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from latentmap.comparison.context_tables import (
    conclusions,
    context_tables,
)
from latentmap.comparison.figures import factor_rows, relocation_rows
from latentmap.comparison.group_tables import group_tables
from latentmap.comparison.kinds import KINDS
from latentmap.comparison.result import ModelComparison, ModelPair
from latentmap.comparison.sameness_table import sameness_table
from latentmap.comparison.similarity_figures import calibrated_maps, calibrated_plane
from latentmap.comparison.tables import (
    methods_table,
    models_table,
    pairs_table,
    similarity_tables,
    ways_table,
)
from latentmap.intervals import Estimate
from latentmap.relocation.scored_figures import HIGH_FLOOR
from latentmap.report import Section, titled, with_interval
from latentmap.report.parts import Block, HeatCell, HeatMap, Plane, Report
from latentmap.report.words import in_percent, pair_id

# The sections of a comparison: of a report that others add to, a new comparison replaces these.
SECTIONS = ("models", "spaces", "maps", "pairs", "similarity", "ways", "methods")


def comparison_report(result: ModelComparison) -> Report:
    """The comparison as a report of its own."""
    return Report(comparison_title(result), comparison_sections(result))


def comparison_title(result: ModelComparison) -> str:
    """What a comparison is called."""
    return titled(f"How {len(result.models)} latent spaces relate", result.record)


def comparison_charts(result: ModelComparison) -> dict[str, HeatMap | Plane]:
    """The heat maps and planes of the comparison by names that files can have."""
    blocks = [*_maps(result), *_images(result), *calibrated_maps(result)]
    charts = [one for one in blocks if isinstance(one, HeatMap | Plane)]
    return {re.sub(r"\W+", "-", one.title.lower()).strip("-"): one for one in charts}


def comparison_sections(result: ModelComparison) -> list[Section]:
    """What is known of the models and of the ways between them, in the order of reading."""
    record = {
        **result.record,
        "models": {model.label: model.fingerprint for model in result.models},
    }

    def section(id: str, title: str, text: Sequence[str], blocks: Sequence[Block]) -> Section:
        return Section(id, title, text, blocks, record)

    sections = [
        section("models", titled("The models", record), _overview(result), [models_table(result)]),
        section(
            "spaces",
            "A map of the spaces",
            _reading_of_spaces(result),
            [*_maps(result), *([sameness_table(result)] if result.same else [])],
        ),
        section(
            "maps",
            "All maps",
            _reading_of_maps(result),
            [
                *_images(result),
                pairs_table(result),
                *context_tables(result),
                *group_tables(result),
            ],
        ),
        section("pairs", "Pair by pair", [_READING_OF_PAIRS], _pairs(result)),
        section(
            "similarity",
            "Similarity without a map",
            [_READING_OF_INDEXES],
            [*calibrated_maps(result), *similarity_tables(result)],
        ),
        section("ways", _title_of_ways(result), [_READING_OF_WAYS], _ways(result)),
    ]
    if result.methods:
        text = [
            "The maps above are by ridge regression. Other methods, fitted on the same images and "
            "judged by the codes of the same others:"
        ]
        sections.append(section("methods", "Other methods", text, [methods_table(result)]))
    return sections


_LIGHTER = "From the row to the column; lighter is better."
_MARK = "*"
_ROUNDING = 1e-5  # An image that is kept as 8 bits and made again differs by 1.3e-6.
_READING_OF_PAIRS = (
    "The lines of images have the image as the source sees it, what the source makes of its code, "
    "and what the target makes of the code that the map carries over. Below, both models walk "
    "along the directions that their spaces share, from -2 to 2 standard deviations: the more "
    "alike the changes, the more the direction means the same in both."
)
_READING_OF_INDEXES = (
    "These indexes compare how images lie to each other in two spaces and need no map. Under each "
    "value stand its interval, the mean over random pairings of the images (null), and the share "
    "of random pairings that are as alike (p). Calibrated, an index is 0 where it is no more than "
    "unrelated spaces have, and 1 for equal spaces. The p of spectra is the share of spaces that "
    "share nothing, but vary as much along as many directions, that are as alike."
)
_READING_OF_WAYS = (
    "If spaces held the same information in linear form, a way by a third space would lose "
    "nothing, and a code would come back as it went. What is lost is what the space on the way "
    "does not hold, or does not hold linearly."
)


def _overview(result: ModelComparison) -> list[str]:
    return [
        f"{len(result.models)} models of the same images. A linear map was fitted from each space "
        f"to each other one on {result.n_fit:,} images, and judged on {result.n_test:,} images "
        "that no map was fitted on; "
        + (f"images were decoded for {result.n_scored:,} of these, and " if _decode(result) else "")
        + f"the similarity indexes compare {result.similarities.n:,}. Intervals are 95 % over "
        "images, or their groups.",
        *(
            f"{model.label} made the images, so their codes are known and its own error is none."
            for model in result.models
            if model.reconstruction_mse.value < _ROUNDING
        ),
        *(f"{one[0].upper()}{one[1:]}." for one in conclusions(result)),
    ]


def _reading_of_spaces(result: ModelComparison) -> list[str]:
    return [
        "R2 is the share of the variance of the target's codes that the mapped codes of the source "
        "predict, on held-out images: 1 where the target's code follows from the source's, 0 where "
        "nothing does. It has a direction: a large space may know all of a small one, but not the "
        "other way around.",
        *_extremes(result),
    ]


def _extremes(result: ModelComparison) -> list[str]:
    known = [pair for pair in result.pairs.values() if math.isfinite(pair.figures.r2.value)]
    if not known:
        return []
    best = max(known, key=lambda pair: pair.figures.r2.value)
    worst = min(known, key=lambda pair: pair.figures.r2.value)
    text = f"Best predicted: {_way(result, best)}, R2 {with_interval(best.figures.r2, 2)}."
    if worst is not best:
        text += f" Worst: {_way(result, worst)}, R2 {with_interval(worst.figures.r2, 2)}."
    return [text]


def _reading_of_maps(result: ModelComparison) -> list[str]:
    kinds = sorted({pair.kind for pair in result.pairs.values()})
    meanings = "; ".join(f"type {kind}: {KINDS[kind]}" for kind in kinds)
    images = (
        "What a map loses in images lies between the floor, the target's own reconstruction error, "
        "and the baseline, the error of the mean image. Efficiency says where: 1 is as good as the "
        "target itself, 0 no better than the mean image. "
    )
    return [
        (images if _decode(result) else "")
        + f"Relocations are of {meanings}. Click on the head of a table to sort it."
    ]


def _decode(result: ModelComparison) -> bool:
    """Whether one of the models does."""
    return any(math.isfinite(model.reconstruction_mse.value) for model in result.models)


def _way(result: ModelComparison, pair: ModelPair) -> str:
    return f"{result.models[pair.source].label} to {result.models[pair.target].label}"


def _maps(result: ModelComparison) -> list[Block]:
    distances, explained = result.layout.distances, result.layout.explained
    names = [model.label for model in result.models]
    between = [
        f"{names[i]} and {names[j]} {distances[i, j]:.2f}"
        for i in range(len(names))
        for j in range(i)
    ]
    plane = Plane(
        "Models by the distance of their spaces",
        names,
        result.layout.positions.tolist(),
        f"Models as points in a plane. Distances: {', '.join(between)}.",
        "The distance is sqrt(1 - R2) with the mean R2 of both directions: 0 where each space "
        "follows from the other, 1 where neither does. The plane shows "
        f"{in_percent(explained)} of the squared distances; its axes have no meaning.",
    )
    return [
        _heat_map(result, "R2 of codes", _LIGHTER, lambda pair: pair.figures.r2),
        plane,
        calibrated_plane(result),
    ]


def _images(result: ModelComparison) -> list[HeatMap]:
    if not _decode(result):
        return []
    title, note = "Efficiency of relocated images", _LIGHTER
    if any(pair.figures.has_high_floor for pair in result.pairs.values()):
        note += f" {_MARK} : it says little, since {HIGH_FLOOR}."
    return [
        _heat_map(
            result,
            title,
            note,
            lambda pair: pair.figures.efficiency,
            lambda pair: _MARK * pair.figures.has_high_floor,
        )
    ]


def _heat_map(
    result: ModelComparison,
    title: str,
    note: str,
    figure: Callable[[ModelPair], Estimate],
    mark: Callable[[ModelPair], str] = lambda _: "",
) -> HeatMap:
    """A figure of all pairs, each with a mark."""
    names = [model.label for model in result.models]
    cells: list[list[HeatCell | None]] = [[None] * len(names) for _ in names]
    for (i, j), pair in result.pairs.items():
        estimate = figure(pair)
        known = math.isfinite(estimate.value)
        text = with_interval(estimate, 3) if known else "not defined"
        cells[i][j] = HeatCell(
            estimate.value if known else None,
            f"{names[i]} to {names[j]}: {title} {text}",
            pair_id(i, j),
            mark(pair) if known else "",
        )
    return HeatMap(title, names, cells, note)


def _pairs(result: ModelComparison) -> list[Block]:
    blocks: list[Block] = []
    for pair in result.pairs.values():
        blocks += [relocation_rows(result, pair), factor_rows(result, pair)]
    return blocks


def _title_of_ways(result: ModelComparison) -> str:
    return "There and back" + (", and by way of a third" if result.compositions else "")


def _ways(result: ModelComparison) -> list[Block]:
    blocks: list[Block] = [
        _heat_map(
            result,
            "R2 of codes that come back",
            "From the row to the column and back: the share of the variance of the row's codes "
            "that returns; lighter is better.",
            lambda pair: Estimate(1 - pair.cycle.value, 1 - pair.cycle.high, 1 - pair.cycle.low),
        ),
    ]
    if result.compositions:
        blocks.append(ways_table(result))
    return blocks
