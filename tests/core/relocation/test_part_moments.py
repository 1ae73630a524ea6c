"""Moments part by part: the same map as of all pairs at once, whoever made which part."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from latentmap.cache import (
    Coder,
    LatentCache,
    commit_shards,
    encode_shard,
    plan_shards,
    start_plan,
)
from latentmap.cache.planned_entries import planned_entries
from latentmap.cache.sums import Sums, remove_sums
from latentmap.errors import CacheError, MapError, PairError
from latentmap.images import open_images
from latentmap.images.part_splits import part_splits
from latentmap.mapping import FitOptions, fit
from latentmap.mapping.patches import patches_between
from latentmap.model.testing import LinearModel
from latentmap.relocation import training_pairs
from latentmap.relocation.overlap import unknown_overlap
from latentmap.relocation.part_fits import fit_parts, score_parts
from latentmap.relocation.part_moments import PartMoments, gather_parts, here
from latentmap.relocation.part_task import part_task
from latentmap.relocation.part_work import PartWork
from latentmap.relocation.scores import evaluate

MODELS = [LinearModel(6, (1, 8, 8), name="one"), LinearModel(4, (1, 8, 8), seed=1, name="two")]
N = 400
BOTH = ("train", "test")


@pytest.fixture(scope="module")
def images():
    return open_images("digits", limit=N)


def encoded(path, images, sizes=(32, 48), models=MODELS):
    """The entries of two models, cut into shards in two ways."""
    cache = LatentCache(path)
    for model, size in zip(models, sizes, strict=True):
        plan = start_plan(plan_shards([model], images, shard_images=size, batch_size=16), cache)
        for number in range(len(plan)):
            encode_shard(plan, number, [model], images, cache)
        assert not commit_shards(plan, cache).missing
    return cache


@pytest.fixture(scope="module")
def there(tmp_path_factory, images):
    cache = encoded(tmp_path_factory.mktemp("cache") / "codes", images)
    return cache, planned_entries(MODELS, images, cache)


def gathered(there, images, folds=1, **options):
    cache, entries = there
    task = part_task(entries, splits=BOTH, split_rule=images.split_rule, folds=folds, **options)
    return gather_parts(task, cache, here(PartWork(task, cache)))


def test_entries_are_found_however_they_were_cut_and_of_no_other_images(there, images):
    cache, entries = there
    assert [one.space.model for one in entries] == ["one", "two"]
    assert planned_entries(MODELS, images.subset(np.arange(N)[::-1]), cache) == [None, None]
    assert planned_entries(MODELS, images.subset(np.arange(N - 1)), cache) == [None, None]
    assert planned_entries(MODELS, images, cache, precision="bfloat16") == [None, None]


@pytest.mark.parametrize(
    ("options", "folds"),
    [
        (FitOptions(select="gcv"), 1),
        (FitOptions(settings={"penalty": 3.0}), 1),
        (FitOptions(settings={"penalty": 3.0}, intercept=False), 1),
        (FitOptions(method="procrustes"), 1),
        (FitOptions(method="cca", settings={"components": 3}), 1),
        (FitOptions(settings={"penalty": 3.0}), 3),
    ],
)
def test_the_map_is_that_of_all_pairs_at_once(there, images, options, folds):
    moments = gathered(there, images, folds)
    found = fit_parts(moments, there[1], options)
    pairs = training_pairs(*MODELS, images, Coder(there[0])).pairs
    wanted = fit(pairs, options)
    scale = float(wanted.weight.abs().max())
    torch.testing.assert_close(found.weight, wanted.weight, rtol=0, atol=1e-12 * scale)
    torch.testing.assert_close(found.bias, wanted.bias, rtol=0, atol=1e-12 * scale)
    torch.testing.assert_close(found.source_distances, wanted.source_distances)
    assert found.n_pairs == wanted.n_pairs
    assert sorted(map(bytes, found.train_digests)) == sorted(map(bytes, wanted.train_digests))


def test_scores_are_those_of_all_test_images(there, images):
    moments = gathered(there, images)
    linear_map = fit_parts(moments, there[1])
    found = score_parts(linear_map, moments)
    test = images.split("test")
    (wanted,) = evaluate([linear_map], Coder(there[0]).pairs(*MODELS, test), *MODELS, test)
    # The codes of a map are float32 where single images are scored.
    assert found.r2.value == pytest.approx(wanted.r2.value, abs=1e-6)
    assert found.l_mse.value == pytest.approx(wanted.l_mse.value, rel=1e-5)
    np.testing.assert_allclose(found.r2_per_variable, wanted.r2_per_variable, atol=1e-6)
    np.testing.assert_allclose(found.l_mse_per_variable, wanted.l_mse_per_variable, rtol=1e-5)
    assert found.n_test == wanted.n_test
    assert found.r2.low < found.r2.value < found.r2.high
    assert json.dumps(found.to_json(), allow_nan=False)
    assert "R2" in str(found)


def test_a_map_of_too_many_images_says_that_it_does_not_keep_them(there, images, monkeypatch):
    monkeypatch.setattr("latentmap.relocation.part_work._DIGESTS", 10)
    cache, entries = there
    task = part_task(entries, splits=("train",), split_rule=images.split_rule)
    moments = gather_parts(task, cache, here(PartWork(task, cache)))
    linear_map = fit_parts(moments, entries)
    moments.remove()
    assert not len(linear_map.train_digests)
    test = images.split("test")
    assert "too many for it to keep which" in unknown_overlap([linear_map], test)
    assert "too many" in unknown_overlap([linear_map.inverse()], test)
    kept = fit_parts(gathered(there, images), entries)
    assert not unknown_overlap([kept], test)


def test_a_fold_chooses_among_settings_and_copies_are_in_one(there, images):
    moments = gathered(there, images, folds=4)
    linear_map = fit_parts(moments, there[1], FitOptions(select="kfold"))
    (selection,) = linear_map.record["selection"]
    assert selection["criterion"] == "kfold"
    assert len(moments.all("train")) == 4
    assert len(moments.all("test")) == 1
    assert sum(one.n for one in moments.all("train")) == linear_map.n_pairs


def test_grids_have_maps_of_patches(tmp_path, images):
    models = [LinearModel(32, (1, 8, 8), seed=seed, name=f"grid {seed}") for seed in (0, 1)]
    for model in models:
        model.space = replace(model.space, shape=(2, 4, 4))
    cache = encoded(tmp_path / "codes", images, models=models)
    entries = planned_entries(models, images, cache)
    patches = patches_between(entries[0].space, entries[1].space, None)
    assert patches is not None
    task = part_task(entries, splits=BOTH, split_rule=images.split_rule, folds=5, patches=patches)
    moments = gather_parts(task, cache, here(PartWork(task, cache)))
    options = FitOptions(settings={"penalty": 2.0})
    found = fit_parts(moments, entries, options, patches=patches)
    wanted = fit(training_pairs(*models, images, Coder(cache)).pairs, options)
    torch.testing.assert_close(found.weight, wanted.weight, rtol=0, atol=1e-12)
    assert found.n_pairs == wanted.n_pairs
    scores = score_parts(found, moments)
    assert "r2_cells" in scores.to_json()
    assert scores.n_test == len(images.split("test"))


def test_any_order_and_work_done_twice_give_the_same_bytes(there, images):
    cache, entries = there
    task = part_task(entries, splits=BOTH, split_rule=images.split_rule)
    results = []
    for seed in (0, 1):
        Sums(cache.path, task.id, len(task)).remove()
        numbers = [*range(len(task)), *range(0, len(task), 3)]
        random.Random(seed).shuffle(numbers)
        workers = [PartWork(task, cache), PartWork(task, cache, part_splits(images).of)]
        for place, number in enumerate(numbers):
            workers[place % 2](number)
        moments = PartMoments(task, cache)
        results.append(fit_parts(moments, entries))
    assert torch.equal(results[0].weight, results[1].weight)
    assert torch.equal(results[0].source_distances, results[1].source_distances)


def test_a_damaged_part_is_made_again_and_a_finished_one_is_not(there, images):
    cache, entries = there
    task = part_task(entries, splits=BOTH, split_rule=images.split_rule)
    work = PartWork(task, cache)
    before = fit_parts(gather_parts(task, cache, here(work)), entries)
    paths = sorted(Sums(cache.path, task.id, len(task)).path.iterdir())
    data = bytearray(paths[3].read_bytes())
    data[-1] ^= 1
    paths[3].write_bytes(bytes(data))
    paths[5].unlink()
    with pytest.raises(CacheError, match="not as it was written"):
        PartMoments(task, cache).all("train")
    asked = []

    def engine(numbers):
        asked.append(list(numbers))
        return here(work)(numbers)

    after = fit_parts(gather_parts(task, cache, engine), entries)
    assert asked == [[3, 5]]
    assert torch.equal(before.weight, after.weight)


def test_a_disk_that_damages_every_part_ends_it(there, images):
    cache, entries = there
    task = part_task(entries, splits=("val",), split_rule=images.split_rule)

    def engine(numbers):
        for number in numbers:
            PartWork(task, cache)(number)
            (path,) = Sums(cache.path, task.id, len(task)).path.glob(f"*{number:06d}*")
            path.write_bytes(path.read_bytes()[:-3])
            yield number

    with pytest.raises(CacheError, match="check the disk"):
        gather_parts(task, cache, engine)


def test_other_codes_are_another_task(there, images):
    _, entries = there
    one = part_task(entries, splits=BOTH, split_rule=images.split_rule)
    other = part_task(entries[::-1], splits=BOTH, split_rule=images.split_rule)
    assert one.id != other.id


def test_other_groups_are_another_task_and_the_same_are_not(there, images):
    _, entries = there
    keys = [part_splits(images.grouped((np.arange(N) // k).astype(str))).key for k in (3, 4, 3)]
    ids = [part_task(entries, splits=BOTH, split_rule=key).id for key in keys]
    assert ids[0] == ids[2] != ids[1]


def test_a_damaged_shard_is_named_and_never_summed(tmp_path, images):
    cache = encoded(tmp_path / "codes", images)
    entries = planned_entries(MODELS, images, cache)
    task = part_task(entries, splits=BOTH, split_rule=images.split_rule)
    path = cache.entries.folder(entries[0].key.id) / entries[0].shards[2].name
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CacheError, match=r"is damaged: .*cache rm"):
        gather_parts(task, cache, here(PartWork(task, cache)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (FitOptions(select="loo"), "choosing by loo reads the pairs"),
        (FitOptions(method="robust"), "the method robust reads the pairs"),
        (FitOptions(refine=True), "refining a map"),
        (FitOptions(method="pls", select="gcv"), "for the method pls choose kfold"),
    ],
)
def test_what_reads_pairs_is_refused(there, images, options, words):
    with pytest.raises(MapError, match=words):
        fit_parts(gathered(there, images), there[1], options)


def test_a_split_without_images_is_told(tmp_path):
    few = open_images("digits", limit=40).split("train")
    cache = encoded(tmp_path / "codes", few)
    entries = planned_entries(MODELS, few, cache)
    task = part_task(entries, splits=BOTH, split_rule=few.split_rule)
    moments = gather_parts(task, cache, here(PartWork(task, cache)))
    with pytest.raises(PairError, match="no image of the split test has a code"):
        score_parts(fit_parts(moments, entries), moments)


def test_sums_leave_alone_what_is_not_theirs(tmp_path):
    sums = Sums(tmp_path, "0" * 16, 2)
    sums.write(0, {"a": torch.ones(2)})
    (sums.path / "notes.txt").write_text("mine", encoding="utf-8")
    (sums.path / ".part-000001.0a1b-2c-01234567.tmp.safetensors").write_bytes(b"cut off")
    remove_sums(tmp_path)
    assert [path.name for path in sums.path.iterdir()] == ["notes.txt"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    linked = Sums(tmp_path / "other", "0" * 16, 2)
    linked.path.parent.mkdir(parents=True)
    linked.path.symlink_to(elsewhere)
    with pytest.raises(CacheError, match="is a link"):
        linked.write(0, {"a": torch.ones(2)})
    assert not [*elsewhere.iterdir()]
