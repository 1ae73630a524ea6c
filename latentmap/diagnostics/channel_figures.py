"""Channels as a picture and as a section of a report.

Shapes: ``c`` channels, ``k`` images ``(k, channels, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from latentmap.diagnostics.channel_covariance import Covariance
from latentmap.diagnostics.channel_tables import (
    ChannelDiagnoses,
)
from latentmap.diagnostics.channels import ChannelDiagnosis
from latentmap.images import ImageSource
from latentmap.intervals import Estimate
from latentmap.model import Model
from latentmap.report import (
    ImageRow,
    ImageRows,
    Measure,
    Picture,
    Plot,
    Section,
    section_id,
    titled,
)
from latentmap.report.colours import BLUE, GREY
from latentmap.report.embedding import embed_figure, image_strip
from latentmap.report.parts import Block, Curve
from latentmap.report.plots import columns_of, set_height

_SHOWN = 8  # Images.
_LEAST = 1e-6  # Of the largest variance, which a picture shows.
_READING = (
    "What the channels of the codes do, over images and positions. A diffusion model is given "
    "(code - shift factor) * scaling factor, or a mean and a deviation of each channel. Intervals "
    "are 95 % over images, or their groups: positions of one image are not independent."
)


@dataclass(frozen=True, eq=False)
class Reconstructions:
    """Some images and what the model ``name`` makes of their codes."""

    name: str
    originals: Tensor
    reconstructions: Tensor


def reconstructions_of(
    model: Model, images: ImageSource, found: ChannelDiagnosis, *, seed: int = 0
) -> Reconstructions | None:
    """Random ones of the images that a model was diagnosed on; None without a decoder."""
    if not model.can_decode:
        return None
    readable = np.flatnonzero(~np.isin(images.ids, found.skipped))
    drawn = np.sort(np.random.default_rng(seed).permutation(readable)[:_SHOWN])
    (batch,) = images.subset(drawn).batches([model.view], batch_size=_SHOWN)
    originals = batch.floats(0)
    return Reconstructions(found.model, originals, model.decode(model.encode(originals)).cpu())


def channels_plot(found: ChannelDiagnoses) -> Plot:
    """Mean and deviation of each channel, the spectrum of their covariance, and their correlations,
    a row for each model, or one below the other in a column.
    """

    def draw(figure: Any) -> None:
        from matplotlib.ticker import MaxNLocator

        results = found.results
        columns = columns_of(figure, 3)
        rows = len(results) * (1 if columns == 3 else 3)
        set_height(figure, 5.0 * rows)
        axes = figure.subplots(rows, columns, squeeze=False).reshape(len(results), 3)
        for axis in axes.ravel():
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        for row, one in zip(axes, results, strict=True):
            _draw_channels(row[0], one)
            _draw_spectrum(row[1], one)
            _draw_correlations(figure, row[2], one)

    return Plot(draw)


def channels_section(
    found: ChannelDiagnoses,
    examples: Sequence[Reconstructions | None],
    record: Mapping[str, Any],
    *,
    plot: Plot | None = None,
) -> Section:
    """One model with all its channels, or several beside each other; ``record`` says what made it,
    ``plot`` is that of ``channels_plot``, where it was drawn.
    """
    names = [one.model for one in found.results]
    id = section_id(f"channels {' '.join(names)}", record)
    blocks: list[Block] = []
    if len(names) == 1:
        (only,) = found.results
        blocks += only.tables()
        if only.covariance is not None and len(only.channels) > 1:
            blocks.append(_spectrum(only.covariance))
    else:
        blocks += found.tables()
    if plot is not None:
        shown = embed_figure(plot, f"Channels of {', '.join(names)}")
        blocks.append(Picture("Channels, their spectrum and their correlations", shown))
    blocks += [_rows(f"{id}-images-{i}", one) for i, one in enumerate(examples) if one is not None]
    return Section(id, channels_title(names, record), [_READING], blocks, record)


def channels_title(names: Sequence[str], record: Mapping[str, Any]) -> str:
    """What a diagnosis by channels is called."""
    return titled(f"Channels of {', '.join(names)}", record)


def _spectrum(covariance: Covariance) -> Curve:
    measures = [Measure.of(one) for one in covariance.spectrum]
    values = ", ".join(f"{one.value:.4g}" for one in covariance.spectrum[:_SHOWN])
    return Curve(
        "Variance along the principal directions of channels",
        "component",
        list(range(1, len(measures) + 1)),
        measures,
        f"Variances, the largest first: {values}",
    )


def _rows(id: str, examples: Reconstructions) -> ImageRows:
    labelled = [
        ("images", examples.originals),
        (f"by {examples.name}", examples.reconstructions),
    ]
    rows = [
        ImageRow(label, [image_strip(images, f"{len(images)} images: {label}")])
        for label, images in labelled
        if images.shape[1] in (1, 3)
    ]
    return ImageRows(id, f"Reconstructions by {examples.name}", rows)


def _draw_channels(axis: Any, found: ChannelDiagnosis) -> None:
    """The means as points in bars of one deviation to each side; lines are 95 % intervals."""
    at = np.arange(len(found.channels))
    means, stds = (
        np.array([getattr(one, name).value for one in found.channels]) for name in ("mean", "std")
    )
    axis.bar(at, 2 * stds, bottom=means - stds, color=BLUE, alpha=0.35, width=0.9)
    reach = _reach([one.mean for one in found.channels])
    axis.errorbar(at, means, yerr=reach, fmt="o", color=BLUE)
    axis.axhline(0, color=GREY, linewidth=0.8)
    axis.set_title(f"{found.model}: mean, one std to each side")
    axis.set_xlabel("channel")


def _draw_spectrum(axis: Any, found: ChannelDiagnosis) -> None:
    if found.covariance is None:
        axis.set_axis_off()
        return
    spectrum = found.covariance.spectrum
    values = np.array([one.value for one in spectrum])
    at = np.arange(len(values))
    axis.errorbar(at, values, yerr=_reach(spectrum), fmt="o", color=BLUE)
    if values.max() > 0:
        axis.set_yscale("log", nonpositive="clip")
        # What is less is rounding, or as good as none.
        axis.set_ylim(max(values.min() / 2, values.max() * _LEAST), values.max() * 2)
    axis.set_title("spectrum of their covariance")
    axis.set_xlabel("component")
    axis.set_ylabel("variance")
    axis.grid()


def _draw_correlations(figure: Any, axis: Any, found: ChannelDiagnosis) -> None:
    if found.covariance is None:
        axis.set_axis_off()
        return
    shown = axis.imshow(found.covariance.correlation, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_title("correlations of channels")
    figure.colorbar(shown, ax=axis, shrink=0.8)


def _reach(estimates: Sequence[Estimate]) -> np.ndarray:
    """How far intervals reach below and above, as matplotlib takes it; 0 where there is none."""
    away = [[one.value - one.low, one.high - one.value] for one in estimates]
    return np.asarray(np.nan_to_num(np.array(away).T))
