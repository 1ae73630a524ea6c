"""Figures one after the other, as one file that moves."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

from latentmap.report.grids import ImageGrid

AnimationKind = Literal["gif", "webp"]
Loop = Literal["once", "round", "back"]


def animation(
    figures: Sequence[ImageGrid], *, kind: AnimationKind, per_second: float, loop: Loop = "round"
) -> bytes:
    """The bytes of a file that shows figures of one size, so many ``per_second``: ``once``, again
    and again (``round``), or there and ``back``, again and again. WebP keeps all colours, GIF 256
    of each figure.
    """
    pictures = [figure.picture() for figure in figures]
    if loop == "back":
        pictures += pictures[-2:0:-1]
    # 0 is for ever. What plays once has no count in a GIF, where it means how often it is repeated.
    turns = {"loop": 0} if loop != "once" else {"loop": 1} if kind == "webp" else {}
    exact = {"lossless": True, "method": 0} if kind == "webp" else {}
    file = io.BytesIO()
    pictures[0].save(
        file,
        kind,
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 / per_second),
        **turns,
        **exact,
    )
    return file.getvalue()
