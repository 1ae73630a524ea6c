"""Diagnoses as a section of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from latentmap.diagnostics.activity import ACTIVE_VARIANCE
from latentmap.diagnostics.diagnosis_figures import Examples
from latentmap.diagnostics.several import Diagnoses
from latentmap.report import ImageRow, ImageRows, Picture, Plot, Section, section_id, titled
from latentmap.report.embedding import embed_figure, image_strip
from latentmap.report.parts import Block

_READING = (
    "What the latent variables do. A variable is active when its posterior mean has a variance "
    f"above {ACTIVE_VARIANCE} over the images; by the law of variance mean s2 + Var is 1. The "
    "variance loss is as large as the mse where a reconstruction is the mean of all images with "
    "its code. Intervals are 95 % over images, or their groups."
)


def diagnosis_section(
    found: Diagnoses,
    examples: Sequence[Examples],
    record: Mapping[str, Any],
    *,
    scatter: Plot | None = None,
) -> Section:
    """One model with all its variables, or several beside each other; ``record`` says what made
    it.
    """
    names = [one.model for one in found.results]
    id = section_id(f"diagnosis {' '.join(names)}", record)
    blocks: list[Block] = [*(found.results[0] if len(names) == 1 else found).tables()]
    if scatter is not None:
        shown = embed_figure(scatter, f"Variance loss of {', '.join(names)} against their mse")
        blocks.append(Picture("Variance loss against mse", shown))
    blocks += [_rows(f"{id}-images-{number}", one) for number, one in enumerate(examples)]
    return Section(id, diagnosis_title(names, record), [_READING], blocks, record)


def diagnosis_title(names: Sequence[str], record: Mapping[str, Any]) -> str:
    """What a diagnosis of models is called."""
    return titled(f"Diagnosis of {', '.join(names)}", record)


def _rows(id: str, examples: Examples) -> ImageRows:
    rows = [
        ImageRow(label, [image_strip(images, f"{len(images)} images: {label}")])
        for label, images in examples.rows()
    ]
    return ImageRows(
        id,
        f"{examples.name} without its inactive variables",
        rows,
        "Images, their reconstructions, and these with every inactive variable at its mean.",
    )
