import math
from itertools import combinations

import pytest

from latentmap.report.colours import LEVELS, colour, contrast, level_of, level_styles, text_on
from latentmap.report.drawing import HEIGHT, WIDTH, draw_plane
from latentmap.report.parts import Plane


def drawn(names, positions):
    return draw_plane(Plane("p", names, positions, ""))


def test_distances_in_the_drawing_are_those_of_the_plane():
    positions = [[0.0, 0.0], [0.3, 0.4], [-0.6, 0.1]]
    plane = drawn(["a", "b", "c"], positions)
    unit = plane.scale_pixels / plane.scale
    for (i, one), (j, other) in combinations(enumerate(plane.points), 2):
        shown = math.dist((one.x, one.y), (other.x, other.y))
        assert shown == pytest.approx(unit * math.dist(positions[i], positions[j]), abs=0.2)
    assert plane.points[1].y < plane.points[0].y  # Up is up.


def test_points_and_names_stay_inside():
    names = ["a-name-of-some-length", "b", "another-name-of-length"]
    for point in drawn(names, [[-1.0, 0.0], [0.0, 0.2], [1.0, 0.1]]).points:
        assert 0 < point.x < WIDTH
        assert 0 < point.y < HEIGHT
        length = 7.4 * len(point.name)
        end = point.label_x + length if point.anchor == "start" else point.label_x - length
        assert 0 <= end <= WIDTH


def test_names_of_near_points_do_not_lie_on_each_other():
    points = drawn(["one", "two", "three", "far"], [[0, 0], [0, 0], [0.001, 0], [9, 9]]).points
    for one, other in combinations(points[:3], 2):
        assert abs(one.label_y - other.label_y) >= 17


@pytest.mark.parametrize("positions", [[], [[0.5, 0.5]], [[0, 0], [0, 0]]])
def test_points_without_distances_lie_in_the_middle(positions):
    plane = drawn([str(i) for i in range(len(positions))], positions)
    assert all(point.x == WIDTH / 2 for point in plane.points)
    assert plane.scale > 0


@pytest.mark.parametrize("extent", [0.003, 0.7, 1.0, 250.0])
def test_the_scale_is_a_length_that_is_easy_to_read(extent):
    plane = drawn(["a", "b"], [[0, 0], [extent, 0]])
    mantissa = plane.scale / 10 ** math.floor(math.log10(plane.scale) + 1e-9)
    assert round(mantissa, 6) in (1, 2, 5)
    assert plane.scale_pixels <= WIDTH / 3


def test_levels_span_zero_to_one():
    assert [level_of(value) for value in (-3, 0, 0.5, 1, 7)] == [0, 0, 32, 64, 64]


def test_colours_are_those_of_cividis():
    cividis = pytest.importorskip("matplotlib").colormaps["cividis"]
    for level in range(LEVELS):
        wanted = [255 * part for part in cividis(level / (LEVELS - 1))[:3]]
        assert colour(level) == pytest.approx(wanted, abs=10)


def test_lighter_is_more_and_text_can_be_read_on_every_level():
    light = [contrast(colour(level), (0, 0, 0)) for level in range(LEVELS)]
    assert light == sorted(light)
    assert min(contrast(colour(level), text_on(level)) for level in range(LEVELS)) >= 4.5


def test_contrast_is_that_of_the_standard():
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


def test_every_level_has_a_style():
    assert all(f".level-{level}{{" in level_styles() for level in range(LEVELS))
