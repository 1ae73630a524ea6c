"""The figures of the benchmark: images over their reproductions, and errors by sector as a map."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from latentmap.expressiveness.by_attribute_tables import groups_figure
from latentmap.expressiveness.result import Expressiveness, SetScores
from latentmap.expressiveness.tables import groups_space
from latentmap.model import Model, decode_all
from latentmap.report import Figure, ImageGrid, ImageRow, ImageRows, Plot, image_grid
from latentmap.report.colours import BLACK, BLUE, GREY, LEVELS, VERMILION, text_on
from latentmap.report.embedding import image_strip
from latentmap.report.plots import POINTS, heading, set_height, width_of
from latentmap.support.sectors import signs_of

_COLUMNS = 8
_LEAST = 4.0  # Points, of numbers that can be read.


def bench_figures(
    results: Sequence[Expressiveness], models: Sequence[Model]
) -> Iterator[tuple[str, Figure]]:
    """For every generator and every set, images over their reproductions, those of blind sectors,
    the worst of groups by attribute, and the errors by sector, each with the name of its file;
    ``models`` are those that the results are of.
    """
    used: set[str] = set()
    for result, model in zip(results, models, strict=True):
        for scores in (result.own, *result.sets):
            stem = f"{result.name}-{scores.name}"
            yield _unused(stem, used), reproduction_figure(scores, model)
            if any(one.blind for one in scores.sectors):
                yield _unused(f"{stem}-blind", used), blind_figure(scores, model)
            for family in scores.groups:
                name = _unused(f"{stem}-by-{family[0].by}", used)
                yield name, groups_figure(scores, family, model)
            if scores.sectors:
                plot = sector_plot(scores, model=result.name, space=groups_space(result))
                yield _unused(f"{stem}-sectors", used), plot


_STEM = 100  # Letters of a name; disks take some more.


def _unused(title: str, used: set[str]) -> str:
    """The name of a picture's file, with a number where another picture has it; notes it."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in title)[:_STEM]
    numbered = (f"{plain}-{number}" for number in itertools.count(2))
    # Some disks take letters of either case for the same.
    stem = next(one for one in itertools.chain([plain], numbered) if one.casefold() not in used)
    used.add(stem.casefold())
    return stem


def reproduction_figure(scores: SetScores, model: Model, *, n: int = _COLUMNS) -> ImageGrid:
    """The ``n`` worst, then as many typical, then the ``n`` best images of a set, each over
    what the model makes of it by every method; fewer of a small set, so that none is there twice.
    Typical are those about the median error of the others.

    Raises:
        ModelError: the codes are not of the model.
    """
    rows = []
    for kind, positions in _chosen(scores, n).items():
        rows.append((f"{kind} of {scores.name}", _images(scores, positions)))
        for method, one in scores.reproductions.items():
            made = decode_all(model, one.codes[torch.from_numpy(positions.copy())])
            error = one.mse[positions].mean()
            rows.append((f"by {method}, mse {error:.4f}", made))
    return image_grid(rows)


def reproduction_rows(
    scores: SetScores, model: Model, *, id: str, title: str, n: int = _COLUMNS
) -> ImageRows:
    """What ``reproduction_figure`` draws as rows of a report, with the ids of the images, and the
    error of each below what the model makes of it.

    Raises:
        ModelError: the codes are not of the model.
    """
    rows = []
    for kind, positions in _chosen(scores, n).items():
        words = f"{kind} images of {scores.name}"
        strip = image_strip(_images(scores, positions), words)
        rows.append(ImageRow(kind, [strip], scores.ids[positions].tolist()))
        for method, one in scores.reproductions.items():
            made = decode_all(model, one.codes[torch.from_numpy(positions.copy())])
            strip = image_strip(made, f"{words}, by {model.name} from codes by {method}")
            errors = [f"mse {error:.4f}" for error in one.mse[positions].tolist()]
            rows.append(ImageRow(f"by {method}", [strip], errors))
    note = "The worst, typical and best images, by the least error."
    if len(scores.ids) < 3 * n:
        note += f" There are {len(scores.ids):,} in all, and each stands once."
    return ImageRows(id, title, rows, note)


def _chosen(scores: SetScores, n: int) -> dict[str, np.ndarray]:
    """The positions of the ``n`` worst, typical and best images, a third of a small set each; none
    is in two, and what there are none of is left out.
    """
    order = scores.worst_first
    n = min(n, -(-len(order) // 3))
    worst, others = order[:n], order[n:]
    best, others = others[::-1][:n], others[: max(len(others) - n, 0)]
    start = max(len(others) - n, 0) // 2
    found = {"worst": worst, "typical": others[start : start + n], "best": best}
    return {kind: positions for kind, positions in found.items() if len(positions)}


def blind_figure(scores: SetScores, model: Model, *, n: int = _COLUMNS) -> ImageGrid:
    """The worst images of every blind sector, each over its best reproduction; ``n`` at most.

    Raises:
        ImageError: there is no blind sector.
    """
    rows = []
    for one in scores.sectors:
        if one.blind:
            positions = one.positions[:n]
            made = decode_all(model, scores.best.codes[torch.from_numpy(positions.copy())])
            rows.append(
                (f"sector {one.number}, {one.excess:.1f} x rest", _images(scores, positions))
            )
            rows.append((f"by {scores.best.method}", made))
    return image_grid(rows)


def sector_plot(scores: SetScores, *, model: str, space: str) -> Plot:
    """The mean error in every sector: a map over the signs of the leading variables, those of the
    first half of them across; bars where they are groups by codes in a ``space``, which have no
    signs. Blind sectors have a frame.
    """

    def draw(figure: Any) -> None:
        set_height(figure, 7.5)
        axis = figure.subplots()
        if scores.variables:
            _draw_map(figure, axis, scores)
        else:
            _draw_bars(axis, scores, space)
        heading(figure, f"{model}: error by sector of {scores.name}")

    return Plot(draw)


def _draw_map(figure: Any, axis: Any, scores: SetScores) -> None:
    k = len(scores.variables)
    across = (k + 1) // 2
    error = np.full(2**k, np.nan)
    for one in scores.sectors:
        error[one.number] = one.mse.value
    shown = axis.imshow(error.reshape(2 ** (k - across), 2**across), aspect="auto")
    figure.colorbar(shown, ax=axis, label="mse")
    # The numbers of sectors are as high as they have room for, and none where it is too little.
    room = (width_of(figure) - 4) * POINTS / 2**across
    size = min(7.0, room / (0.7 * len(str(2**k - 1))))
    for one in scores.sectors:
        row, column = divmod(one.number, 2**across)
        if size >= _LEAST:
            level = round(float(shown.norm(one.mse.value)) * (LEVELS - 1))
            colour = [part / 255 for part in text_on(level)]
            middle = {"ha": "center", "va": "center", "size": size, "color": colour}
            axis.text(column, row, str(one.number), **middle)
        if one.blind:
            axis.add_patch(_frame(column - 0.5, row - 0.5))
    _label(axis.xaxis, scores.variables[:across], upright=room < 7 * across)
    _label(axis.yaxis, scores.variables[across:], upright=False)


def _label(axis: Any, variables: tuple[int, ...], *, upright: bool) -> None:
    """The signs of some variables, the first of them at the left."""
    signs = [signs_of(number, len(variables)) for number in range(2 ** len(variables))]
    rotation = 90 if upright else 0
    axis.set_ticks(range(len(signs)), signs, family="monospace", rotation=rotation)
    text = f"signs of the variables {', '.join(map(str, variables))}" if variables else ""
    axis.set_label_text(text)


def _frame(left: float, top: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((left, top), 1, 1, fill=False, edgecolor=VERMILION, linewidth=2)


def _draw_bars(axis: Any, scores: SetScores, space: str) -> None:
    places = range(len(scores.sectors))
    value = [one.mse.value for one in scores.sectors]
    reach = [
        [one.mse.value - one.mse.low for one in scores.sectors],
        [one.mse.high - one.mse.value for one in scores.sectors],
    ]
    colours = [VERMILION if one.blind else BLUE for one in scores.sectors]
    axis.bar(places, value, yerr=reach, color=colours, ecolor=GREY)
    axis.axhline(scores.mse.mean(), color=BLACK, linewidth=0.8, linestyle="--")
    labels = [f"{one.number}\nn={len(one.positions)}" for one in scores.sectors]
    axis.set_xticks(list(places), labels)
    axis.set_xlabel(
        f"group in {space}, by its excess over the rest\n"
        "(vermilion: blind; dashed: mean of all images)"
    )
    axis.set_ylabel("mse")


def _images(scores: SetScores, positions: np.ndarray) -> torch.Tensor:
    return scores.images[torch.from_numpy(positions.copy())]
