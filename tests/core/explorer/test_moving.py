"""Controls read what they have moved, and leave what others read as it is."""

import numpy as np
import pytest
import torch

from latentmap.codes import Codes, Space
from latentmap.explorer.controls import direction_controls, factor_controls
from latentmap.explorer.moving import AlongChannels, AlongDirections
from latentmap.mapping import shared_factors


def along_channels(shape):
    channels = shape[-1] if len(shape) == 2 else shape[0]
    values = torch.rand(2, channels, dtype=torch.float64, generator=torch.manual_seed(1))
    return AlongChannels(values[0], values[1] + 0.5, shape)


def along_directions():
    patterns = torch.rand(3, 6, dtype=torch.float64, generator=torch.manual_seed(2))
    origin = torch.arange(6, dtype=torch.float64)
    return AlongDirections(origin, patterns, torch.linalg.pinv(patterns).T)


MOVING = {
    "variables": along_channels((6,)),
    "grid": along_channels((3, 1, 2)),
    "row": along_channels((2, 3)),
    "directions": along_directions(),
}


@pytest.mark.parametrize("moving", MOVING.values(), ids=MOVING)
def test_a_control_reads_what_it_was_moved_to_and_the_others_what_they_did(moving):
    code = torch.rand(6, dtype=torch.float64, generator=torch.manual_seed(3))
    before, moved = moving.read(code), moving.move(code, {1: 1.25, 0: -0.5})
    wanted = torch.tensor([-0.5, 1.25, *before.tolist()[2:]], dtype=torch.float64)
    torch.testing.assert_close(moving.read(moved), wanted)
    one_by_one = moving.move(moving.move(code, {0: -0.5}), {1: 1.25})
    torch.testing.assert_close(moved, one_by_one)
    torch.testing.assert_close(moving.move(code, {2: float(before[2])}), code)


def test_a_channel_moves_at_all_positions_alike():
    moving = AlongChannels(torch.zeros(2).double(), torch.tensor([1.0, 2.0]).double(), (2, 1, 2))
    code = torch.tensor([1.0, 3.0, 5.0, 5.0], dtype=torch.float64)
    assert moving.read(code).tolist() == [2.0, 2.5]
    assert moving.move(code, {0: 1.0, 1: 0.0}).tolist() == [0.0, 2.0, 0.0, 0.0]


@pytest.mark.parametrize("n", [200, 5])
def test_principal_directions_are_those_of_scikit_learn(n):
    from sklearn.decomposition import PCA

    spread = np.array([3.0, 2.0, 1.0, 0.5, 0.25, 0.1])
    vectors = np.random.default_rng(0).normal(size=(n, 6)) * spread
    space = Space("z", 6, "some", "0" * 64)
    codes = Codes.from_array([str(i) for i in range(n)], vectors, space=space)
    found = direction_controls(codes, seed=0)
    fitted = PCA().fit(codes.to_numpy().astype(np.float64))
    k = min(n - 1, 6)
    assert len(found.controls) == k
    share = fitted.explained_variance_ratio_[0]
    assert found.controls[0].note == f"{100 * share:.1f} % of the variance"
    deviations = np.sqrt(fitted.explained_variance_[:k] * (n - 1) / n)
    patterns = fitted.components_[:k] * deviations[:, None]
    # The largest part of each is above 0, on whatever machine.
    largest = np.take_along_axis(patterns, np.abs(patterns).argmax(1)[:, None], 1)
    expected = np.sign(largest) * patterns
    np.testing.assert_allclose(found.moving.patterns.numpy(), expected, atol=1e-6)
    # Over the codes every control reads 0 on average, and 1 in its deviation.
    read = torch.stack([found.moving.read(row.double()) for row in codes.vectors])
    torch.testing.assert_close(read.mean(0), torch.zeros(k).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(read.square().mean(0), torch.ones(k).double(), atol=1e-6, rtol=0)


def test_shared_factors_walk_as_the_figure_of_factors_does(explored):
    linear_map = explored.targets[0].linear_map
    moments = linear_map.require_moments("a test")
    controls = factor_controls(linear_map, "factors-0")
    factors = shared_factors(moments, linear_map.weight)
    walked, _ = factors.traversal(1, torch.tensor([1.5]), moments)
    torch.testing.assert_close(controls.moving.move(moments.mean_x, {1: 1.5}), walked[0])
    read = torch.linalg.inv(factors.source_patterns)  # As many factors as variables.
    torch.testing.assert_close(factors.source_weights.T, read)
