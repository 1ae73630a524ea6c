"""Pictures of a latent plane: codes by label, and images over the quantiles of the prior.

Asperti, "About the Kullback-Leibler divergence in Variational Autoencoders" (2018), figure 1: of
each code a disc whose radius^2 is the geometric mean of the two variances of its posterior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from latentmap.diagnostics.label_colours import colour_of, legend_of
from latentmap.diagnostics.plane import LatentPlane
from latentmap.diagnostics.prior_grid import PriorGrid
from latentmap.report import (
    GridRow,
    ImageGrid,
    Picture,
    Plot,
    Section,
    section_id,
    titled,
    with_interval,
)
from latentmap.report.colours import BLACK, GREY
from latentmap.report.embedding import embed_figure
from latentmap.report.plots import columns_of, heading, set_height, width_of

_WIDE, _ONE = 24.0, 12.0  # Centimetres of codes beside images, and of one plane.
_ROOM = (1280, 1800)  # Height and width that a grid fills with whole multiples of its pixels.
_TALLEST = 64  # Pixels of an image of the grid.
_INK = 250.0  # Of the discs of all images together: less where there are many.
_STRONGEST = 0.5
_LEAST = 3.0  # So far from 0, in standard deviations of the prior, is seen at least.
_OF_PRIOR = math.sqrt(-2 * math.log(0.05))  # Within lie 95 % of the prior in a plane.
_HEADING = 1.0  # Centimetres.


def plane_plot(plane: LatentPlane) -> Plot:
    """The codes and the images over the quantiles of the prior, side by side; below each other
    where there are several planes, or where the figure is narrow.
    """
    squares = [_square(one) for one in plane.grid.images]
    across = plane.grid.across
    down = len(squares) // across

    def draw(figure: Any) -> None:
        planes = len(plane.pairs)
        width = width_of(figure)
        side = width / columns_of(figure, max(planes, 2))
        beside = planes == 1 and side < width
        rows = -(-planes * side // width)
        # Images that stand below fill the width, but are no higher than half of it or the planes.
        below = min(_HEADING + width * down / across, max(side, width / 2))
        set_height(figure, _HEADING + (side if beside else rows * side + below))
        if beside:
            left, right = figure.add_gridspec(1, 2)
        else:
            left, right = figure.add_gridspec(2, 1, height_ratios=(rows * side, below))
        columns = planes if rows == 1 else 1
        inner = left.subgridspec(planes // columns, columns)
        axes = [figure.add_subplot(one) for one in inner]
        _draw_codes(axes, plane)
        for place, pixels, said in zip(
            right.subgridspec(down, across), squares, plane.grid.captions, strict=True
        ):
            axis = figure.add_subplot(place)
            axis.imshow(pixels if pixels.shape[2] == 3 else pixels.repeat(3, axis=2))
            axis.set_axis_off()
            axis.set_title(said)
        heading(figure, _in_words(plane))

    return Plot(draw, width=_WIDE)


def codes_plot(plane: LatentPlane) -> Plot:
    """The codes in each plane of the variables, a disc each, coloured by label; a dashed line is
    around 95 % of N(0, 1).
    """

    def draw(figure: Any) -> None:
        columns = columns_of(figure, len(plane.pairs))
        rows = len(plane.pairs) // columns
        set_height(figure, _HEADING + width_of(figure) / columns * rows)
        _draw_codes(figure.subplots(rows, columns, squeeze=False).ravel(), plane)
        heading(figure, _in_words(plane))

    return Plot(draw, width=_ONE if len(plane.pairs) == 1 else _WIDE)


def grid_images(grid: PriorGrid) -> ImageGrid:
    """The images over the quantiles, square by square, without gaps inside of a square."""
    across, down = grid.across, len(grid.images) // grid.across
    squares = [_square(one) for one in grid.images]
    height, width, _ = squares[0].shape
    shrunk = grid.images.shape[-2] > _TALLEST
    room = min(_ROOM[0] // (down * height), _ROOM[1] // (across * width))
    images = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2) / 255
    texts = [(said, BLACK) for said in grid.captions if said]
    rows = [
        GridRow("", images[i : i + across], texts[i : i + across])
        for i in range(0, len(images), across)
    ]
    return ImageGrid(rows, scale=1 if shrunk else max(room, 1))


def _in_words(plane: LatentPlane) -> str:
    distance = with_interval(plane.distances.codes, 4)
    return (
        f"{len(plane.mean):,} codes of {plane.name}; dashed: 95 % of {plane.ruler}\n"
        f"energy distance to {plane.prior or 'the prior'} {distance}"
    )


def _draw_codes(axes: Any, plane: LatentPlane) -> None:
    from matplotlib.collections import EllipseCollection
    from matplotlib.patches import Circle

    colours = [colour_of(group) for group in plane.groups]
    ink = min(_STRONGEST, _INK / len(plane.mean))
    reach = max(_LEAST, float(np.abs(plane.mean).max()) * 1.05)
    for axis, (first, second) in zip(axes, plane.pairs, strict=True):
        at = plane.mean[:, [first, second]]
        sizes = 2 * plane.radii((first, second))
        discs = EllipseCollection(
            sizes,
            sizes,
            np.zeros(len(at)),
            units="xy",
            offsets=at,
            offset_transform=axis.transData,
            facecolors=colours,
            alpha=ink,
            linewidths=0,
        )
        axis.add_collection(discs)
        axis.scatter(*at.T, s=3, c=colours, linewidths=0)  # Discs may be too small to be seen.
        around = {"fill": False, "linestyle": "--", "edgecolor": GREY}
        axis.add_patch(Circle((0, 0), _OF_PRIOR, **around))
        axis.set_xlim(-reach, reach)
        axis.set_ylim(-reach, reach)
        axis.set_aspect("equal")
        axis.grid()
        axis.set_xlabel(f"variable {plane.variables[first]}")
        axis.set_ylabel(f"variable {plane.variables[second]}")
    legend = legend_of(plane.names)
    for group, name in enumerate(legend):
        axes[-1].plot([], [], "o", color=colour_of(group), label=name)
    if legend:
        axes[-1].legend(loc="upper right")


def _square(images: Tensor) -> np.ndarray:
    """Images ``(s, s, c, h, w)`` side by side, as pixels ``(h, w, c)``."""
    side, _, channels, height, width = images.shape
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    tiled = pixels.permute(0, 3, 1, 4, 2).reshape(side * height, side * width, channels).numpy()
    if height <= _TALLEST:
        return np.asarray(tiled)
    picture = Image.fromarray(tiled[..., 0] if channels == 1 else tiled)
    size = (round(side * width * _TALLEST / height), side * _TALLEST)
    smaller = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    return smaller[..., None] if channels == 1 else smaller


def plane_title(plane: LatentPlane, record: Mapping[str, Any]) -> str:
    """What a plane is called."""
    return titled(f"The latent space of {plane.name}", record)


def plane_section(plane: LatentPlane, *, record: Mapping[str, Any]) -> Section:
    """The plane as a section of a report: codes, grid and energy distances."""
    made = {**record, "model": plane.fingerprint}
    grid = plane.grid
    first, second = grid.variables
    drawn = " and ".join(map(str, plane.variables))
    text = (
        f"Codes of {len(plane.mean):,} images in variables {drawn} of {plane.latent_dim}. Each is "
        "a disc whose radius^2 is the geometric mean of the two posterior variances; its colour is "
        "its label, where labels are known, and colours come again after ten."
    )
    likely = ", so that each image is as likely as every other" if plane.prior is None else ""
    over = (
        f"Variable {first} grows to the right and variable {second} upwards, by quantiles of "
        f"{plane.ruler}{likely}."
    )
    return Section(
        section_id(f"plane {plane.name}", made),
        plane_title(plane, made),
        [text],
        [
            *plane.tables(),
            Picture(
                "Codes",
                embed_figure(codes_plot(plane), f"codes of {plane.name} in a plane, by label"),
                f"dashed: 95 % of {plane.ruler}",
            ),
            Picture(
                f"Images over {plane.ruler}",
                embed_figure(grid_images(grid), f"images of {plane.name} over {plane.ruler}"),
                over,
            ),
        ],
        made,
    )
