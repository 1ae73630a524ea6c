"""A support set in one call: the same as its steps, one by one."""

import numpy as np
import pytest
import torch

from latentmap import generated_images
from latentmap.cache import LatentCache, encode
from latentmap.codes import Space
from latentmap.errors import SupportError
from latentmap.images import open_images
from latentmap.model import Posterior
from latentmap.model.testing import LinearModel
from latentmap.support import (
    ChoiceOptions,
    OrderOptions,
    SupportOptions,
    SupportSet,
    build_support_set,
    choose_support_set,
    order_variables,
)
from latentmap.support.occupancy import occupancies_of
from latentmap.support.spread import measure_spread


class Collapsed(LinearModel):
    """Says next to nothing of an image."""

    def _posterior(self, images):
        own = super()._posterior(images)
        return Posterior(1e-3 * own.mean, torch.ones_like(own.mean))


SPACE = Space("z", 4, "a", "aa")


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
    ordering = order_variables(model, images, cache, OrderOptions(leading=2), seed=3)
    variables = ordering.order[:2].tolist()
    expected = choose_support_set(codes, variables, ChoiceOptions(threshold=0.2, size=10), seed=3)
    assert support.ids.tolist() == expected.ids.tolist()
    assert support.settings == {
        **expected.settings,
        "command": "this",
        "skipped": [],
        "warning": None,
        "posterior_variance": [0.25, 0.25],
        "gain": ordering.gain[variables].tolist(),
        "confidence": ordering.confidence,
        "spread": measure_spread(expected, images, seed=3).to_json(),
        "choice": images.choice.to_json(),
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


def test_images_of_a_group_are_one_in_all_figures(made):
    model, images, cache = made
    grouped = images.subset(np.arange(len(images)))
    grouped.groups = np.array([f"person {number % 40}" for number in range(len(images))])
    options = SupportOptions(variables=(3, 1), size=8)
    alone, support = (build_support_set(model, one, cache, options) for one in (images, grouped))
    assert (alone.n_units, support.n_candidates, support.n_units) == (120, 120, 40)
    assert support.ids.tolist() == alone.ids.tolist()
    assert support.settings["spread"]["n_random"] == support.unit_orthants.sum() == 40
    assert [one.n_units for one in occupancies_of(support)] == [40, 40]
    grouped.groups[:] = "one"
    one = build_support_set(model, grouped, cache, options)
    assert one.n_units == 1 and "spread" not in one.settings
    assert "(of 1 group)" in one.summary


def test_what_cannot_be_is_refused_before_any_work(made):
    with pytest.raises(SupportError, match="leave out k, which counts them"):
        SupportOptions(k=1, variables=(0,))
    with pytest.raises(SupportError, match="unknown strategy 'best'"):
        SupportOptions("best")
    with pytest.raises(SupportError, match="fewer than 5 leading ones"):
        SupportOptions(k=5).check(SPACE)
    with pytest.raises(SupportError, match="8 sectors, more than the 6 images"):
        SupportOptions(k=3).check(SPACE, 6)
    with pytest.raises(SupportError, match="there is no variable 4"):
        SupportOptions(variables=(4,)).check(SPACE)


def test_the_spread_that_posterior_means_lack_is_kept_and_that_of_samples_is_none(made, tmp_path):
    model, images, cache = made
    options = SupportOptions(variables=(3, 1), size=8)
    support = build_support_set(model, images, cache, options)
    assert support.settings["posterior_variance"] == [0.25, 0.25]
    support.save(tmp_path / "s.h5")
    read = SupportSet.load(tmp_path / "s.h5")
    assert [one.to_json() for one in occupancies_of(read)] == [
        one.to_json() for one in occupancies_of(support)
    ]
    # Codes that images were made of are drawn from the prior, with all of its variance.
    own = generated_images(model, 60, folder=tmp_path / "own", seed=0)
    assert "posterior_variance" not in build_support_set(model, own, cache, options).settings
    without = build_support_set(model, images, cache, SupportOptions("random", size=8))
    assert "posterior_variance" not in without.settings


def test_a_model_without_an_active_variable_is_named(made, tmp_path):
    images, cache = made[1], LatentCache(tmp_path)
    support = build_support_set(Collapsed(name="flat"), images, cache, SupportOptions(k=2, size=8))
    assert (
        "flat has no active variable: over 120 images no code varies" in support.settings["warning"]
    )
    leading = OrderOptions(leading=2)
    ordering = order_variables(Collapsed(name="flat"), images, cache, leading)
    assert ordering.warning == ordering.to_json()["warning"] == support.settings["warning"]
