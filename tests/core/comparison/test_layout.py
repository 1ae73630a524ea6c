import numpy as np
import pytest

from latentmap.comparison.layout import lay_out


def between(positions):
    return np.linalg.norm(positions[:, None] - positions[None], axis=2)


def test_three_spaces_that_share_half_lie_in_a_triangle_of_equal_sides():
    r2 = np.full((3, 3), 0.5)
    layout = lay_out(r2)
    assert layout.distances[0, 1] == pytest.approx(np.sqrt(0.5))
    assert between(layout.positions) == pytest.approx(layout.distances, abs=1e-9)
    assert layout.explained == pytest.approx(1)


def test_two_spaces_lie_on_a_line():
    layout = lay_out(np.array([[1, 0.75], [0.75, 1]]))
    assert np.abs(layout.positions[:, 0]) == pytest.approx([0.25, 0.25])
    assert layout.positions[:, 1] == pytest.approx([0, 0])


def test_the_distance_is_of_the_mean_of_both_directions_and_not_above_one():
    layout = lay_out(np.array([[1, 0.9, -3], [0.5, 1, 0], [np.nan, 0, 1]]))
    assert layout.distances[0, 1] == layout.distances[1, 0] == pytest.approx(np.sqrt(0.3))
    assert layout.distances[0, 2] == layout.distances[2, 1] == 1


def test_equal_spaces_lie_in_one_place():
    layout = lay_out(np.ones((4, 4)))
    assert not layout.positions.any()
    assert layout.explained == 1


def test_more_than_a_plane_can_hold_is_told():
    layout = lay_out(np.eye(5))
    assert layout.explained == pytest.approx(0.5)
    assert layout.to_json()["positions"][0] == layout.positions[0].tolist()


def test_the_space_farthest_out_on_an_axis_is_on_its_positive_side():
    generator = np.random.default_rng(0)
    for _ in range(5):
        positions = lay_out(generator.random((6, 6))).positions
        assert (positions.max(0) >= -positions.min(0)).all()
