"""What each model makes of images: from its own codes of them, or else from the mapped ones.

Shapes: ``n`` images, ``d`` latent variables, images ``(n, c, h, w)`` in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentmap.diagnostics.gain import image_errors
from latentmap.explorer.explored import Explored, Target
from latentmap.explorer.named_codes import CodesById
from latentmap.explorer.showing import Role
from latentmap.images import View
from latentmap.model import Model


@dataclass(frozen=True, eq=False)
class Made:
    """What a model makes of the images at ``places`` ``(m,)``, those that it has a code of, and
    the error (mse) of each.
    """

    places: list[int]
    images: Tensor
    mse: Tensor


@dataclass(frozen=True, eq=False)
class Maker:
    """A model that decodes ``codes``: its own (those of the ``source``, or the ``own`` ones of a
    target), or what the map to the ``target`` makes of the source's (``mapped``).
    """

    model: Model
    role: Role
    codes: CodesById
    target: Target | None = None

    def make(self, names: Sequence[str], images: Tensor) -> Made:
        """What it makes of some ``images``, which are called so, as it sees them."""
        found = [(place, self.codes.of(name)) for place, name in enumerate(names)]
        places = [place for place, code in found if code is not None]
        if not places:
            return Made([], images[:0], torch.empty(0))
        codes = torch.stack([code.float() for _, code in found if code is not None])
        if self.target is not None:
            codes = self.target.linear_map.apply(codes)
        made = self.model.decode(codes).cpu()
        return Made(places, made, image_errors(lambda _: made, images[places], codes))


def makers_of(explored: Explored) -> list[Maker]:
    """The source and the targets, as far as they decode."""
    source = Maker(explored.source, "source", explored.codes)
    makers = [source] if explored.source.can_decode else []
    for one in explored.targets:
        if one.model.can_decode and one.own is not None:
            makers.append(Maker(one.model, "own", one.own))
        elif one.model.can_decode:
            makers.append(Maker(one.model, "mapped", explored.codes, one))
    return makers


def see(
    explored: Explored, views: Sequence[View], names: Sequence[str]
) -> tuple[list[str], list[Tensor]]:
    """Images of the data by their names in some views, and the names of those that can be read.

    Raises:
        ExplorerError: there is no such image.
    """
    few = explored.images.subset(explored.images_called(names))
    (batch,) = few.batches(list(views), batch_size=len(names), on_error="skip", threads=1)
    shown = [batch.floats(number) for number in range(len(views))]
    return [names[place] for place in batch.positions], shown
