"""Checks of codes and of decoded images that nobody has to wait for.

Shapes: ``n`` images ``(n, c, h, w)``, codes ``(n, d)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ModelError
from latentmap.transfers import Arriving


class LateCheck:
    """Whether some codes were finite and their ``images`` are in [0, 1]: known on the device, and
    asked for later. ``model`` is the name of the model, for messages.
    """

    def __init__(self, images: Tensor, codes: Tensor, *, model: str) -> None:
        self._model = model
        finite = torch.isfinite(codes).all(1)
        # Far faster on the processor than one aminmax of all but the first dimension.
        low, high = images.amin((1, 2, 3)), images.amax((1, 2, 3))
        self._bounds = Arriving(torch.stack([finite.to(low), low, high]))

    def require(self, ids: Sequence[str] | np.ndarray | None = None) -> None:
        """Waits for the device, and passes where all is sound.

        Raises:
            ModelError: one image is not; the message has its id, if ``ids`` ``(n,)`` are given.
        """
        finite, low, high = self._bounds.wait().numpy()
        # NaN fails every comparison.
        sound = (finite == 1) & (low >= 0) & (high <= 1)
        if sound.all():
            return
        worst = int(sound.argmin())
        of = "" if ids is None else f" (image {ids[worst]})"
        if not finite.all():
            raise ModelError(
                f"{self._model} decodes finite floating-point codes; these are not finite{of}"
            )
        raise ModelError(
            f"images decoded by {self._model} must be in [0, 1], but they reach from "
            f"{low.min():.4g} to {high.max():.4g}{of}"
        )


class LateFinite:
    """Whether some ``codes`` that a model gave are finite: known on the device, and asked for
    later. ``model`` is its name, for messages.
    """

    def __init__(self, codes: Sequence[Tensor], *, model: str) -> None:
        self._model = model
        self._finite = Arriving(torch.stack([torch.isfinite(one).all() for one in codes]))

    def require(self) -> None:
        """Waits for the device, and passes where all are.

        Raises:
            ModelError: one is not.
        """
        if not self._finite.wait().numpy().all():
            raise ModelError(
                f"{self._model} gave codes that are not finite: its weights may be damaged"
            )
