"""Energy distances: against loops and scipy, by their laws, and how often the interval covers."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance as scipy_distance
from scipy.stats import norm

from latentmap.diagnostics import energy
from latentmap.diagnostics.energy import energy_distance, halves_distance
from latentmap.errors import ModelError


def rows(n, d, *, seed, shift=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) + shift


@pytest.fixture
def few_resamplings(monkeypatch):
    monkeypatch.setattr(energy, "N_BOOTSTRAP", 200)


def naive(x, y):
    across = np.mean([np.linalg.norm(a - b) for a in x for b in y])
    within = [
        np.mean([np.linalg.norm(a - b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])
        for z in (x, y)
    ]
    return 2 * across - sum(within)


def test_it_is_what_a_loop_over_pairs_says(few_resamplings):
    x, y = rows(13, 4, seed=0), rows(9, 4, seed=1, shift=0.5)
    found = energy_distance(x, y, seed=0).value
    assert found == pytest.approx(naive(x.double().numpy(), y.double().numpy()), rel=1e-12)


def test_it_is_scipy_s_but_for_the_pairs_of_a_row_with_itself(few_resamplings):
    x, y = rows(40, 1, seed=0), rows(30, 1, seed=1, shift=1)
    within = [float(cdist(z, z).mean()) for z in (x, y)]
    # scipy's is the root, and counts these pairs, whose distance is 0.
    more = within[0] / (len(x) - 1) + within[1] / (len(y) - 1)
    expected = scipy_distance(x[:, 0].numpy(), y[:, 0].numpy()) ** 2 - more
    assert energy_distance(x, y, seed=0).value == pytest.approx(expected, rel=1e-6)


def closed_form(shift):
    """Of N(0, 1) and N(shift, 1): |X - Y| is a folded normal of variance 2."""

    def folded(mean):
        return 2 / math.sqrt(math.pi) * math.exp(-(mean**2) / 4) + mean * (
            1 - 2 * norm.cdf(-mean / math.sqrt(2))
        )

    return 2 * folded(shift) - 2 * folded(0)


def test_the_interval_holds_the_closed_form_in_one_dimension(few_resamplings):
    found = energy_distance(rows(1500, 1, seed=0), rows(1500, 1, seed=1, shift=1), seed=0)
    assert found.low < closed_form(1) < found.high
    assert found.value == pytest.approx(closed_form(1), rel=0.1)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_intervals_cover_and_values_are_right_in_the_mean(monkeypatch, shift):
    monkeypatch.setattr(energy, "N_BOOTSTRAP", 200)
    found = [
        energy_distance(rows(50, 1, seed=2 * k), rows(40, 1, seed=2 * k + 1, shift=shift), seed=k)
        for k in range(200)
    ]
    values = np.array([one.value for one in found])
    error = values.std() / math.sqrt(len(values))
    assert abs(values.mean() - closed_form(shift)) < 3 * error
    covered = np.mean([one.low <= closed_form(shift) <= one.high for one in found])
    # 95 % of 200 within three standard errors; where nothing differs intervals are wider.
    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200) <= covered
    if not shift:
        assert (values < 0).any()


def test_turning_and_moving_both_changes_nothing(few_resamplings):
    x, y = rows(30, 3, seed=0).double(), rows(30, 3, seed=1, shift=0.4).double()
    turn = torch.linalg.qr(rows(3, 3, seed=2).double())[0]
    plain = energy_distance(x, y, seed=5)
    turned = energy_distance(x @ turn + 7, y @ turn + 7, seed=5)
    assert plain == pytest.approx(turned, rel=1e-9)
    # Lengths of the rows are lengths of the distance.
    assert energy_distance(3 * x, 3 * y, seed=5).value == pytest.approx(3 * plain.value, rel=1e-9)


def test_both_sides_count_alike(few_resamplings):
    x, y = rows(30, 2, seed=0), rows(20, 2, seed=1, shift=0.4)
    a, b = energy_distance(x, y, seed=0), energy_distance(y, x, seed=0)
    assert a.value == pytest.approx(b.value, rel=1e-12)


def test_distances_are_had_in_blocks_and_blocks_change_nothing(monkeypatch, few_resamplings):
    x, y = rows(60, 2, seed=0), rows(50, 2, seed=1)
    whole = energy_distance(x, y, seed=3)
    sizes = []

    def counted(a, b):
        sizes.append(len(a))
        return original(a, b)

    original = torch.cdist
    monkeypatch.setattr(torch, "cdist", counted)
    monkeypatch.setattr(energy, "_BLOCK", 16)
    seen = []
    assert energy_distance(x, y, seed=3, progress=lambda *done: seen.append(done)) == pytest.approx(
        whole, rel=1e-9
    )
    assert max(sizes) == 16
    assert seen[-1] == (170, 170)
    assert energy_distance(x, y, seed=4) != whole


def test_halves_of_one_sample_are_near_each_other(few_resamplings):
    found = halves_distance(rows(401, 3, seed=0), seed=0)
    assert found.low < 0 < found.high
    ordered = halves_distance(torch.arange(400.0)[:, None], seed=0)  # Drawn, not cut in the middle.
    assert ordered.low < 0 < ordered.high


def test_resamplings_of_one_row_alone_are_left_out():
    found = energy_distance(rows(5, 2, seed=0), rows(5, 2, seed=1), seed=0)
    assert found.low <= found.value <= found.high


def test_what_has_no_distance_is_refused():
    for x, y in (((4, 3), (5, 3)), ((5, 3), (5, 2)), ((5,), (5, 2))):
        with pytest.raises(ModelError, match="at least 5 rows of one length, not of shapes"):
            energy_distance(torch.zeros(x), torch.zeros(y), seed=0)
