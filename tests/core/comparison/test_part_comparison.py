"""A comparison from moments: the figures of one that has all codes at hand."""

import json
from dataclasses import replace

import pytest

from latentmap.cache import Coder
from latentmap.cache.planned_entries import planned_entries
from latentmap.codes import Space
from latentmap.comparison import compare_models
from latentmap.comparison.models import CompareOptions
from latentmap.comparison.part_comparison import compare_parts, require_flat
from latentmap.comparison.similarity import compare_codes
from latentmap.errors import MapError
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.relocation.part_moments import gather_parts, here
from latentmap.relocation.part_task import part_task
from latentmap.relocation.part_work import PartWork
from tests.core.relocation.test_part_moments import encoded

MODELS = [
    LinearModel(6, (1, 8, 8), name="one"),
    LinearModel(4, (1, 8, 8), seed=1, name="two"),
    LinearModel(6, (1, 8, 8), seed=2, name="three"),
]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    images = open_images("digits", limit=600)
    cache = encoded(tmp_path_factory.mktemp("cache") / "codes", images, (64, 48, 64), MODELS)
    entries = planned_entries(MODELS, images, cache)
    task = part_task(entries, splits=("train", "test"), split_rule=images.split_rule, norms=True)
    moments = gather_parts(task, cache, here(PartWork(task, cache)))
    names = [model.name for model in MODELS]
    return compare_parts(moments, entries, names=names), moments, images, cache


def test_maps_lose_what_they_lose_by_all_codes(compared):
    found, _, images, cache = compared
    options = CompareOptions(scored=20, compared=40, permutations=19)
    wanted = compare_models(MODELS, images, Coder(cache), options=options, baselines=[{}] * 3)
    for way, pair in wanted.pairs.items():
        assert found.r2[way].value == pytest.approx(pair.figures.r2.value, abs=1e-6)
        assert found.l_mse[way].value == pytest.approx(pair.figures.l_mse.value, rel=1e-5)
    for one in wanted.compositions:
        way = (one.source, one.by, one.target)
        assert found.composed_r2[way].value == pytest.approx(one.r2.value, abs=1e-5)
    assert (found.n_fit, found.n_test) == (wanted.n_fit, wanted.n_test)


def test_indexes_are_those_of_all_test_images(compared):
    found, moments, images, cache = compared
    codes = Coder(cache).codes(MODELS, images.split("test"))
    (train,) = moments.all("train")
    wanted = compare_codes([one.vectors for one in codes], train, permutations=19)
    for name in ("cka", "cca", "procrustes"):
        for way, estimate in getattr(found, name).items():
            assert estimate.value == pytest.approx(wanted.matrices[name].value[way], abs=1e-6)
            assert estimate.low <= estimate.value <= estimate.high


def test_a_space_is_itself_up_to_a_rotation(tmp_path):
    images = open_images("digits", limit=300)
    models = [LinearModel(4, (1, 8, 8), seed=seed, name=f"turned {seed}") for seed in (0, 3)]
    cache = encoded(tmp_path / "codes", images, models=models)
    entries = planned_entries(models, images, cache)
    task = part_task(entries, splits=("train", "test"), split_rule=images.split_rule, norms=True)
    moments = gather_parts(task, cache, here(PartWork(task, cache)))
    found = compare_parts(moments, entries, names=["one", "other"])
    assert found.rotation_r2[0, 1].value == pytest.approx(1, abs=1e-6)
    assert found.cka[0, 1].value == pytest.approx(1, abs=1e-6)
    assert found.procrustes[0, 1].value == pytest.approx(0, abs=1e-3)


def test_all_of_it_is_json_and_text(compared):
    found = compared[0]
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [one["source"] for one in document["pairs"]] == [0, 0, 1, 1, 2, 2]
    assert len(document["spaces"]) == 3
    assert len(document["compositions"]) == 6
    text = str(found)
    assert all(word in text for word in ("Maps", "linear CKA", "By a third space"))


def test_grids_are_compared_two_by_two(compared):
    _, _, images, cache = compared
    entries = planned_entries(MODELS, images, cache)
    grid = Space("latent", 32, "grid", "aa", (2, 4, 4))
    others = [replace(one, space=grid) for one in entries]
    with pytest.raises(MapError, match="a map is of patches"):
        require_flat(others)
