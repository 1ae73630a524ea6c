"""A support set as a section of a report."""

from __future__ import annotations

import numpy as np
import torch

from latentmap.codes.channels import word_of
from latentmap.report import ImageRow, ImageRows, Section, section_id, titled
from latentmap.report.embedding import image_strips
from latentmap.report.parts import Bars, Block
from latentmap.support.occupancy import Occupancy, occupancies_of
from latentmap.support.spread import Spread
from latentmap.support.support_set import SupportSet
from latentmap.support.tables import set_tables

_MEMBERS = ("ids", "digests", "sector", "filled", "occupancy")


def support_section(
    support: SupportSet,
    spread: Spread | None,
    *,
    name: str,
    pixels: np.ndarray | None,
) -> Section:
    """A support set: how far apart its images are, how full its sectors, and the images by sector,
    where their ``pixels`` are known.
    """
    settings = support.settings
    text = [
        f"{len(support)} images of {support.candidates}, far apart in {support.space}, by the "
        f"strategy {settings['strategy']}."
    ]
    blocks: list[Block] = [*set_tables(support, spread)]
    if settings["variables"]:
        leading = ", ".join(map(str, settings["variables"]))
        along = "" if len(support.space.shape) == 1 else ", by their means over positions"
        text.append(
            f"A sector is one combination of signs of the leading {word_of(support.space.shape)}s "
            f"({leading}){along}, beyond a threshold of {support.threshold:g}."
        )
        blocks += map(_bars, occupancies_of(support))
    record = {**settings, "space": str(support.space), "fingerprint": support.space.fingerprint}
    # The members and what they stand for; how far apart they are can be measured again.
    identity = {
        "space": support.space.to_json(),
        "frame": support.frame.to_json(),
        **{name: settings[name] for name in ("strategy", "variables", "threshold")},
        "choice": settings.get("choice"),
        **{name: getattr(support, name).tolist() for name in _MEMBERS},
    }
    id = section_id(f"support {name}", identity)
    if pixels is not None:
        blocks.append(_images(support, pixels, f"{id}-images"))
    return Section(id, support_title(support, name), text, blocks, record)


def _images(support: SupportSet, pixels: np.ndarray, id: str) -> ImageRows:
    """All images with their sectors, whether they are no members of these, and their ids."""
    shown = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    captions = [
        f"sector {number}{', fill-up' * filled}{', relaxed' * relaxed}: {one}"
        for number, filled, relaxed, one in zip(
            support.sector.tolist(),
            support.filled.tolist(),
            support.relaxed.tolist(),
            support.ids.tolist(),
            strict=True,
        )
    ]
    if not support.settings["variables"]:
        captions = support.ids.tolist()
    strips = image_strips(shown, "images of the support set")
    return ImageRows(id, "Images by sector", [ImageRow("", strips, captions)])


def support_title(support: SupportSet, name: str) -> str:
    """What a support set is called, with the images that it was chosen among."""
    return titled(f"Support set {name}", support.settings)


def _bars(one: Occupancy) -> Bars:
    occupied = int((one.counts > 0).sum())
    return Bars(
        f"Images by sector at threshold {one.threshold:g}",
        "sector",
        one.counts.tolist(),
        one.expected,
        f"The images of {len(one.counts)} sectors: {occupied} have one or more, "
        f"{int(one.counts.max())} at most, {one.expected:.3g} each are expected",
        f"Dashed: {one.expected:.3g}, as many as would be of the reference: {one.reference.name}.",
    )
