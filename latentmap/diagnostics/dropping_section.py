"""A VAE with fewer variables beside the whole one: as a picture, and as a section of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from latentmap.diagnostics.dropping import Dropping
from latentmap.model import Model
from latentmap.report import (
    ImageGrid,
    ImageRow,
    ImageRows,
    Section,
    image_grid,
    section_id,
    titled,
)
from latentmap.report.embedding import image_strip


def dropping_figure(dropping: Dropping, whole: Model, smaller: Model) -> ImageGrid:
    """Images over their reconstructions by the two models."""
    return image_grid(_rows(dropping, whole, smaller))


def dropping_section(
    dropping: Dropping, whole: Model, smaller: Model, *, record: Mapping[str, Any]
) -> Section:
    """Which variables were dropped, and what the images lost."""
    models = {"whole": whole.fingerprint, "smaller": smaller.fingerprint}
    identity = {**models, "data": record["data"], "choice": record.get("choice")}
    id = section_id(f"pruned {whole.name}", identity)
    rows = _rows(dropping, whole, smaller)
    shown = ImageRows(
        f"{id}-images",
        "Images and reconstructions",
        [ImageRow(label, [image_strip(images, label)]) for label, images in rows],
    )
    text = (
        f"{smaller.latent_dim} of the {whole.latent_dim} variables of {whole.name} are kept; the "
        "others stand at their means over the images."
    )
    made = {**record, "model": whole.fingerprint, "pruned_model": smaller.fingerprint}
    return Section(
        id, titled(f"{whole.name} pruned", record), [text], [*dropping.tables(), shown], made
    )


def _rows(dropping: Dropping, whole: Model, smaller: Model) -> list[tuple[str, Tensor]]:
    images = dropping.examples
    rebuilt = [model.decode(model.encode(images)).cpu() for model in (whole, smaller)]
    return [
        ("images", images),
        (f"{whole.latent_dim} variables", rebuilt[0]),
        (f"{smaller.latent_dim} variables", rebuilt[1]),
    ]
