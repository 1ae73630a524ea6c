from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import chi2, f

from latentmap.codes import Space, pair
from latentmap.errors import MapError, SpaceError
from latentmap.mapping import LinearMap, fit, typicality
from latentmap.mapping.typicality import fitted_distances
from tests.core.mapping.drawing import codes_of, rotation_of
from tests.core.mapping.grids import grid_pairs, random_grids


def normal(n, p, seed=0):
    return torch.randn(n, p, generator=torch.Generator().manual_seed(seed))


def a_map(x, **others):
    return fit(pair(codes_of(x), codes_of(x[:, :1] + 1, "b")), settings={"penalty": 1.0}, **others)


def by_numpy(fitted, new, ridge=0.0):
    """The distances of new codes, with the covariance that NumPy computes."""
    fitted, new = (np.asarray(part, dtype=np.float64) for part in (fitted, new))
    covariance = np.cov(fitted, rowvar=False) + ridge * np.eye(fitted.shape[1])
    away = new - fitted.mean(0)
    return np.sqrt(np.einsum("ij,ij->i", away @ np.linalg.inv(covariance), away))


def test_of_one_variable_it_is_the_distance_in_standard_deviations():
    # Mean 3 and standard deviation 2.
    found = typicality(a_map(torch.tensor([[1.0], [3.0], [5.0]])), torch.tensor([[3.0], [7.0]]))
    assert found.distances.tolist() == pytest.approx([0, 2])


def test_distances_are_those_of_numpy():
    x, new = normal(60, 5) @ normal(5, 5, 1) + 3, normal(20, 5, 2) * 4
    assert typicality(a_map(x), new).distances == pytest.approx(by_numpy(x, new), rel=1e-5)


def test_each_fitted_code_is_measured_from_all_others():
    x = normal(40, 3)
    alone = [by_numpy(np.delete(x.numpy(), i, 0), x[i : i + 1])[0] for i in range(40)]
    assert a_map(x).source_distances.numpy() == pytest.approx(np.sort(alone), rel=1e-5)


def test_with_few_pairs_the_mean_variance_is_added_along_every_direction():
    x, new = normal(6, 8), normal(5, 8, 1)
    products = np.cov(x.numpy(), rowvar=False)
    found = a_map(x)
    assert typicality(found, new).distances == pytest.approx(
        by_numpy(x, new, np.trace(products) / 8), rel=1e-5
    )
    centred = x.double().numpy() - x.double().numpy().mean(0)
    ridge = np.trace(centred.T @ centred) / 8
    alone = []
    for i in range(6):
        others = np.delete(x.double().numpy(), i, 0)
        scatter = (others - others.mean(0)).T @ (others - others.mean(0)) + ridge * np.eye(8)
        away = x[i].double().numpy() - others.mean(0)
        alone.append(np.sqrt(4 * away @ np.linalg.solve(scatter, away)))
    assert found.source_distances.numpy() == pytest.approx(np.sort(alone), rel=1e-5)


def test_neither_units_nor_rotations_nor_a_shift_change_anything():
    x, new = normal(200, 4), 2 * normal(50, 4, 1)
    turned = rotation_of(4).float() * torch.tensor([1.0, 1e3, 1e-2, 7.0])
    one, other = typicality(a_map(x), new), typicality(a_map(x @ turned + 5), new @ turned + 5)
    assert other.distances == pytest.approx(one.distances, rel=1e-3)
    assert other.limit == pytest.approx(one.limit, rel=1e-3)
    assert (other.outside == one.outside).all()


def test_the_order_of_codes_decides_nothing():
    x, new = normal(150, 4), 2 * normal(20, 4, 1)
    back = typicality(a_map(x.flip(0)), new.flip(0))
    found = typicality(a_map(x), new)
    assert back.distances[::-1] == pytest.approx(found.distances, rel=1e-9)
    assert (back.nearer[::-1] == found.nearer).all()
    assert back.limit == pytest.approx(found.limit, rel=1e-9)


def test_the_share_of_nearer_codes_is_counted():
    fitted = a_map(normal(100, 3))
    at = fitted.source_distances
    found = typicality(fitted, normal(30, 3, 1))
    counted = [(at.numpy() < distance).mean() for distance in found.distances]
    assert found.nearer.tolist() == pytest.approx(counted)
    assert found.limit == float(at[99])  # The ceil(0.99 * 101)-th of 100.
    assert found.rule == "fitted codes"


@pytest.mark.parametrize(("heavy", "p"), [(False, 8), (True, 8), (False, 64)])
def test_one_in_a_hundred_new_codes_of_the_same_kind_is_outside(heavy, p):
    generator = np.random.default_rng(0)

    def drawn(n):
        codes = generator.normal(size=(n, p))
        if heavy:  # Student's with 5 degrees of freedom, whose tails are no normal code's.
            codes /= np.sqrt(generator.chisquare(5, size=(n, 1)) / 5)
        return torch.from_numpy(codes.astype(np.float32))

    shares = [typicality(a_map(drawn(100)), drawn(500)).outside.mean() for _ in range(100)]
    # Of each fit it varies as the largest of 100 does: by 1 %.
    assert np.mean(shares) == pytest.approx(0.01, abs=4 * 0.01 / np.sqrt(100))


def test_without_kept_distances_the_law_of_normal_codes_is_taken():
    fitted = replace(a_map(normal(50, 4)), source_distances=None)
    found = typicality(fitted, normal(20, 4, 1))
    scale = 51 / 50 * 4 * 49 / 46
    assert found.rule == "normal law"
    assert found.limit == pytest.approx(np.sqrt(scale * f.ppf(0.99, 4, 46)))
    assert found.nearer == pytest.approx(f.cdf(found.distances**2 / scale, 4, 46))


def test_of_many_normal_codes_both_rules_are_the_chi_square():
    fitted = a_map(normal(20_000, 4))
    limit = np.sqrt(chi2.ppf(0.99, 4))
    # The 99 % quantile of 4,096 distances has a standard error of 0.03.
    assert typicality(fitted, normal(2, 4)).limit == pytest.approx(limit, abs=0.12)
    law = typicality(replace(fitted, source_distances=None), normal(2, 4))
    assert law.limit == pytest.approx(limit, rel=1e-3)
    assert len(fitted.source_distances) == 4096


def test_of_fewer_than_99_pairs_the_limit_is_by_the_law():
    fitted = a_map(normal(98, 4))
    law = typicality(replace(fitted, source_distances=None), normal(2, 4))
    found = typicality(fitted, normal(2, 4))
    assert (found.limit, found.rule) == (law.limit, "fitted codes")


def test_of_few_pairs_and_many_variables_there_is_no_limit():
    found = typicality(a_map(normal(20, 30)), normal(4, 30, 1))
    assert np.isnan(found.limit)
    assert np.isnan(found.outside).all()
    assert np.isfinite(found.distances).all()


def test_a_variable_that_did_not_vary_counts_for_nothing_and_is_told():
    x = normal(200, 3)
    x[:, 1] = 2.0
    new = torch.tensor([[1.0, 2.0, 0.0], [1.0, 9.0, 0.0]])
    found = typicality(a_map(x), new)
    assert found.distances[0] == pytest.approx(found.distances[1])
    assert found.off[0] == pytest.approx(0, abs=1e-12)
    away = new[1].double() - x.double().mean(0)
    assert found.off[1] == pytest.approx(float(away[1] ** 2 / away.square().sum()))


def test_a_dead_variable_that_varies_a_little_counts_as_others_do():
    x = normal(2000, 3) * torch.tensor([1.0, 1e-3, 1.0])
    found = typicality(a_map(x), torch.tensor([[0.0, 6e-3, 0.0]]))
    assert found.distances[0] == pytest.approx(6, rel=0.1)
    assert found.outside.all()


def test_dependent_variables_leave_a_finite_distance():
    x = normal(200, 3)
    x = torch.cat([x, x.sum(1, keepdim=True)], 1)
    found = typicality(a_map(x), x[:1])
    assert found.distances == pytest.approx(by_numpy(x[:, :3], x[:1, :3]), rel=1e-4)


def test_variables_that_nearly_depend_are_judged_by_their_spectrum_as_others_by_cholesky():
    x, new = normal(300, 3).double(), normal(20, 3, 1).double()
    near = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1e-4, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    one = typicality(a_map(x.float()), new.float())
    # Of codes of float32 the small difference has four digits.
    other = typicality(a_map((x @ near).float()), (new @ near).float())
    assert other.distances == pytest.approx(one.distances, rel=1e-2)


def test_codes_that_weigh_nothing_in_a_robust_map_are_far():
    x = normal(300, 3)
    x[:6] += 100
    fitted = fit(pair(codes_of(x), codes_of(x, "b")), method="robust", settings={"penalty": 1.0})
    found = typicality(fitted, x)
    assert found.nearer[:6].min() > 0.97
    assert found.nearer[6:].max() < found.nearer[:6].min()


def test_codes_and_tensors_are_judged_alike():
    x = normal(100, 3)
    fitted = a_map(x)
    assert (typicality(fitted, codes_of(x)).distances == typicality(fitted, x).distances).all()
    assert "100 codes" in repr(typicality(fitted, x))


def test_a_file_keeps_the_distances(tmp_path):
    path = tmp_path / "map.safetensors"
    fitted = a_map(normal(120, 3))
    fitted.save(path)
    again = LinearMap.load(path)
    assert torch.equal(again.source_distances, fitted.source_distances)
    assert again.digest == fitted.digest


def test_a_file_of_an_earlier_version_has_none(tmp_path):
    path = tmp_path / "map.safetensors"
    replace(a_map(normal(120, 3)), source_distances=None).save(path)
    assert LinearMap.load(path).source_distances is None


@pytest.mark.parametrize(
    "part",
    [
        torch.tensor([2.0, 1.0], dtype=torch.float64),
        torch.tensor([-1.0, 1.0], dtype=torch.float64),
        torch.tensor([1.0, torch.nan], dtype=torch.float64),
        torch.tensor([1.0, 2.0]),
        torch.zeros(0, dtype=torch.float64),
        torch.zeros(2, 2, dtype=torch.float64),
    ],
)
def test_a_file_with_distances_that_cannot_be_is_refused(tmp_path, part):
    path = tmp_path / "map.safetensors"
    replace(a_map(normal(120, 3)), source_distances=part).save(path)
    with pytest.raises(MapError, match="distances of fitted codes must be numbers of at least 0"):
        LinearMap.load(path)


def test_maps_of_patches_and_of_other_maps_are_refused():
    patches = fit(grid_pairs(random_grids(20, (2, 4, 4)), random_grids(20, (1, 4, 4), seed=1)))
    assert patches.source_distances is None
    with pytest.raises(MapError, match="told of maps of whole codes, and this map is of patches"):
        typicality(patches, torch.zeros(1, 32))
    with pytest.raises(MapError, match="needs the moments of the pairs, which a map made of other"):
        typicality(a_map(normal(20, 1)).inverse(), torch.zeros(1, 1))


def test_too_few_pairs_without_kept_distances_are_refused():
    fitted = replace(a_map(normal(20, 10)), source_distances=None)
    with pytest.raises(MapError, match=r"more than two pairs for each of the 10 .*of 20 pairs"):
        typicality(fitted, torch.zeros(1, 10))


def test_fitted_codes_that_are_all_the_same_are_refused():
    fitted = a_map(torch.ones(30, 2))
    assert fitted.source_distances is None
    with pytest.raises(MapError, match="needs fitted codes that vary, and these are all the same"):
        typicality(fitted, torch.zeros(1, 2))


def test_codes_of_another_shape_or_space_are_refused():
    fitted = a_map(normal(30, 3))
    with pytest.raises(MapError, match=r"takes codes of shape \(n, 3\), not \(2, 4\)"):
        typicality(fitted, torch.zeros(2, 4))
    with pytest.raises(SpaceError, match="codes for this map must be in"):
        typicality(fitted, replace(codes_of(normal(4, 3)), space=Space("z", 3, "c", "cc")))


def test_float32_products_that_are_unsafe_give_no_distances():
    x, moments = normal(50, 2), replace(a_map(normal(50, 2)).moments, fast=True)
    unsafe = replace(moments, xx=torch.diag(torch.tensor([1e8, 1.0], dtype=torch.float64)))
    assert fitted_distances(codes_of(x), unsafe) is None
