"""An ordering of latent variables, or of channels, and how one is asked for.

Shapes: ``d`` latent variables of ``c`` channels, which are the variables themselves where codes are
vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from latentmap.codes.channel_means import channel_space
from latentmap.codes.channels import word_of
from latentmap.errors import SupportError
from latentmap.intervals import defined
from latentmap.model import Model
from latentmap.report import Shown, Table
from latentmap.support.centers import Center, check_center


@dataclass(frozen=True, eq=False)
class Ordering(Shown):
    """The latent variables of a model by what an image loses without each of them; or, as ``what``
    says, its channels, each at all positions, where codes have channels at positions.

    The gain of variable i is the mean over images x of mse(x, dec(z with z_i = center_i)) - mse(x,
    dec(z)), where z is the code of x and mse is the mean over pixels and channels. Of a model
    without decoder it is what the code itself loses, as ``by`` says; see ``order_by_variance``.

    ``center`` is the mean code, of a channel its mean over positions; or 0; see ``OrderOptions``.
    ``order`` ``(c,)`` names the variables,
    the strongest first. ``gain``, ``low`` and ``high`` ``(c,)`` are by the number of the variable,
    with 95 % intervals over the ``n_units`` units of the images (images of one of their groups, and
    copies, are one). Each variable was measured on ``images`` ``(c,)`` of the ``n_images``: those
    that are clearly behind, or whose place is clear, on few. ``confidence`` is about the
    probability that the first ``leading`` variables and their order are those that measuring every
    variable on every image gives, and 1 where this was done; it is asymptotic, as the race compares
    means by Student's distribution. ``ties`` are neighbours down to the first behind the leading
    ones whose difference could be chance over images, by its 95 % interval. ``inactive`` are the
    variables that are not active (see ``latentmap.diagnostics.activity``), None in a space without
    prior, and ``dropped`` those that left the race because they do nothing. ``decodes`` were
    needed, in place of ``exhaustive_decodes``. ``unit`` ``(c,)`` is the step of a
    traversal, which is 1 for vectors of kind ``z`` and the standard deviation of any others, and of
    the means of channels; ``mean`` ``(d,)`` is the mean code. ``skipped`` are the ids of images
    without codes.
    """

    order: np.ndarray
    gain: np.ndarray
    low: np.ndarray
    high: np.ndarray
    images: np.ndarray
    center: np.ndarray
    unit: np.ndarray
    mean: np.ndarray
    n_images: int
    n_units: int
    decodes: int
    exhaustive_decodes: int
    leading: int
    confidence: float
    ties: tuple[tuple[int, int], ...] = ()
    inactive: tuple[int, ...] | None = None
    dropped: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    warning: str | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    what: str = "variable"
    by: Literal["gain", "variance"] = "gain"

    def __repr__(self) -> str:
        first = ", ".join(map(str, self.order[: self.leading]))
        return f"<Ordering of {len(self.order)} {self.what}s: {first} lead>"

    def tables(self) -> list[Table]:
        from latentmap.support.ordering_tables import gains_table, ordering_table

        return [gains_table(self), ordering_table(self)]

    @property
    def saved(self) -> float:
        """How many times fewer decodes were needed than for every variable and every image."""
        return self.exhaustive_decodes / self.decodes

    def to_json(self) -> dict[str, Any]:
        """All figures; ``variables`` stand in their order, and ``what`` says what they are."""
        return {
            "what": self.what,
            "by": self.by,
            "leading": self.order[: self.leading].tolist(),
            "confidence": self.confidence,
            "ties": [list(pair) for pair in self.ties],
            "inactive": None if self.inactive is None else list(self.inactive),
            "dropped": list(self.dropped),
            "n_images": self.n_images,
            "n_units": self.n_units,
            "decodes": self.decodes,
            "exhaustive_decodes": self.exhaustive_decodes,
            "variables": [
                {
                    "variable": int(i),
                    "gain": float(self.gain[i]),
                    "gain_low": defined(self.low[i]),
                    "gain_high": defined(self.high[i]),
                    "images": int(self.images[i]),
                    "center": float(self.center[i]),
                }
                for i in self.order
            ],
            "skipped": list(self.skipped),
            "warning": self.warning,
            "record": dict(self.record),
        }


@dataclass(frozen=True)
class OrderOptions:
    """How variables are ordered.

    ``leading`` is how many are to be sure, with their order. ``exhaustive`` measures every variable
    on every image: ``n (c + 1)`` decodes. A variable is left out by setting it to its ``center``:
    the ``mean`` over the codes, or in a space of kind ``z`` ``zero``; see ``centers_of``.
    """

    leading: int = 7
    exhaustive: bool = False
    center: Center = "mean"

    def check(self, model: Model) -> None:
        """Refuses, before any work, what a model does not have.

        Raises:
            SupportError: ``leading`` is not from 1 to ``c``; or as ``check_center`` raises it.
        """
        space, what = channel_space(model.space), word_of(model.latent_shape)
        check_center(self.center, space)
        if not 1 <= self.leading <= space.dim:
            raise SupportError(
                f"{model.name} has {space.dim} latent {what}s, so 1 to {space.dim} of them can "
                f"lead, not {self.leading}"
            )
