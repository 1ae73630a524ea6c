"""The figure of traversals: what the strongest latent variables do to an image."""

from __future__ import annotations

import torch
from PIL import Image

from latentmap.model import Model
from latentmap.report.figures import image_grid
from latentmap.support.ordering import Ordering

# As the published traversals have them.
STEPS = (-2.25, -1.5, -0.75, 0.0, 0.75, 1.5, 2.25)


def traversals_figure(model: Model, ordering: Ordering, code: torch.Tensor) -> Image.Image:
    """The images of ``code`` ``(d,)`` with each leading variable, in turn, at its center plus -2.25
    to 2.25 times its unit.
    """
    rows = []
    for i in ordering.order[: ordering.leading]:
        codes = code.float().repeat(len(STEPS), 1)
        codes[:, i] = torch.tensor(STEPS) * float(ordering.unit[i]) + float(ordering.center[i])
        label = f"variable {i}, gain {ordering.gain[i]:.4f}"
        rows.append((label, model.decode(codes).cpu()))
    return image_grid(rows)
