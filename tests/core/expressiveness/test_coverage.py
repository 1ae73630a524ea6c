import json

import numpy as np
import pytest
import torch
from scipy.stats import betabinom

from latentmap.errors import ModelError
from latentmap.expressiveness.clipped import good_share
from latentmap.expressiveness.coverage import CLIPPED, FIGURES, measure_coverage


def values(real, generated, **options):
    measured = measure_coverage(real, generated, seed=0, **options)
    return {name: getattr(measured, name).value for name in FIGURES}


def clipped_by_definition(real, generated, k):
    """The formulas of arXiv 2507.01761, with every distance and the distribution of SciPy."""
    real, generated = real.double().numpy(), generated.double().numpy()
    among = np.linalg.norm(real[:, None] - real[None], axis=2)
    across = np.linalg.norm(real[:, None] - generated[None], axis=2)
    radii = np.sort(among, axis=1)[:, k]
    balls = np.minimum(radii, np.median(radii))
    np.fill_diagonal(among, np.inf)
    density, own = (
        np.minimum((distances <= balls[:, None]).sum(0) / k, 1).mean()
        for distances in (across, among)
    )
    covered = np.minimum((across < radii[:, None]).sum(1) / k, 1).mean()
    n, m = across.shape
    expected = [
        sum(min(j, k) / k * betabinom.pmf(j, good, k, n - k) for j in range(good + 1))
        if good >= k
        else 0.0
        for good in range(m + 1)
    ]
    return {
        "clipped_density": min(density / own, 1),
        "clipped_coverage": np.searchsorted(expected, covered) / (m + 1),
    }


def by_definition(real, generated, k, k_density):
    """The formulas of the two papers, written with loops over plain numpy."""
    real, generated = real.double().numpy(), generated.double().numpy()

    def radius(points, i, k):
        return np.sort(np.linalg.norm(points - points[i], axis=1))[k]

    def balls(points, k):
        return [(centre, radius(points, i, k)) for i, centre in enumerate(points)]

    def inside(point, ball):
        return np.linalg.norm(point - ball[0]) <= ball[1]

    real_balls, fake_balls, wide = (
        balls(real, k),
        balls(generated, k),
        balls(real, k_density),
    )
    return {
        "precision": np.mean([any(inside(g, b) for b in real_balls) for g in generated]),
        "recall": np.mean([any(inside(r, b) for b in fake_balls) for r in real]),
        "density": sum(inside(g, b) for g in generated for b in wide) / k_density / len(generated),
        "coverage": np.mean([any(inside(g, b) for g in generated) for b in wide]),
    }


def test_a_case_solved_by_hand():
    # On a line: balls of real images reach to the neighbour, 1 or 6 away.
    real = torch.tensor([[0.0], [1.0], [2.0], [8.0]])
    generated = torch.tensor([[0.5], [30.0], [31.0], [33.0]])
    found = values(real, generated, k=1, k_density=1)
    # Only 0.5 lies in balls: in those of 0 and 1, whose radius is 1.
    assert found["precision"] == 1 / 4
    assert found["density"] == 2 / 4
    assert found["coverage"] == 2 / 4
    # The ball of 0.5 reaches 29.5 far and holds every real image.
    assert found["recall"] == 1


@pytest.mark.parametrize(("n", "m", "k", "k_density"), [(30, 41, 3, 5), (52, 20, 5, 2)])
def test_the_figures_are_those_of_their_definitions(n, m, k, k_density):
    generator = torch.Generator().manual_seed(n)
    real = torch.randn(n, 3, generator=generator)
    generated = 0.7 * torch.randn(m, 3, generator=generator) + 0.4
    found = values(real, generated, k=k, k_density=k_density)
    assert found == pytest.approx(by_definition(real, generated, k, k_density))
    measured = measure_coverage(real, generated, k=k, k_density=k_density)
    clipped = {name: getattr(measured, name).value for name in CLIPPED}
    assert clipped == pytest.approx(clipped_by_definition(real, generated, k_density))


def test_blocks_change_nothing(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    real, generated = torch.randn(2, 40, 4, generator=generator)
    whole = values(real, generated)
    monkeypatch.setattr("latentmap.expressiveness.neighbours._NUMBERS", 7 * 40)
    assert values(real, generated) == whole


def test_turning_shifting_and_scaling_all_codes_changes_nothing():
    generator = torch.Generator().manual_seed(2)
    real, generated = torch.randn(2, 60, 4, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    moved = [3 * codes @ turn + 5 for codes in (real, generated)]
    assert values(*moved) == pytest.approx(values(real, generated))


def test_the_same_codes_are_precise_recalled_and_covered():
    codes = torch.randn(50, 4, generator=torch.Generator().manual_seed(3))
    found = values(codes, codes)
    assert (found["precision"], found["recall"], found["coverage"]) == (1, 1, 1)


def test_a_perfect_generator_has_density_one_and_the_coverage_of_the_paper():
    generator = torch.Generator().manual_seed(4)
    real, generated = torch.randn(2, 1000, 8, generator=generator)
    found = measure_coverage(real, generated, seed=0)
    assert found.density.value == pytest.approx(1, abs=0.05)
    assert found.coverage.value == pytest.approx(1 - 2**-5, abs=0.02)
    assert found.coverage.low < found.coverage.value < found.coverage.high


def test_a_generator_of_one_of_two_modes_is_precise_and_covers_half():
    generator = torch.Generator().manual_seed(5)
    real = torch.randn(400, 4, generator=generator)
    real[200:] += 20
    generated = torch.randn(400, 4, generator=generator)
    found = values(real, generated)
    assert found["precision"] > 0.9
    assert found["coverage"] == pytest.approx(0.5, abs=0.03)
    assert found["recall"] <= 0.5
    exchanged = values(generated, real)
    assert exchanged["precision"] == pytest.approx(found["recall"])


def gaussian(seed, n, m, bad=0.0):
    """Codes in 8 variables; a share of the generated ones is far from all others."""
    chance = np.random.default_rng(seed)
    real, made = chance.normal(size=(n, 8)), chance.normal(size=(m, 8))
    made[chance.random(m) < bad] += 30
    return torch.from_numpy(real), torch.from_numpy(made)


def test_clipped_figures_are_the_share_of_good_images():
    found = measure_coverage(*gaussian(0, 1000, 1000, 0.4))
    assert found.clipped_density.value == pytest.approx(0.6, abs=0.04)
    assert found.clipped_coverage.value == pytest.approx(0.6, abs=0.06)
    # The plain coverage hardly notices.
    assert found.coverage.value > 0.85


def test_outliers_among_the_real_images_make_bad_ones_dense_but_not_when_clipped():
    real, made = gaussian(1, 300, 300, 0.5)
    real[:6] = 30 + 40 * torch.randn(6, 8, generator=torch.Generator().manual_seed(0)).double()
    found = measure_coverage(real, made)
    good = float((made.mean(1) < 15).double().mean())
    assert found.density.low > good
    assert found.clipped_density.low < good < found.clipped_density.high


def test_more_coverage_than_all_images_would_have_is_more_than_all():
    shares = [good_share(covered, 200, 300, 5) for covered in np.linspace(0, 1, 400)]
    assert (shares[0], shares[-1] > 1) == (0, True)
    assert np.all(np.diff(shares) >= 0)
    # Between two of 300 images there is nothing, at the end there is.
    assert np.max(np.diff(shares)) < 0.07


def test_realism_is_how_far_inside_of_a_small_ball_an_image_lies():
    # Radii with one neighbour: 1, 1, 2, 10; those above the median, 1.5, are left out.
    real = torch.tensor([[0.0], [1.0], [3.0], [13.0]])
    made = torch.tensor([[0.5], [5.0], [13.0], [1.0]])
    found = measure_coverage(real, made, k=1, k_density=1)
    np.testing.assert_allclose(found.realism_of, [2, 1 / 4, 1 / 12, 1000])
    assert found.realism.value == pytest.approx((2 + 1 / 4) / 2)


def test_groups_of_real_images_have_figures_of_their_own():
    real, made = gaussian(2, 200, 200)
    real[:50] += 20  # A mode that is not made.
    groups = np.repeat([7, 3], [50, 150])
    found = measure_coverage(real, made, groups=groups)
    assert list(found.by_group) == [7, 3]
    lost, rest = found.by_group.values()
    assert (lost.n, rest.n, lost.coverage.value) == (50, 150, 0)
    assert 0 < lost.coverage.high < 0.12
    whole = (50 * lost.recall.value + 150 * rest.recall.value) / 200
    assert whole == pytest.approx(found.recall.value)
    one = found.to_json()["by_group"][0]
    assert (one["group"], one["n"], one["coverage"]) == (7, 50, 0)


def test_the_intervals_are_of_new_samples_of_both_kinds():
    truths = {name: [] for name in (*FIGURES, "realism")}
    found = {name: [] for name in truths}
    for seed in range(60):
        measured = measure_coverage(*gaussian(seed, 80, 80, 0.3), seed=seed)
        for name in truths:
            found[name].append(getattr(measured, name))
    for name, estimates in found.items():
        value, low, high = np.array(estimates).T
        truth = value.mean()
        assert np.mean((low <= truth) & (truth <= high)) > 0.85, name
        # Half of it is what 1.96 standard deviations are.
        assert (high - low).mean() / 2 == pytest.approx(1.96 * value.std(), rel=0.45), name


def test_images_of_one_unit_stay_together():
    real, made = gaussian(3, 120, 120, 0.3)
    units = np.repeat(np.arange(30), 4)
    real = real[::4].repeat_interleave(4, 0) + 0.3 * real
    widths = [
        one.coverage.high - one.coverage.low
        for one in (measure_coverage(real, made, units=of) for of in (None, units))
    ]
    assert widths[1] > 1.1 * widths[0]


def test_images_too_few_for_halves_have_no_intervals():
    found = measure_coverage(*gaussian(4, 11, 30))
    assert np.isfinite(found.density.value)
    assert np.isnan(found.density.low) and np.isnan(found.coverage.high)
    assert found.to_json()["recall_low"] is None


def test_the_result_is_json_and_says_what_made_it():
    codes = torch.randn(20, 3, generator=torch.Generator().manual_seed(6))
    result = json.loads(
        json.dumps(measure_coverage(codes, codes, seed=0, record={"encoder": "vae"}).to_json())
    )
    assert result["record"] == {"k": 3, "k_density": 5, "encoder": "vae"}
    assert (result["n_real"], result["n_generated"], result["precision"]) == (20, 20, 1)
    assert result["density_low"] <= result["density"] <= result["density_high"]


def test_too_few_images_are_refused():
    with pytest.raises(ModelError, match=r"takes at least 6 images of each kind .* not 5 images"):
        measure_coverage(torch.randn(5, 2), torch.randn(9, 2), seed=0)
    with pytest.raises(ModelError, match="at least 1 neighbour"):
        measure_coverage(torch.randn(9, 2), torch.randn(9, 2), k=0, seed=0)


def test_codes_of_two_encoders_are_refused():
    with pytest.raises(ModelError, match=r"of one encoder, not \(9, 2\) and \(9, 3\)"):
        measure_coverage(torch.randn(9, 2), torch.randn(9, 3), seed=0)
