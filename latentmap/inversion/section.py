"""Inverted images as a section of a report.

Shapes: ``n`` images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from latentmap.codes import Codes
from latentmap.inversion.inverting import Inverted
from latentmap.model import Model
from latentmap.report import ImageRow, ImageRows, Section, section_id, titled
from latentmap.report.embedding import image_strip

_SHOWN = 10


def inversion_section(
    model: Model,
    images: torch.Tensor,
    inverted: Inverted,
    *,
    ids: Sequence[str],
    said: str,
    record: Mapping[str, Any],
) -> Section:
    """Codes that were found for ``images``, whose ``ids`` are given: what is ``said`` of them, how
    near they come, and the
    first of them.
    """
    made = {**record, "model": model.fingerprint, "seed": inverted.seed}
    settings = None if inverted.search is None else asdict(inverted.search)
    identity = {**made, "space": model.space.kind, "method": inverted.method, "settings": settings}
    id = section_id(f"inversion {model.name}", identity)
    found = model.decode(inverted.codes[:_SHOWN]).cpu()
    shown = ImageRows(
        f"{id}-images",
        f"Images and what {model.name} makes of their codes",
        [
            ImageRow("image", [image_strip(images[:_SHOWN], f"{len(found)} images")], ids[:_SHOWN]),
            ImageRow(
                f"by {inverted.method}",
                [image_strip(found, f"the same, decoded by {model.name} from found codes")],
                [f"mse {error:.4f}" for error in inverted.mse[:_SHOWN].tolist()],
            ),
        ],
    )
    return Section(
        id,
        inversion_title(model, record),
        [said],
        [*inverted.tables(), shown],
        made,
    )


def inversion_title(model: Model, record: Mapping[str, Any]) -> str:
    """What the inversion of images is called."""
    return titled(f"Inversion in {model.name}", record)


def inversion_in_words(codes: Codes, inverted: Inverted, seconds: float) -> str:
    """Of how many images there are codes, what they took, and which is the worst."""
    return (
        f"{len(codes)} images in {codes.space} by {inverted.method}, "
        f"{seconds / len(codes):.2f} s an image; the worst is "
        f"{codes.ids[int(inverted.mse.argmax())]}"
    )
