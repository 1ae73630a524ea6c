"""Figures of a training: how the variances went, and the paths of the codes of some images.

Asperti, "Sparsity in Variational Autoencoders" (2018), figure 1, and "About the Kullback-Leibler
divergence in Variational Autoencoders" (2018), figure 1: of each image a disc whose radius^2 is the
geometric mean of the two variances of its posterior.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentmap.diagnostics.activity import are_active
from latentmap.diagnostics.label_colours import colour_of, group_by_label, legend_of
from latentmap.diagnostics.traces import Trace
from latentmap.errors import ModelError, OutputError
from latentmap.files import replace_atomic
from latentmap.report import Plot
from latentmap.report.colours import BLUE, VERMILION
from latentmap.report.plots import heading, set_height, width_of

_FRAMES = 120  # Of an animation, at most.
_MILLISECONDS = 80  # A frame; the last one stays longer.
_REST = 2000
_SIDE = 480
_MARGIN = 28
_LINE = 16
_INK = 4.0  # Of the last discs of all images together: less where there are many.
_TAIL = 12  # Frames that a disc's way is seen behind it.
ANIMATED = (".webp", ".gif", ".mp4")


@dataclass(frozen=True, eq=False)
class Motion:
    """The followed codes in a plane of two variables, at some moments.

    ``places`` (f, m, 2), ``radii`` (f, m), both in the units of the codes; ``steps`` (f,) were done
    then. ``groups`` (m,) numbers the labels, ``names`` are those labels.
    """

    variables: tuple[int, int]
    steps: np.ndarray
    places: np.ndarray
    radii: np.ndarray
    groups: np.ndarray
    names: tuple[str, ...]

    @property
    def legend(self) -> list[str]:
        """What the colours mean, for as many labels as can be read."""
        return legend_of(self.names)

    @property
    def reach(self) -> float:
        """How far from 0 the codes get, with room for the discs that they end with."""
        return float(np.abs(self.places).max() + self.radii[-1].max())


def motion_of(trace: Trace, variables: Sequence[int] | None = None) -> Motion:
    """The paths of a trace in the plane of two variables, by default those of most gain.

    Raises:
        ModelError: there are no such variables, or no image was followed.
    """
    d = trace.latent_dim
    if d < 2:
        raise ModelError(
            "the trace is of one variable, and a plane needs two: leave out what is drawn in it"
        )
    chosen = tuple(map(int, trace.leading[:2] if variables is None else variables))
    if len(set(chosen)) != 2 or len(chosen) != 2 or not all(0 <= one < d for one in chosen):
        raise ModelError(
            f"a plane needs two different variables of 0 to {d - 1}, not "
            f"{' and '.join(map(str, chosen))}: choose others"
        )
    paths = trace.paths
    if not len(trace.ids):
        raise ModelError("the trace follows no image: train with --trace-images 1 or more")
    shown = np.unique(np.linspace(0, len(paths.number) - 1, _FRAMES).round().astype(int))
    variances = paths.variance[shown][:, :, list(chosen)]
    labels = trace.labels or ("",) * len(trace.ids)
    names, groups = group_by_label(labels)
    return Motion(
        (chosen[0], chosen[1]),
        paths.number[shown],
        paths.mean[shown][:, :, list(chosen)],
        variances.prod(2) ** 0.25,
        groups,
        names,
    )


def variances_plot(trace: Trace) -> Plot:
    """Var mu and mean s2 of every variable over the steps; those that end inactive have another
    colour.
    """
    steps = trace.steps
    active = are_active(trace.epochs.mean_variance[-1])

    def draw(figure: Any) -> None:
        set_height(figure, 10.5)
        upper, lower = figure.subplots(2, sharex=True)
        for axis, values, title in (
            (upper, steps.mean_variance, "variance of the means"),
            (lower, steps.posterior_variance, "mean posterior variance"),
        ):
            for of, colour in ((active, BLUE), (~active, VERMILION)):
                if of.any():
                    axis.plot(steps.number, values[:, of], color=colour, linewidth=0.7, alpha=0.8)
            axis.set_ylabel(title)
            axis.set_ylim(bottom=0)
            axis.grid()
        lower.set_xlabel("steps")
        heading(
            figure,
            f"{active.sum()} of {len(active)} variables end active (blue), "
            f"{(~active).sum()} inactive (vermilion)",
        )

    return Plot(draw)


def paths_plot(motion: Motion) -> Plot:
    """The whole way of every followed image, faint where it is long ago."""

    def draw(figure: Any) -> None:
        set_height(figure, width_of(figure))
        axis = figure.subplots()
        _draw_paths(axis, motion)
        for group, name in enumerate(motion.legend):
            axis.plot([], [], "o", color=colour_of(group), label=name)
        if motion.legend:
            axis.legend(loc="upper right")
        axis.set_xlim(-motion.reach, motion.reach)
        axis.set_ylim(-motion.reach, motion.reach)
        axis.set_aspect("equal")
        axis.grid()
        axis.set_xlabel(f"variable {motion.variables[0]}")
        axis.set_ylabel(f"variable {motion.variables[1]}")
        heading(figure, f"codes of {len(motion.groups)} images, step 0 to {motion.steps[-1]}")

    return Plot(draw, width=12.0)


def _draw_paths(axis: Any, motion: Motion) -> None:
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Circle

    last = len(motion.steps)
    fade = (np.arange(last) + 1) / last
    # So many discs lie on each other that the colours of all together are to be seen through.
    strongest = min(0.4, _INK / len(motion.groups))
    for image, group in enumerate(motion.groups):
        colour = colour_of(group)
        way = motion.places[:, image]
        lines = LineCollection(
            list(np.stack([way[:-1], way[1:]], axis=1)),
            colors=[to_rgba(colour, 0.1 + 0.6 * share) for share in fade[1:]],
            linewidths=0.7,
        )
        axis.add_collection(lines)
        discs = [Circle(at, r) for at, r in zip(way, motion.radii[:, image], strict=True)]
        shades = [to_rgba(colour, strongest * share**6) for share in fade]
        axis.add_collection(PatchCollection(discs, facecolors=shades, edgecolors="none"))
        axis.add_patch(Circle(way[-1], motion.radii[-1, image], fill=False, edgecolor=colour))


def save_animation(motion: Motion, path: str | Path) -> None:
    """Writes the way of the followed images as a film: ``.webp`` or ``.gif``, or ``.mp4`` by
    ffmpeg.

    Raises:
        OutputError: the suffix is another, there is no ffmpeg, or the file cannot be written.
    """
    require_animation(path)
    frames = _frames(motion)
    with replace_atomic(path) as temporary:
        if temporary.suffix.lower() == ".mp4":
            _write_mp4(frames, temporary)
            return
        durations = [_MILLISECONDS] * (len(frames) - 1) + [_REST]
        first, *others = frames
        first.save(temporary, save_all=True, append_images=others, duration=durations, loop=0)


def require_animation(path: str | Path) -> None:
    """Refuses an output path that no film can be written to, before any work is done.

    Raises:
        OutputError: the suffix is of no film, or is .mp4 and there is no ffmpeg.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in ANIMATED:
        raise OutputError(f"{path} must end in one of {', '.join(ANIMATED)}: that is the format")
    if suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise OutputError(f"{path} needs ffmpeg, which is not there: install it, or end in .webp")


def _write_mp4(frames: Sequence[Image.Image], path: Path) -> None:
    size = f"{frames[0].width}x{frames[0].height}"
    rate = f"1000/{_MILLISECONDS}"
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", rate, "-i", "-"]
    shown = [*frames, *[frames[-1]] * (_REST // _MILLISECONDS - 1)]
    target = ["-pix_fmt", "yuv420p", "-movflags", "+faststart", "-y", str(path.absolute())]
    done = subprocess.run(
        ["ffmpeg", "-loglevel", "error", *source, *target],
        input=b"".join(frame.tobytes() for frame in shown),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise OSError(f"ffmpeg ended with {done.returncode}: {reason}")


def _frames(motion: Motion) -> list[Image.Image]:
    font = ImageFont.load_default(13)
    scale = (_SIDE / 2 - _MARGIN) / motion.reach
    frames = []
    for number, step in enumerate(motion.steps):
        picture = Image.new("RGB", (_SIDE, _SIDE), "white")
        draw = ImageDraw.Draw(picture, "RGBA")
        draw.line([(_SIDE / 2, 0), (_SIDE / 2, _SIDE)], fill="#dddddd")
        draw.line([(0, _SIDE / 2), (_SIDE, _SIDE / 2)], fill="#dddddd")
        for past in range(max(0, number - _TAIL), number + 1):
            shade = int(150 * (1 - (number - past) / (_TAIL + 1)) ** 2)
            for at, r, group in zip(
                motion.places[past], motion.radii[past], motion.groups, strict=True
            ):
                x, y = _SIDE / 2 + at[0] * scale, _SIDE / 2 - at[1] * scale
                size = max(1.5, float(r) * scale)
                colour = colour_of(group)
                draw.ellipse((x - size, y - size, x + size, y + size), f"{colour}{shade:02x}")
        draw.text((8, 6), f"step {step}", fill="black", font=font)
        for line, name in enumerate(motion.legend):
            middle = 14 + line * _LINE
            draw.ellipse((_SIDE - 16, middle - 4, _SIDE - 8, middle + 4), colour_of(line))
            draw.text((_SIDE - 22, middle), name, fill="black", font=font, anchor="rm")
        frames.append(picture)
    return frames
