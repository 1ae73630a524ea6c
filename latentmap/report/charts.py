"""Where bars and curves are drawn, in pixels of a drawing of ``WIDTH`` by ``HEIGHT``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from latentmap.report.drawing import round_length
from latentmap.report.parts import Bars, Curve, Lines, Measure

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 52, WIDTH - 14, 14, HEIGHT - 42
_LINES = 5  # About as many lines of a scale.
_DIGIT = 8.0  # The width of a digit under an axis.
_GAP = 0.1  # Between bars, as a share of their distance.
_WIDE = 3.0  # Narrower bars stand without gaps.


@dataclass(frozen=True)
class Tick:
    """A place on an axis and what is written there."""

    place: float
    text: str


@dataclass(frozen=True)
class DrawnBars:
    """The outline of the bars as the data of a path, the height of what is expected, the axes."""

    path: str
    expected: float
    across: Sequence[Tick]
    up: Sequence[Tick]


@dataclass(frozen=True)
class DrawnCurve:
    """The dots ``(x, y)``, the band of their intervals as the data of a path, the height of the
    level, where there is one, and the axes.
    """

    dots: Sequence[tuple[float, float]]
    band: str
    level: float | None
    across: Sequence[Tick]
    up: Sequence[Tick]


def draw_bars(bars: Bars) -> DrawnBars:
    """Bars from zero, side by side, with the numbers of some of them."""
    up, height_of = _scale(0.0, max([*bars.values, bars.expected]))
    step = (RIGHT - LEFT) / len(bars.values)
    gap = step * _GAP / 2 if step >= _WIDE else 0.0
    base = round(height_of(0.0), 1)
    path = "".join(
        f"M{LEFT + number * step + gap:.1f} {base}V{height_of(value):.1f}"
        f"h{step - 2 * gap:.2f}V{base}z"
        for number, value in enumerate(bars.values)
        if value
    )
    last = len(bars.values) - 1
    stride = max(1, round(round_length(max(last, 1) / 4)))
    across = [
        Tick(round(LEFT + (number + 0.5) * step, 1), str(number))
        for number in range(0, last + 1, stride)
    ]
    return DrawnBars(path, round(height_of(bars.expected), 1), across, up)


def draw_curve(curve: Curve) -> DrawnCurve:
    """Measures over the logarithm of their numbers, on a scale that holds their intervals."""
    ends = [end for one in curve.measures for end in _range(one)]
    ends += [] if curve.level is None else [curve.level]
    up, height_of = _scale(min(ends), max(ends))
    places = _logarithmic(curve.at)
    dots = [
        (x, round(height_of(_value(one)), 1)) for x, one in zip(places, curve.measures, strict=True)
    ]
    heights = [tuple(round(height_of(end), 1) for end in _range(one)) for one in curve.measures]
    lower = [f"{x} {low}" for x, (low, _) in zip(places, heights, strict=True)]
    upper = [f"{x} {high}" for x, (_, high) in zip(places, heights, strict=True)]
    band = f"M{'L'.join([*upper, *reversed(lower)])}z"
    level = None if curve.level is None else round(height_of(curve.level), 1)
    return DrawnCurve(dots, band, level, _apart(places, curve.at), up)


@dataclass(frozen=True)
class DrawnLines:
    """Each line as the data of a path, and the axes."""

    paths: Sequence[str]
    across: Sequence[Tick]
    up: Sequence[Tick]


def draw_lines(lines: Lines) -> DrawnLines:
    """Numbers over numbers, on a scale that begins with 0 where none is below."""
    values = [value for line in lines.lines for value in line]
    up, height_of = _scale(min(0.0, *values), max(0.0, *values))
    first, extent = lines.at[0], lines.at[-1] - lines.at[0] or 1.0
    places = [round(LEFT + (one - first) / extent * (RIGHT - LEFT), 1) for one in lines.at]
    paths = [
        "M" + "L".join(f"{x} {height_of(value):.1f}" for x, value in zip(places, line, strict=True))
        for line in lines.lines
    ]
    step = round_length(extent / 3)
    marks = [step * number for number in range(math.ceil(first / step), _LINES + 1)]
    across = [
        Tick(round(LEFT + (mark - first) / extent * (RIGHT - LEFT), 1), f"{mark:.6g}")
        for mark in marks
        if mark <= lines.at[-1]
    ]
    return DrawnLines(paths, across, up)


def _value(measure: Measure) -> float:
    assert measure.value is not None, "a curve has numbers alone"
    return measure.value


def _range(measure: Measure) -> tuple[float, float]:
    value = _value(measure)
    return (
        value if measure.low is None else measure.low,
        value if measure.high is None else measure.high,
    )


def _scale(low: float, high: float) -> tuple[list[Tick], Callable[[float], float]]:
    """Lines at round numbers, the outer ones beyond all values, and the heights of values."""
    extent = high - low or abs(high) or 1.0
    step = round_length(extent / _LINES * 1.5)
    start = math.floor(low / step + 1e-9)
    stop = max(math.ceil(high / step - 1e-9), start + 1)

    def height_of(value: float) -> float:
        share = (value / step - start) / (stop - start)
        return BOTTOM - share * (BOTTOM - TOP)

    ticks = [
        Tick(round(height_of(number * step), 1), f"{number * step:.6g}")
        for number in range(start, stop + 1)
    ]
    return ticks, height_of


def _logarithmic(numbers: Sequence[int]) -> list[float]:
    """From the left end of the axis to its right, by their logarithms; one alone in the middle."""
    logarithms = [math.log(number) for number in numbers]
    low, extent = logarithms[0], logarithms[-1] - logarithms[0]
    start, room = LEFT + _DIGIT, RIGHT - LEFT - 2 * _DIGIT
    shares = [(one - low) / extent if extent else 0.5 for one in logarithms]
    return [round(start + share * room, 1) for share in shares]


def _apart(places: Sequence[float], numbers: Sequence[int]) -> list[Tick]:
    """The numbers whose texts do not touch; of two that do, the larger one stays."""
    ticks: list[Tick] = []
    for place, number in sorted(zip(places, numbers, strict=True), reverse=True):
        half = _DIGIT * (len(str(number)) + 1) / 2
        if not ticks or place + half <= ticks[-1].place - _DIGIT * len(ticks[-1].text) / 2:
            ticks.append(Tick(place, str(number)))
    return ticks[::-1]
