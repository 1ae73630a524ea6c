import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentmap.codes import pair
from latentmap.errors import MapError
from latentmap.mapping import METHODS, moments_of
from latentmap.mapping.projections import solve_cca, solve_pls
from latentmap.mapping.regression import solve_least_squares
from tests.core.mapping.drawing import codes_of, draw, rotation_of, solve

# A published map has no intercept; optimal transport and permutations cannot be any rotation.
AFFINE = tuple(name for name in METHODS if name != "published")
ROTATING = tuple(name for name in AFFINE if name not in ("gaussian-ot", "permutation"))
# Methods whose map is found by iteration, up to a tolerance of their own.
ITERATED = ("procrustes", "similarity", "whitened-procrustes", "sparse")


@pytest.mark.parametrize("name", ROTATING)
@settings(max_examples=8, deadline=None)
@given(p=st.integers(1, 7), seed=st.integers(0, 10_000), shift=st.sampled_from([0.0, 3.0, -40.0]))
def test_a_rotation_is_found(name, p, seed, shift):
    x, _ = draw(n=100, p=p, decades=0.5, seed=seed)
    rotation = rotation_of(p, seed)
    solution = solve(name, x, x.double() @ rotation + shift)
    assert torch.allclose(solution.weight, rotation, atol=1e-3)
    assert torch.allclose(solution.bias, torch.full((p,), shift).double(), atol=5e-3)


@pytest.mark.parametrize("name", METHODS)
def test_the_identity_is_found(name):
    x, _ = draw(p=6, decades=0.5)
    others = {"penalty": 0.0, "activity": 0.0} if name == "published" else {}
    solution = solve(name, x, x, **others)
    assert torch.allclose(solution.weight, torch.eye(6).double(), atol=1e-4)
    assert torch.allclose(solution.bias, torch.zeros(6).double(), atol=1e-4)
    assert solution.rank == 6


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("name", AFFINE)
def test_a_shift_of_the_codes_changes_the_bias_alone(name, p, q):
    # Whole multiples of 2^-10, so that the shifted codes are exact in float32.
    x, y = (torch.round(1024 * part) / 1024 for part in draw(p=p, q=q, decades=0.7))
    plain, shifted = solve(name, x, y), solve(name, x + 16, y - 32)
    atol = 1e-5 if name in ITERATED else 1e-8
    assert torch.allclose(plain.weight, shifted.weight, atol=atol)
    moved = plain.bias - 32 - 16 * plain.weight.sum(0)
    assert torch.allclose(shifted.bias, moved, atol=100 * atol)
    assert (shifted.bias - plain.bias).abs().max() > 1


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_pairs_does_not_matter(name, p, q):
    x, y = draw(p=p, q=q, decades=0.7)
    order = torch.randperm(len(x), generator=torch.manual_seed(1))
    left, right = solve(name, x, y), solve(name, x[order], y[order])
    atol = 1e-5 if name in ITERATED else 1e-8
    assert torch.allclose(left.weight, right.weight, atol=atol)
    assert torch.allclose(left.bias, right.bias, atol=10 * atol)


@pytest.mark.parametrize(("p", "q"), [(6, 4), (4, 6), (5, 5)])
@pytest.mark.parametrize("name", METHODS)
def test_moments_about_zero_give_no_bias(name, p, q):
    x, y = draw(p=p, q=q, decades=0.7)
    solution = solve(name, x, y, zero=True)
    assert (solution.bias == 0).all()
    assert solution.weight.abs().max() > 0.01


@pytest.mark.parametrize(("p", "q"), [(12, 8), (8, 12), (9, 9)])
@pytest.mark.parametrize("name", METHODS)
def test_dead_and_repeated_variables_never_blow_a_map_up(name, p, q):
    x, y = draw(n=5000, p=p, q=q, decades=0.5)
    for codes in (x, y):
        codes[:, 3] = 5.0
        codes[:, 4] = 5.0 + 1e-7 * torch.randn(len(x), generator=torch.manual_seed(2))
        codes[:, 5] = codes[:, 0]
        codes[:, 6] = 0.0
    solution = solve(name, x, y)
    assert solution.weight.isfinite().all()
    assert solution.bias.isfinite().all()
    assert solution.weight.abs().max() < 10
    assert 1 <= solution.rank <= p
    assert 1 <= solution.condition < 1e4
    error = moments_of(x, y).squared_error(solution.weight, solution.bias)
    assert error.isfinite().all()


@pytest.mark.parametrize("name", ["least-squares", "ridge", "robust", "errors-in-variables"])
def test_dead_variables_have_no_weight_and_repeated_ones_share_it(name):
    x, y = draw(n=20_000, decades=0.5)
    x[:, 3] = 5.0
    x[:, 4] = 5.0 + 1e-7 * torch.randn(len(x), generator=torch.manual_seed(2))
    x[:, 5] = x[:, 0]
    x[:, 6] = 0.0
    solution = solve(name, x, y)
    assert solution.rank == 12 - 4
    assert solution.weight[3].abs().max() < 1e-6
    assert torch.allclose(solution.weight[5], solution.weight[0], atol=1e-6)


@pytest.mark.parametrize("decades", [4, 6, 9])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("least-squares", {}),
        ("reduced-rank", {"penalty": 0.0, "rank": 2}),
        ("cca", {"components": 2}),
        ("cca", {"components": 5}),
        ("pls", {"components": 12}),
        ("sparse", {"penalty": 0.01}),
    ],
)
def test_a_map_without_penalty_does_not_depend_on_the_units_of_its_variables(
    name, settings, decades
):
    x, y = draw(n=300, decades=0.5)
    # Powers of two, which round no code.
    unit = 2.0 ** torch.round(torch.linspace(0, -decades / math.log10(2), 12))
    target = unit[:5] if name == "cca" else torch.ones(5)
    plain = METHODS[name].solve(moments_of(x, y), **settings)
    other = METHODS[name].solve(moments_of(x * unit, y * target), **settings)
    assert other.rank == plain.rank
    weight = other.weight * unit[:, None] / target
    assert torch.allclose(weight, plain.weight, rtol=1e-4, atol=1e-6)
    assert torch.allclose(other.bias / target, plain.bias, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("q", [2, 3, 5])
@pytest.mark.parametrize(
    "name", [name for name in AFFINE if name not in ("robust", "procrustes", "permutation")]
)
def test_source_codes_that_do_not_vary_predict_the_mean(name, q):
    _, y = draw(q=q)
    solution = solve(name, torch.full((len(y), 3), 0.3), y)
    assert solution.rank == 0
    assert solution.condition == 1
    assert solution.weight.abs().max() < 1e-12
    assert torch.allclose(solution.bias, y.double().mean(0))


# Procrustes maps and permutations keep the length of codes.
@pytest.mark.parametrize(
    "name", [name for name in AFFINE if name not in ("procrustes", "permutation")]
)
def test_target_codes_that_do_not_vary_are_predicted(name):
    x, _ = draw(p=4)
    solution = solve(name, x, torch.full((len(x), 4), 0.3))
    assert torch.allclose(
        x.double() @ solution.weight + solution.bias, torch.tensor(0.3).double(), atol=1e-6
    )


@pytest.mark.parametrize("penalty", [-1e-9, math.nan, math.inf])
@pytest.mark.parametrize("name", [name for name in METHODS if "penalty" in METHODS[name].settings])
def test_a_penalty_that_cannot_be_is_refused(name, penalty):
    x, y = draw(n=20)
    others = {
        key: value
        for key, value in {"rank": 1, "components": 1, "noise": torch.zeros(12)}.items()
        if key in METHODS[name].settings
    }
    if name == "robust":
        others["pairs"] = pair(codes_of(x), codes_of(y, "b"))
    with pytest.raises(
        MapError, match=f"a penalty must be a number of at least 0, not {penalty:g}"
    ):
        METHODS[name].solve(moments_of(x, y), penalty=penalty, **others)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("published", {"activity": -1.0}, "a penalty must be a number of at least 0, not -1"),
        ("reduced-rank", {"rank": 0, "penalty": 1.0}, "the rank must be from 1 to 5 .* not 0"),
        ("reduced-rank", {"rank": 6, "penalty": 1.0}, "the rank must be from 1 to 5 .* not 6"),
        ("cca", {"components": 6}, "the number of components must be from 1 to 5 .* not 6"),
        ("pls", {"components": 13}, "the number of components must be from 1 to 12 .* not 13"),
        ("whitened-procrustes", {"whitening": 1.5}, "whitening must be from 0 to 1, not 1.5"),
        ("whitened-procrustes", {"whitening": math.nan}, "whitening must be from 0 to 1, not nan"),
        ("sparse", {"penalty": 1.0, "l1_ratio": 0}, "l1 ratio must be above 0 .* not 0"),
        ("sparse", {"penalty": 1.0, "l1_ratio": 2}, "l1 ratio must be .* at most 1, not 2"),
        ("errors-in-variables", {"noise": torch.ones(3)}, r"noise must be 12 variances .*\(3,\)"),
        ("errors-in-variables", {"noise": -torch.ones(12)}, "noise must be 12 variances"),
        (
            "errors-in-variables",
            {"noise": torch.ones(12), "codes": "z"},
            "unknown kind of codes 'z': choose means or samples",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(name, options, message):
    with pytest.raises(MapError, match=message):
        METHODS[name].solve(moments_of(*draw(n=20)), **options)


@pytest.mark.parametrize("name", ["cca", "regularised-cca", "whitened-procrustes", "gaussian-ot"])
def test_methods_that_need_the_products_of_the_target_say_so(name):
    x, y = draw(n=20)
    moments = moments_of(x, y, targets="squares")
    given = {"components": 1, "penalty": 1.0}
    options = {key: value for key, value in given.items() if key in METHODS[name].settings}
    with pytest.raises(MapError, match="only their squares were gathered"):
        METHODS[name].solve(moments, **options)


def test_float32_products_are_refused_where_they_would_harm_a_map():
    moments = moments_of(*draw(decades=3.2, p=6), precision="fast")
    for solution in (
        lambda: solve_least_squares(moments),
        lambda: solve_cca(moments, components=1),
    ):
        with pytest.raises(MapError, match="float32 products are unsafe"):
            solution()
    exact = replace(moments, fast=False)
    assert solve_least_squares(exact).condition > 1e3


@pytest.mark.parametrize("solve_one", [solve_least_squares, lambda m: solve_pls(m, components=6)])
def test_a_direction_that_float32_products_lose_is_not_lost_silently(solve_one):
    generator = torch.manual_seed(0)
    x = torch.randn(400, 6, generator=generator)
    scale = torch.tensor([1.0, 0.7, 0.5, 0.3, 0.1, 2e-4])
    moments = moments_of(x * scale, x, precision="fast")
    with pytest.raises(MapError, match="float32 products are unsafe"):
        solve_one(moments)
