import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV

from latentmap.codes import Codes, Space
from latentmap.errors import MapError
from latentmap.mapping.moments import moments_of_pairs
from latentmap.mapping.selection import leave_one_out, penalty_grid
from latentmap.pairs import pair


def draw(n, p, q, *, noise=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator) * torch.logspace(0, -1.5, p) + 2
    weight = torch.randn(p, q, generator=generator)
    return x, x @ weight + noise * torch.randn(n, q, generator=generator)


def pairs_of(x, y):
    ids = [str(i) for i in range(len(x))]
    return pair(
        Codes.from_array(ids, x, space=Space("z", x.shape[1], "a", "aa")),
        Codes.from_array(ids, y, space=Space("z", y.shape[1], "b", "bb")),
    )


def brute_force(x, y, penalty):
    x, y = x.double().numpy(), y.double().numpy()
    errors = []
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        model = Ridge(alpha=penalty, solver="svd").fit(x[rest], y[rest])
        errors.append((model.predict(x[i : i + 1])[0] - y[i]) ** 2)
    return float(np.mean(errors))


@pytest.mark.parametrize(("n", "p", "q"), [(40, 5, 3), (12, 20, 4), (2, 3, 2)])
def test_errors_are_those_of_leaving_every_pair_out(n, p, q):
    x, y = draw(n, p, q)
    pairs = pairs_of(x, y)
    penalties = torch.tensor([1e-3, 0.1, 1.0, 100.0], dtype=torch.float64)
    result = leave_one_out(pairs, moments_of_pairs(pairs), penalties=penalties)
    expected = [brute_force(x, y, float(penalty)) for penalty in penalties]
    np.testing.assert_allclose(result.errors, expected, rtol=1e-7)


@pytest.mark.parametrize(
    ("n", "p", "q", "noise"),
    [(128, 30, 10, 1.0), (64, 64, 20, 3.0), (30, 50, 5, 0.5), (600, 20, 3, 10.0)],
)
def test_the_penalty_is_that_of_scikit_learn(n, p, q, noise):
    x, y = draw(n, p, q, noise=noise)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    grid = penalty_grid(moments)
    # Extremely small penalties are ill-defined for scikit-learn when pairs are fewer than
    # variables.
    grid = grid[grid > 1e-7 * float(moments.xx.trace())]
    chosen = leave_one_out(pairs, moments, penalties=grid).penalty
    other = RidgeCV(alphas=grid.numpy()).fit(x.double().numpy(), y.double().numpy())
    assert chosen == pytest.approx(other.alpha_)


def test_blocks_do_not_change_the_errors():
    x, y = draw(10_000, 4, 2)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    penalties = torch.tensor([0.0, 1.0], dtype=torch.float64)
    result = leave_one_out(pairs, moments, penalties=penalties)
    xc = np.c_[np.ones(len(x)), x.double().numpy()]
    q, _ = np.linalg.qr(xc)
    yy = y.double().numpy()
    free = 1 - (q**2).sum(1)
    expected = (((yy - q @ (q.T @ yy)) / free[:, None]) ** 2).mean()
    assert float(result.errors[0]) == pytest.approx(expected, rel=1e-10)


def test_an_exact_map_needs_no_penalty_and_pure_noise_gets_a_large_one():
    x, y = draw(200, 10, 5, noise=0.0)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    mean = float(moments.xx.trace()) / 10
    assert leave_one_out(pairs, moments).penalty < 1e-4 * mean
    noise = pairs_of(x, torch.randn(200, 5, generator=torch.manual_seed(3)))
    moments = moments_of_pairs(noise)
    assert leave_one_out(noise, moments).penalty > mean


def test_the_grid_follows_the_scale_of_the_codes():
    x, y = draw(100, 6, 2)
    small, large = (moments_of_pairs(pairs_of(scale * x, y)) for scale in (1.0, 8.0))
    np.testing.assert_allclose(penalty_grid(large), 64 * penalty_grid(small), rtol=1e-9)
    assert len(penalty_grid(small)) == 65


def test_a_penalty_at_which_a_pair_decides_itself_is_never_chosen():
    x, y = draw(6, 10, 2)
    pairs = pairs_of(x, y)
    moments = moments_of_pairs(pairs)
    penalties = torch.tensor([0.0, 1e-30, 1.0], dtype=torch.float64)
    result = leave_one_out(pairs, moments, penalties=penalties)
    assert torch.isinf(result.errors[:2]).all()
    assert result.penalty == 1.0


def test_among_equal_errors_the_largest_penalty_is_chosen():
    x, y = draw(50, 3, 2)
    pairs = pairs_of(x, torch.zeros_like(y))
    assert leave_one_out(pairs, moments_of_pairs(pairs)).penalty == float(
        penalty_grid(moments_of_pairs(pairs))[-1]
    )


def test_source_codes_that_do_not_vary_take_any_penalty():
    _, y = draw(20, 3, 2)
    pairs = pairs_of(torch.full((20, 3), 0.1), y)
    result = leave_one_out(pairs, moments_of_pairs(pairs))
    assert result.penalty == 1.0
    # Only the mean is left: its leave-one-out error is the variance times (n / (n - 1))^2.
    expected = float(y.double().var(0, correction=0).mean()) * (20 / 19) ** 2
    assert float(result.errors[0]) == pytest.approx(expected)


def test_one_pair_cannot_be_left_out():
    pairs = pairs_of(*draw(1, 2, 2))
    with pytest.raises(MapError, match="needs at least 2 pairs, not 1"):
        leave_one_out(pairs, moments_of_pairs(pairs))


def test_progress_reaches_the_number_of_pairs():
    pairs = pairs_of(*draw(10, 2, 2))
    seen = []
    leave_one_out(pairs, moments_of_pairs(pairs), progress=lambda *call: seen.append(call))
    assert seen == [(10, 10)]
