"""The demo: the whole path on scikit-learn's handwritten digits, from pixels to maps and scores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.cache import LatentCache
from latentmap.encoders.training.train_vae import VAESettings, train_vae
from latentmap.encoders.vae import GaussianVAE
from latentmap.errors import ModelError, OutputError
from latentmap.files import write_atomic
from latentmap.images import ImageSource, open_images
from latentmap.pairing import Stage
from latentmap.relocation import fit_models, relocate, score_models
from latentmap.report.figures import relocation_grid, save_figure
from latentmap.scores import FIGURES, Scores

_MARK = ".latentmap-demo"
_SHAPE = [1, 32, 32]
_SHOWN = 12
_SEED = 0
# Small networks and a fast schedule: a minute on two cores for both.
SETTINGS = {
    "vae": VAESettings(
        "vae",
        {"architecture": "conv", "image_shape": _SHAPE, "latent_dim": 16, "widths": [32, 64, 128]},
        epochs=15,
        batch_size=32,
        learning_rate=2e-3,
        seed=_SEED,
    ),
    "split-vae": VAESettings(
        "split-vae",
        {"image_shape": _SHAPE, "latent_dim": 16, "width": 8, "embedding": 128},
        epochs=20,
        batch_size=32,
        learning_rate=2e-3,
        seed=_SEED,
    ),
}


@dataclass(frozen=True, eq=False)
class Demo:
    """What a demo made: the table of the scores of both maps, and the pictures."""

    table: str
    pictures: tuple[Path, ...]


def run_demo(out: Path, *, stage: Stage) -> Demo:
    """Trains a VAE and a Split-VAE on 1,797 digits, maps each to the other, and scores the maps.

    ``out`` is the demo's own folder: models, codes, maps, figures, ``results.md`` and
    ``results.json``. What an earlier run finished there is used again. ``stage`` is called with
    what is done next, and gives the progress for it.

    Raises:
        OutputError: ``out`` holds something else, or cannot be written.
    """
    _claim(out)
    images = open_images("digits")
    models = [_trained(images.split("train"), out, name, stage) for name in SETTINGS]
    cache, test = LatentCache(out / "cache"), images.split("test")
    scores, pictures = {}, []
    for source, target in (models, reversed(models)):
        name = f"{source.name}-to-{target.name}"
        with stage(f"mapping {source.name} to {target.name}, and scoring the map"):
            linear_map = fit_models(
                source,
                target,
                images,
                cache=cache,
                seed=_SEED,
                references=(f"{source.name}.safetensors", f"{target.name}.safetensors"),
                record={"command": "latentmap demo"},
            )
            linear_map.save(out / f"{name}.safetensors")
            scores[name] = score_models(linear_map, source, target, test, cache=cache, seed=_SEED)
            shown = relocate(linear_map, source, target, test.subset(np.arange(_SHOWN)))
            pictures.append(out / f"{name}.png")
            grid = relocation_grid(
                shown.originals,
                shown.reconstructions,
                shown.relocated,
                source=source.name,
                target=target.name,
            )
            save_figure(grid, pictures[-1])
    results = {name: figures.to_json() for name, figures in scores.items()}
    table = _table(scores)
    write_atomic(out / "results.json", json.dumps(results, indent=2).encode())
    write_atomic(out / "results.md", f"{table}\n".encode())
    return Demo(table, tuple(pictures))


def _claim(out: Path) -> None:
    """Makes the folder, or knows it again; nothing of anybody else's is ever written over."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        claimed = (out / _MARK).exists() or not any(out.iterdir())
    except OSError as error:
        raise OutputError(
            f"{out} cannot be the demo's folder ({error.strerror}): choose another --out"
        ) from None
    if not claimed:
        raise OutputError(f"{out} holds something else than a demo: choose another --out")
    write_atomic(out / _MARK, b"")


def _trained(images: ImageSource, out: Path, name: str, stage: Stage) -> GaussianVAE:
    settings, path = SETTINGS[name], out / f"{name}.safetensors"
    with stage(f"training a {name} on {len(images)} images") as progress:
        try:
            return train_vae(images, settings, out=path, resume=True, progress=progress)
        except ModelError:
            # Nothing to go on with, or a run of an earlier version with other settings.
            return train_vae(images, settings, out=path, force=True, progress=progress)


def _table(scores: dict[str, Scores]) -> str:
    """A Markdown table: a line a figure, a column a map, 95 % intervals in brackets."""
    rows = [["", *scores]]
    for figure in FIGURES:
        estimates = [getattr(one, figure) for one in scores.values()]
        rows.append([figure, *(f"{e.value:.4f} ({e.low:.4f}, {e.high:.4f})" for e in estimates)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
