"""Sprites: white shapes on black whose five factors are known, for experiments on representations.

Of the kind of dSprites (Matthey et al., 2017: "dSprites: Disentanglement testing Sprites dataset"),
drawn here: a square, an ellipse or a heart, in one of six scales and forty orientations, at one of
32 x 32 places.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentmap.errors import ImageError
from latentmap.files import replace_atomic
from latentmap.progress import Progress

SHAPES = ("square", "ellipse", "heart")
FACTORS = ("shape", "scale", "orientation", "x", "y")
SIDE = 64
_SCALES = np.linspace(0.5, 1.0, 6)
_ORIENTATIONS = np.arange(40) * (2 * np.pi / 40)
_PLACES = np.linspace(0.0, 1.0, 32)
_LARGEST = 12.0  # Half the extent of the largest shape, in pixels: no corner leaves the image.
_MARGIN = 16.0  # From the border to the outermost centre.
_BLOCK = 512


def draw_sprites(factors: np.ndarray) -> np.ndarray:
    """Sprites uint8 ``(n, 64, 64)``, 0 or 255, of factors ``(n, 5)``: the number of the shape in
    ``SHAPES``, the scale from 0.5 to 1, the orientation in radians, x and y from 0 to 1.
    """
    return np.concatenate(
        [_draw(factors[start : start + _BLOCK]) for start in range(0, len(factors), _BLOCK)]
        or [np.empty((0, SIDE, SIDE), np.uint8)]
    )


def random_factors(n: int, *, seed: int = 0) -> np.ndarray:
    """Factors ``(n, 5)`` of ``n`` different sprites, drawn from all 737,280.

    Raises:
        ImageError: there are not so many.
    """
    levels = (np.arange(len(SHAPES)), _SCALES, _ORIENTATIONS, _PLACES, _PLACES)
    sizes = [len(one) for one in levels]
    most = int(np.prod(sizes))
    if not 1 <= n <= most:
        raise ImageError(f"there are {most:,} different sprites, so 1 to {most:,}, not {n:,}")
    chosen = np.random.default_rng(seed).choice(most, n, replace=False)
    places = np.unravel_index(chosen, sizes)
    return np.stack(
        [level[place] for level, place in zip(levels, places, strict=True)], axis=1
    ).astype(np.float64)


def write_sprites(
    path: str | Path, n: int, *, seed: int = 0, progress: Progress | None = None
) -> None:
    """Writes ``n`` sprites to a ``.npz`` file: ``images`` uint8 (n, 64, 64), ``factors`` (n, 5) and
    their ``names``, and ``labels`` (n,), the names of the shapes.

    Raises:
        ImageError: there are not so many.
        OutputError: the file cannot be written.
    """
    factors = random_factors(n, seed=seed)
    images = np.empty((n, SIDE, SIDE), np.uint8)
    for start in range(0, n, _BLOCK):
        images[start : start + _BLOCK] = draw_sprites(factors[start : start + _BLOCK])
        if progress is not None:
            progress(min(start + _BLOCK, n), n)
    labels = np.array(SHAPES)[factors[:, 0].astype(int)]
    with replace_atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, images=images, factors=factors, names=np.array(FACTORS), labels=labels)


def _draw(factors: np.ndarray) -> np.ndarray:
    shape, scale, orientation, x, y = factors.T[:, :, None, None]
    center = _MARGIN + (SIDE - 2 * _MARGIN) * np.stack([x, y])
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    across, down = (columns - center[0]) / scale, (rows - center[1]) / scale
    cos, sin = np.cos(orientation), np.sin(orientation)
    # In units of the shape's half extent, with v upwards.
    u = (across * cos + down * sin) / _LARGEST
    v = (across * sin - down * cos) / _LARGEST
    square = np.maximum(abs(u), abs(v)) <= np.sqrt(0.5)
    ellipse = u**2 + (2 * v) ** 2 <= 1
    a, b = 1.2 * u, 1.2 * v + 0.15
    heart = (a**2 + b**2 - 1) ** 3 <= a**2 * b**3
    inside = np.choose(shape.astype(int), [square, ellipse, heart])
    return np.where(inside, np.uint8(255), np.uint8(0))
