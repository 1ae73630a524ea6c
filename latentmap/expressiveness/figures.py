"""The figures of the benchmark: images over their reproductions, and errors by sector as a map."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from latentmap.expressiveness.result import Expressiveness, SetScores
from latentmap.expressiveness.tables import groups_space
from latentmap.model import Model, decode_all
from latentmap.report import image_grid, save_figure, save_plot
from latentmap.support.sectors import signs_of

_COLUMNS = 8


def save_pictures(
    results: Sequence[Expressiveness], models: Sequence[Model], folder: str | Path
) -> None:
    """Draws, for every generator and every set, images over their reproductions, those of blind
    sectors, and the errors by sector; ``models`` are those that the results are of.

    Raises:
        OutputError: the folder or a picture in it cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    used: set[str] = set()
    for result, model in zip(results, models, strict=True):
        for scores in (result.own, *result.sets):
            stem = f"{result.name}-{scores.name}"
            save_figure(reproduction_figure(scores, model), folder / _unused(stem, used))
            if any(one.blind for one in scores.sectors):
                picture = blind_figure(scores, model)
                save_figure(picture, folder / _unused(f"{stem}-blind", used))
            if scores.sectors:
                path = folder / _unused(f"{stem}-sectors", used)
                save_sector_map(scores, path, model=result.name, space=groups_space(result))


_STEM = 100  # Letters of a name; disks take some more.


def _unused(title: str, used: set[str]) -> str:
    """The name of a picture's file, with a number where another picture has it; notes it."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in title)[:_STEM]
    numbered = (f"{plain}-{number}" for number in itertools.count(2))
    # Some disks take letters of either case for the same.
    stem = next(one for one in itertools.chain([plain], numbered) if one.casefold() not in used)
    used.add(stem.casefold())
    return f"{stem}.png"


def reproduction_figure(scores: SetScores, model: Model, *, n: int = _COLUMNS) -> Image.Image:
    """The ``n`` worst, then as many typical, then the ``n`` best images of a set, each over
    what the model makes of it by every method. Typical are those about the median error.

    Raises:
        ModelError: the codes are not of the model.
    """
    order = scores.worst_first
    n = min(n, len(order))
    middle = (len(order) - n) // 2
    kinds = {"worst": order[:n], "typical": order[middle : middle + n], "best": order[::-1][:n]}
    rows = []
    for kind, positions in kinds.items():
        rows.append((f"{kind} of {scores.name}", _images(scores, positions)))
        for method, one in scores.reproductions.items():
            made = decode_all(model, one.codes[torch.from_numpy(positions.copy())])
            error = one.mse[positions].mean()
            rows.append((f"by {method}, mse {error:.4f}", made))
    return image_grid(rows)


def blind_figure(scores: SetScores, model: Model, *, n: int = _COLUMNS) -> Image.Image:
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


def save_sector_map(scores: SetScores, path: str | Path, *, model: str, space: str) -> None:
    """Draws the mean error in every sector: a map over the signs of the leading variables, those of
    the first half of them across; bars where they are groups by codes in a ``space``, which have no
    signs. Blind sectors have a frame.

    Raises:
        OutputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axis: Any = figure.subplots()
    if scores.variables:
        _draw_map(figure, axis, scores)
    else:
        _draw_bars(axis, scores, space)
    axis.set_title(f"{model}: error by sector of {scores.name}", fontsize=11)
    save_plot(figure, path)


def _draw_map(figure: Any, axis: Any, scores: SetScores) -> None:
    k = len(scores.variables)
    across = (k + 1) // 2
    error = np.full(2**k, np.nan)
    for one in scores.sectors:
        error[one.number] = one.mse.value
    shown = axis.imshow(error.reshape(2 ** (k - across), 2**across), cmap="viridis", aspect="auto")
    figure.colorbar(shown, ax=axis, label="mse")
    for one in scores.sectors:
        row, column = divmod(one.number, 2**across)
        axis.text(column, row, str(one.number), ha="center", va="center", fontsize=7, color="white")
        if one.blind:
            axis.add_patch(_frame(column - 0.5, row - 0.5))
    _label(axis.set_xticks, axis.set_xlabel, scores.variables[:across])
    _label(axis.set_yticks, axis.set_ylabel, scores.variables[across:])


def _label(set_ticks: Any, set_label: Any, variables: tuple[int, ...]) -> None:
    """The signs of some variables, the first of them at the left."""
    signs = [signs_of(number, len(variables)) for number in range(2 ** len(variables))]
    set_ticks(range(len(signs)), signs, fontsize=8, family="monospace")
    set_label(f"signs of the variables {', '.join(map(str, variables))}" if variables else "")


def _frame(left: float, top: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((left, top), 1, 1, fill=False, edgecolor="#d62728", linewidth=2.5)


def _draw_bars(axis: Any, scores: SetScores, space: str) -> None:
    places = range(len(scores.sectors))
    value = [one.mse.value for one in scores.sectors]
    reach = [
        [one.mse.value - one.mse.low for one in scores.sectors],
        [one.mse.high - one.mse.value for one in scores.sectors],
    ]
    colours = ["#d62728" if one.blind else "#1f5fa8" for one in scores.sectors]
    axis.bar(places, value, yerr=reach, color=colours, ecolor="#555555", capsize=2)
    axis.axhline(scores.mse.mean(), color="black", linewidth=0.8, linestyle="--")
    labels = [f"{one.number}\nn={len(one.positions)}" for one in scores.sectors]
    axis.set_xticks(list(places), labels, fontsize=7)
    axis.set_xlabel(
        f"group in {space}, by its excess over the rest (red: blind; dashed: mean of all images)"
    )
    axis.set_ylabel("mse")


def _images(scores: SetScores, positions: np.ndarray) -> torch.Tensor:
    return scores.images[torch.from_numpy(positions.copy())]
