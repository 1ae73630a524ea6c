"""The colours of charts, on the page and in print, which differ for every eye and on paper.

Things are told apart by Okabe and Ito's colours, "Color Universal Design" (2008), numbers from 0 to
1 by cividis: Nunez, Anderton and Renslow, "Optimizing colormaps with consideration for color vision
deficiency" (2018). Colours of numbers are classes of the page's style sheet, so that no element
needs a style of its own.
"""

from __future__ import annotations

# The first of what is shown, what stands against it, and what both are held against.
BLUE, VERMILION, GREY = "#0072b2", "#d55e00", "#7f7f7f"
GREEN, PURPLE, ORANGE, SKY, BLACK = "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)  # Of things that are of one rank.

LEVELS = 65
# cividis at 0, 1/16, ... 1.
_ANCHORS = (
    (0, 34, 78),
    (0, 46, 106),
    (26, 56, 111),
    (50, 67, 109),
    (67, 78, 108),
    (83, 90, 109),
    (97, 101, 111),
    (111, 112, 115),
    (125, 124, 120),
    (140, 136, 120),
    (155, 148, 118),
    (171, 160, 114),
    (188, 174, 108),
    (205, 187, 99),
    (222, 201, 88),
    (240, 216, 70),
    (254, 232, 56),
)


def level_of(value: float) -> int:
    """The number of the colour of a value; values outside of [0, 1] have those at its ends.

    Example:
        >>> level_of(0.5)
        32
    """
    return round(min(max(value, 0.0), 1.0) * (LEVELS - 1))


def colour(level: int) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a level."""
    place = level / (LEVELS - 1) * (len(_ANCHORS) - 1)
    left = min(int(place), len(_ANCHORS) - 2)
    part = place - left
    red, green, blue = (
        round(a + part * (b - a)) for a, b in zip(_ANCHORS[left], _ANCHORS[left + 1], strict=True)
    )
    return red, green, blue


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def text_on(level: int) -> tuple[int, int, int]:
    """White or black, whichever is easier to read on a level."""
    white, black = (255, 255, 255), (0, 0, 0)
    here = colour(level)
    return white if contrast(here, white) >= contrast(here, black) else black


def level_styles() -> str:
    """Style rules of the classes ``level-0``, ``level-1``, ..., and of the scale beside a map."""
    rules = [
        f".level-{level}{{background:{_css(colour(level))};color:{_css(text_on(level))}}}"
        for level in range(LEVELS)
    ]
    stops = ",".join(_css(colour(level)) for level in range(0, LEVELS, 8))
    return "\n".join([*rules, f".scale-bar{{background:linear-gradient(to right,{stops})}}"])


def _luminance(rgb: tuple[int, int, int]) -> float:
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (number / 255 for number in rgb)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _css(rgb: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in rgb)
