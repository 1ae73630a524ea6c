from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentmap.cache import Coder, LatentCache
from latentmap.errors import ImageError, MapError, PairError, SpaceError
from latentmap.images import ImageSource, open_images
from latentmap.mapping import FitOptions, Method, Solution
from latentmap.model.contract import Posterior
from latentmap.model.generated import generated_images
from latentmap.model.testing import LinearModel
from latentmap.model.thumbnails import Thumbnail
from latentmap.relocation import (
    fit_baseline,
    fit_models,
    fit_training,
    relocate,
    score_models,
    training_pairs,
)
from latentmap.relocation.learning import curve_sizes, learning_curve


def scene(folder: Path, *, n: int = 200) -> tuple[LinearModel, LinearModel, ImageSource]:
    """Two exact models that show the same images, and such images."""
    source = LinearModel(seed=1, name="a")
    target = LinearModel(seed=2, name="b")
    shown = source.decode(source.sample(n, seed=3))
    pixels = (shown * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    np.save(folder / "images.npy", pixels)
    return source, target, open_images(folder / "images.npy")


def test_from_two_models_and_images_to_a_map_its_scores_and_relocated_images(tmp_path):
    source, target, images = scene(tmp_path)
    cache = LatentCache(tmp_path / "cache")
    linear_map = fit_models(source, target, images, cache)
    test = images.split("test")
    (scores,) = score_models([linear_map], source, target, test, cache)
    assert linear_map.n_pairs == (images.splits == "train").sum()
    assert scores.n_test == len(test)
    assert scores.efficiency.value == pytest.approx(1, abs=1e-3)
    moved = relocate(linear_map, source, target, test.subset([0, 1, 2]), cache)
    (batch,) = test.subset([0, 1, 2]).batches([source.view], batch_size=3)
    assert torch.equal(moved.originals, batch.floats(0))
    assert torch.allclose(moved.reconstructions, moved.originals, atol=0.01)
    assert torch.allclose(moved.relocated, moved.originals, atol=0.01)
    assert moved.distances.ids.tolist() == test.ids[:3].tolist()
    assert moved.distances.found.rule == "fitted codes"


def test_a_method_of_ones_own_has_the_noise_that_it_needs_from_the_source(tmp_path):
    def solve_noise(moments, *, noise):
        return Solution(torch.zeros_like(moments.xy), noise, 0, 1.0)

    class Unsure(LinearModel):
        def posterior(self, images):
            mean = self.encode(images)
            return Posterior(mean, torch.full_like(mean, 0.25))

    _, target, images = scene(tmp_path)
    source = Unsure(seed=1, name="a")
    options = FitOptions(Method("noise-alone", solve_noise, needs=("noise",)))
    training = training_pairs(source, target, images, tmp_path / "c")
    linear_map = fit_training(training, options=options, references=("a.safetensors", "svae"))
    assert linear_map.method == "noise-alone"
    assert (linear_map.bias == 0.25).all()
    assert (linear_map.source_reference, linear_map.target_reference) == ("a.safetensors", "svae")


def test_every_stage_is_announced(tmp_path):
    source, target, images = scene(tmp_path)
    stages = []

    class Stage:
        def __init__(self, label, unit="images"):
            stages.append(label)

        def __enter__(self):
            return None

        def __exit__(self, *error):
            return None

    cache = LatentCache(tmp_path / "cache")
    linear_map = fit_models(source, target, images, Coder(cache, stage=Stage))
    score_models([linear_map], source, target, images, Coder(cache, stage=Stage))
    prepared = ["reading images", "encoding"]
    assert stages == [*prepared, "fitting", *prepared, "scoring"]


def test_a_copy_of_a_training_image_under_another_name_is_left_out(tmp_path):
    source, target, images = scene(tmp_path)
    cache = LatentCache(tmp_path / "cache")
    linear_map = fit_models(source, target, images, cache, n_pairs=30, seed=1)
    pixels = np.stack([images.read(i) for i in range(len(images))])
    np.save(tmp_path / "reversed.npy", pixels[::-1])
    others = open_images(tmp_path / "reversed.npy")
    (scores,) = score_models([linear_map], source, target, others, cache)
    assert scores.record["n_left_out"] == 30
    assert scores.record["left_out"] == {"fitted": 30}
    assert scores.n_test == 170


def test_other_images_of_a_group_that_was_fitted_on_are_left_out(tmp_path):
    source, target, images = scene(tmp_path)
    cache = LatentCache(tmp_path / "cache")
    images.groups = np.arange(len(images)) // 4
    training = training_pairs(source, target, images, cache, n_pairs=3, seed=2)
    linear_map = fit_training(training)
    (scores,) = score_models([linear_map], source, target, images, cache)
    of_these = np.unique(training.groups)
    expected = {"fitted": 3, "fitted_unit": 4 * len(of_these) - 3}
    assert scores.record["left_out"] == expected
    assert not np.isin(scores.errors.ids, images.ids[np.isin(images.groups, of_these)]).any()
    # Where the images that were fitted on are not among those to score, the pairs know the groups.
    others = images.subset(np.flatnonzero(~np.isin(images.ids, training.pairs.ids)))
    (unaware,) = score_models([linear_map], source, target, others, cache)
    assert unaware.record["left_out"] == {}
    (aware,) = score_models([linear_map], source, target, others, cache, seen=[training.seen])
    assert aware.record["left_out"] == {"fitted_unit": expected["fitted_unit"]}
    assert aware.r2 == scores.r2


def test_images_that_could_not_be_read_are_in_the_records(tmp_path):
    source, target, images = scene(tmp_path)
    (tmp_path / "faces").mkdir()
    for i in range(len(images)):
        Image.fromarray(images.read(i)[..., 0]).save(tmp_path / "faces" / f"{i:03}.png")
    faces = open_images(tmp_path / "faces")
    lost = {name: str(faces.split(name).ids[1]) for name in ("train", "test")}
    for name in lost.values():
        (tmp_path / "faces" / name).write_bytes(b"no image")
    faces, cache = open_images(tmp_path / "faces"), LatentCache(tmp_path / "cache")
    linear_map = fit_models(source, target, faces, Coder(cache, on_error="skip"))
    assert linear_map.record["fit_skipped"] == [lost["train"]]
    test = faces.split("test")
    (scores,) = score_models([linear_map], source, target, test, Coder(cache, on_error="skip"))
    assert scores.record["skipped"] == [lost["test"]]
    assert scores.n_test == len(test) - 1


def test_the_split_test_is_kept_for_the_scores(tmp_path):
    source, target, images = scene(tmp_path)
    with pytest.raises(MapError, match="cannot be fitted on the split test"):
        fit_models(source, target, images, tmp_path / "c", split="test")
    with pytest.raises(ImageError, match="unknown split 'rest'"):
        fit_models(source, target, images, tmp_path / "c", split="rest")


def test_other_models_are_refused_before_any_work(tmp_path):
    source, target, images = scene(tmp_path)
    cache = LatentCache(tmp_path / "cache")
    linear_map = fit_models(source, target, images, cache)
    empty = LatentCache(tmp_path / "empty")
    with pytest.raises(SpaceError, match=r"goes from z of a .*--src, not b \(z of b"):
        score_models([linear_map], target, source, images, empty)
    with pytest.raises(SpaceError, match=r"goes to z of b .*--dst, not a \(z of a"):
        relocate(linear_map, source, source, images, cache)
    assert not (tmp_path / "empty").exists()


def test_scores_are_of_codes_in_the_precision_of_the_pairs(tmp_path):
    source, target, images = scene(tmp_path)
    coder = Coder(LatentCache(tmp_path / "cache"), precision="bfloat16")
    training = training_pairs(source, target, images, coder)
    grown = learning_curve(training, images.split("test"), tmp_path / "cache", sizes=[None])
    assert grown.record["precision"] == grown.record["score_precision"] == "bfloat16"


@pytest.mark.parametrize("by_group", [False, True])
def test_the_draws_of_a_curve_are_of_as_many_units_as_they_can_be(tmp_path, by_group):
    # Of two pictures with 30 copies each, or with as many like images, half of all draws of two
    # pairs were of one unit, of which nothing can be left out.
    source, target, images = scene(tmp_path, n=100)
    fitted = np.arange(60)
    if by_group:
        images.groups = np.array([f"{n % 2}" if n < 60 else f"of {n}" for n in range(100)])
    else:
        pixels = np.load(tmp_path / "images.npy")
        pixels[fitted] = pixels[fitted % 2]
        np.save(tmp_path / "copies.npy", pixels)
        images = open_images(tmp_path / "copies.npy")
    training = training_pairs(source, target, images, tmp_path / "c", chosen=images.subset(fitted))
    assert training.n_units == 2
    test = images.subset(np.arange(60, 100))
    grown = learning_curve(training, test, tmp_path / "c", sizes=[2, 3, None], draws=8)
    assert [(p.n_pairs, p.n_units, p.draws) for p in grown.points] == [
        (2, 2, 8),
        (3, 2, 8),
        (60, 2, 1),
    ]
    assert [row["n_units"] for row in grown.to_json()["points"]] == [2, 2, 2]
    assert [column.title for column in grown.tables()[0].columns][:2] == ["pairs", "groups"]


def test_a_curve_ends_with_the_scores_of_the_map_of_all_pairs(tmp_path):
    source, target, images = scene(tmp_path)
    training = training_pairs(source, target, images, tmp_path / "cache")
    test = images.split("test")
    grown = learning_curve(training, test, tmp_path / "cache", sizes=[8, None], draws=3)
    (scores,) = score_models(
        [fit_training(training)], source, target, test, tmp_path / "cache", seen=[training.seen]
    )
    for name, found in grown.points[-1].figures.items():
        assert found == pytest.approx(getattr(scores, name), nan_ok=True)
    assert grown.floor_mse == pytest.approx(scores.floor_mse.value)
    assert grown.n_test == scores.n_test
    assert {name: grown.record[name] for name in ("scored_data", "n_left_out")} == {
        name: scores.record[name] for name in ("scored_data", "n_left_out")
    }


def test_a_curve_of_codes_is_over_all_images_and_draws(tmp_path):
    source, target, images = scene(tmp_path)
    training = training_pairs(source, target, images, tmp_path / "cache")
    test = images.split("test")
    grown = learning_curve(training, test, tmp_path / "cache", sizes=[8, None], draws=3)
    maps = [fit_training(training.sample(8, seed=seed)) for seed in range(3)]
    scores = score_models(maps, source, target, test, tmp_path / "cache", seen=[training.seen])
    point = grown.points[0]
    assert point.figures["r2"].value == pytest.approx(np.mean([one.r2.value for one in scores]))
    assert point.figures["l_mse"].value == pytest.approx(
        np.mean([one.l_mse.value for one in scores])
    )
    low, high = point.over_draws["r2"]
    assert low < min(one.r2.value for one in scores) <= max(one.r2.value for one in scores) < high


def test_baselines_beside_a_curve_are_those_beside_the_map_of_all_pairs(tmp_path):
    source, target, images = scene(tmp_path)
    test, cache = images.split("test"), tmp_path / "cache"
    training = training_pairs(source, target, images, cache)
    beside = [
        fit_baseline(training, "pixels", Thumbnail(source.view, parts), cache)
        for parts in ((1, 1), (2, 2))
    ]
    grown = learning_curve(training, test, cache, sizes=[8, None], draws=3, baselines=beside)
    (scores,) = score_models(
        [fit_training(training)],
        source,
        target,
        test,
        cache,
        seen=[training.seen],
        baselines=beside,
    )
    assert len(scores.baselines) == 2
    for level, one in zip(grown.baselines, scores.baselines, strict=True):
        assert (level.kind, level.model, level.numbers) == (one.kind, one.model, one.numbers)
        assert level.n_pairs == len(training)
        for name, found in level.figures.items():
            assert found == pytest.approx(getattr(one.figures, name), nan_ok=True)
    alone = learning_curve(training, test, cache, sizes=[8, None], draws=3).to_json()
    together = grown.to_json()
    assert alone["points"] == together["points"]
    assert alone["baselines"] == [] and len(together["baselines"]) == 2
    (first, second) = grown.tables()
    assert [row.cells[0] for row in second.rows] == [one.model for one in grown.baselines]
    assert "the R2 of the best baseline, " in first.note
    assert "best baseline" not in learning_curve(training, test, cache, sizes=[8]).tables()[0].note


def test_relocated_images_leave_no_codes_behind(tmp_path):
    source, target, images = scene(tmp_path)
    cache = LatentCache(tmp_path / "cache")
    linear_map = fit_models(source, target, images, cache)
    kept = len(cache.entries.all())
    relocate(linear_map, source, target, images.subset([3, 1]), cache)
    relocate(linear_map, source, target, images.subset([3, 1]), LatentCache(tmp_path / "none"))
    assert len(cache.entries.all()) == kept
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("n", "sizes"), [(10, [10]), (300, [16, 64, 256, 300])])
def test_a_curve_takes_the_sizes_that_there_are(n, sizes):
    assert curve_sizes(None, n) == sizes


def test_the_targets_own_network_stands_beside_where_its_images_have_known_codes(tmp_path):
    source, target, images = scene(tmp_path)
    cache = LatentCache(tmp_path / "cache")
    linear_map = fit_models(source, target, images, cache)
    (scores,) = score_models([linear_map], source, target, images.split("test"), cache)
    assert scores.network is None
    assert scores.to_json()["network"] is None
    made = generated_images(target, 60, seed=5, folder=tmp_path / "made")
    (scores,) = score_models([linear_map], source, target, made, cache)
    assert (scores.network.kind, scores.network.model) == ("network", "b")
    # Its codes of its own images are those that they were made of, but for the 8 bits of a pixel.
    assert scores.network.figures.r2.value == pytest.approx(1, abs=1e-3)
    assert scores.network.figures.l_mse.value > 0
    assert "b's own network" in str(scores)
    target.can_encode = False
    (scores,) = score_models([linear_map], source, target, made, cache)
    assert scores.network is None


class Counting(LinearModel):
    """Keeps how many images it encoded."""

    n_encoded = 0

    def _encode(self, images):
        self.n_encoded += len(images)
        return super()._encode(images)


def test_random_pairs_encode_no_other_images_and_are_those_of_all(tmp_path):
    _, target, images = scene(tmp_path)
    source = Counting(seed=1, name="a")
    images.groups = np.arange(len(images)) // 3
    few = training_pairs(source, target, images, tmp_path / "few", n_pairs=30, seed=4)
    assert source.n_encoded == 30
    assert len(few.images) == 30
    every = training_pairs(source, target, images, tmp_path / "every").sample(30, seed=4)
    assert few.pairs.ids.tolist() == every.pairs.ids.tolist()
    assert torch.allclose(few.pairs.source.vectors, every.pairs.source.vectors, atol=1e-6)
    assert few.groups.tolist() == every.groups.tolist()
    assert few.record["images"] == every.record["images"] == images.fingerprint
    # More of one seed are the same and others, so that a cache has a part of them.
    training_pairs(source, target, images, tmp_path / "few", n_pairs=50, seed=4)
    assert source.n_encoded == 30 + 200 + 20


def test_others_stand_in_for_images_that_cannot_be_read(tmp_path):
    source, target, images = scene(tmp_path)
    folder = tmp_path / "files"
    folder.mkdir()
    for i in range(40):
        Image.fromarray(images.read(i)[..., 0]).save(folder / f"{i:02}.png")
    for i in range(0, 40, 4):
        whole = (folder / f"{i:02}.png").read_bytes()
        (folder / f"{i:02}.png").write_bytes(whole[:45])
    files = open_images(folder)
    coder = Coder(LatentCache(tmp_path / "cache"), on_error="skip")
    n = int((files.splits == "train").sum())
    broken = int((files.splits[::4] == "train").sum())
    assert broken > 2
    training = training_pairs(source, target, files, coder, n_pairs=n - broken)
    assert len(training) == n - broken
    # The last that is readable may come before the last that is not.
    assert 0 < len(training.record["fit_skipped"]) <= broken
    with pytest.raises(
        PairError, match=f"{n} random pairs were asked for, but there are {n - broken}"
    ):
        training_pairs(source, target, files, coder, n_pairs=n)
    with pytest.raises(PairError, match=f"{n + 1} random pairs were asked for, but there are {n}"):
        training_pairs(source, target, files, coder, n_pairs=n + 1)
