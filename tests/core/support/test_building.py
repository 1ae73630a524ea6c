"""A support set in one call: the same as its steps, one by one."""

import numpy as np
import pytest

from latentmap.cache import LatentCache, encode
from latentmap.errors import SupportError
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.support import (
    SupportOptions,
    build_support_set,
    choose_support_set,
    order_variables,
)
from latentmap.support.spread import measure_spread


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "few.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (120, 4, 4), dtype=np.uint8))
    images, model = open_images(path), LinearModel()
    return model, images, LatentCache(tmp_path_factory.mktemp("cache"))


def test_a_set_is_ordered_chosen_and_measured(made):
    model, images, cache = made
    codes = encode(model, images)
    options = SupportOptions(k=2, threshold=0.2, size=10, with_images=True)
    support = build_support_set(model, images, cache, options, seed=3, record={"command": "this"})
    ordering = order_variables(model, images, cache, leading=2, seed=3)
    variables = ordering.order[:2].tolist()
    expected = choose_support_set(codes, variables, threshold=0.2, size=10, seed=3)
    assert support.ids.tolist() == expected.ids.tolist()
    assert support.settings == {
        **expected.settings,
        "command": "this",
        "skipped": [],
        "gain": ordering.gain[variables].tolist(),
        "confidence": ordering.confidence,
        "spread": measure_spread(expected, images, seed=3).to_json(),
    }
    np.testing.assert_array_equal(support.images, expected.pixels_in(images))


def test_by_default_all_variables_of_a_small_space_lead_and_none_for_rivals(made):
    assert build_support_set(*made).settings["k"] == 4
    rival = build_support_set(*made, SupportOptions("farthest", size=3))
    assert rival.settings["k"] == 0 and "gain" not in rival.settings
    assert SupportOptions().leading(100) == 7
    assert SupportOptions("random", k=2).leading(100) == SupportOptions(variables=(5, 1)).leading(9)


def test_one_image_has_no_spread(made):
    support = build_support_set(*made, SupportOptions("random", size=1))
    assert len(support) == 1 and "spread" not in support.settings


def test_what_cannot_be_is_refused_before_any_work(made):
    with pytest.raises(SupportError, match="leave out k, which counts them"):
        SupportOptions(k=1, variables=(0,))
    with pytest.raises(SupportError, match="unknown strategy 'best'"):
        SupportOptions("best")
    with pytest.raises(SupportError, match="fewer than 5 leading ones"):
        SupportOptions(k=5).check(4)
    with pytest.raises(SupportError, match="8 sectors, more than the 6 images"):
        SupportOptions(k=3).check(4, 6)
    with pytest.raises(SupportError, match="there is no variable 4"):
        SupportOptions(variables=(4,)).check(4)
