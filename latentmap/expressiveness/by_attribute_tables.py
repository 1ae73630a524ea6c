"""The table of groups by attribute, and pictures of the worst images of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from latentmap.expressiveness.blindness import verdict
from latentmap.expressiveness.by_attribute import in_words, told
from latentmap.expressiveness.ratios import ratio_measure, without_untold
from latentmap.expressiveness.result import Expressiveness, SetScores
from latentmap.images.group_ratios import GroupRatio
from latentmap.model import Model, decode_all
from latentmap.report import (
    Cell,
    Column,
    ImageGrid,
    ImageRow,
    ImageRows,
    Measure,
    Row,
    Table,
    image_grid,
)
from latentmap.report.embedding import image_strip

_PICTURES = 12  # Groups of one picture.


def groups_table(results: Sequence[Expressiveness]) -> Table:
    """How hard every group of every set is for every generator, beside the rest."""
    columns = [
        Column("model"),
        Column("set"),
        Column("group"),
        Column("n"),
        Column("error", "the least mse of any method", "low", 5),
        Column("x reference", "error over that of the reference model", "low", 2),
        Column("x rest", "error over that of the other images", "low", 2),
        Column("over reference", "the same of errors over the reference model's", "low", 2),
        Column("p", "chance of a random group, all groups of the run considered", decimals=4),
        Column(
            "verdict",
            "blind: at least 1.5 times, and no chance; not blind: less than that, with the whole "
            "interval",
        ),
    ]
    rows, seen = [], []
    for result in results:
        for scores in result.sets:
            for family in scores.groups:
                rows += [_row(result, scores, one) for one in family]
            if scores.groups:
                seen.append(_seen(result, scores))
    notes = group_sentences(results)
    unknown = [_unknown(scores) for scores in results[0].sets]
    table = Table("Groups by attribute", columns, rows)
    table, wide = without_untold(table, "x reference", "x rest", "over reference")
    return replace(table, note="\n".join(filter(None, [*unknown, *seen, wide, *notes])))


def group_sentences(results: Sequence[Expressiveness]) -> list[str]:
    """What follows for every group of every set and every generator."""
    return [
        in_words(result, scores, one)
        for result in results
        for scores in result.sets
        for family in scores.groups
        for one in told(family)
    ]


def groups_figure(
    scores: SetScores, family: Sequence[GroupRatio], model: Model, *, n: int = 8
) -> ImageGrid:
    """The worst images of each group by one attribute, each over its best reproduction; the groups
    that are hardest, where there are many.

    Raises:
        ModelError: the codes are not of the model.
    """
    rows = []
    for one in _hardest(family):
        positions = torch.from_numpy(one.positions[:n].copy())
        made = decode_all(model, scores.best.codes[positions])
        rows.append((f"worst of {one.name}", scores.images[positions]))
        rows.append((f"by {scores.best.method}", made))
    return image_grid(rows)


def groups_rows(
    scores: SetScores,
    family: Sequence[GroupRatio],
    model: Model,
    *,
    id: str,
    title: str,
    n: int = 8,
) -> ImageRows:
    """What ``groups_figure`` draws as rows of a report, with the ids of the images, and the error
    of each below what the model makes of it.

    Raises:
        ModelError: the codes are not of the model.
    """
    rows = []
    for one in _hardest(family):
        positions = one.positions[:n]
        index = torch.from_numpy(positions.copy())
        words = f"worst images of {one.name} in {scores.name}"
        strip = image_strip(scores.images[index], words)
        rows.append(ImageRow(f"worst of {one.name}", [strip], scores.ids[positions].tolist()))
        made = decode_all(model, scores.best.codes[index])
        strip = image_strip(made, f"{words}, by {model.name} from codes by {scores.best.method}")
        errors = [f"mse {error:.4f}" for error in scores.best.mse[positions].tolist()]
        rows.append(ImageRow(f"by {scores.best.method}", [strip], errors))
    return ImageRows(id, title, rows, "The worst images of each group, by the least error.")


def _hardest(family: Sequence[GroupRatio]) -> list[GroupRatio]:
    """The groups of one attribute, in their order; the hardest, where there are many."""
    hardest = sorted(family, key=lambda one: -one.ratio.value)[:_PICTURES]
    return [one for one in family if one in hardest]


def _row(result: Expressiveness, scores: SetScores, one: GroupRatio) -> Row:
    over = None if one.share is None else ratio_measure(one.ratio)
    share = None if one.share is None else ratio_measure(one.share)
    cells: list[Cell] = [result.name, scores.name, one.name, len(one.positions)]
    measures: list[Cell] = [Measure.of(one.error), share, ratio_measure(one.plain), over]
    return Row([*cells, *measures, one.corrected, verdict(one)])


def _seen(result: Expressiveness, scores: SetScores) -> str:
    """On how many images of a set a model was trained, which it may make better for that."""
    n = result.record["n_seen"][scores.name].get(result.name)
    if not n:
        return ""
    return (
        f"{result.name} was trained on {n:,} of the {len(scores.ids):,} images of {scores.name} "
        "(--unseen leaves these out)"
    )


def _unknown(scores: SetScores) -> str:
    """Of how many images of a set it is not known in which group they are."""
    said = []
    for family in scores.groups:
        count = len(scores.ids) - sum(len(one.positions) for one in family)
        if count:
            said.append(
                f"{scores.name}: {family[0].by} is not known of {count} of {len(scores.ids)} "
                "images, which are in no group"
            )
    return "\n".join(said)
