"""Support sets against random images, on exact models whose maps are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from latentmap.cache import LatentCache
from latentmap.errors import MapError, SupportError
from latentmap.images import open_images
from latentmap.intervals import Estimate
from latentmap.mapping import FitOptions
from latentmap.model.testing import LinearModel
from latentmap.relocation import fit_training, score_models, training_pairs
from latentmap.report import save_figure
from latentmap.support import ChoiceOptions, StrategyOptions, choose_support_set, compare_strategies
from latentmap.support.curves import support_plot
from latentmap.support.selection import STRATEGIES
from latentmap.support.verdicts import StrategyPoint, SupportComparison

SHAPE = (1, 6, 6)


def scene(folder, *, n=400, noise=0.0, span_seed=0):
    """Two exact models, and images of the first with noise on every pixel."""
    source = LinearModel(4, SHAPE, seed=1, name="a")
    target = LinearModel(4, SHAPE, seed=2, span_seed=span_seed, name="b")
    generator = torch.Generator().manual_seed(3)
    # Most codes near the mean, a few far out: what random images waste.
    codes = (0.2 * torch.randn(n, 4, generator=generator)).clamp(-1, 1)
    shown = source.decode(codes)
    shown = (shown + noise * torch.randn(shown.shape, generator=generator)).clamp(0, 1)
    np.save(folder / "images.npy", (shown * 255).round().byte().permute(0, 2, 3, 1).numpy())
    return source, target, open_images(folder / "images.npy")


def compared(folder, models, *, sizes, seed=0, fitting=None, **given):
    source, target, images = models
    test = given.pop("test", None) or images.split("test")
    training = training_pairs(source, target, images, folder / "cache")
    options = StrategyOptions(sizes, variables=(0, 1), **given)
    found = compare_strategies(
        training, test, folder / "cache", options=options, fitting=fitting, seed=seed
    )
    return training, found


def test_where_a_map_is_exact_every_strategy_finds_it(tmp_path):
    _, found = compared(tmp_path, scene(tmp_path), sizes=[16, 40], draws=2)
    assert found.strategies == ["random", *(name for name in STRATEGIES if name != "random")]
    assert found.sizes == [16, 40]
    assert len(found.points) == 12
    for point in found.points:
        assert point.r2.value == pytest.approx(1, abs=0.02)
        assert point.efficiency.value == pytest.approx(1, abs=0.02)
    assert found.all_r2 == pytest.approx(1, abs=0.01)


def test_figures_are_those_of_the_scores_of_the_same_maps(tmp_path):
    models = scene(tmp_path, noise=0.1, span_seed=5)
    source, target, images = models
    options = FitOptions(method="least-squares")
    training, found = compared(
        tmp_path,
        models,
        sizes=[20],
        strategies=("random", "kmeans"),
        draws=2,
        seed=7,
        fitting=options,
    )
    cache, test = LatentCache(tmp_path / "cache"), images.split("test")
    assert found.n_test == found.n_images == len(test)
    expected = {}
    for strategy in ("random", "kmeans"):
        scores = []
        for draw in range(2):
            chosen = choose_support_set(
                training.pairs.source, (), ChoiceOptions(strategy=strategy, size=20), seed=7 + draw
            )
            rows = np.flatnonzero(np.isin(training.pairs.ids, chosen.ids))
            linear_map = fit_training(training.take(rows), options=options)
            scores += score_models([linear_map], source, target, test, cache)
        expected[strategy] = {
            name: np.array([getattr(score, name).value for score in scores])
            for name in ("r2", "efficiency")
        }
        for name, values in expected[strategy].items():
            assert getattr(found.point(strategy, 20), name).value == pytest.approx(
                values.mean(), abs=1e-5
            )
    gain = found.point("kmeans", 20).r2_gain
    paired = stats.ttest_rel(expected["kmeans"]["r2"], expected["random"]["r2"])
    assert gain[1:] == pytest.approx(tuple(paired.confidence_interval(0.95)), abs=1e-4)
    assert found.point("random", 20).r2_gain == (0, 0, 0)


def test_a_planted_advantage_of_far_images_is_found(tmp_path):
    # A linear map under noise of one size everywhere: what D-optimal sets are made for.
    models = scene(tmp_path, n=1500, noise=0.15, span_seed=5)
    options = FitOptions(method="least-squares")
    given = {"strategies": ("sectors", "doptimal"), "draws": 8, "fitting": options}
    _, found = compared(tmp_path, models, sizes=[10], **given)
    best = found.best(10)
    assert best.strategy == "doptimal"
    assert best.verdict() == "better"
    assert best.r2_gain.low > 0
    assert any(line.startswith("at 10: doptimal R2 0.") for line in found.verdicts())
    assert found.point("sectors", 10).built["k"] == 2


def test_the_space_in_which_sets_are_chosen_can_be_that_of_the_target(tmp_path):
    models = scene(tmp_path, noise=0.1, span_seed=5)
    given = {"sizes": [12], "strategies": ("farthest",), "draws": 2}
    _, by_source = compared(tmp_path, models, **given)
    _, by_target = compared(tmp_path, models, space="target", **given)
    assert by_source.point("farthest", 12) != by_target.point("farthest", 12)
    assert by_source.point("random", 12) == by_target.point("random", 12)
    assert by_target.record["built_in"].startswith("z of b")


def test_a_copy_of_a_candidate_is_not_scored(tmp_path):
    models = scene(tmp_path)
    images = models[2]
    pixels = np.stack([images.read(i) for i in range(len(images))])
    # The last fifty images are copies of the training images, under other ids.
    train = np.flatnonzero(images.splits == "train")[:50]
    copies = np.concatenate([pixels[images.splits == "test"], pixels[train]])
    np.save(tmp_path / "copies.npy", copies)
    test = open_images(tmp_path / "copies.npy")
    given = {"sizes": [12], "strategies": ("random",), "draws": 2}
    _, found = compared(tmp_path, models, test=test, **given)
    assert found.record["n_left_out"] == 50
    assert found.n_test == (images.splits == "test").sum()
    np.save(tmp_path / "only.npy", pixels[train])
    with pytest.raises(MapError, match="of the 50 test images 0 are none: give other images"):
        compared(tmp_path, models, test=open_images(tmp_path / "only.npy"), **given)
    # Three copies of one image have no variance that a map could explain.
    np.save(tmp_path / "one.npy", pixels[np.flatnonzero(images.splits == "test")[[0, 0, 0]]])
    with pytest.raises(MapError, match="3 test images 1 are none, all 3 copies of each other"):
        compared(tmp_path, models, test=open_images(tmp_path / "one.npy"), **given)


def test_a_seed_gives_the_same_comparison(tmp_path):
    models = scene(tmp_path, noise=0.1, span_seed=5)
    given = {"sizes": [12], "strategies": ("sectors", "leverage"), "draws": 2}
    first, again, other = (compared(tmp_path, models, seed=seed, **given)[1] for seed in (1, 1, 2))
    assert first.points == again.points != other.points


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"sizes": [1]}, MapError, r"sizes from 2 to the \d+ training images, not 1$"),
        ({"sizes": [10**6]}, MapError, "not 1000000$"),
        ({"sizes": []}, MapError, "not none$"),
        ({"draws": 1}, SupportError, "error bars need at least 2 draws, not 1"),
        ({"strategies": ("best",)}, SupportError, "unknown strategy 'best': choose one of sectors"),
    ],
)
def test_what_cannot_be_compared_is_said_before_any_work(tmp_path, given, error, message):
    with pytest.raises(error, match=message):
        compared(tmp_path, scene(tmp_path), **{"sizes": [10], **given})


def point(strategy, size, r2, gain):
    nothing = Estimate(np.nan, np.nan, np.nan)
    return StrategyPoint(strategy, size, 5, Estimate(*r2), nothing, Estimate(*gain), nothing, {})


def by_hand():
    return SupportComparison(
        [
            point("random", 64, (0.7, 0.6, 0.8), (0, 0, 0)),
            point("sectors", 64, (0.75, 0.7, 0.8), (0.05, 0.02, 0.08)),
            point("kmeans", 64, (0.8, 0.7, 0.9), (0.1, -0.01, 0.21)),
            point("random", 128, (0.9, 0.8, 1.0), (0, 0, 0)),
            point("sectors", 128, (0.8, 0.7, 0.9), (-0.1, -0.2, -0.05)),
            point("kmeans", 128, (0.85, 0.8, 0.9), (-0.05, -0.1, 0.01)),
        ],
        0.95,
        np.nan,
        1000,
        100,
        40,
        50,
        {"method": "ridge"},
    )


def test_an_efficiency_beside_a_high_floor_has_its_caution():
    (table,) = by_hand().tables()
    (cautious,) = replace(by_hand(), has_high_floor=True).tables()
    assert "efficiency says little" not in table.note
    assert "efficiency says little: the floor is above half the baseline" in cautious.note


def test_the_answer_in_words_follows_the_intervals():
    found = by_hand()
    assert [found.best(size).strategy for size in found.sizes] == ["kmeans", "random"]
    assert found.verdicts() == [
        "sectors against as many random images: R2 better at 64, worse at 128",
        "kmeans against as many random images: R2 no difference shown at 64, 128",
        "at 64: sectors R2 0.750 ± 0.050 against random 0.700 ± 0.100: "
        "better by 0.050 [0.020, 0.080]",
        "at 64: kmeans R2 0.800 ± 0.100 against random 0.700 ± 0.100: "
        "no difference shown (0.100 [-0.010, 0.210]) (the best)",
        "at 128: sectors R2 0.800 ± 0.100 against random 0.900 ± 0.100: "
        "worse by 0.100 [0.050, 0.200]",
        "at 128: no strategy has a higher R2 than random images",
    ]
    said = str(found)
    assert "scored on 100 images of 40 groups (efficiency: 50)" in said
    assert "all 1,000 images: R2 0.950, efficiency -" in said
    one = found.to_json()["points"][1]
    assert (one["r2_gain_low"], one["r2_verdict"]) == (0.02, "better")


def test_of_codes_that_do_not_vary_nothing_is_said_to_be_better_or_worse():
    found = by_hand()
    nothing = Estimate(np.nan, np.nan, np.nan)
    points = [replace(one, r2=nothing, r2_gain=nothing) for one in found.points]
    assert replace(found, points=points).verdicts() == [
        "sectors against as many random images: not defined",
        "kmeans against as many random images: not defined",
        "at 64: R2 is not defined",
        "at 128: R2 is not defined",
    ]
    assert found.to_json()["points"][1]["efficiency_verdict"] == "not defined"


def test_the_figure_leaves_out_an_efficiency_that_is_not_defined(tmp_path):
    from PIL import Image

    found = by_hand()
    save_figure(support_plot(found, title="a to b"), tmp_path / "one.png")
    ones = Estimate(1, 1, 1)
    points = [replace(one, efficiency=ones, efficiency_gain=ones) for one in found.points]
    save_figure(support_plot(replace(found, points=points), title="a to b"), tmp_path / "two.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.width > one.width
