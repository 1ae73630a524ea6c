"""The demo: the whole path on scikit-learn's handwritten digits, from pixels to maps and scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latentmap.cache import LatentCache
from latentmap.encoders.training.train_vae import VAESettings, train_vae
from latentmap.encoders.vae import GaussianVAE
from latentmap.errors import ModelError, OutputError
from latentmap.files import replace_atomic, write_atomic
from latentmap.images import ImageSource, open_images
from latentmap.mapping.linear_map import LinearMap, fit
from latentmap.model import Model
from latentmap.pairs import pair
from latentmap.progress import Progress
from latentmap.report.figures import relocation_grid
from latentmap.scores import FIGURES, Scores, evaluate

Stage = Callable[[str], AbstractContextManager[Progress]]

_MARK = ".latentmap-demo"
_SHAPE = [1, 32, 32]
_SHOWN = 12
_SEED = 0
# Small networks and a fast schedule: a minute on two cores for both.
_SETTINGS = {
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
        {"image_shape": _SHAPE, "latent_dim": 16, "width": 12, "embedding": 128},
        epochs=20,
        batch_size=32,
        learning_rate=2e-3,
        seed=_SEED,
    ),
}


@dataclass(frozen=True, eq=False)
class Demo:
    """What a demo made: the scores of each map by its name, their table, and the pictures."""

    scores: dict[str, Scores]
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
    train, test = (open_images("digits", split=split) for split in ("train", "test"))
    models = [_trained(train, out, name, stage) for name in _SETTINGS]
    with stage("encoding all images with both models") as progress:
        everything = open_images("digits")
        codes = LatentCache(out / "cache").get_or_encode_all(models, everything, progress=progress)
    scores, pictures = {}, []
    for source, target in ((0, 1), (1, 0)):
        name = f"{models[source].name}-to-{models[target].name}"
        pairs = pair(codes[source], codes[target])
        fitting = np.isin(pairs.ids, train.ids)
        scoring = np.isin(pairs.ids, test.ids)
        with stage(f"fitting and scoring {name}") as progress:
            linear_map = fit(
                pairs.take(fitting),
                references=tuple(f"{models[i].name}.safetensors" for i in (source, target)),
                record={"command": "latentmap demo"},
            )
            linear_map.save(out / f"{name}.safetensors")
            scores[name] = evaluate(
                linear_map,
                pairs.take(scoring),
                models[source],
                models[target],
                test,
                seed=_SEED,
                progress=progress,
            )
        picture = out / f"{name}.png"
        _draw(linear_map, models[source], models[target], test, picture)
        pictures.append(picture)
    results = {name: figures.to_json() for name, figures in scores.items()}
    table = _table(scores)
    write_atomic(out / "results.json", json.dumps(results, indent=2).encode())
    write_atomic(out / "results.md", f"{table}\n".encode())
    return Demo(scores, table, tuple(pictures))


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
    settings, path = _SETTINGS[name], out / f"{name}.safetensors"
    with stage(f"training a {name} on {len(images)} images") as progress:
        try:
            return train_vae(images, settings, out=path, resume=True, progress=progress)
        except ModelError:
            # Nothing to go on with, or a run of an earlier version with other settings.
            return train_vae(images, settings, out=path, force=True, progress=progress)


def _draw(
    linear_map: LinearMap, source: Model, target: Model, images: ImageSource, path: Path
) -> None:
    shown = images.subset(np.arange(_SHOWN))
    batch = next(iter(shown.batches([source.view], batch_size=_SHOWN)))
    originals = batch.images[0].float() / 255
    codes = source.encode(originals)
    grid = relocation_grid(
        originals,
        source.decode(codes),
        target.decode(linear_map.apply(codes)),
        source=source.name,
        target=target.name,
    )
    with replace_atomic(path) as temporary:
        grid.save(temporary)


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
