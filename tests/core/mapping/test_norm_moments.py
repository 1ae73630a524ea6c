"""How lengths of codes vary together: merged as of all at once, and the HSIC that follows."""

import numpy as np
import pytest
import torch

from latentmap.mapping.moment_sums import MomentSums
from latentmap.mapping.norm_moments import NormMoments, linear_cka, linear_hsic, merge_norms

DIMS = (5, 3)


@pytest.fixture
def rows():
    random = torch.manual_seed(0)
    x = torch.randn(60, 5, generator=random) + 3
    return [x, x[:, :3] * 2 + torch.randn(60, 3, generator=random) - 7]


def of(rows):
    sums = MomentSums(DIMS)
    sums.update(rows)
    moments = sums.moments()
    return moments, NormMoments.of(rows, moments.mean)


def test_parts_merge_to_those_of_all_whatever_their_means(rows):
    parts = [
        of([space[part] for space in rows]) for part in (slice(9), slice(9, 10), slice(10, 60))
    ]
    moments, norms = merge_norms(parts)
    every, whole = of(rows)
    torch.testing.assert_close(moments.products, every.products, rtol=1e-12, atol=1e-10)
    torch.testing.assert_close(norms.products, whole.products, rtol=1e-11, atol=0)
    torch.testing.assert_close(norms.along, whole.along, rtol=1e-10, atol=1e-9)


def test_sums_about_any_point_are_brought_to_the_mean(rows):
    every, whole = of(rows)
    joined = torch.cat(rows, 1).double()
    away = joined[3] + 1
    moved = NormMoments.of(rows, away).about(every.mean, every, (joined - away).sum(0))
    torch.testing.assert_close(moved.products, whole.products, rtol=1e-10, atol=0)
    torch.testing.assert_close(moved.along, whole.along, rtol=1e-9, atol=1e-8)


def test_hsic_is_that_of_all_images_with_each_other(rows):
    found = linear_hsic(*of(rows)).numpy()
    kernels = []
    for space in rows:
        kernel = space.double().numpy() @ space.double().numpy().T
        np.fill_diagonal(kernel, 0)
        kernels.append(kernel)
    n, one = len(rows[0]), np.ones(len(rows[0]))
    for i, k in enumerate(kernels):
        for j, other in enumerate(kernels):
            # Song et al. 2012, equation 5.
            wanted = (
                np.trace(k @ other)
                + (one @ k @ one) * (one @ other @ one) / ((n - 1) * (n - 2))
                - 2 / (n - 2) * (one @ k @ other @ one)
            ) / (n * (n - 3))
            assert found[i, j] == pytest.approx(wanted, rel=1e-9)


def test_cka_is_one_of_a_rotated_space_and_nothing_of_a_constant_one(rows):
    turn, _ = torch.linalg.qr(torch.randn(5, 5, generator=torch.manual_seed(1)))
    x = rows[0].double()
    sums = MomentSums((5, 5, 2))
    spaces = [x, 3 * x @ turn.double() + 1, torch.ones(60, 2, dtype=torch.float64)]
    sums.update(spaces)
    moments = sums.moments()
    found = linear_cka(moments, NormMoments.of(spaces, moments.mean))
    assert float(found[0, 1]) == pytest.approx(1, abs=1e-12)
    assert bool(found[2].isnan().all())


def test_of_three_images_nothing_is_known(rows):
    assert bool(linear_hsic(*of([space[:3] for space in rows])).isnan().all())
