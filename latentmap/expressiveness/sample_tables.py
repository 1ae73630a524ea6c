"""Figures of generated images as tables, pictures and a section of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from latentmap.expressiveness.coverage import space_of
from latentmap.expressiveness.coverage_table import coverage_table
from latentmap.expressiveness.sample_distances import ModelDistances, SampleDistances
from latentmap.expressiveness.sample_figures import SetDistances
from latentmap.expressiveness.tables import truncation_in_words
from latentmap.intervals import Estimate
from latentmap.report import (
    Cell,
    Column,
    ImageGrid,
    ImageRow,
    ImageRows,
    Measure,
    Row,
    Section,
    Table,
    image_grid,
    section_id,
    titled,
)
from latentmap.report.embedding import image_strip
from latentmap.report.parts import Block
from latentmap.support.sectors import signs_of

_READING = (
    "How far images of random codes are from those of data sets, in the codes of one encoder: the "
    "squared Fréchet distance and the squared kernel distance, each without bias, so that they may "
    "be below 0. They are no FID and no KID, and say nothing beside those of another encoder. "
    "Gains are what the first model is further away, over the same images and seeds. Intervals are "
    "95 %."
)
_HEAD = (Column("model"), Column("set"))
_SECTORS = 5  # That a table shows of a set.
# What is shown in a picture, by its name.
_KINDS = {
    "realism": ("least realistic", "most realistic"),
    "memorisation": ("most suspicious", "nearest training images", "nearest held-out images"),
}


def distance_tables(result: SampleDistances) -> list[Table]:
    """Both distances, what of the images is covered, how different they are, what is memorised."""
    tables = [
        _distances(result),
        _coverage(result),
        _diversity(result),
        _memorisation(result),
        _sectors(result),
    ]
    return [table for table in tables if table.rows]


def _each(result: SampleDistances) -> Iterator[tuple[list[Cell], SetDistances]]:
    """Every model with every set, and the first two cells of its row."""
    for model in result.models:
        for one in model.sets:
            yield [model.name, one.name], one


def _distances(result: SampleDistances) -> Table:
    space, gain = space_of(result.encoder), "what the first model is further away, paired"
    columns = [
        *_HEAD,
        Column("Fréchet", f"squared distance of normal distributions in {space}", "low", 3),
        Column("gain", gain, "high", 3),
        Column("kernel", f"squared distance by (x y / d + 1)^3 in {space}", "low", 4),
        Column("gain of kernel", gain, "high", 4),
    ]
    rows = [
        Row([*head, *map(_measure, (one.frechet, one.frechet_gain, one.kernel, one.kernel_gain))])
        for head, one in _each(result)
    ]
    note = (
        f"{result.n:,} images of random codes of each model"
        f"{truncation_in_words(result.record)}, in the {space}"
    )
    few = dict.fromkeys(f"{one.name}: {said}" for _, one in _each(result) for said in one.notes)
    notes = [note, *few, *_priors(result), *_not_memorised(result)]
    return Table(f"Distances in {space}", columns, rows, "\n".join(notes))


def _coverage(result: SampleDistances) -> Table:
    return coverage_table(
        ((head, one.coverage) for head, one in _each(result)), space_of(result.encoder)
    )


def _diversity(result: SampleDistances) -> Table:
    columns = [
        *_HEAD,
        Column("generated", "Vendi score of the generated images", "high", 2),
        Column("real", "Vendi score of the images of the set", "", 2),
        Column("generated / real", "", "high", 3),
    ]
    rows = [
        Row([*head, *map(Measure.of, (one.vendi, one.vendi_real, one.vendi_ratio))])
        for head, one in _each(result)
    ]
    title = f"Vendi score by the cosine of {space_of(result.encoder)}"
    return Table(title, columns, rows)


def _memorisation(result: SampleDistances) -> Table:
    columns = [
        *_HEAD,
        Column("n", "training images, and as many that the model was not trained on"),
        Column(
            "nearer to trained", "share of generated images; 0.5 of one that has learned", "", 3
        ),
        Column("p", "chance of as large a share", decimals=3),
    ]
    rows = []
    for head, one in _each(result):
        if one.memorised is not None:
            share = Measure.of(one.memorised.share)
            cells: list[Cell] = [one.memorised.n, share, one.memorised.p_value]
            rows.append(Row([*head, *cells]))
    return Table(f"Memorisation in {space_of(result.encoder)}", columns, rows)


def _sectors(result: SampleDistances) -> Table:
    """The sectors of support sets that are covered least."""
    columns = [
        *_HEAD,
        Column("sector"),
        Column("n"),
        Column("recall", "", "high", 3),
        Column("coverage", "", "high", 3),
        Column("signs", "of the leading variables, the first at the left"),
    ]
    rows = []
    for head, one in _each(result):
        for number, group in list(one.coverage.by_group.items())[:_SECTORS]:
            measures = [Measure.of(group.recall), Measure.of(group.coverage)]
            signs = signs_of(number, len(one.variables))
            rows.append(Row([*head, number, group.n, *measures, signs]))
    title = f"Sectors that are covered least in {space_of(result.encoder)}"
    return Table(title, columns, rows)


def samples_figure(result: SampleDistances) -> ImageGrid:
    """The first images of every model, a row each: of one seed."""
    return image_grid([(model.name, model.shown) for model in result.models])


def sample_figures(result: SampleDistances) -> dict[str, ImageGrid]:
    """All pictures by the names of their files: images of one seed, the least and the most
    realistic, and where there are any, the most suspicious over the nearest real ones.
    """
    found = {"samples": samples_figure(result)}
    for name, kinds in _KINDS.items():
        rows = list(_rows(result.models, kinds))
        if rows:
            found[name] = image_grid([(label, images) for label, images, _ in rows])
    return found


def _image_rows(result: SampleDistances, id: str) -> list[ImageRows]:
    """The same as rows of a report, with the ids of the images."""
    space = space_of(result.encoder)
    shown = {
        "samples": ("Images of one seed", "A row for each model."),
        "realism": (
            f"The least and the most realistic images in {space}",
            "Realistic are those that lie far inside of small balls around real ones.",
        ),
        "memorisation": (
            f"Images that are nearest to training images in {space}",
            "Generated images over the nearest training and the nearest other images.",
        ),
    }
    rows = {"samples": [(one.name, one.shown, one.shown_ids) for one in result.models]}
    rows |= {name: list(_rows(result.models, kinds)) for name, kinds in _KINDS.items()}
    return [
        ImageRows(
            f"{id}-{name}",
            title,
            [
                ImageRow(label, [image_strip(images, label)], ids)
                for label, images, ids in rows[name]
            ],
            note,
        )
        for name, (title, note) in shown.items()
        if rows[name]
    ]


def _rows(
    models: Sequence[ModelDistances], kinds: Sequence[str]
) -> Iterator[tuple[str, Tensor, Sequence[str]]]:
    for model in models:
        for one in model.sets:
            for kind in kinds:
                if kind in one.pictures:
                    label = f"{model.name}, {one.name}: {kind} in {one.space}"
                    yield label, one.pictures[kind], one.picture_ids[kind]


def distances_section(result: SampleDistances) -> Section:
    """All figures, with images of one seed, the most and least realistic, and suspicious ones."""
    record = {
        **result.record,
        "n": result.n,
        "models": {one.name: one.prior_fingerprint or one.fingerprint for one in result.models},
    }
    text = [_READING, *_priors(result), *_not_memorised(result)]
    id = section_id("distances", record)
    blocks: list[Block] = [*distance_tables(result), *_image_rows(result, id)]
    return Section(id, distances_title(result), text, blocks, record)


def distances_title(result: SampleDistances) -> str:
    """What the result is called."""
    return titled("How near the models' images are to real ones", result.record)


def _not_memorised(result: SampleDistances) -> list[str]:
    """Where memorisation could not be measured, and why."""
    return list(dict.fromkeys(one.not_memorised for _, one in _each(result) if one.not_memorised))


def _priors(result: SampleDistances) -> list[str]:
    """What the models sample from, in words."""
    return [
        f"{model.name}: its prior is {model.prior}"
        for model in result.models
        if model.prior is not None
    ]


def _measure(estimate: Estimate | None) -> Measure | None:
    return None if estimate is None else Measure.of(estimate)
