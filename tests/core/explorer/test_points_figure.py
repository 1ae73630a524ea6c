"""The view of points as a figure: what is drawn and told is what the page is answered."""

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from latentmap.errors import ExplorerError
from latentmap.explorer import errors_of_points
from latentmap.explorer import points as points_module
from latentmap.explorer.actions import ACTIONS
from latentmap.explorer.drawing import figure_of_state
from latentmap.explorer.points import Points
from latentmap.explorer.points_of_plane import Box, PointsOfPlane, box_near, scale_colours
from latentmap.explorer.points_plot import points_plot
from latentmap.images.attribute_table import Attributes
from latentmap.images.tables import Table
from latentmap.report import save_figure
from latentmap.report.colours import BLUE, ORANGE, colour
from latentmap.report.plots import styled


@pytest.fixture(scope="module")
def known(explored):
    """The same with a table of all images but the first."""
    names = explored.images.ids.tolist()
    numbers = np.arange(400.0)
    columns = {"age": numbers[1:] ** 2, "hat": np.where(numbers[1:] % 3 == 0, "yes", "$no$")}
    return replace(explored, attributes=Attributes(Table("t.csv", names[1:], columns)))


def axes_of(drawn, width=17.0):
    """The figure and its axes when it is drawn."""
    with styled():
        figure = Figure(figsize=(width / 2.54, width / 2.54), layout="constrained")
        drawn.figure.draw(figure)
    return figure, figure.axes


def points_in(axis):
    """Places and colours of points as they are drawn, in the order of their places."""
    (points,) = axis.collections
    at = np.asarray(points.get_offsets())
    order = np.lexsort(at.T)
    return at[order], [to_hex(one) for one in points.get_facecolors()[order]]


def asked(explored, action, **question):
    """The numbers of all points."""
    parts, start = [], 0
    while start < len(explored.points):
        answer = ACTIONS[action](explored, {**question, "start": start})
        parts.append(answer.arrays[0])
        start = answer.told["stop"]
    return np.concatenate(parts)


@pytest.mark.parametrize("part", [1 << 21, 132])
def test_points_lie_in_their_plane_in_the_colours_of_their_groups(known, part, monkeypatch):
    monkeypatch.setattr(points_module, "_NUMBERS", part)
    drawn = figure_of_state(known, "view=points&plane=variables_3_1&colour=attribute+hat")
    assert json.loads(json.dumps(drawn.told)) == drawn.told
    told = drawn.told
    assert (told["points"], told["images"], told["seen"]) == (400, 400, 400)
    names = ["variable 3", "variable 1"]
    assert told["plane"] == {"by": "variables", "x": 3, "y": 1, "names": names}
    counts = [one["n"] for one in told["groups"]]
    assert [one["name"] for one in told["groups"]] == ["$no$", "yes"]
    assert counts == [266, 133] and told["unknown"] == 1 and told["ends"] is None
    figure, (axis,) = axes_of(drawn)
    xy = asked(known, "plane", by="variables", x=3, y=1)
    order = np.lexsort(xy.T)
    at, colours = points_in(axis)
    np.testing.assert_allclose(at, xy[order])
    hats = np.array([ORANGE if i % 3 == 0 else BLUE for i in range(400)])
    hats[0] = "#cccccc"
    assert colours == hats[order].tolist()
    assert axis.get_xlabel() == "variable 3 (standard deviations)"
    (legend,) = figure.legends
    said = [one.get_text() for one in legend.get_texts()]
    assert said == ["$no$ (266)", "yes (133)", "not known (1)"]
    assert legend.get_title().get_text() == "hat"
    assert drawn.what == "400 codes of source, variable 3 and variable 1, by hat"


def test_numbers_have_a_scale_from_the_2nd_to_the_98th_of_a_hundred(known):
    drawn = figure_of_state(known, "view=points&plane=directions&colour=attribute+age")
    ages = np.arange(1.0, 400) ** 2
    assert drawn.told["ends"] == [ages[7], ages[391]]  # 2 % of 399 are 7 whole ones.
    assert drawn.told["unknown"] == 1 and drawn.told["groups"] is None
    figure, (axis, bar) = axes_of(drawn)
    assert [one.get_text() for one in bar.get_yticklabels()][::2] == ["≤ 64", "≥ 153664"]
    xy = asked(known, "plane", by="directions", x=0, y=1)
    colours = dict(zip(map(tuple, xy.tolist()), range(400), strict=True))
    at, found = points_in(axis)
    shown = {colours[tuple(place)]: one for place, one in zip(at.tolist(), found, strict=True)}
    first, last = ("#" + bytes(colour(level)).hex() for level in (0, 52))
    assert {shown[i] for i in range(1, 9)} == {first} and shown[0] == "#cccccc"
    assert {shown[i] for i in range(392, 400)} == {last}
    share = (200**2 - ages[7]) / (ages[391] - ages[7])
    assert shown[200] == scale_colours()[round(64 * share)]
    assert [one.get_text() for one in figure.legends[0].get_texts()] == ["not known (1)"]


@pytest.mark.parametrize("by", ["code-error 0", "image-error 0"])
def test_errors_are_those_of_the_page_and_their_progress_is_shown(explored, by, monkeypatch):
    monkeypatch.setattr(points_module, "_NUMBERS", 400)
    monkeypatch.setattr(errors_of_points, "_MOST", 64)
    said = []

    @contextmanager
    def stage(label, unit="images"):
        yield lambda done, total: said.append((label, unit, done, total))

    drawn = figure_of_state(explored, f"view=points&colour={by.replace(' ', '+')}", stage=stage)
    values = np.sort(asked(explored, "colour", by=by).astype(np.float32))
    assert drawn.told["ends"] == [values[8], values[391]]
    title = drawn.told["title"]
    n = explored.fitted.of_map(0).sum()
    note = f"The map was fitted on {n} of these images: it loses less of those."
    assert 200 < n < 400 and drawn.told["note"] == note
    _, (axis, _) = axes_of(drawn)
    said_above = " ".join(axis.get_title().split("\n"))
    assert said_above == f"400 codes of source: principal directions {note}"
    assert said[-1] == (f"points: {title}", "points", 400, 400)
    steps = [done for label, _, done, _ in said if title in label]
    assert len(steps) > 4 and steps == sorted(steps)


def test_what_is_not_said_is_what_the_page_begins_with(explored):
    told = figure_of_state(explored, "view=points").told
    assert told["plane"]["by"] == "directions" and told["colour"] == "sector"
    assert (told["plane"]["x"], told["plane"]["y"], told["taken"]) == (0, 1, None)
    xy = asked(explored, "plane", by="directions", x=0, y=1)
    box = told["box"]
    np.testing.assert_allclose([box["x"], box["y"]], (xy.min(0) + xy.max(0)) / 2, rtol=1e-5)
    assert box["span"] == pytest.approx(1.12 * (xy.max(0) - xy.min(0)).max())


def test_a_box_shows_what_is_in_it(explored):
    drawn = figure_of_state(explored, "view=points&plane=variables_2_0&box=0.3_-0.2_1.5")
    xy = asked(explored, "plane", by="variables", x=2, y=0)
    inside = (np.abs(xy - [0.3, -0.2]) <= 0.75).all(1)
    assert drawn.told["seen"] == inside.sum() and 0 < inside.sum() < 400
    _, (axis,) = axes_of(drawn)
    np.testing.assert_allclose(points_in(axis)[0], xy[inside][np.lexsort(xy[inside].T)])
    assert axis.get_xlim() == pytest.approx((-0.45, 1.05))
    assert axis.get_ylim() == pytest.approx((-0.95, 0.55))


@pytest.mark.parametrize("width", [8.5, 17.0])
def test_the_axis_is_a_square_that_nothing_cuts_off(explored, width):
    for state in ("", "&box=0_0_0.003", "&colour=code-error+0"):
        figure, axes = axes_of(figure_of_state(explored, f"view=points{state}"), width)
        figure.draw_without_rendering()
        box = axes[0].get_window_extent()
        assert box.width == pytest.approx(box.height, abs=0.5)
        assert box.width > 0.4 * figure.bbox.width
        whole = figure.get_tightbbox().padded(-0.02)
        page = figure.bbox_inches
        assert page.x0 <= whole.x0 and page.y0 <= whole.y0
        assert whole.x1 <= page.x1 and whole.y1 <= page.y1


def test_a_box_elsewhere_is_next_to_the_points():
    xy = np.array([[0.0, 0.0], [1.0, 2.0]], np.float32)
    whole = Box(0.5, 1.0, 2 * 1.12)
    assert box_near(None, xy) == whole
    assert box_near(Box(0.1, 0.2, 0.5), xy) == Box(0.1, 0.2, 0.5)
    far = box_near(Box(1e9, -1e9, 1e-30), xy)
    assert far.span == pytest.approx(2.24e-4)
    assert (far.x, far.y) == pytest.approx((224.5, -223))
    assert box_near(Box(0, 0, 1e30), xy).span == pytest.approx(4 * 2.24)
    assert box_near(None, xy[:1]).span == 1.0


def test_the_image_that_is_taken_has_a_ring(explored):
    name = explored.points.ids[33]
    state = f"view=points&plane=variables_0_1&start=image&image={name}"
    drawn = figure_of_state(explored, state)
    assert drawn.told["taken"] == name
    _, (axis,) = axes_of(drawn)
    xy = asked(explored, "plane", by="variables", x=0, y=1)
    assert [line.get_xydata().tolist() for line in axis.lines] == [[xy[33].tolist()]] * 2
    # Of very many images some are points, and others have no ring.
    few = replace(explored)
    few.__dict__["points"] = Points(explored.codes, most=30)
    assert name not in few.points.ids
    drawn = figure_of_state(few, state)
    _, (axis,) = axes_of(drawn)
    assert len(axis.lines) == 0 and drawn.told["points"] == 30
    assert drawn.what.startswith("30 codes of source, evenly of 400 images")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("plane=none_0_1", "there are no 'none'"),
        ("plane=variables_0_4", "variables are 0 to 3: there is no 4"),
        ("plane=variables_0", "a plane is written as variables_3_5, .* not 'variables_0'"),
        ("plane=variables_0_1_2", "a plane is written as"),
        ("plane=variables_0_x", "a plane is written as"),
        ("colour=hat", "points are not coloured by 'hat'"),
        ("box=1_2", "a box is written as X_Y_SPAN, .* not '1_2'"),
        ("box=1_2_0", "a box is written as"),
        ("box=nan_0_1", "a box is written as"),
        ("box=a_b_c", "a box is written as"),
        ("start=image&image=none", "none of the 400 images is called 'none'"),
        ("start=image", "none of the 400 images is called ''"),
    ],
)
def test_what_is_not_there_is_refused(explored, state, said):
    with pytest.raises(ExplorerError, match=said):
        figure_of_state(explored, f"view=points&{state}")


def made(n, groups):
    generator = np.random.default_rng(0)
    xy = generator.standard_normal((n, 2)).astype(np.float32)
    values = generator.integers(0, groups, n).astype(np.float32)
    named = [{"name": str(i), "colour": f"#0000{i % 256:02x}"} for i in range(groups)]
    return PointsOfPlane(xy, ("a", "b"), values, "label", "", named, box_near(None, xy), None)


def test_many_points_are_pixels_in_a_figure_of_lines(tmp_path):
    sizes = []
    for n in (300, 30_000):
        save_figure(points_plot(made(n, 3), "points"), tmp_path / f"{n}.pdf")
        content = (tmp_path / f"{n}.pdf").read_bytes()
        assert (b"/Subtype /Image" in content) == (n > 300)
        sizes.append(len(content))
    assert sizes[1] < 3_000_000


def test_of_many_groups_the_first_are_named_and_colours_come_again():
    found = made(2000, 300)
    figure = Figure(figsize=(7, 7), layout="constrained")
    points_plot(found, "points").draw(figure)
    said = [one.get_text() for one in figure.legends[0].get_texts()]
    there = sum(n > 0 for n in found.counts)
    assert len(said) == 22 and said[20] == f"and {there - 20} more, in the same"
    palette, places = found.painted
    assert len(palette) == 256 and palette[-1] == "#cccccc"
    np.testing.assert_array_equal(places, found.values % 255)  # As the page has them.


@pytest.mark.parametrize("value", [2.5, np.nan])
def test_one_number_or_none_has_one_colour(value):
    xy = np.zeros((3, 2), np.float32)
    values = np.full(3, value, np.float32)
    found = PointsOfPlane(xy, ("a", "b"), values, "age", "", None, box_near(None, xy), None)
    palette, places = found.painted
    expected = "#cccccc" if np.isnan(value) else scale_colours()[32]
    assert {palette[place] for place in places} == {expected}
    figure = Figure(figsize=(7, 7), layout="constrained")
    points_plot(found, "points").draw(figure)
    if np.isnan(value):
        assert found.ends is None and len(figure.axes) == 1
    else:
        assert found.ends == (2.5, 2.5)
        assert [one.get_text() for one in figure.axes[1].get_yticklabels()] == ["2.5"]
