"""The tables of the benchmark: errors, what they are made of, coverage, sectors, extremes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from latentmap.expressiveness.blindness import SectorErrors
from latentmap.expressiveness.by_attribute_tables import groups_table
from latentmap.expressiveness.coverage import few_neighbours, space_of
from latentmap.expressiveness.coverage_table import coverage_table
from latentmap.expressiveness.detail import SMEARED
from latentmap.expressiveness.difficulty_tables import (
    against_table,
    distances_table,
    shares_table,
)
from latentmap.expressiveness.ratios import ratio_measure, without_untold
from latentmap.expressiveness.result import NEGLIGIBLE, Expressiveness, SetScores
from latentmap.images.group_ratios import FEWEST
from latentmap.intervals import Estimate
from latentmap.report import Cell, Column, Measure, Row, Table
from latentmap.report.words import images_in_words, in_percent, intervals_in_words
from latentmap.support.sectors import signs_of

_SECTORS = 5  # That are shown of a set beside the blind ones.
_NAMED = 5  # Images.
_WITHOUT_RATIO = (
    f"x own is left out where the own error is below {in_percent(NEGLIGIBLE)} of the own images' "
    "variance: a ratio to it says how exact the search or the model is, not what it cannot make"
)
_HEAD = (Column("model"), Column("set"))


def bench_tables(results: Sequence[Expressiveness]) -> list[Table]:
    """What is known of all generators, in a terminal and on a page."""
    errors = errors_table(results)
    said = [*_of_groups(results), *map(calibration, results), errors.note]
    notes = "\n".join([*own_in_words(results[0]), *said])
    tables = [
        replace(errors, note=notes),
        parts_table(results),
        shares_table(results),
        distances_table(results),
        covered_table(results),
        sectors_table(results),
        _extremes_table(results),
        # Last, since the sentences that follow stand below.
        against_table(results),
        groups_table(results),
    ]
    return [table for table in tables if table.rows]


def calibration(result: Expressiveness) -> str:
    """Whether the search in a generator can be believed, in words."""
    if result.calibration is None:
        return (
            f"{result.name}: not calibrated, for lack of a search; as it was not searched, its "
            "limit is not known"
        )
    trust = "reliable" if result.reliable else "UNRELIABLE on others, take more steps or starts"
    smears = [
        f"{scores.name} ({in_percent(found, 0)} of the detail)"
        for scores in result.sets
        if (found := result.detail(scores)) is not None and found < SMEARED
    ]
    if smears and result.reliable:
        trust = (
            f"but UNRELIABLE on {', '.join(smears)}, where what it found is blurred beside the "
            "generator's own pictures and the images"
        )
    return (
        f"{result.name}: the search misses {in_percent(result.calibration, 1)} of the variance of "
        f"own images: {trust}"
    )


def truncation_in_words(record: Mapping[str, Any]) -> str:
    """At which truncation codes were drawn, as it follows them in a sentence; empty at 1."""
    truncation = record.get("truncation", 1)
    return "" if truncation == 1 else f" at truncation {truncation:g}"


def own_in_words(result: Expressiveness) -> list[str]:
    """What the own images are, where their codes are truncated."""
    truncated = truncation_in_words(result.record)
    return [f"own: images of random codes{truncated}"] if truncated else []


def _of_groups(results: Sequence[Expressiveness]) -> list[str]:
    """Of how many groups the images of each set are, copies being one, where these are fewer."""
    said = {}
    for scores in (scores for result in results for scores in result.sets):
        n, n_units = len(scores.ids), len(np.unique(scores.units))
        if n_units < n:
            said[scores.name] = f"{scores.name}: {images_in_words(n, n_units)}"
    return list(said.values())


def errors_table(results: Sequence[Expressiveness]) -> Table:
    """The errors of all generators on all sets, by every method."""
    columns = [
        *_HEAD,
        Column("method"),
        Column("n"),
        Column("mse", "pixels in [0, 1]", "low", 5),
        Column("SSIM", "structural similarity", "high", 3),
        Column("x own", "error over that of the generator's own images", "low", 2),
        Column("in [-1, 1]", "the mse of pixels in [-1, 1]", "low", 4),
    ]
    rows, untold = [], False
    for result in results:
        for scores in (result.own, *result.sets):
            for name, one in scores.reproductions.items():
                doubted = result.doubts(scores) and name in ("search", "hybrid")
                note = "unreliable" if doubted and scores is not result.own else ""
                cells: list[Cell] = [result.name, scores.name, name, len(one.judged)]
                measures = [Measure.of(one.mean_mse, note), Measure.of(one.mean_ssim)]
                signed = 4 * one.mean_mse.value
                told = one.ratio is not None and result.tells_ratio(name)
                untold |= one.ratio is not None and not told
                ratio = ratio_measure(one.ratio) if told and one.ratio is not None else None
                rows.append(Row([*cells, *measures, ratio, signed]))
    fewest = min(one.held.n_units for result in results for one in (result.own, *result.sets))
    notes = [intervals_in_words(max(fewest, 2)), *([_WITHOUT_RATIO] if untold else [])]
    table, said = without_untold(Table("Errors", columns, rows), "x own")
    return replace(table, note="\n".join(filter(None, [*notes, said])))


def sectors_table(results: Sequence[Expressiveness]) -> Table:
    """The errors in the sectors of all sets: of the blind ones, and of the five worst of a set,
    first of those of which something is told.
    """
    columns = [
        *_HEAD,
        Column("sector"),
        Column("n"),
        Column("mse", "", "low", 5),
        Column("x rest", "how bad over others; by errors over the encoder's, if known", "low", 2),
        Column("p", "chance that as many random images are as bad", decimals=4),
        Column(
            "blind",
            "too bad to be chance, and at least 1.5 times the rest; too few: less than "
            f"{FEWEST} images or groups, of the sector or the rest",
        ),
        Column("share", "of these images", decimals=3),
        Column("of own", "share of the generator's own images", decimals=3),
        Column("signs", "of the leading variables, the first at the left"),
    ]
    rows, notes = [], []
    for result, scores in _others(results):
        for place, one in enumerate(sorted(scores.sectors, key=_untold)):
            if place < _SECTORS or one.blind:
                said = "" if one.verdict == "not told" else one.verdict
                cells = [
                    *(one.number, len(one.positions), Measure.of(one.mse), one.excess),
                    *(one.p_value, said, one.share, one.own_share),
                ]
                signs = signs_of(one.number, len(scores.variables))
                rows.append(Row([result.name, scores.name, *cells, signs]))
        if scores.sectors:
            notes.append(_blindness(result, scores))
    return Table("Sectors, or groups of similar images", columns, rows, "\n".join(notes))


def _untold(one: SectorErrors) -> bool:
    return one.verdict == "too few"


def _blindness(result: Expressiveness, scores: SetScores) -> str:
    """In how many sectors a generator is blind, in words."""
    blind = sum(one.blind for one in scores.sectors)
    # Without a search it is not known whether the generator is, or its network.
    unreliable = " (unreliable)" if result.doubts(scores) else ""
    doubt = " for the network" if scores.limit is None else unreliable
    what = "sectors" if scores.variables else f"groups in {groups_space(result)}"
    few, why = sum(map(_untold, scores.sectors)), f"have less than {FEWEST} images, or the rest has"
    said = f"{blind} of {len(scores.sectors)} {what} are blind{doubt}"
    if few == len(scores.sectors):
        said = f"of {few} {what} nothing is told: all {why}"
    elif few:
        said += f"; of {few} nothing is told: they {why}"
    return f"{result.name}, {scores.name}: {said}"


def parts_table(results: Sequence[Expressiveness]) -> Table:
    """What of an error is the generator's, its network's, and the map's."""
    columns = [
        *_HEAD,
        Column("generator limit", "error of the best code that was found in its range", "low", 5),
        Column("anywhere", "the same of codes anywhere in the space", "low", 5),
        Column("encoder gap", "what the network loses against it", "low", 5),
        Column("map gap", "what mapped codes lose against the network", "low", 5),
    ]
    rows = []
    for result, scores in _others(results):
        parts = (scores.limit, scores.limit_anywhere, scores.encoder_gap, scores.map_gap)
        if any(parts):
            rows.append(Row([result.name, scores.name, *map(_measure, parts)]))
    return Table("What the errors are made of", columns, rows)


def covered_table(results: Sequence[Expressiveness]) -> Table:
    """What of each set a generator's own images cover, in codes of the encoder."""
    found = [
        ([result.name, scores.name], scores.coverage)
        for result, scores in _others(results)
        if scores.coverage is not None
    ]
    few = {
        f"{head[1]}: {said}": None
        for head, one in found
        for said in few_neighbours(one.n_real, one.n_generated)
    }
    return coverage_table(found, groups_space(results[0]), "\n".join(few))


def groups_space(result: Expressiveness) -> str:
    """What images that are in no sectors are grouped by, and coverage is measured in."""
    return space_of(str(result.record["encoder_name"]))


def _extremes_table(results: Sequence[Expressiveness]) -> Table:
    """The images that a generator reproduces worst and best."""
    rows = []
    for result, scores in _others(results):
        order = scores.worst_first
        named = [", ".join(map(str, scores.ids[part[:_NAMED]])) for part in (order, order[::-1])]
        rows.append(Row([result.name, scores.name, *named]))
    return Table("Images", [*_HEAD, Column("worst"), Column("best")], rows)


def _others(results: Sequence[Expressiveness]) -> Iterator[tuple[Expressiveness, SetScores]]:
    """Every generator with every set but its own images."""
    for result in results:
        for scores in result.sets:
            yield result, scores


def _measure(estimate: Estimate | None) -> Measure | None:
    return None if estimate is None else Measure.of(estimate)
