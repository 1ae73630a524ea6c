import numpy as np
import pytest
import torch
from scipy.stats import kstest

from latentmap.comparison.indexes import INDEXES
from latentmap.comparison.spectra import GaussianSpaces, SpectraPlan, spectra_null
from latentmap.comparison.steps import Steps
from latentmap.mapping.moment_sums import MomentSums
from latentmap.mapping.moments import JointMoments
from latentmap.mapping.thin_moments import ThinJointMoments


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.manual_seed(seed))


def uneven(n, d, seed):
    return normal(n, d, seed=seed) * torch.logspace(0, -1, d) + 2


def fitted(n=300):
    spaces = [uneven(n, 6, 0), uneven(n, 4, 1)]
    sums = MomentSums([6, 4])
    sums.update(spaces)
    return sums.moments(), ThinJointMoments.of(spaces)


@pytest.mark.parametrize("n", [300, 8])
def test_drawn_moments_have_the_covariances_of_the_spaces_and_nothing_in_common(n):
    for joint in fitted(n):
        generator = np.random.default_rng(0)
        spaces = GaussianSpaces.of(joint, 2)
        drawn = [spaces.moments(generator).between(0, 1) for _ in range(400)]
        given = joint.between(0, 1)
        for name in ("xx", "yy"):
            every = torch.stack([getattr(one, name) for one in drawn])
            error = every.std(0) / 400**0.5
            assert ((every.mean(0) - getattr(given, name)).abs() < 5 * error).all(), name
        every = torch.stack([one.xy for one in drawn])
        assert (every.mean(0).abs() < 5 * every.std(0) / 400**0.5).all()


def test_a_drawn_product_is_distributed_as_that_of_drawn_images():
    dense, _ = fitted()
    generator = np.random.default_rng(0)
    spaces = GaussianSpaces.of(dense, 2)
    of_factors = [float(spaces.moments(generator).between(0, 1).xy[0, 1]) for _ in range(500)]
    given = dense.between(0, 1)
    roots = [torch.linalg.cholesky(one / 299).T for one in (given.xx, given.yy)]
    of_images = []
    for seed in range(500):
        parts = [
            normal(300, len(root), seed=2 * seed + i).double() @ root
            for i, root in enumerate(roots)
        ]
        x, y = (part - part.mean(0) for part in parts)
        of_images.append(float((x.T @ y)[0, 1]))
    assert kstest(of_factors, of_images).pvalue > 0.001


def test_thin_moments_are_drawn_as_thin_ones():
    dense, thin = fitted()
    generator = np.random.default_rng(0)
    assert isinstance(GaussianSpaces.of(dense, 2).moments(generator), JointMoments)
    assert isinstance(GaussianSpaces.of(thin, 2).moments(generator), ThinJointMoments)


def test_drawn_codes_have_the_covariances_of_the_spaces():
    dense, _ = fitted()
    codes = GaussianSpaces.of(dense, 2).codes(20_000, np.random.default_rng(0))
    for number, part in enumerate(codes):
        expected = dense.between(number, number).xx.numpy() / 299
        # Standard errors of products of 20,000 images, of variances up to 1.
        np.testing.assert_allclose(np.cov(part.numpy().T), expected, atol=0.05)


def null(n=60, permutations=99, seed=0):
    plan = SpectraPlan.of([6, 4], permutations)
    seen = []
    steps = Steps(lambda done, total: seen.append((done, total)), plan.steps)
    found = spectra_null(fitted()[0], plan, n, seed=seed, steps=steps)
    return plan, seen, found


def test_the_null_has_as_many_values_as_there_are_pairings():
    plan, seen, found = null()
    assert (plan.draws, plan.pairings) == (3, 33)
    assert list(found) == list(INDEXES)
    assert {one.shape for one in found.values()} == {(102, 2, 2)}
    assert seen[-1] == (plan.steps, plan.steps)
    assert len(seen) == plan.steps


def test_there_are_two_hundred_values_at_most_and_few_draws_of_large_spaces():
    assert SpectraPlan.of([6, 4], 5000) == SpectraPlan(2, 5, 39)
    assert SpectraPlan.of([2000, 500], 5000) == SpectraPlan(2, 2, 99)
    assert SpectraPlan.of([6, 4], 1) == SpectraPlan(2, 1, 1)


def test_the_null_is_that_of_spaces_that_share_nothing():
    _, _, found = null()
    assert found["cka"][:, 0, 1].mean() == pytest.approx(0, abs=0.02)
    assert found["cca"][:, 0, 1].mean() == pytest.approx(0, abs=0.03)
    assert found["neighbours"][:, 0, 1].mean() == pytest.approx(10 / 59, abs=0.02)
    assert np.square(found["gulp"][:, 0, 1]).mean() == pytest.approx(1, abs=0.03)


def test_one_seed_draws_the_same():
    for one, other in zip(null(seed=3)[2].values(), null(seed=3)[2].values(), strict=True):
        np.testing.assert_array_equal(one, other)
