import dataclasses

import numpy as np
import pytest
import torch

from latentmap.cache import encode
from latentmap.codes import Space
from latentmap.diagnostics import are_active, diagnose, has_unit_prior, none_active
from latentmap.diagnostics.activity import DEFINITIONS
from latentmap.images import open_images
from latentmap.model.testing import LinearModel
from latentmap.support import OrderOptions
from latentmap.support.ordering import order_by_gain


def test_a_definition_says_which_variables_are_active():
    variances = np.array([1.0, 0.05, 0.04, 0.01, 0.0])
    assert are_active(variances).tolist() == [True, False, False, False, False]
    by_name = {one.name: one for one in DEFINITIONS}
    assert list(by_name) == ["Var > 0.05", "Var > 0.01", "mean s2 < 0.95", "mean s2 < 0.8"]
    assert by_name["Var > 0.01"].holds(variances).tolist() == [True] * 3 + [False] * 2
    sure = np.array([0.1, 0.85, 0.96])
    assert by_name["mean s2 < 0.95"].holds(sure).tolist() == [True, True, False]
    assert by_name["mean s2 < 0.8"].holds(sure).tolist() == [True, False, False]


@pytest.mark.parametrize(("kind", "told"), [("z", True), ("w", False), ("w+", False)])
def test_only_a_space_with_a_prior_tells(kind, told):
    space = Space(kind, 2, "model", "0" * 64)
    assert has_unit_prior(space) == told
    assert none_active(space, np.array([0.01, 0.02])) == told
    assert not none_active(space, np.array([0.01, 0.2]))


@pytest.fixture
def seen(tmp_path):
    # Codes of other scales: some variables vary by less than 0.05 of the prior, and matter still.
    model = LinearModel(latent_dim=6, image_shape=(1, 8, 8))
    scales = np.array([1.0, 0.7, 0.3, 0.21, 0.1, 0.0])
    codes = np.random.default_rng(0).standard_normal((150, 6)) * scales
    decoded = model.decode(torch.from_numpy(codes).float())
    path = tmp_path / "images.npy"
    np.save(path, (decoded[:, 0].numpy() * 255).round().clip(0, 255).astype(np.uint8))
    return model, open_images(path)


def test_an_ordering_calls_active_what_a_diagnosis_does(seen):
    model, images = seen
    found = diagnose(model, images)
    ordering = order_by_gain(model, images, encode(model, images), OrderOptions(leading=3))
    assert 0 < found.active < 6
    assert ordering.inactive is not None
    assert len(ordering.inactive) == 6 - found.active
    inactive = np.flatnonzero(~are_active(found.values("mean_variance")))
    assert ordering.inactive == tuple(inactive.tolist())
    # What did nothing left the race; what is inactive and does something stayed.
    assert set(ordering.dropped) < set(ordering.inactive)


def test_an_ordering_in_a_space_without_prior_tells_none(seen):
    model, images = seen
    model.space = dataclasses.replace(model.space, kind="w")
    options = OrderOptions(leading=3)
    assert order_by_gain(model, images, encode(model, images), options).inactive is None
