"""What variables are measured from, and in which unit: the center and the unit of each.

Shapes: ``d`` latent variables, all float64.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from latentmap.codes import Space
from latentmap.errors import SupportError

Center = Literal["mean", "zero"]
CENTERS: tuple[Center, ...] = get_args(Center)


def check_center(center: Center, space: Space) -> None:
    """Refuses a center that is unknown, or that a space does not have.

    Raises:
        SupportError: so it is; or the center is ``zero`` in a space of another kind than ``z``,
            where it means nothing.
    """
    if center not in CENTERS:
        raise SupportError(f"unknown center {center!r}: choose one of {', '.join(CENTERS)}")
    if center == "zero" and space.kind != "z":
        raise SupportError(
            f"zero is the center of a prior in z, and {space} has none: take the mean of the codes "
            "(center mean)"
        )


def centers_of(space: Space, mean: np.ndarray, *, center: Center) -> np.ndarray:
    """The centers ``(d,)`` of variables whose codes have this ``mean`` ``(d,)``.

    That is their mean: what a variable says of an image is how the image differs from the others,
    and in ``z`` too the codes of images need not lie about 0, where the prior has its mean.
    ``zero`` is what Asperti & Tonelli (arXiv 2207.06812) have in ``z``; a variable whose mean is
    far from it gains what moving all images to 0 costs.

    Raises:
        SupportError: as ``check_center`` raises it.
    """
    check_center(center, space)
    return np.zeros_like(mean) if center == "zero" else mean


def scales_of(space: Space, variance: np.ndarray) -> np.ndarray:
    """The units ``(d,)`` of variables whose codes have this ``variance`` ``(d,)``: 1 in a space of
    kind ``z``, the deviation of its prior; the standard deviation in any other.
    """
    return np.ones_like(variance) if space.kind == "z" else np.sqrt(variance)
