"""Whether a model has an active variable at all."""

from __future__ import annotations

from latentmap.codes import Codes
from latentmap.diagnostics import ACTIVE_VARIANCE, has_unit_prior, none_active
from latentmap.mapping.gathering import moments_of_spaces


def inactivity_of(codes: Codes) -> str | None:
    """What is to be said where no variable of the space of some codes is active: a sentence; see
    ``latentmap.diagnostics.activity``.
    """
    if not has_unit_prior(codes.space):
        return None
    moments = moments_of_spaces([codes], targets="squares")
    variances = moments.squares.numpy() / moments.n
    if not none_active(codes.space, variances):
        return None
    return (
        f"{codes.space.model} has no active variable: over {len(codes)} images no code varies by "
        f"more than {ACTIVE_VARIANCE:g}, where the prior has 1 (the largest variance is "
        f"{variances.max():.2g}), so its variables say next to nothing of an image"
    )
