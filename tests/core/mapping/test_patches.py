import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch.nn import functional

from latentmap.codes import Codes, Space, pair
from latentmap.errors import MapError
from latentmap.mapping import FitOptions, LinearMap, fit
from latentmap.mapping.patches import Patches, patches_between
from tests.core.mapping.grids import (
    cells_by_hand,
    grid_pairs,
    grid_space,
    patches_by_hand,
    random_grids,
)

GRID = (3, 6, 5)


def a_convolution(x, *, q=2, size=3, seed=1, noise=0.0):
    """Codes ``(n, q, h, w)`` of a random convolution of codes, and its weight and bias."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(q, x.shape[1], size, size, generator=generator, dtype=torch.float64)
    bias = torch.randn(q, generator=generator, dtype=torch.float64)
    wide = functional.pad(x.double(), (size // 2,) * 4, mode="replicate")
    y = functional.conv2d(wide, weight, bias)
    return y + noise * torch.randn(y.shape, generator=generator, dtype=torch.float64), weight, bias


@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_convolution_is_found(size):
    x = random_grids(40, GRID)
    y, weight, bias = a_convolution(x, size=size)
    found = fit(grid_pairs(x, y), method="least-squares", patch=size)
    assert torch.allclose(found.weight.T.reshape(weight.shape), weight, atol=1e-5)
    assert torch.allclose(found.bias, bias, atol=1e-5)
    assert torch.allclose(found.apply(x.flatten(1)), y.flatten(1).float(), atol=1e-4)
    assert found.patches == Patches(size, GRID, (2, 6, 5))
    assert found.n_pairs == 40 and found.moments.n == 40 * 30


@pytest.mark.parametrize(("size", "penalty"), [(1, 3.0), (3, 0.5), (5, 20.0)])
def test_it_is_the_ridge_of_scikit_learn_on_all_patches(size, penalty):
    x, y = random_grids(12, GRID), random_grids(12, (2, 6, 5), seed=1)
    found = fit(grid_pairs(x, y), settings={"penalty": penalty}, patch=size)
    rows, answers = patches_by_hand(x.numpy(), size), cells_by_hand(y.numpy())
    other = Ridge(alpha=penalty, solver="svd").fit(rows.astype(float), answers.astype(float))
    assert np.allclose(found.weight, other.coef_.T, atol=1e-9)
    assert np.allclose(found.bias, other.intercept_, atol=1e-9)
    made = found.apply(x.flatten(1)).reshape(y.shape).numpy()
    assert np.allclose(cells_by_hand(made), other.predict(rows), atol=1e-5)


def test_a_patch_of_one_cell_is_a_fit_of_all_positions_as_rows():
    x, y = random_grids(9, GRID), random_grids(9, (2, 6, 5), seed=1)
    rows = [torch.from_numpy(cells_by_hand(part.numpy())) for part in (x, y)]
    ids = [str(i) for i in range(len(rows[0]))]
    codes = [
        Codes.from_array(ids, part, space=Space("z", part.shape[1], name, name))
        for part, name in zip(rows, "ab", strict=True)
    ]
    options = FitOptions(settings={"penalty": 0.1})
    flat, found = fit(pair(*codes), options), fit(grid_pairs(x, y), options, patch=1)
    assert torch.allclose(found.weight, flat.weight, atol=1e-10)
    assert torch.allclose(found.bias, flat.bias, atol=1e-10)


def test_full_is_the_map_of_flat_codes():
    x, y = random_grids(30, (1, 3, 3)), random_grids(30, (2, 3, 3), seed=1)
    pairs = grid_pairs(x, y)
    vectors = [
        Codes.from_array(pairs.ids, codes.vectors, space=Space("z", codes.space.dim, name, name))
        for codes, name in ((pairs.source, "a"), (pairs.target, "b"))
    ]
    found, flat = fit(pairs, patch="full"), fit(pair(*vectors))
    assert found.patches is None
    assert torch.equal(found.weight, flat.weight)
    assert found.settings == flat.settings


def test_the_order_of_images_changes_nothing_and_neither_do_blocks(monkeypatch):
    x, y = random_grids(12, GRID), random_grids(12, (2, 6, 5), seed=1)
    first = fit(grid_pairs(x, y), settings={"penalty": 1.0}, patch=3)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr("latentmap.mapping.patch_sums._NUMBERS", 1)
    monkeypatch.setattr("latentmap.codes.codes._NUMBERS", 600)
    monkeypatch.setattr("latentmap.mapping.patch_maps._NUMBERS", 1)
    other = fit(grid_pairs(x[order], y[order]), settings={"penalty": 1.0}, patch=3)
    assert torch.allclose(first.weight, other.weight, atol=1e-11)
    assert torch.allclose(first.apply(x.flatten(1)), other.apply(x.flatten(1)), atol=1e-6)


def test_beyond_the_border_stands_the_nearest_cell():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    weight = torch.zeros(9, 1, dtype=torch.float64)
    weight[0] = 1  # What is above on the left.
    space = grid_space((1, 3, 3))
    shift = LinearMap(
        weight=weight,
        bias=torch.zeros(1, dtype=torch.float64),
        source=space,
        target=grid_space((1, 3, 3), "b"),
        source_frame=None,
        target_frame=None,
        method="ridge",
        rank=1,
        condition=1.0,
        n_pairs=1,
        train_digests=np.zeros((0, 16), np.uint8),
        patches=Patches(3, (1, 3, 3), (1, 3, 3)),
    )
    expected = [[0, 0, 1], [0, 0, 1], [3, 3, 4]]
    assert shift.apply(x.flatten(1)).reshape(3, 3).tolist() == expected


def test_a_finer_source_is_folded_to_the_target_by_hand():
    x = random_grids(20, (2, 6, 4))
    # A cell of the target is made of 2 rows and 1 column of the source.
    y = 2 * x[:, 0, 0::2] - x[:, 1, 1::2] + 1
    found = fit(grid_pairs(x, y[:, None]), method="least-squares", patch=1)
    # Channel, row, column of the fold.
    assert np.allclose(found.weight[:, 0], [2, 0, 0, -1], atol=1e-5)
    assert np.allclose(found.bias, [1], atol=1e-5)
    assert torch.allclose(found.apply(x.flatten(1)), y.flatten(1), atol=1e-4)


def test_a_finer_target_is_folded_to_the_source_by_hand():
    x = random_grids(20, (2, 3, 4))
    y = torch.zeros(20, 1, 6, 8)
    y[:, 0, 0::2, 0::2], y[:, 0, 1::2, 0::2] = x[:, 0], x[:, 1]
    y[:, 0, 0::2, 1::2], y[:, 0, 1::2, 1::2] = 3 * x[:, 1], 7
    found = fit(grid_pairs(x, y), method="least-squares", patch=1)
    assert np.allclose(found.weight, [[1, 0, 0, 0], [0, 3, 1, 0]], atol=1e-5)
    assert np.allclose(found.bias, [0, 0, 0, 7], atol=1e-5)
    assert torch.allclose(found.apply(x.flatten(1)), y.flatten(1), atol=1e-4)


def test_the_default_is_3_between_grids_and_full_elsewhere():
    grid, small, other = (
        grid_space(s, n) for s, n in (((2, 6, 6), "a"), ((2, 2, 2), "b"), ((2, 4, 4), "c"))
    )
    flat = Space("z", 72, "d", "d")
    assert patches_between(grid, grid_space((1, 3, 3), "e"), None).size == 3
    assert patches_between(grid, small, None) is None
    assert patches_between(grid, other, None) is None
    assert patches_between(grid, flat, None) is None


@pytest.mark.parametrize(
    ("source", "target", "size", "message"),
    [
        ((2, 6, 6), (1, 4, 6), 3, r"6x6 and 4x6 do not: fit with the patch full"),
        ((2, 6, 6), (1, 2, 2), 3, r"a patch of 3x3 is larger than the grid of 2x2 cells: choose"),
        ((2, 6, 6), (72,), 3, r"patches are of grids, of codes \(c, h, w\), and z of b \(72-d"),
        ((2, 6, 6), (2, 6, 6), 2, "1, 3, 5 or any odd number of rows and columns, or full, not 2"),
        ((2, 6, 6), (2, 6, 6), "all", "odd number of rows and columns, or full, not 'all'"),
    ],
)
def test_patches_that_cannot_be_are_refused(source, target, size, message):
    with pytest.raises(MapError, match=message):
        patches_between(grid_space(source), grid_space(target, "b"), size)


def brute_force(x, y, units, penalties, size):
    """The errors of maps from all patches but those of the images of a unit, by scikit-learn."""
    rows = patches_by_hand(x.numpy(), size).astype(float)
    answers = cells_by_hand(y.numpy()).astype(float)
    of_row = np.repeat(units, len(rows) // len(x))
    errors = []
    for penalty in penalties:
        missed = 0.0
        for unit in np.unique(units):
            held = of_row == unit
            model = Ridge(alpha=penalty, solver="svd").fit(rows[~held], answers[~held])
            made = model.predict(rows[held]).reshape(answers[held].shape)
            missed += np.square(made - answers[held]).sum()
        errors.append(missed / answers.size)
    return errors


def test_leaving_one_image_out_leaves_out_all_its_cells():
    x, y = random_grids(8, (2, 4, 3)), random_grids(8, (1, 4, 3), seed=1)
    found = fit(grid_pairs(x, y), FitOptions(select="loo"), patch=3)
    (tried,) = found.record["selection"]
    some = slice(10, None, 12)
    penalties = [one["penalty"] for one in tried["candidates"]][some]
    expected = brute_force(x, y, np.arange(8), penalties, 3)
    assert tried["criterion"] == "loo" and tried["n_units"] is None
    assert np.allclose(tried["errors"][some], expected, rtol=1e-7)


def test_by_default_folds_are_of_images_and_groups_stay_together():
    x, y = random_grids(12, (2, 4, 3)), random_grids(12, (1, 4, 3), seed=1)
    groups = np.repeat(np.arange(6), 2)
    found = fit(grid_pairs(x, y), FitOptions(folds=6), groups=groups, patch=3)
    (tried,) = found.record["selection"]
    some = slice(10, None, 12)
    penalties = [one["penalty"] for one in tried["candidates"]][some]
    expected = brute_force(x, y, groups, penalties, 3)
    assert tried["criterion"] == "kfold" and tried["n_units"] == 6
    assert np.allclose(tried["errors"][some], expected, rtol=1e-7)


def test_images_of_many_cells_are_left_out_fold_by_fold():
    x, y = random_grids(6, (1, 17, 16)), random_grids(6, (1, 17, 16), seed=1)
    found = fit(grid_pairs(x, y), FitOptions(select="loo"), patch=1)
    assert found.record["selection"][0]["criterion"] == "kfold"
    with pytest.raises(MapError, match="images of at most 256 cells, and these have 272: give its"):
        fit(grid_pairs(x, y), method="robust", patch=1)


METHODS = [
    "ridge",
    "least-squares",
    "published",
    "reduced-rank",
    "procrustes",
    "similarity",
    "whitened-procrustes",
    "permutation",
    "cca",
    "regularised-cca",
    "pls",
    "gaussian-ot",
    "sparse",
    "robust",
]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_that_knows_rows_alone_gives_the_map_of_all_patches(method):
    x = random_grids(30, (2, 4, 3))
    y, *_ = a_convolution(x, noise=0.3)
    settings = {
        "ridge": {"penalty": 1.0},
        "reduced-rank": {"penalty": 1.0, "rank": 1},
        "cca": {"components": 1},
        "regularised-cca": {"components": 1, "penalty": 1.0},
        "pls": {"components": 2},
        "sparse": {"penalty": 0.01},
        "robust": {"penalty": 1.0},
    }.get(method, {})
    found = fit(grid_pairs(x, y), method=method, settings=settings, patch=3)
    rows = [
        torch.from_numpy(patches_by_hand(x.numpy(), 3)),
        torch.from_numpy(cells_by_hand(y.float().numpy())),
    ]
    ids = [str(i) for i in range(len(rows[0]))]
    codes = [
        Codes.from_array(ids, part, space=Space("z", part.shape[1], name, name))
        for part, name in zip(rows, "ab", strict=True)
    ]
    groups = np.repeat(np.arange(30), 12)
    flat = fit(pair(*codes), method=method, settings=settings, groups=groups)
    assert torch.allclose(found.weight, flat.weight, atol=1e-6)
    assert torch.allclose(found.bias, flat.bias, atol=1e-6)


def test_refining_fast_products_and_no_intercept_are_those_of_all_patches():
    x, y = random_grids(30, (2, 4, 3)), random_grids(30, (1, 4, 3), seed=1)
    pairs = grid_pairs(x, y)
    settings = {"penalty": 1.0}
    plain = fit(pairs, settings=settings, patch=3)
    refined = fit(pairs, FitOptions(refine=True), settings=settings, patch=3)
    fast = fit(pairs, FitOptions(moments="fast"), settings=settings, patch=3)
    assert torch.allclose(plain.weight, refined.weight, atol=1e-10)
    assert torch.allclose(plain.weight, fast.weight, atol=1e-4)
    zero = fit(pairs, FitOptions(intercept=False), settings=settings, patch=3)
    rows, answers = patches_by_hand(x.numpy(), 3), cells_by_hand(y.numpy())
    other = Ridge(alpha=1.0, fit_intercept=False).fit(rows.astype(float), answers.astype(float))
    assert np.allclose(
        zero.weight, other.coef_.T if other.coef_.ndim > 1 else other.coef_[:, None], atol=1e-9
    )
    assert float(zero.bias.abs().max()) < 1e-12


def test_what_patches_have_no_meaning_for_is_refused():
    x, y = random_grids(30, (2, 4, 3)), random_grids(30, (1, 4, 3), seed=1)
    pairs = grid_pairs(x, y)
    noise = {"noise": torch.ones(24, dtype=torch.float64)}
    with pytest.raises(MapError, match="takes the noise of single variables, which patches have"):
        fit(pairs, method="errors-in-variables", settings=noise, patch=3)
    assert fit(pairs, method="errors-in-variables", settings=noise).patches is None
    with pytest.raises(MapError, match="image chooses by decoded images, and codes alone have"):
        fit(pairs, FitOptions(select="image"))
    bad = x.clone()
    bad[3, 1, 2, 2] = torch.nan
    with pytest.raises(MapError, match=r"the code of 0003 in z of a .* has NaN or infinite"):
        fit(grid_pairs(bad, y))
