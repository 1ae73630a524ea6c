"""What progress counts: a number of images is one of images that are there, however often they are
gone through, and everything else is called by its name."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from latentmap import Coder, LatentCache, fit_models, open_images, score_models
from latentmap.comparison import CompareOptions, compare_models
from latentmap.inversion.code_search import SearchSettings
from latentmap.inversion.inverting import invert_images
from latentmap.model.testing import LinearModel
from latentmap.progress import Progress
from latentmap.relocation import training_pairs
from latentmap.relocation.learning import learning_curve
from latentmap.relocation.several_maps import compare_methods
from latentmap.support import StrategyOptions, SupportOptions
from latentmap.support.building import build_support_set
from latentmap.support.comparing import compare_strategies

N = 300


class Counted:
    """Stages that keep what they are told."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], list[tuple[int, int]]] = {}

    @contextmanager
    def __call__(self, label: str, unit: str = "images") -> Iterator[Progress]:
        yield lambda *call: self.calls.setdefault((label, unit), []).append(call)

    def check(self) -> None:
        assert self.calls
        for (label, unit), calls in self.calls.items():
            for done, total in calls:
                assert 0 <= done <= total, label
                assert unit != "images" or total <= N, label


@pytest.fixture
def scene(tmp_path):
    models = [LinearModel(seed=seed, name=name) for seed, name in ((1, "a"), (2, "b"))]
    shown = models[0].decode(models[0].sample(N, seed=3))
    pixels = (shown * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.save(tmp_path / "images.npy", pixels)
    counted = Counted()
    coder = Coder(LatentCache(tmp_path / "cache"), stage=counted)
    return (*models, open_images(tmp_path / "images.npy"), coder, counted)


def test_images_are_scored_once_though_they_are_read_twice(scene):
    source, target, images, coder, counted = scene
    linear_map = fit_models(source, target, images, coder)
    test = images.split("test")
    score_models([linear_map], source, target, test, coder)
    counted.check()
    scored = counted.calls["scoring", "images"]
    assert scored == sorted(scored)
    assert scored[-1] == (len(test), len(test))


def test_methods_and_curves_count_steps_and_maps(scene):
    source, target, images, coder, counted = scene
    training = training_pairs(source, target, images, coder)
    test = images.split("test")
    compare_methods(training, test, coder)
    learning_curve(training, test, coder, sizes=[10, 20], draws=2)
    counted.check()
    assert counted.calls["fitting", "maps"][-1] == (4, 4)


def test_a_comparison_counts_images_maps_and_steps(scene):
    source, target, images, coder, counted = scene
    compare_models([source, target], images, coder, options=CompareOptions(permutations=19))
    counted.check()
    n_test = int((images.splits == "test").sum())
    assert counted.calls["scoring images", "images"][-1] == (n_test, n_test)
    assert counted.calls["fitting", "maps"][-1] == (4, 4)  # Those of two thumbnails, too.


def test_support_sets_count_decodes_and_maps(scene):
    source, target, images, coder, counted = scene
    build_support_set(source, images, coder, SupportOptions(k=2, size=8))
    training = training_pairs(source, target, images, coder)
    compare_strategies(
        training,
        images.split("test"),
        coder,
        options=StrategyOptions(sizes=(8,), draws=2, strategies=("random", "doptimal")),
    )
    counted.check()


@pytest.mark.parametrize(("method", "unit"), [("network", "images"), ("search", "steps")])
def test_an_inversion_counts_images_or_steps(scene, method, unit):
    source, _, images, coder, counted = scene
    invert_images(
        source, images.subset(range(20)), coder, method=method, search=SearchSettings(steps=5)
    )
    counted.check()
    assert [key for key in counted.calls if key[0] == "inverting"] == [("inverting", unit)]
