import numpy as np
import pytest
import torch
from scipy.spatial import procrustes
from scipy.spatial.distance import pdist, squareform
from scipy.stats import chi2, spearmanr
from sklearn.neighbors import NearestNeighbors

from latentmap.comparison.indexes import INDEXES
from latentmap.comparison.projections import canonical_directions
from latentmap.mapping import moments_of
from tests.core.comparison.two_spaces import (
    debiased_cka,
    distance_correlation,
    gulp_distance,
    held_out_correlations,
    kernel_cka,
    mutual_neighbours,
    procrustes_distance,
)


def cca(x, y):
    directions = canonical_directions(moments_of(x, y))
    return float(held_out_correlations(x, y, directions).mean())


def pwcca(x, y):
    directions = canonical_directions(moments_of(x, y))
    return float(held_out_correlations(x, y, directions) @ directions.left_weights)


VALUES = {
    "cka": debiased_cka,
    "kernel_cka": kernel_cka,
    "cca": cca,
    "pwcca": pwcca,
    "procrustes": procrustes_distance,
    "gulp": gulp_distance,
    "neighbours": mutual_neighbours,
    "distances": distance_correlation,
}


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.manual_seed(seed), dtype=torch.float64)


def related(n=200, p=6, q=9, seed=0):
    """Two spaces that share some of what they show, neither of them round."""
    hidden = normal(n, 5, seed=seed)
    x = hidden @ normal(5, p, seed=seed + 1) + 0.5 * normal(n, p, seed=seed + 2)
    y = hidden @ normal(5, q, seed=seed + 3) + 0.5 * normal(n, q, seed=seed + 4)
    return x, y


def orthogonal(d, seed):
    return torch.linalg.qr(normal(d, d, seed=seed)).Q


def unbiased_hsic(k, m):
    """Of two kernels (n, n): Song et al. (2012), equation 5."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    return (
        np.trace(k @ m)
        + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (one @ k @ m @ one)
    ) / (n * (n - 3))


CHANGES = {
    "translation": lambda x: x + 3,
    "isotropic_scaling": lambda x: 0.01 * x,
    "orthogonal": lambda x: x @ orthogonal(x.shape[1], 7),
    "invertible_linear": lambda x: x @ torch.diag(torch.linspace(0.2, 4, x.shape[1]).double()),
}


def test_every_index_is_measured_here():
    assert VALUES.keys() == INDEXES.keys()


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", INDEXES)
def test_an_index_does_not_see_what_it_declares_and_nothing_else(name, change):
    x, y = related()
    before = VALUES[name](x, y)
    after = [VALUES[name](CHANGES[change](x), y), VALUES[name](x, CHANGES[change](y))]
    if name == "pwcca" and change in ("orthogonal", "invertible_linear"):
        assert after[0] != pytest.approx(before, abs=1e-4)
        assert after[1] == pytest.approx(before, abs=1e-9)
    elif INDEXES[name].invariances[change]:
        assert after == pytest.approx([before, before], abs=1e-9)
    else:
        assert abs(np.array(after) - before).min() > 1e-3


@pytest.mark.parametrize("name", INDEXES)
def test_a_space_is_the_same_as_itself(name):
    x, _ = related()
    assert VALUES[name](x, x) == pytest.approx(INDEXES[name].same, abs=1e-7)


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_symmetric_if_it_says_so(name):
    x, y = related()
    there, back = VALUES[name](x, y), VALUES[name](y, x)
    assert (there == pytest.approx(back, abs=1e-9)) == INDEXES[name].symmetric


@pytest.mark.parametrize("name", INDEXES)
def test_the_order_of_the_images_does_not_matter(name):
    x, y = related()
    order = torch.randperm(len(x), generator=torch.manual_seed(0))
    assert VALUES[name](x[order], y[order]) == pytest.approx(VALUES[name](x, y), abs=1e-9)


def test_cka_of_unrelated_spaces_is_zero_at_any_dimension():
    values = [
        debiased_cka(normal(60, 100, seed=seed), normal(60, 80, seed=seed + 100))
        for seed in range(40)
    ]
    # Without its correction it would be 0.6 here.
    assert np.mean(values) == pytest.approx(0, abs=3 * np.std(values) / np.sqrt(40))


def test_gulp_of_unrelated_spaces_is_one_at_any_dimension():
    values = []
    for seed in range(40):
        x, y = normal(60, 30, seed=seed), normal(60, 20, seed=seed + 100)
        fitted = moments_of(normal(500, 30, seed=seed + 200), normal(500, 20, seed=seed + 300))
        values.append(gulp_distance(x, y, fitted) ** 2)
    # By the images themselves and with its bias it would be 0.6.
    assert np.mean(values) == pytest.approx(1, abs=3 * np.std(values) / np.sqrt(40))


def test_gulp_is_that_of_the_formula_for_many_images():
    x, y = (part.numpy() for part in related(n=4000, p=4, q=3))
    x, y = (part - part.mean(0) for part in (x, y))
    x, y = (part / np.sqrt(np.square(part).sum(1).mean()) for part in (x, y))
    n, ways = len(x), []
    for part in (x, y):
        covariance = part.T @ part / n
        ways.append(np.linalg.inv(covariance + 0.01 * np.eye(part.shape[1])))
    one, other = (
        np.trace(way @ (p.T @ p / n) @ way @ (p.T @ p / n))
        for way, p in zip(ways, (x, y), strict=True)
    )
    shared = np.trace(ways[0] @ (x.T @ y / n) @ ways[1] @ (y.T @ x / n))
    expected = np.sqrt((one + other - 2 * shared) / (one + other))
    # What is left is the bias of the formula, of the order of the variables over the images.
    assert gulp_distance(*related(n=4000, p=4, q=3)) == pytest.approx(expected, abs=3e-3)


def test_gulp_of_one_variable_each_is_that_of_their_correlation():
    x, y = normal(3000, 1, seed=0), normal(3000, 1, seed=1)
    y = 0.6 * x + 0.8 * y
    # tr((S + l)^-1 S)^2 = (1 / 1.01)^2 of both, and 0.36 of that is shared.
    assert gulp_distance(x, y) == pytest.approx((1 - 0.36) ** 0.5, abs=0.03)


def test_kernel_cka_is_that_of_the_formula():
    x, y = related(n=50)

    def kernel(part):
        distances = squareform(pdist(part.numpy()))
        width = np.quantile(pdist(part.numpy(), "sqeuclidean"), 0.5, method="inverted_cdf")
        return np.exp(-np.square(distances) / (2 * width))

    k, m = kernel(x), kernel(y)
    expected = unbiased_hsic(k, m) / np.sqrt(unbiased_hsic(k, k) * unbiased_hsic(m, m))
    assert kernel_cka(x, y) == pytest.approx(expected, abs=1e-9)


def test_kernel_cka_of_one_shared_normal_variable_is_in_closed_form():
    x, y = normal(1500, 1, seed=0), normal(1500, 1, seed=1)
    y = 0.8 * x + 0.6 * y
    square = 2 * chi2.median(1)

    def hsic(r):
        both = ((1 + 2 / square) ** 2 - (2 * r / square) ** 2) ** -0.5
        about = ((1 + 1 / (square + 1)) ** 2 - (r / (square + 1)) ** 2) ** -0.5
        return both + 1 / (1 + 2 / square) - 2 * square / (square + 1) * about

    # Four standard errors of so many images.
    assert kernel_cka(x, y) == pytest.approx(hsic(0.8) / hsic(1), abs=0.06)


def test_kernel_cka_of_images_most_of_which_are_in_one_place_is_not_defined():
    x, y = related(n=40)
    x[:36] = 0
    assert np.isnan(kernel_cka(x, y))


def test_cka_is_that_of_the_formula():
    x, y = related(n=40)

    k, m = (x @ x.T).numpy(), (y @ y.T).numpy()
    expected = unbiased_hsic(k, m) / np.sqrt(unbiased_hsic(k, k) * unbiased_hsic(m, m))
    assert debiased_cka(x, y) == pytest.approx(expected, rel=1e-9)


def test_the_procrustes_distance_is_the_root_of_scipys_disparity():
    x, y = related(p=6, q=6)
    disparity = procrustes(x.numpy(), y.numpy())[2]
    assert procrustes_distance(x, y) == pytest.approx(np.sqrt(disparity), rel=1e-9)


def test_the_procrustes_distance_of_spaces_of_different_sizes_fills_up_with_zeros():
    x, y = related(p=4, q=6)
    filled = torch.cat([x, torch.zeros(len(x), 2)], 1)
    disparity = procrustes(filled.numpy(), y.numpy())[2]
    assert procrustes_distance(x, y) == pytest.approx(np.sqrt(disparity), rel=1e-9)


def test_two_circles_of_different_shape_are_as_far_as_their_axes_say():
    angle = torch.arange(40) * 2 * torch.pi / 40
    circle = torch.stack([angle.cos(), angle.sin()], 1).double()
    ellipse = circle * torch.tensor([1.0, 0.5])
    # s = (1 + 1/2) / sqrt(2 (1 + 1/4)), by hand.
    s = 1.5 / np.sqrt(2.5)
    assert procrustes_distance(circle, ellipse) == pytest.approx(np.sqrt(1 - s**2), rel=1e-6)


def test_the_procrustes_distance_of_few_images_is_that_of_many():
    x, y = related(n=4000, p=12, q=12)
    fitted, many = moments_of(x, y), procrustes_distance(x, y)
    parts = [(x[start : start + 30], y[start : start + 30]) for start in range(0, 1200, 30)]
    own = [procrustes_distance(*part) for part in parts]
    others = [procrustes_distance(*part, fitted) for part in parts]
    assert np.mean(own) < many - 0.03
    assert np.mean(others) == pytest.approx(many, abs=4 * np.std(others) / np.sqrt(40))


@pytest.mark.parametrize("digits", [9, 0])  # With 0 many distances are equal.
def test_the_distance_correlation_is_spearmans(digits):
    x, y = (part.round(decimals=digits) for part in related(n=80))
    expected = spearmanr(pdist(x.numpy()).round(9), pdist(y.numpy()).round(9)).statistic
    assert distance_correlation(x, y) == pytest.approx(expected, abs=1e-9)


def test_mutual_neighbours_are_those_of_scikit_learn():
    x, y = related(n=80)
    sets = [
        NearestNeighbors(n_neighbors=10).fit(part).kneighbors(return_distance=False)
        for part in (x.numpy(), y.numpy())
    ]
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(*sets, strict=True)]
    assert mutual_neighbours(x, y) == pytest.approx(np.mean(shared), abs=1e-12)


def test_equal_distances_share_the_places_that_are_left():
    # In the plane y the first images are in one place, so that all orders of them are as likely.
    x, y = related(n=40)
    y[:30] = y[0]
    generator = np.random.default_rng(0)
    away = np.square(pdist(y.numpy())), np.square(pdist(x.numpy()))

    def drawn(distances, ties):
        matrix = np.zeros((40, 40))
        matrix[np.triu_indices(40, 1)] = distances
        matrix = (matrix + matrix.T).round(9) + np.where(np.eye(40, dtype=bool), np.inf, 0)
        return np.lexsort((ties, matrix), axis=1)[:, :10]

    shared = []
    for _ in range(400):
        one, other = (drawn(part, generator.random((40, 40))) for part in away)
        shared.append(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(one, other, strict=True)]))
    error = 4 * np.std(shared) / np.sqrt(400)
    assert mutual_neighbours(x, y) == pytest.approx(np.mean(shared), abs=error)


def test_unrelated_spaces_share_neighbours_by_chance_alone():
    values = [
        mutual_neighbours(normal(100, 8, seed=seed), normal(100, 8, seed=seed + 50))
        for seed in range(30)
    ]
    assert np.mean(values) == pytest.approx(10 / 99, abs=0.01)


def test_canonical_correlations_are_the_cosines_between_the_spaces():
    x, y = related()
    bases = [np.linalg.qr((part - part.mean(0)).numpy())[0] for part in (x, y)]
    expected = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    directions = canonical_directions(moments_of(x, y))
    assert held_out_correlations(x, y, directions).numpy() == pytest.approx(expected, abs=1e-9)


def test_correlations_of_other_images_do_not_share_the_optimism_of_the_fit():
    x, y = normal(60, 20, seed=0), normal(60, 20, seed=1)
    directions = canonical_directions(moments_of(x, y))
    assert float(held_out_correlations(x, y, directions).mean()) > 0.4
    others = held_out_correlations(normal(500, 20, seed=2), normal(500, 20, seed=3), directions)
    assert float(others.mean()) == pytest.approx(0, abs=0.05)


def test_projection_weights_are_those_of_the_formula():
    x, y = related()
    a, b = ((part - part.mean(0)).numpy() for part in (x, y))
    qx, qy = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
    u, s, _ = np.linalg.svd(qx.T @ qy)
    weights = np.abs((qx @ u[:, : len(s)]).T @ a).sum(1)  # Morcos et al. (2018), equation 3.
    assert pwcca(x, y) == pytest.approx(weights @ s / weights.sum(), rel=1e-9)


@pytest.mark.parametrize("name", ["cka", "neighbours", "distances", "procrustes"])
def test_a_space_that_does_not_vary_is_like_nothing(name):
    x = torch.full((30, 4), 3.7)
    assert np.isnan(VALUES[name](x, normal(30, 3, seed=0)))
