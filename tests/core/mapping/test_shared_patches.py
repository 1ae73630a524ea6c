"""What grids share, cell by cell."""

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Pairs
from latentmap.errors import MapError
from latentmap.mapping import fit, moments_of, shared_factors
from latentmap.mapping.patches import patches_between
from latentmap.mapping.regression import solve_reduced_rank
from latentmap.mapping.selection import assign_folds
from latentmap.mapping.shared_rank import shared_rank
from latentmap.relocation.factors import cells_along, factors_figure
from tests.core.grids import Grid
from tests.core.mapping.grids import grid_pairs, grid_space


def turned_cells(n, *, rank, seed=0):
    """Pairs of grids of 4x4: a cell of the target is a mix of ``rank`` sums of the channels of the
    source's cell and noise, about a layout that all images share.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, 4, 4, generator=generator)
    left = torch.randn(4, rank, generator=generator)
    mixed = left @ torch.randn(rank, 5, generator=generator)
    y = torch.einsum("qc,nchw->nqhw", mixed, x)
    y += 0.3 * torch.randn(n, 4, 4, 4, generator=generator)
    layout = 3 * torch.randn(1, 1, 4, 4, generator=generator)
    return grid_pairs(x + layout, y + layout)


@pytest.mark.parametrize("size", [1, 3])
def test_factors_that_cells_share_are_found_and_a_common_layout_is_none(size):
    pairs = turned_cells(120, rank=2)
    linear_map = fit(pairs, patch=size)
    shared = {"seed": 0, "permutations": 39, "patches": linear_map.patches}
    found = shared_rank(pairs, penalty=linear_map.penalty, **shared)
    assert found.k == 2
    assert found.n_source == 5 * size**2
    unpaired = grid_pairs(
        pairs.source.vectors.reshape(-1, 5, 4, 4),
        pairs.target.vectors.roll(1, 0).reshape(-1, 4, 4, 4),
    )
    assert shared_rank(unpaired, penalty=linear_map.penalty, **shared).k == 0


def test_the_curve_of_cells_is_that_of_their_rows_about_the_mean_at_each_position():
    pairs = turned_cells(30, rank=2)
    patches = patches_between(pairs.source.space, pairs.target.space, 1)
    found = shared_rank(pairs, seed=3, folds=3, permutations=1, penalty=2.0, patches=patches)
    x, y = (part.vectors.double() for part in (pairs.source, pairs.target))
    x, y = ((part - part.mean(0)).reshape(30, -1, 16).permute(0, 2, 1) for part in (x, y))
    folds = assign_folds(30, folds=3, seed=3)
    errors, spread = np.zeros(4), 0.0
    for held in range(3):
        train = moments_of(*(part[folds != held].flatten(0, 1) for part in (x, y)))
        test = moments_of(*(part[folds == held].flatten(0, 1) for part in (x, y)))
        spread += float(test.squared_error(torch.zeros_like(train.xy), train.mean_y).sum())
        for rank in range(1, 5):
            solution = solve_reduced_rank(train, rank=rank, penalty=2.0)
            errors[rank - 1] += float(test.squared_error(solution.weight, solution.bias).sum())
    np.testing.assert_allclose(found.r2[1:], 1 - errors / spread, atol=1e-6)


def test_factors_of_more_variables_than_memory_holds_are_refused():
    space = grid_space((32, 26, 22))
    codes = Codes.from_array([str(i) for i in range(6)], torch.rand(6, 18304), space=space)
    with pytest.raises(MapError, match=r"from 18,304 to 18,304 .* fit a map of patches"):
        shared_rank(Pairs(codes, codes), seed=0)


def test_a_factor_moves_all_cells_alike_by_what_a_cell_differs_by():
    pairs = turned_cells(60, rank=2)
    linear_map = fit(pairs, patch=3)
    moments = linear_map.require_moments("factors")
    found = shared_factors(moments, linear_map.weight)
    steps = torch.tensor([-1.0, 0.0, 2.0])
    means = pairs.source.vectors.double().mean(0), pairs.target.vectors.double().mean(0)
    x, y = cells_along(found, 0, steps, means, linear_map.patches)
    for walked, mean in zip((x, y), means, strict=True):
        torch.testing.assert_close(walked[1], mean)
        away = (walked[2] - mean).reshape(-1, 16)
        torch.testing.assert_close(away, away[:, :1].expand(-1, 16))
        torch.testing.assert_close(walked[0] - mean, -(walked[2] - mean) / 2)
    # Cov(cell, score) / sd(score), of the middle cell of the patch.
    scores = moments_of_scores(pairs, linear_map, found)
    cells = pairs.source.vectors.double().reshape(60, 5, 16).transpose(1, 2).flatten(0, 1)
    pattern = (cells - cells.mean(0)).T @ scores / len(scores)
    pattern *= pattern.sign()[0] * (x[2] - means[0]).sign()[0]
    torch.testing.assert_close((x[2] - means[0]).reshape(5, 16)[:, 0] / 2, pattern)


def moments_of_scores(pairs, linear_map, found):
    """The scores of the first factor of a map in each cell, with the deviation 1."""
    predicted = linear_map.apply(pairs.source.vectors).double()
    rows = predicted.reshape(60, 4, 16).transpose(1, 2).flatten(0, 1)
    rows = rows - rows.mean(0)
    direction = torch.linalg.eigh(rows.T @ rows).eigenvectors
    scores = rows @ direction
    scores = scores / scores.square().mean(0).sqrt()
    patterns = pairs.target.vectors.double().reshape(60, 4, 16).transpose(1, 2).flatten(0, 1)
    lengths = ((patterns - patterns.mean(0)).T @ scores / len(scores)).square().sum(0)
    return scores[:, int(lengths.argmax())]


def test_factors_of_patches_have_a_picture_of_both_models():
    source, target = Grid(name="a"), Grid(name="b")
    codes = torch.rand(30, 64, generator=torch.Generator().manual_seed(0))
    ids = [str(i) for i in range(30)]
    spaces = [Codes.from_array(ids, codes, space=model.space) for model in (source, target)]
    pairs = Pairs(*spaces)
    linear_map = fit(pairs, patch=3)
    moments = linear_map.require_moments("factors")
    found = shared_factors(moments, linear_map.weight)
    given = {"patches": linear_map.patches, "pairs": pairs}
    one, two = (
        factors_figure(found, moments, source, target, n_factors=n, **given).picture()
        for n in (1, 2)
    )
    assert two.height > one.height
