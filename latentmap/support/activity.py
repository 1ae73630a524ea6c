"""Whether a model has an active variable at all."""

from __future__ import annotations

from latentmap.codes import Codes
from latentmap.diagnostics import ACTIVE_VARIANCE
from latentmap.mapping.gathering import moments_of_spaces


def inactivity_of(codes: Codes) -> str | None:
    """What is to be said where no variable of the space of some codes is active: a sentence.

    In a space of kind ``z`` a variable is active when its codes vary by more than 0.05, where the
    prior has 1. Any other space has no scale to judge by.
    """
    moments = moments_of_spaces([codes])
    largest = float(moments.squares.max()) / moments.n
    if codes.space.kind != "z" or largest > ACTIVE_VARIANCE:
        return None
    return (
        f"{codes.space.model} has no active variable: over {len(codes)} images no code varies by "
        f"more than {ACTIVE_VARIANCE:g}, where the prior has 1 (the largest variance is "
        f"{largest:.2g}), so its variables say next to nothing of an image"
    )
