import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space, pair
from latentmap.mapping import near_minimum
from latentmap.mapping.gathering import moments_of_pairs
from latentmap.mapping.leaving_out import leave_one_out
from latentmap.mapping.near_minimum import smallest_left_out
from latentmap.mapping.sampled_errors import Sample, leverages_of
from latentmap.mapping.selection import generalised, penalty_grid


def pairs_of(x, y):
    ids = np.arange(len(x)).astype(np.str_)
    source, target = (
        Codes.from_array(ids, part, space=Space("z", part.shape[1], name, name))
        for part, name in ((x, "a"), (y, "b"))
    )
    return pair(source, target)


def problem(seed, *, least, most):
    """Pairs of any size, spread, signal, outlying codes and uneven noise, as the seed has it."""
    random = np.random.default_rng(seed)
    n, p, q = (
        round(np.exp(random.uniform(np.log(low), np.log(high))))
        for low, high in ((least, most), (2, 40), (1, 12))
    )
    spread = np.logspace(0, -random.uniform(0, 4), p)
    x = random.normal(size=(n, p)) * spread
    if random.random() < 0.25:
        x *= random.pareto(random.uniform(1, 8), size=(n, 1)) + 1
    if random.random() < 0.25:
        x[: max(1, n // 100)] *= random.uniform(2, 100)
    x += random.choice([0, 1, 10])
    signal = x @ (random.normal(size=(p, q)) * spread[:, None] ** random.choice([-1, 0, 1]))
    noise = random.normal(size=(n, q))
    if random.random() < 0.4:
        away = np.linalg.norm(x - x.mean(0), axis=1, keepdims=True)
        noise *= away ** random.choice([-1, 1, 2])
    if random.random() < 0.3:
        noise *= random.pareto(random.uniform(1.5, 8), size=(n, 1)) + 1
    level = 10 ** random.uniform(-4, 1.5)
    return pairs_of(x, signal / signal.std() + level * noise / noise.std())


@pytest.fixture
def small_samples(monkeypatch):
    """Samples so small that those of a few thousand pairs are samples."""
    monkeypatch.setattr(near_minimum, "_SAMPLES", (200, 600))


def assert_chosen_as_by_all(pairs, moments, **given):
    found, every = (find(pairs, moments, **given) for find in (smallest_left_out, leave_one_out))
    assert found.chosen == every.chosen
    return found, every


@pytest.mark.parametrize("start", range(0, 120, 20))
def test_the_penalty_is_that_of_all_penalties(start):
    for seed in range(start, start + 20):
        pairs = problem(seed, least=1500, most=5000)
        moments = moments_of_pairs(pairs)
        found, every = assert_chosen_as_by_all(pairs, moments.about_zero() if seed % 4 else moments)
        errors = dict(zip((c["penalty"] for c in every.candidates), every.errors, strict=True))
        for candidate, error in zip(found.candidates, found.errors, strict=True):
            torch.testing.assert_close(error, errors[candidate["penalty"]], rtol=1e-9, atol=0)


@pytest.mark.parametrize("start", range(0, 60, 20))
def test_the_penalty_that_a_sample_chooses_is_that_of_all_pairs(start, small_samples):
    for seed in range(start, start + 20):
        pairs = problem(seed, least=2100, most=5000)
        moments = moments_of_pairs(pairs)
        assert_chosen_as_by_all(pairs, moments if seed % 4 else moments.about_zero())


@pytest.mark.parametrize("seed", [127, 202, 337])
def test_of_few_pairs_a_second_minimum_is_found(seed):
    """Their errors have it far from that of generalised cross-validation."""
    pairs = problem(seed, least=200, most=3000)
    assert len(pairs) < 600
    _, every = assert_chosen_as_by_all(pairs, moments_of_pairs(pairs))
    places = [int(one.errors.argmin()) for one in (generalised(moments_of_pairs(pairs)), every)]
    assert abs(np.subtract(*places)) > 5


@pytest.mark.parametrize("start", range(0, 40, 20))
def test_the_penalty_of_pairs_with_copies_is_that_of_all_penalties(start):
    few = 0
    for seed in range(start, start + 20):
        pairs = problem(seed, least=2100, most=5000)
        random = np.random.default_rng(seed)
        x, y = (codes.vectors.numpy().copy() for codes in (pairs.source, pairs.target))
        units = np.arange(len(x))
        first, second = random.permutation(len(x))[: 2 * random.integers(1, 10)].reshape(2, -1)
        x[second], y[second], units[second] = x[first], y[first], units[first]
        units = np.unique(units, return_inverse=True)[1]
        pairs = pairs_of(x, y)
        found, every = assert_chosen_as_by_all(pairs, moments_of_pairs(pairs), units=units)
        assert found.n_units == every.n_units == units.max() + 1
        few += len(found.errors) < len(every.errors)
    assert few > 5


def test_all_penalties_are_tried_where_pairs_have_groups():
    pairs = pairs_of(*even())
    units = np.arange(5000) // 3
    found, every = assert_chosen_as_by_all(pairs, moments_of_pairs(pairs), units=units)
    torch.testing.assert_close(found.errors, every.errors)


def even(n=5000, p=6, q=8, *, seed=0, noise=None):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, p)) * np.logspace(0, -1, p)
    noise = random.normal(size=(n, q)) if noise is None else noise
    return x, x @ random.normal(size=(p, q)) + 8 * noise


def test_a_sample_decides_without_all_pairs_and_says_their_errors(small_samples, monkeypatch):
    pairs = pairs_of(*even())
    moments = moments_of_pairs(pairs)
    every = leave_one_out(pairs, moments)
    monkeypatch.delattr(near_minimum, "leave_one_out")
    seen = []
    found = smallest_left_out(pairs, moments, progress=lambda *call: seen.append(call))
    assert found.chosen == every.chosen and seen == [(5000, 5000)]
    assert len(found.candidates) < 10
    errors = dict(zip((c["penalty"] for c in every.candidates), every.errors, strict=True))
    for candidate, error in zip(found.candidates, found.errors, strict=True):
        torch.testing.assert_close(error, errors[candidate["penalty"]], rtol=1e-4, atol=0)


def test_all_pairs_decide_where_a_sample_lacks_what_counts(small_samples, monkeypatch):
    """One pair that is not in a sample misses by as much as all others together."""
    noise = np.random.default_rng(1).normal(size=(5000, 8))
    noise[7] *= 70
    pairs = pairs_of(*even(noise=noise))
    moments = moments_of_pairs(pairs)
    asked = []

    def counting(*given, **named):
        asked.append(len(named["penalties"]))
        return leave_one_out(*given, **named)

    monkeypatch.setattr(near_minimum, "leave_one_out", counting)
    assert_chosen_as_by_all(pairs, moments)
    assert asked and asked[0] < 65


def test_codes_far_from_all_others_are_in_every_sample(small_samples):
    """Few of many have most of the leverage, and other noise than the rest."""
    for seed in range(8):
        random = np.random.default_rng(seed)
        noise = random.normal(size=(5000, 8))
        noise[3:9] *= random.choice([0, 30])
        x, y = even(seed=seed, noise=noise)
        x[3:9] *= 30
        pairs = pairs_of(x, y)
        assert_chosen_as_by_all(pairs, moments_of_pairs(pairs))


def test_all_penalties_are_tried_where_generalised_cross_validation_says_little():
    x, y = even(40, 12)
    exact = x, x[:, :2]
    for one in ((x, y), exact):
        pairs = pairs_of(*one)
        moments = moments_of_pairs(pairs)
        found = smallest_left_out(pairs, moments)
        assert (
            len(found.candidates) == len(penalty_grid(moments)) == len(generalised(moments).errors)
        )


@pytest.mark.parametrize(("n", "p", "within"), [(3000, 6, 1e-9), (3000, 60, 1e-9), (5000, 60, 2)])
def test_leverages_are_those_of_least_squares(n, p, within):
    pairs = pairs_of(*even(n, p))
    found = leverages_of(pairs.source, moments_of_pairs(pairs))
    rows = pairs.source.vectors.double().numpy()
    expected = np.square(np.linalg.qr(rows - rows.mean(0))[0]).sum(1)
    # Of many codes they are means of sixteen squares of normal numbers, one of ten thousand of
    # which is beyond a sixth or 2.8 times what is expected.
    assert np.abs(np.log(found / expected)).max() < within
    np.testing.assert_allclose(found.sum(), p, rtol=0.15 if within == 2 else 1e-9)


def test_codes_that_come_in_turns_are_drawn_by_chance(small_samples):
    """Every eighth pair of 8 k + 1 is far from the others, as are all that evenly spread ones are:
    the sample still holds others, and knows how large they are.
    """
    random = np.random.default_rng(0)
    n, size = 8 * 599 + 1, 600
    x = random.choice([-0.01, 0.01], size=(n, 1))
    y = x + random.normal(size=(n, 1))
    x[::8], y[::8] = 2000 * x[::8], 4 * y[::8]
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    grid = penalty_grid(moments)
    sample = Sample(pairs, moments, grid, size=size, leverages=leverages_of(pairs.source, moments))
    sample.extend([0])
    every = leave_one_out(pairs, moments, penalties=grid[:1])
    assert sample.errors[0] == pytest.approx(float(every.errors), rel=1e-4)
    assert_chosen_as_by_all(pairs, moments)
