import math
import re
from itertools import pairwise

import pytest

from latentmap.report import Measure
from latentmap.report.charts import BOTTOM, LEFT, RIGHT, TOP, WIDTH, draw_bars, draw_curve
from latentmap.report.parts import Bars, Curve


def bars(values, expected=1.0):
    return draw_bars(Bars("b", "sector", values, expected, ""))


def curve(at, measures):
    return draw_curve(Curve("c", "pairs", at, measures, ""))


def outlines(drawn):
    """Left end, base, top and width of each bar."""
    pattern = r"M([\d.]+) ([\d.]+)V([\d.]+)h([\d.]+)V[\d.]+z"
    return [tuple(map(float, found)) for found in re.findall(pattern, drawn.path)]


def height_at(ticks, value):
    """Where a value lies, by the lowest and the highest line of a scale."""
    low, high = float(ticks[0].text), float(ticks[-1].text)
    share = (value - low) / (high - low)
    return ticks[0].place + share * (ticks[-1].place - ticks[0].place)


def test_bars_are_as_high_as_their_numbers_and_empty_ones_are_left_out():
    values = [3, 0, 12, 7]
    drawn = bars(values, expected=5.5)
    found = outlines(drawn)
    assert len(found) == 3
    for (_, base, top, _), value in zip(found, [3, 12, 7], strict=True):
        assert base == pytest.approx(height_at(drawn.up, 0))
        assert top == pytest.approx(height_at(drawn.up, value), abs=0.1)
    assert drawn.expected == pytest.approx(height_at(drawn.up, 5.5), abs=0.1)
    assert [tick.text for tick in drawn.across] == ["0", "1", "2", "3"]
    for (left, _, _, width), tick in zip(found, [drawn.across[i] for i in (0, 2, 3)], strict=True):
        assert left + width / 2 == pytest.approx(tick.place, abs=0.15)


@pytest.mark.parametrize("n", [1, 2, 16, 128, 4096])
def test_any_number_of_bars_fills_the_width_with_a_few_numbers_below(n):
    drawn = bars([1] * n)
    found = outlines(drawn)
    assert len(found) == n
    assert found[0][0] >= LEFT
    assert found[-1][0] + found[-1][3] == pytest.approx(RIGHT, abs=0.5 * (RIGHT - LEFT) / n)
    assert 1 <= len(drawn.across) <= 10
    assert drawn.across[0].text == "0"


def test_an_expectation_above_all_bars_is_inside():
    drawn = bars([1, 2], expected=99.0)
    assert TOP <= drawn.expected <= BOTTOM


def test_bars_without_any_member_have_a_scale():
    drawn = bars([0, 0], expected=0.0)
    assert drawn.path == ""
    assert len(drawn.up) >= 2


def test_a_curve_lies_at_its_values_and_at_logarithms():
    at = [16, 64, 256, 3000]
    measures = [Measure(v, v - 0.05, v + 0.02) for v in (-0.3, 0.25, 0.5, 0.93)]
    drawn = curve(at, measures)
    for (x, y), number, measure in zip(drawn.dots, at, measures, strict=True):
        assert y == pytest.approx(height_at(drawn.up, measure.value), abs=0.1)
        share = math.log(number / 16) / math.log(3000 / 16)
        first, last = drawn.dots[0][0], drawn.dots[-1][0]
        assert x == pytest.approx(first + share * (last - first), abs=0.2)
    band = [tuple(map(float, pair.split())) for pair in drawn.band[1:-1].split("L")]
    tops = [height_at(drawn.up, measure.high) for measure in measures]
    bottoms = [height_at(drawn.up, measure.low) for measure in measures[::-1]]
    assert [y for _, y in band] == pytest.approx(tops + bottoms, abs=0.1)
    assert all(TOP - 0.1 <= y <= BOTTOM + 0.1 for _, y in band)


@pytest.mark.parametrize("level", [0.3, 0.9])
def test_a_level_across_a_curve_is_on_its_scale(level):
    drawn = draw_curve(Curve("c", "pairs", [1, 10], [Measure(0.2), Measure(0.5)], "", level=level))
    assert drawn.level == pytest.approx(height_at(drawn.up, level), abs=0.1)
    assert TOP <= drawn.level <= BOTTOM
    assert curve([1, 10], [Measure(0.2), Measure(0.5)]).level is None


@pytest.mark.parametrize("values", [[0.5], [0.2, 0.2], [0.0, 0.0], [-3.0, -1.0], [1e-5, 2e-5]])
def test_any_values_have_lines_at_growing_numbers_around_them(values):
    drawn = curve([10 * 3**i for i in range(len(values))], [Measure(v) for v in values])
    numbers = [float(tick.text) for tick in drawn.up]
    assert numbers == sorted(set(numbers))
    assert numbers[0] <= min(values) <= max(values) <= numbers[-1]
    assert 2 <= len(numbers) <= 9


def test_numbers_below_a_curve_do_not_touch_and_the_last_one_stays():
    at = [100, 101, 102, 2000, 20000]
    ticks = curve(at, [Measure(0.5)] * 5).across
    assert ticks[-1].text == "20000"
    for one, other in pairwise(ticks):
        assert other.place - one.place >= 4 * (len(one.text) + len(other.text))
    assert all(4 * len(tick.text) <= tick.place <= WIDTH - 3 * len(tick.text) for tick in ticks)
