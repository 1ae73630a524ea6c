"""Pictures of a latent plane: codes by label, and images over the quantiles of the prior.

Asperti, "About the Kullback-Leibler divergence in Variational Autoencoders" (2018), figure 1: of
each code a disc whose radius^2 is the geometric mean of the two variances of its posterior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from latentmap.diagnostics.label_colours import colour_of, legend_of
from latentmap.diagnostics.plane import LatentPlane
from latentmap.diagnostics.prior_grid import PriorGrid
from latentmap.report import Picture, Section, save_figure, section_id, titled, with_interval
from latentmap.report.embedding import embed_figure
from latentmap.report.figures import PLOT_DPI, plot_image

_PLANE = 1120  # Pixels of a plane,
_SMALL = 600  # and of each of several.
_ROOM = (1280, 1800)  # Height and width that a grid fills with whole multiples of its pixels.
_TALLEST = 64  # Pixels of an image of the grid.
_GAP, _CAPTION = 12, 22
_INK = 250.0  # Of the discs of all images together: less where there are many.
_STRONGEST = 0.5
_LEAST = 3.0  # So far from 0, in standard deviations of the prior, is seen at least.
_OF_PRIOR = math.sqrt(-2 * math.log(0.05))  # Within lie 95 % of the prior in a plane.


def save_plane(plane: LatentPlane, path: str | Path) -> None:
    """Writes the codes and the grid as one picture.

    Raises:
        OutputError: the suffix is of no picture, or the file cannot be written.
    """
    codes, grid = codes_picture(plane), grid_picture(plane.grid)
    # Several planes are a row of their own.
    below = len(plane.pairs) > 1
    if below:
        size = (max(codes.width, grid.width), codes.height + _GAP + grid.height)
    else:
        size = (codes.width + _GAP + grid.width, max(codes.height, grid.height))
    picture = Image.new("RGB", size, "white")
    picture.paste(codes, ((size[0] - codes.width) // 2 if below else 0, 0))
    left = (size[0] - grid.width) // 2 if below else codes.width + _GAP
    top = codes.height + _GAP if below else (size[1] - grid.height) // 2
    picture.paste(grid, (left, top))
    save_figure(picture, path)


def codes_picture(plane: LatentPlane) -> Image.Image:
    """The codes in each plane of the variables, a disc each, coloured by label; a dashed line is
    around 95 % of N(0, 1).
    """
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    pairs, legend = plane.pairs, legend_of(plane.names)
    side = (_PLANE if len(pairs) == 1 else _SMALL) / PLOT_DPI
    figure = Figure(figsize=(side * len(pairs), side), layout="constrained")
    axes: Any = figure.subplots(1, len(pairs), squeeze=False)[0]
    colours = [colour_of(group) for group in plane.groups]
    ink = min(_STRONGEST, _INK / len(plane.mean))
    reach = max(_LEAST, float(np.abs(plane.mean).max()) * 1.05)
    for axis, (first, second) in zip(axes, pairs, strict=True):
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
        around = {"fill": False, "linestyle": "--", "edgecolor": "#666666"}
        axis.add_patch(Circle((0, 0), _OF_PRIOR, **around))
        axis.set_xlim(-reach, reach)
        axis.set_ylim(-reach, reach)
        axis.set_aspect("equal")
        axis.grid(alpha=0.3)
        axis.set_xlabel(f"variable {plane.variables[first]}")
        axis.set_ylabel(f"variable {plane.variables[second]}")
    for group, name in enumerate(legend):
        axes[-1].plot([], [], "o", color=colour_of(group), label=name)
    if legend:
        axes[-1].legend(fontsize=8, loc="upper right")
    distance = with_interval(plane.distances.codes, 4)
    figure.suptitle(
        f"{len(plane.mean):,} codes of {plane.name}; dashed: 95 % of {plane.ruler}\n"
        f"energy distance to {plane.prior or 'the prior'} {distance}",
        fontsize=10,
    )
    return plot_image(figure)


def grid_picture(grid: PriorGrid) -> Image.Image:
    """The images over the quantiles, square by square, without gaps inside of a square."""
    across, down = grid.across, len(grid.images) // grid.across
    squares = [_square(one, across, down) for one in grid.images]
    caption = _CAPTION if any(grid.captions) else 0
    width, height = squares[0].width + _GAP, squares[0].height + _GAP + caption
    picture = Image.new("RGB", (across * width - _GAP, down * height - _GAP), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for number, (square, said) in enumerate(zip(squares, grid.captions, strict=True)):
        left, top = number % across * width, number // across * height
        draw.text((left + square.width / 2, top + caption - 6), said, "black", font, anchor="ms")
        picture.paste(square, (left, top + caption))
    return picture


def _square(images: Tensor, across: int, down: int) -> Image.Image:
    """One of ``across`` x ``down`` squares, images ``(s, s, c, h, w)``."""
    side, _, channels, height, width = images.shape
    pixels = (images.clamp(0, 1) * 255).round().to(torch.uint8)
    tiled = pixels.permute(0, 3, 1, 4, 2).reshape(side * height, side * width, channels).numpy()
    picture = Image.fromarray(tiled[..., 0] if channels == 1 else tiled).convert("RGB")
    if height > _TALLEST:
        size = (round(side * width * _TALLEST / height), side * _TALLEST)
        return picture.resize(size, Image.Resampling.LANCZOS)
    room = min(_ROOM[0] // (down * picture.height), _ROOM[1] // (across * picture.width))
    size = (max(room, 1) * picture.width, max(room, 1) * picture.height)
    return picture.resize(size, Image.Resampling.NEAREST)


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
                embed_figure(codes_picture(plane), f"codes of {plane.name} in a plane, by label"),
                f"dashed: 95 % of {plane.ruler}",
            ),
            Picture(
                f"Images over {plane.ruler}",
                embed_figure(grid_picture(grid), f"images of {plane.name} over {plane.ruler}"),
                over,
            ),
        ],
        made,
    )
