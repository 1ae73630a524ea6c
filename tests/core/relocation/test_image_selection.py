from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.cache import Coder
from latentmap.errors import MapError, ModelError
from latentmap.images import open_images
from latentmap.mapping import METHODS, FitOptions, fit
from latentmap.mapping.selection import assign_folds
from latentmap.relocation import fit_training, relocate, score_models, training_pairs
from latentmap.relocation.image_selection import penalty_by_images
from tests.core.relocation.grid_models import Grid


class Hidden(Grid):
    can_decode = False
    _decode = Grid._decode


def scene(folder, *, n=60, target=None):
    """Training pairs of two grids of noisy pictures, and all images."""
    generator = np.random.default_rng(0)
    smooth = generator.uniform(40, 215, (n, 4, 4)).repeat(2, 1).repeat(2, 2)
    pixels = (smooth + generator.normal(0, 12, (n, 8, 8))).clip(0, 255).astype(np.uint8)
    np.save(folder / "images.npy", pixels)
    images = open_images(folder / "images.npy")
    target = target or Grid(block=4, seed=2, name="b")
    return training_pairs(Grid(name="a"), target, images, Coder.of(folder / "cache")), images


@pytest.mark.parametrize("patch", [1, "full"])
def test_the_errors_are_those_of_images_that_no_map_has_seen(tmp_path, patch):
    training, images = scene(tmp_path)
    options = FitOptions(select="image", patch=patch, folds=3)
    found = penalty_by_images(training, options, seed=5)
    n = len(training)
    assert n < 64
    folds = assign_folds(n, folds=3, seed=5)
    shown = {one: i for i, one in enumerate(images.ids.tolist())}
    index = [shown[one] for one in training.pairs.ids.tolist()]
    originals = images.subset(index)
    (batch,) = originals.batches([training.target.view], batch_size=n)
    for place in (3, 9, 15):
        settings = found.candidates[place]
        errors = []
        for fold in range(3):
            held = np.flatnonzero(folds == fold)
            train = training.pairs.take(np.flatnonzero(folds != fold))
            one = fit(train, settings=settings, patch=patch)
            made = training.target.decode(one.apply(training.pairs.source.vectors[held]))
            errors += (made - batch.floats(0)[held]).square().mean((1, 2, 3)).tolist()
        assert float(found.errors[place]) == pytest.approx(np.mean(errors), rel=1e-5)


def test_a_fit_takes_the_penalty_that_images_choose_and_says_so(tmp_path):
    training, _ = scene(tmp_path)
    options = FitOptions("reduced-rank", select="image", patch=1)
    found = fit_training(training, options=options)
    image, codes = found.record["selection"]
    assert (image["criterion"], codes["criterion"]) == ("image", "kfold")
    assert found.settings["penalty"] == image["chosen"]["penalty"]
    assert found.settings["rank"] == codes["chosen"]["rank"]


def test_groups_and_no_intercept_are_heeded(tmp_path):
    training, _ = scene(tmp_path)
    groups = np.arange(len(training)) // 4
    options = FitOptions(select="image", intercept=False)
    seen = []
    found = penalty_by_images(
        replace(training, groups=groups), options, progress=lambda *done: seen.append(done)
    )
    assert found.n_units == len(np.unique(groups))
    assert seen[-1] == (len(training), len(training))


def test_what_images_cannot_choose_is_refused(tmp_path):
    training, _ = scene(tmp_path)
    with pytest.raises(MapError, match="and robust needs the pairs: choose loo, or give its penal"):
        fit_training(training, options=FitOptions("robust", select="image"))
    with pytest.raises(MapError, match=r"image chooses the penalty of ridge, .*: for pls choose"):
        fit_training(training, options=FitOptions("pls", select="image"))
    assert FitOptions(select="image").of(METHODS["robust"]).select is None
    hidden = replace(training, target=Hidden(block=4, seed=2, name="b"))
    with pytest.raises(ModelError, match="no decoder"):
        fit_training(hidden, options=FitOptions(select="image"))


def test_a_map_of_patches_is_scored_and_relocates(tmp_path):
    training, images = scene(tmp_path)
    found = fit_training(training)
    assert found.patches is None  # The target has 2x2 cells alone.
    found = fit_training(training, options=FitOptions(patch=1))
    coder = Coder.of(tmp_path / "cache")
    source, target, test = training.source, training.target, images.split("test")
    (scores,) = score_models([found], source, target, test, coder)
    # A block of 4x4 pixels is linear in four blocks of 2x2.
    assert scores.r2.value == pytest.approx(1, abs=1e-4)
    assert scores.efficiency.value == pytest.approx(1, abs=1e-3)
    moved = relocate(found, source, target, test.subset([0, 1]), coder)
    assert torch.allclose(moved.relocated, moved.originals, atol=0.02)
