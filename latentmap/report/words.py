"""How numbers and places are written in the text of a report."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from latentmap.intervals import FEW_UNITS, Estimate

_DIGEST = 8
_MOST_DECIMALS = 6
_LARGE = 1e6
CHOICE = "choice"  # In a record, of the images that a result is of, or a fit.
SCORED_CHOICE = "scored_choice"  # Beside that of the fit, where others are scored.
_INCIDENTAL = {"command", "versions", "selection", "file", "in_words"}


def with_interval(estimate: Estimate, decimals: int) -> str:
    """A number with its interval, as in a sentence.

    Example:
        >>> with_interval(Estimate(0.5, 0.4, 0.61), 2)
        '0.50 [0.40, 0.61]'
    """
    value, low, high = estimate
    return f"{shown_number(value, decimals)} {shown_interval(low, high, decimals)}"


def shown_interval(low: float, high: float, decimals: int) -> str:
    """An interval, in the one way in which they are written."""
    return f"[{shown_number(low, decimals)}, {shown_number(high, decimals)}]"


def shown_number(value: float, decimals: int) -> str:
    """A number with a true minus sign; without one where it is rounded to nothing.

    Numbers of more than six digits before the point, or that begin later than six after it, are in
    powers of ten.

    Example:
        >>> shown_number(0.25, 1), shown_number(1.5e9, 0)
        ('0.2', '1.50e+09')
    """
    tiny = decimals > _MOST_DECIMALS
    large = isinstance(value, float) and abs(value) >= _LARGE
    text = f"{value:.2e}" if value and (tiny or large) else f"{value:.{0 if tiny else decimals}f}"
    if text.strip("-0.") == "":
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def in_percent(share: float, decimals: int = 0) -> str:
    """A share in percent, in the one way in which it is written.

    Example:
        >>> in_percent(0.95), in_percent(0.0021, 1)
        ('95 %', '0.2 %')
    """
    return f"{shown_number(100 * share, decimals)} %"


def share_in_words(share: Estimate, decimals: int = 1) -> str:
    """A share in percent, with its interval where there is one.

    Example:
        >>> share_in_words(Estimate(0.125, 0.1, 0.15))
        '12.5 % [10.0, 15.0]'
    """
    text = in_percent(share.value, decimals)
    if not math.isfinite(share.low):
        return text
    return f"{text} {shown_interval(100 * share.low, 100 * share.high, decimals)}"


def images_in_words(n: int, n_units: int, what: str = "images") -> str:
    """So many images, and of how many groups they are where that is fewer, copies being one group.

    Example:
        >>> images_in_words(1499, 812), images_in_words(966, 966, "others"), images_in_words(3, 1)
        ('1,499 images of 812 groups', '966 others', '3 images of 1 group')
    """
    return f"{n:,} {what}" + (f" of {groups_in_words(n_units)}" if n_units < n else "")


def groups_in_words(n_units: int) -> str:
    """So many groups, copies being one.

    Example:
        >>> groups_in_words(812), groups_in_words(1)
        ('812 groups', '1 group')
    """
    return f"{n_units:,} group{'' if n_units == 1 else 's'}"


def intervals_in_words(n_units: int) -> str:
    """What an interval in brackets is, and what it covers of few units by
    ``benchmarks/coverage.py``; of one there is none.

    Example:
        >>> intervals_in_words(100), intervals_in_words(1)
        ('in brackets 95 % intervals', 'without intervals, which take at least 2 images or groups')
    """
    if n_units < 2:
        return "without intervals, which take at least 2 images or groups"
    few = ", which of so few cover 89 to 94 %" if n_units < FEW_UNITS else ""
    return f"in brackets 95 % intervals{few}"


def pair_id(source: int, target: int) -> str:
    """Where on the page two models, by their numbers, are shown."""
    return f"pair-{source}-{target}"


def titled(title: str, record: Mapping[str, Any], choice: str = CHOICE) -> str:
    """A title with the images that a result is of, as the ``choice`` in its record says; without
    where it says none.

    Example:
        >>> titled("Scores", {"choice": {"in_words": "faces.zip, test, Young == 1"}})
        'Scores: faces.zip, test, Young == 1'
    """
    words = _choice_in_words(record, choice)
    return title if words is None else f"{title}: {words}"


def untitled(title: str, record: Mapping[str, Any]) -> tuple[str, str]:
    """A title without the images that ``titled`` put into it, and these; empty where the record
    says none. A title that names none is of those of the ``choice``.

    Example:
        >>> made = {"choice": {"in_words": "train"}, "scored_choice": {"in_words": "test"}}
        >>> untitled("Scores: test", made), untitled("Scores", made)
        (('Scores', 'test'), ('Scores', 'train'))
    """
    for choice in (CHOICE, SCORED_CHOICE):
        words = _choice_in_words(record, choice)
        if words is not None and title.endswith(f": {words}"):
            return title.removesuffix(f": {words}"), words
    return title, _choice_in_words(record, CHOICE) or ""


def _choice_in_words(record: Mapping[str, Any], choice: str) -> str | None:
    chosen = record.get(choice)
    words = chosen.get("in_words") if isinstance(chosen, Mapping) else None
    return words if isinstance(words, str) else None


def section_id(text: str, identity: Mapping[str, Any]) -> str:
    """A text as the id of a section, with a short digest of what identifies the result in it.

    A result that is made again has the same: the command, the versions, the path of a file (also
    where a choice of images is said in words), the errors by which a setting was selected, and
    digits of numbers beyond the fourth do not count.

    Example:
        >>> section_id("fit a/b.c d", {"seed": 0, "command": "latentmap fit"})
        'fit-a-b-c-d-de7d7744'
    """
    words = "".join(c if c.isalnum() else " " for c in text).split()
    content = json.dumps(_identifying(identity), sort_keys=True)
    return "-".join([*words, hashlib.sha256(content.encode()).hexdigest()[:_DIGEST]])


def _identifying(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _identifying(part) for k, part in value.items() if k not in _INCIDENTAL}
    if isinstance(value, list | tuple):
        return [_identifying(part) for part in value]
    return f"{value:.4g}" if isinstance(value, float) else value
