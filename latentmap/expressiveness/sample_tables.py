"""Distances of generated images as a table, a picture and a section of a report."""

from __future__ import annotations

from PIL import Image

from latentmap.expressiveness.coverage import FIGURES
from latentmap.expressiveness.sample_distances import SampleDistances
from latentmap.expressiveness.tables import truncation_in_words
from latentmap.intervals import Estimate
from latentmap.report import (
    Cell,
    Column,
    Measure,
    Picture,
    Row,
    Section,
    Table,
    image_grid,
    section_id,
)
from latentmap.report.embedding import embed_figure
from latentmap.report.parts import Block

_READING = (
    "How far images of random codes are from those of data sets, in the codes of one encoder: the "
    "squared Fréchet distance and the squared kernel distance, each without bias, so that they may "
    "be below 0. They are no FID, and say nothing beside those of another encoder. Gains are what "
    "the first model is further away, over the same images and seeds. Intervals are 95 %."
)


def distance_tables(result: SampleDistances) -> list[Table]:
    """Both distances, and what of the images is covered."""
    head = (Column("model"), Column("set"))
    gain = "what the first model is further away, paired"
    distances = [
        *head,
        Column("Fréchet", "squared distance of normal distributions", "low", 3),
        Column("gain", gain, "high", 3),
        Column("kernel", "squared distance by (x y / d + 1)^3", "low", 4),
        Column("gain of kernel", gain, "high", 4),
    ]
    covered = [*head, *(Column(name, "", "high", 3) for name in FIGURES)]
    rows, shares = [], []
    for model in result.models:
        for one in model.sets:
            cells: list[Cell] = [model.name, one.name]
            measures = (one.frechet, one.frechet_gain, one.kernel, one.kernel_gain)
            rows.append(Row([*cells, *map(_measure, measures)]))
            figures = [Measure.of(getattr(one.coverage, name)) for name in FIGURES]
            shares.append(Row([*cells, *figures]))
    note = (
        f"{result.n:,} images of random codes of each model"
        f"{truncation_in_words(result.record)}, in the codes of {result.encoder}"
    )
    return [
        Table("Distances", distances, rows, "\n".join([note, *_priors(result)])),
        Table("Coverage", covered, shares).bare(*FIGURES),
    ]


def samples_figure(result: SampleDistances) -> Image.Image:
    """The first images of every model, a row each: of one seed."""
    return image_grid([(model.name, model.shown) for model in result.models])


def distances_section(result: SampleDistances) -> Section:
    """The distances of all models, and images of one seed."""
    names = ", ".join(model.name for model in result.models)
    shown = embed_figure(samples_figure(result), f"Images of one seed, a row for each of {names}")
    record = {
        **result.record,
        "n": result.n,
        "models": {one.name: one.prior_fingerprint or one.fingerprint for one in result.models},
    }
    blocks: list[Block] = [*distance_tables(result), Picture("Images of one seed", shown)]
    text = [_READING, *_priors(result)]
    id = section_id("distances", record)
    return Section(id, "How near the models' images are to real ones", text, blocks, record)


def _priors(result: SampleDistances) -> list[str]:
    """What the models sample from, in words."""
    return [
        f"{model.name}: its prior is {model.prior}"
        for model in result.models
        if model.prior is not None
    ]


def _measure(estimate: Estimate | None) -> Measure | None:
    return None if estimate is None else Measure.of(estimate)
