"""The Vendi score by its laws; that it is the published one, test_published.py shows."""

import numpy as np
import pytest
import torch

from latentmap.errors import ModelError
from latentmap.expressiveness.diversity import vendi_score


def gaussian(seed, n, d=6):
    scale = np.sqrt(1 / np.arange(1, d + 1))
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)) * scale)


def test_as_many_directions_as_there_are_score_their_number():
    codes = torch.eye(4).repeat(10, 1)
    assert vendi_score(codes).plain == pytest.approx(4)
    # Lengths do not matter, and equal images are one.
    assert vendi_score(codes * torch.arange(1, 41)[:, None]).plain == pytest.approx(4)
    assert vendi_score(torch.ones(10, 3)).value == pytest.approx(1)


def test_the_score_is_the_entropy_of_the_cosines_in_any_rotation():
    codes = gaussian(0, 50)
    rows = codes.numpy() / np.linalg.norm(codes.numpy(), axis=1, keepdims=True)
    values = np.linalg.eigvalsh(rows @ rows.T / 50)
    values = values[values > 1e-12]
    expected = np.exp(-(values * np.log(values)).sum())
    turn = torch.linalg.qr(gaussian(1, 6)).Q
    for each in (codes, codes @ turn, codes.flip(0)):
        assert vendi_score(each).plain == pytest.approx(expected)


def test_an_image_contributes_what_its_weight_changes():
    codes = gaussian(2, 40)
    found = vendi_score(codes)
    # The contributions are of the entropy, times the score; of copies the weight is larger.
    plain = found.contributed * found.plain / found.value
    more = [vendi_score(torch.cat([codes.repeat(500, 1), codes[i : i + 1]])).plain for i in (0, 7)]
    slopes = [(one - found.plain) * 20001 for one in more]
    assert slopes == pytest.approx(plain[[0, 7]], rel=0.01)


def test_the_score_is_that_of_infinitely_many_images_within_its_interval():
    truth = vendi_score(gaussian(3, 100_000)).plain
    found = [vendi_score(gaussian(seed, 60), seed=seed) for seed in range(100)]
    assert np.mean([one.value for one in found]) == pytest.approx(truth, rel=0.01)
    assert np.mean([one.plain for one in found]) < 0.97 * truth
    held = [low <= truth <= high for _, low, high in (one.estimate() for one in found)]
    assert np.mean(held) > 0.87
    ratios = [one.over(other) for one, other in zip(found[:50], found[50:], strict=True)]
    assert np.mean([one.low <= 1 <= one.high for one in ratios]) > 0.85


def test_images_of_a_unit_count_once():
    codes, units = gaussian(4, 100).repeat_interleave(4, 0), np.repeat(np.arange(100), 4)
    alone = vendi_score(gaussian(4, 100)).estimate()
    found = vendi_score(codes, units=units).estimate(units)
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.05)


def test_too_few_images_are_refused_and_a_code_of_zeros_is_no_harm():
    with pytest.raises(ModelError, match=r"of at least 4 images, not \(3, 2\)"):
        vendi_score(torch.ones(3, 2))
    codes = torch.cat([torch.eye(4).repeat(5, 1), torch.zeros(1, 4)])
    assert np.isfinite(vendi_score(codes).value)
