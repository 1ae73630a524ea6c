"""Latent previews: maps from the latents of an autoencoder to thumbnails, beside published factors.

    python benchmarks/preview.py AUTOENCODER PHOTOS [--size 208x176] [--frame 0,0,1,1]
        [--fit 80] [--test 40] [--patches 1 3 5] [--factors FACTORS.json] [--seed 0]

AUTOENCODER is a reference of a model of spatial latents, PHOTOS a folder or an archive. One map for
all positions is fitted for each patch on some photos, and scored on others by PSNR and R2 of the
thumbnails, with 95 % intervals by image; then on other photos, those that come with scikit-learn
(china, flower), which have another size. FACTORS.json is an export for ComfyUI, or anything with
`latent_rgb_factors` (or `factors`) and `latent_rgb_factors_bias` (or `bias`) of its convention.
Seconds are of the processor.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from latentmap.cache import Coder
from latentmap.encoders import load_all
from latentmap.frames import Frame
from latentmap.images import ImageSource, open_images
from latentmap.mapping import LinearMap, fit
from latentmap.model import Model
from latentmap.relocation import Scores, evaluate
from latentmap.relocation.resizing import resized_map

FACTOR = 8  # Pixels of a side of a cell.
OTHERS = ("china.jpg", "flower.jpg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("autoencoder")
    parser.add_argument("photos")
    parser.add_argument("--size", default="208x176")
    parser.add_argument("--frame", default="full")
    parser.add_argument("--fit", type=int, default=80)
    parser.add_argument("--test", type=int, default=40)
    parser.add_argument("--patches", type=int, nargs="+", default=(1, 3, 5))
    parser.add_argument("--factors", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    height, width = map(int, arguments.size.split("x"))
    models = load_all(
        [arguments.autoencoder, f"pixels:{FACTOR}"], device="cpu", size=(height, width)
    )
    source, target = (model.seen_through(Frame(arguments.frame)) for model in models)
    images = open_images(arguments.photos)
    order = np.random.default_rng(arguments.seed).permutation(len(images))
    chosen = images.subset(np.sort(order[: arguments.fit + arguments.test]))
    with tempfile.TemporaryDirectory() as folder:
        coder = Coder.of(Path(folder) / "codes")
        maps, rest = fitted(source, target, chosen, coder, arguments)
        if arguments.factors:
            maps[f"factors of {arguments.factors.name}"] = published(
                next(iter(maps.values())), arguments.factors
            )
        show("photos that were not fitted on", score(maps, source, target, rest, coder))
        show("other photos", score_others(maps, source, target, coder, Path(folder)))


def fitted(
    source: Model,
    target: Model,
    images: ImageSource,
    coder: Coder,
    arguments: argparse.Namespace,
) -> tuple[dict[str, LinearMap], ImageSource]:
    """The maps by their names, and the images that they were not fitted on."""
    order = np.random.default_rng(arguments.seed).permutation(len(images))
    training = images.subset(np.sort(order[: arguments.fit]))
    pairs = coder.pairs(source, target, training)
    maps = {}
    for patch in arguments.patches:
        started = time.process_time()
        found = fit(pairs, patch=patch)
        name = f"{patch}x{patch}, penalty {found.penalty:.4g}"
        maps[f"{name}, {time.process_time() - started:.2f} s"] = found
    return maps, images.subset(np.sort(order[arguments.fit :]))


def published(linear_map: LinearMap, path: Path) -> LinearMap:
    """A map of single cells with the weights of somebody else's preview, whose colours are in
    [-1, 1].
    """
    said = json.loads(path.read_text(encoding="utf-8"))
    factors, bias = (
        torch.tensor(said.get(f"latent_rgb_{name}", said.get(short)), dtype=torch.float64)
        for name, short in (("factors", "factors"), ("factors_bias", "bias"))
    )
    assert linear_map.patches is not None
    single = replace(linear_map.patches, size=1)
    return replace(linear_map, weight=factors / 2, bias=(bias + 1) / 2, patches=single)


def score(
    maps: dict[str, LinearMap], source: Model, target: Model, images: ImageSource, coder: Coder
) -> dict[str, Scores]:
    pairs = coder.pairs(source, target, images)
    scores = evaluate([*maps.values()], pairs, source, target, images)
    return dict(zip(maps, scores, strict=True))


def score_others(
    maps: dict[str, LinearMap], source: Model, target: Model, coder: Coder, folder: Path
) -> dict[str, Scores]:
    """Scores on photos of another size, whose last rows and columns are cut off."""
    photos = [load_sample_image(name) for name in OTHERS]
    height, width = (side // FACTOR * FACTOR for side in photos[0].shape[:2])
    (folder / "others").mkdir()
    for name, photo in zip(OTHERS, photos, strict=True):
        Image.fromarray(photo[:height, :width]).save(folder / "others" / f"{name}.png")
    images = open_images(folder / "others")
    whole = [model.seen_through(Frame()) for model in (source, target)]
    moved = {}
    for name, linear_map in maps.items():
        moved[name], *models = resized_map(linear_map, whole[0], whole[1], (height, width))
    return score(moved, models[0], models[1], images, coder)


def show(title: str, scores: dict[str, Scores]) -> None:
    n = next(iter(scores.values())).n_test
    print(f"\n{title}: {n}\n{'map':<48}{'PSNR':>22}{'R2':>24}")
    for name, one in scores.items():
        print(f"{name:<48}{words(one.psnr, 2):>22}{words(one.r2, 3):>24}", flush=True)


def words(numbers: Sequence[float], decimals: int) -> str:
    value, low, high = (f"{number:.{decimals}f}" for number in numbers)
    return f"{value} [{low}, {high}]"


if __name__ == "__main__":
    main()
