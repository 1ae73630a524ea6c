"""Spaces that are the same by construction, up to a change that is known, and some that are not."""

import json

import numpy as np
import pytest
import scipy.stats
import torch

from latentmap.cache import Coder
from latentmap.codes import Codes, Space, pair
from latentmap.comparison import CompareOptions, compare_models
from latentmap.comparison.changes import CHANGES, affine_change, change_moments, changes_between
from latentmap.comparison.sameness import ROUNDING, same_spaces
from latentmap.comparison.sameness_table import sameness_table
from latentmap.images import open_images
from latentmap.mapping import fit
from latentmap.model.testing import LinearModel
from tests.core.grids import Grid

N, FIT = 400, 250
D = 5
ORDER = torch.tensor([3, 0, 4, 1, 2])
SIGNS = torch.tensor([1.0, -1, 1, 1, -1])
SCALES = torch.tensor([0.5, 2.0, 1.0, 3.0, 0.25])


def source(seed=0, shape=(D,)):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(N, *shape, generator=generator)
    scale = torch.linspace(1, 2, shape[0]).view(-1, *[1] * (len(shape) - 1))
    return (x + 0.5 * x.roll(1, 1)) * scale + scale


def held(vectors, name, shape):
    ids = [f"{i:04}" for i in range(N)]
    flat = vectors.flatten(1)
    return Codes.from_array(ids, flat, space=Space("z", flat.shape[1], name, name * 64, shape))


def sameness(x, y, shape=(D,), units=None):
    spaces = [held(one, name, shape) for one, name in ((x, "a"), (y, "b"))]
    train, test = (
        [one.take(rows) for one in spaces] for rows in (np.arange(FIT), np.arange(FIT, N))
    )
    maps = {(i, j): fit(pair(train[i], train[j])) for i, j in ((0, 1), (1, 0))}
    (found,) = same_spaces(train, test, maps, units=units)
    return found


ROTATION = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1)))[0]
CASES = {
    "identity": lambda x: x,
    "signs": lambda x: x * SIGNS,
    "permutation": lambda x: x[:, ORDER],
    "scale": lambda x: 0.18215 * x - 0.3,
    "signs and scale": lambda x: 0.18215 * x * SIGNS + 0.1,
    "permutation and scale": lambda x: -2 * x[:, ORDER] + 1,
    "scales": lambda x: x * SCALES + SIGNS,
    "permutation and scales": lambda x: x[:, ORDER] * SCALES - SIGNS,
    "rotation": lambda x: 3 * x @ ROTATION + SIGNS,
}


def test_every_change_has_a_case():
    assert list(CASES) == list(CHANGES)


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("name", CASES)
def test_the_change_that_made_a_space_is_found(name, noise):
    x = source()
    y = CASES[name](x)
    y = y + noise * y.std() * torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    found = sameness(x, y)
    assert found.change == name
    if noise:
        # The share of the noise, which is by itself of each variable.
        assert 0.001 < found.residual.low < found.residual.value < found.residual.high < 0.1
    else:
        assert found.residual.value < ROUNDING
    # What is simpler does not hold, and leaves more.
    for simpler in list(CHANGES)[: list(CHANGES).index(name)]:
        if simpler in found.left:
            assert found.left[simpler].value > found.residual.value


def test_a_change_is_told_in_numbers():
    x = source()
    found = sameness(x, 0.5 * x[:, ORDER] * SIGNS + 0.25)
    assert found.change == "permutation and scale"
    assert found.told["permutation"] == ORDER.tolist()
    assert found.told["signs"] == SIGNS.tolist()
    assert found.told["factor"] == pytest.approx(0.5, rel=1e-5)
    assert found.told["shifts"] == pytest.approx([0.25] * D, rel=1e-4)
    assert found.in_words == "a permutation and signs, one scale, a shift each (0.5)"
    found = sameness(x, 0.5 * x - 0.25)
    assert found.told == pytest.approx({"factor": 0.5, "shift": -0.25}, rel=1e-4)
    assert found.in_words == "one scale and shift (0.5)"
    scales = sameness(x, x * SCALES + SIGNS)
    np.testing.assert_allclose(scales.told["factors"], SCALES, rtol=1e-5)
    np.testing.assert_allclose(scales.told["shifts"], SIGNS, rtol=1e-4)


def test_channels_of_a_grid_change_alike_at_all_positions():
    shape = (4, 3, 2)
    x = source(shape=shape)
    for y, change in (
        (x, "identity"),
        (x[:, [1, 0, 3, 2]], "permutation"),
        (0.36 * (x - 0.11), "scale"),
        (torch.einsum("nchw,cd->ndhw", x, ROTATION[:4, :4]), None),
    ):
        assert sameness(x, y, shape).change == change
    orthogonal = torch.linalg.qr(ROTATION[:4, :4])[0]
    assert sameness(x, torch.einsum("nchw,cd->ndhw", x, orthogonal), shape).change == "rotation"
    # Positions in another order are not the same space.
    mirrored = sameness(x, x.flip(3), shape)
    assert mirrored.change is None
    assert mirrored.in_words == "no"


def test_spaces_that_are_not_the_same_are_told_so():
    x = source()
    other = source(seed=7)
    found = sameness(x, other)
    assert (found.change, found.in_words) == (None, "no")
    assert found.residual == found.left["affine"]
    assert found.residual.value > 0.9
    # Half of the variables are the same: related, and not one space.
    half = torch.cat([x[:, :3], other[:, 3:]], dim=1)
    assert sameness(x, half).change is None
    # An affine map leads to it, and none that keeps the space what it is.
    sheared = x @ (torch.eye(D) + torch.triu(torch.full((D, D), 0.8), 1))
    found = sameness(x, sheared)
    assert found.change is None
    assert found.left["affine"].value < ROUNDING


def test_a_change_holds_in_both_directions():
    x = source()
    # All of y follows from x by a scale each, but nothing of a variable comes back.
    y = x * torch.tensor([1.0, 1, 0, 1, 1])
    found = sameness(x, y)
    assert found.change is None
    assert found.left["scales"].value > 0.1


def test_a_space_of_its_own_weights_with_small_errors_is_the_same_as_it_is():
    x = source()
    # A distilled encoder: errors of its own, and some that follow from the code.
    generator = torch.Generator().manual_seed(3)
    y = x + 0.1 * x.std() * torch.randn(x.shape, generator=generator) + 0.01 * x.square()
    found = sameness(x, y)
    assert found.change == "identity"
    assert found.residual.high < 0.03


def test_variables_that_do_not_vary_are_in_nobodys_way():
    x = source()
    x[:, 2] = 0.25
    assert sameness(x, x).change == "identity"
    assert sameness(x, x * SIGNS).change == "signs"
    found = sameness(x, x[:, ORDER])
    assert found.change == "permutation"
    constant = torch.full((N, D), 0.5)
    nothing = sameness(constant, constant)
    assert (nothing.change, nothing.in_words) == (None, "-")
    assert json.dumps(nothing.to_json(), allow_nan=False)


def test_changes_are_least_squares():
    x, y = source(), source(seed=3) + 0.7 * source()
    moments = change_moments(held(x, "a", (D,)), held(y, "b", (D,)))
    flat_x, flat_y = x.double().numpy(), y.double().numpy()
    np.testing.assert_allclose(
        torch.cat(
            [torch.cat([moments.xx, moments.xy], 1), torch.cat([moments.xy.T, moments.yy], 1)]
        ),
        np.cov(np.hstack([flat_x, flat_y]).T, bias=True),
        atol=1e-6,
    )
    changes = changes_between(moments)
    line = scipy.stats.linregress(flat_x.ravel(), flat_y.ravel())
    assert changes["scale"].told["factor"] == pytest.approx(line.slope, rel=1e-5)
    assert changes["scale"].told["shift"] == pytest.approx(line.intercept, rel=1e-5)
    for k in range(D):
        line = scipy.stats.linregress(flat_x[:, k], flat_y[:, k])
        assert changes["scales"].told["factors"][k] == pytest.approx(line.slope, rel=1e-4)
    # SciPy's rotation is of centred codes, and has no scale.
    a, b = flat_x - flat_x.mean(0), flat_y - flat_y.mean(0)
    rotation, scale = scipy.linalg.orthogonal_procrustes(a, b)
    expected = rotation * scale / np.square(a).sum()
    np.testing.assert_allclose(changes["rotation"].weight, expected, atol=1e-6)
    design = np.hstack([flat_x, np.ones((N, 1))])
    solution = np.linalg.lstsq(design, flat_y, rcond=None)[0]
    affine = affine_change(moments)
    np.testing.assert_allclose(affine.weight, solution[:-1], atol=1e-6)
    np.testing.assert_allclose(affine.bias, solution[-1], atol=1e-5)


def test_copies_are_one_unit():
    x = source()
    y = x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    alone = sameness(x, y)
    grouped = sameness(x, y, units=np.arange(N - FIT) // 5)
    assert grouped.residual.value == pytest.approx(alone.residual.value, rel=0.01)
    assert grouped.change == alone.change == "identity"


def test_a_comparison_tells_which_spaces_are_the_same(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    images = open_images(tmp_path / "images.npy")
    models = [
        Grid(name="a"),
        Grid(name="scaled", weight=0.5 * torch.eye(4), bias=torch.ones(4)),
        Grid(name="ordered", weight=torch.eye(4)[[2, 0, 1, 3]]),
        LinearModel(latent_dim=4, image_shape=(1, 8, 8), name="vector"),
    ]
    result = compare_models(
        models, images, Coder.of(tmp_path / "cache"), options=CompareOptions(permutations=19)
    )
    found = {(one.first, one.second): one.change for one in result.same}
    assert found == {(0, 1): "scale", (0, 2): "permutation", (1, 2): "permutation and scale"}
    table = sameness_table(result)
    assert [row.cells[2] for row in table.rows] == [one.in_words for one in result.same]
    assert "Same space?" in str(result)
    read = json.loads(json.dumps(result.to_json(), allow_nan=False))["same_spaces"]
    assert read[0]["same_up_to"] == "scale"
    assert read[0]["change"]["factor"] == pytest.approx(0.5, rel=1e-5)
    left = read[1]["left"]
    assert left["permutation"]["share"] < ROUNDING < left["identity"]["share_low"]


def test_spaces_that_only_an_affine_map_joins_have_a_sentence(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    bent = torch.eye(4) + torch.diag(torch.ones(3), 1)
    models = [Grid(name="a"), Grid(name="bent", weight=bent)]
    result = compare_models(
        models,
        open_images(tmp_path / "images.npy"),
        Coder.of(tmp_path / "cache"),
        options=CompareOptions(permutations=19),
    )
    (one,) = result.same
    said = sameness_table(result).note.splitlines()
    assert one.change is None
    assert said[0].startswith("a and bent hold the same but for 0.0 % of the variance")


def test_a_comparison_of_other_shapes_has_no_such_table(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 4, 4), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)
    models = [LinearModel(latent_dim=d, name=str(d)) for d in (3, 4)]
    result = compare_models(
        models,
        open_images(tmp_path / "images.npy"),
        Coder.of(tmp_path / "cache"),
        options=CompareOptions(permutations=19),
    )
    assert result.same == []
    assert "Same space?" not in str(result)
