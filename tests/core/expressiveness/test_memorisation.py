"""Memorisation: by cases solved by hand, by what chance does, and by what a copier does."""

import numpy as np
import pytest
import torch

from latentmap.errors import ModelError
from latentmap.expressiveness.memorisation import memorisation


def normal(seed, *sizes, d=5):
    chance = np.random.default_rng(seed)
    return [torch.from_numpy(chance.normal(size=(n, d))) for n in sizes]


def test_a_case_solved_by_hand():
    trained = torch.arange(20.0)[:, None]
    held_out = trained + 100
    made = torch.tensor([[0.1], [3.0], [104.2], [60.0]])
    found = memorisation(made, trained, held_out)
    assert found.share.value == 0.5
    np.testing.assert_array_equal(found.trained, [0, 3, 19, 19])
    np.testing.assert_array_equal(found.held_out, [0, 0, 4, 0])
    np.testing.assert_allclose(found.ratio, [0.1 / 99.9, 0, 85.2 / 0.2, 41 / 40], rtol=1e-4)
    # Only what is nearer to a training image is suspicious.
    np.testing.assert_array_equal(found.suspicious(8), [1, 0])
    np.testing.assert_array_equal(found.suspicious(1), [1])
    assert found.to_json()["n_held_out"] == 20 and found.to_json()["expected"] == 0.5


def test_a_generator_that_copies_is_found_and_one_that_does_not_is_not():
    made, trained, held_out = normal(0, 200, 150, 150)
    assert memorisation(made, trained, held_out).p_value > 0.05
    copied = torch.cat([trained[:100] + 0.01, made[:100]])
    found = memorisation(copied, trained, held_out)
    assert found.p_value == 0.5 / 1000
    assert found.share.low > 0.6
    assert set(found.suspicious(50)) <= set(range(100))
    # What is near to held-out images is not memorised.
    other = memorisation(copied, held_out, trained)
    assert other.share.value == pytest.approx(1 - found.share.value)
    assert other.p_value > 0.99


def test_the_test_has_its_size_and_the_interval_holds_a_half():
    found = [memorisation(*normal(seed, 60, 50, 50), seed=seed) for seed in range(300)]
    # Standard error 1.3 %.
    assert 0.015 < np.mean([one.p_value <= 0.05 for one in found]) < 0.085
    held = [one.share.low <= 0.5 <= one.share.high for one in found]
    assert 0.92 < np.mean(held) < 0.99


def test_many_images_near_to_one_are_no_proof():
    # A single image that everything is near to: by the binomial test p would be 2^-100.
    made, trained, held_out = normal(1, 100, 40, 40)
    made *= 0.01
    trained[0] = 0
    trained[1:] += 9
    held_out += 9
    found = memorisation(made, trained, held_out)
    assert found.share.value == 1
    assert found.p_value > 0.2
    assert found.share.low == pytest.approx(0, abs=0.01)


def test_what_cannot_be_compared_is_refused():
    few, more = torch.zeros(20, 2), torch.zeros(21, 2)
    with pytest.raises(ModelError, match="of one encoder, not"):
        memorisation(few, few, torch.zeros(20, 3))
    with pytest.raises(ModelError, match="as many training as held-out images"):
        memorisation(few, few, more)
    with pytest.raises(ModelError, match="at least 20, not 20, 19 and 19"):
        memorisation(few, few[:19], few[:19])
