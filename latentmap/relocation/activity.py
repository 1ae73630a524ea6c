"""Models whose codes say nothing of the image, which no figure of a map makes plain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from latentmap.diagnostics import ACTIVE_VARIANCE, none_active
from latentmap.mapping import LinearMap


def inactive_models(maps: Iterable[LinearMap]) -> list[str]:
    """The names of the models of some maps that have no active variable over the pairs of the fit,
    see ``latentmap.diagnostics.activity``. Only maps that keep the moments of their pairs can tell.
    """
    found: dict[str, None] = {}
    for one in maps:
        moments = one.moments
        if moments is None:
            continue
        sides = ((one.source, moments.squares_x), (one.target, moments.squares_y))
        found |= dict.fromkeys(
            space.model
            for space, squares in sides
            if none_active(space, (squares / moments.n).numpy())
        )
    return list(found)


def inactive_in_words(names: Sequence[str]) -> str:
    """What is to be said of such models; empty where there is none."""
    if not names:
        return ""
    one = len(names) == 1
    return (
        f"{' and '.join(names)} {'has' if one else 'have'} no active variable (none varies by more "
        f"than {ACTIVE_VARIANCE:g}): what {'it decodes' if one else 'they decode'} hardly depends "
        "on the image"
    )
