"""How numbers and places are written in the text of a report."""

from __future__ import annotations

from latentmap.intervals import Estimate


def with_interval(estimate: Estimate, decimals: int) -> str:
    """A number with its interval, as in a sentence.

    Example:
        >>> with_interval(Estimate(0.5, 0.4, 0.61), 2)
        '0.50 [0.40, 0.61]'
    """
    value, low, high = (shown_number(number, decimals) for number in estimate)
    return f"{value} [{low}, {high}]"


def shown_number(value: float, decimals: int) -> str:
    """A number with a true minus sign; without one where it is rounded to nothing."""
    text = f"{value:.{decimals}f}"
    if text.strip("-0.") == "":
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def pair_id(source: int, target: int) -> str:
    """Where on the page two models, by their numbers, are shown."""
    return f"pair-{source}-{target}"


def slug(text: str) -> str:
    """A text as an id on the page.

    Example:
        >>> slug("fit a/b.c to d")
        'fit-a-b-c-to-d'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in text).split())
