"""What maps lose on one batch of images: on the models' devices, asked for later.

Shapes: ``k`` images ``(k, c, h, w)`` in [0, 1], ``m`` maps, ``q`` target variables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from latentmap.images import View
from latentmap.model import Model
from latentmap.model.late_check import LateCheck
from latentmap.relocation.measuring_codes import CodeMap, mean_of_cells
from latentmap.transfers import Arriving, floats_on


@dataclass(frozen=True, eq=False)
class Launched:
    """What a batch gives, some of it on its way.

    Errors in codes ``(2 + m, k)``, of which the variances about the mean code and about the mean of
    cells are the first; in images of the source ``(1, k)`` and of the target ``(2 + m, k)``, floor
    and baseline first, None of a model that does not decode; sums over images ``spread`` ``(q,)``
    and ``misses`` ``(m, q)``; and the ``checks`` of all that was decoded.
    """

    ids: np.ndarray
    in_codes: torch.Tensor
    in_source: Arriving | None
    in_target: Arriving | None
    spread: torch.Tensor
    misses: torch.Tensor
    checks: list[LateCheck]

    def errors(self) -> torch.Tensor:
        """The errors of each image ``(5 + 2 m, k)``: ``reconstruction``, ``code_variance``,
        ``cell_variance``, ``floor`` and ``baseline``, then ``code`` and then ``relocation`` by each
        map; NaN where there is no decoder for one, or no grid.
        """
        for check in self.checks:
            check.require(self.ids)
        variance, cells, *coded = self.in_codes
        absent = self.in_codes.new_full((len(self.in_codes), len(variance)), math.nan)
        (reconstruction,) = absent[:1] if self.in_source is None else self.in_source.wait()
        in_target = absent if self.in_target is None else self.in_target.wait()
        floor, baseline, *relocated = in_target
        return torch.stack([reconstruction, variance, cells, floor, baseline, *coded, *relocated])


@dataclass(frozen=True, eq=False)
class Scene:
    """What all batches are measured by; ``views`` are those of the models that decode, the mean
    image is as the target sees it, where it is one of these. The source decodes where
    ``reconstructions`` are asked for.
    """

    maps: Sequence[CodeMap]
    source: Model
    target: Model
    views: Sequence[View]
    mean_image: torch.Tensor | None
    mean_code: torch.Tensor
    reconstructions: bool = True

    def launch(
        self,
        pixels: Sequence[torch.Tensor],
        x: torch.Tensor,
        read: Sequence[torch.Tensor],
        y: torch.Tensor,
        ids: np.ndarray,
    ) -> Launched:
        """What the images of some codes give, whose ``pixels`` are there in every view: of codes
        ``x`` of the source and ``y`` of the target, and those that each map ``read``. Images and
        what is decoded meet on the models' devices; only errors come back.
        """
        mapped = [one.apply(codes) for one, codes in zip(self.maps, read, strict=True)]
        misses = torch.stack([(y.double() - one).square() for one in mapped])
        variance = (y.double() - self.mean_code).square()
        cells = (y.double() - mean_of_cells(self.mean_code, self.target.space)).square()
        seen: dict[tuple[View, torch.device], torch.Tensor] = {}
        for model in (self.source, self.target) if self.reconstructions else (self.target,):
            if model.can_decode and (place := (model.view, model.device)) not in seen:
                seen[place] = floats_on(pixels[self.views.index(model.view)], model.device)
        checks: list[LateCheck] = []
        return Launched(
            ids,
            torch.stack([variance.mean(1), cells.mean(1), *misses.mean(2)]),
            _arriving(self.source, [x], seen, checks) if self.reconstructions else None,
            _arriving(self.target, [y, *mapped], seen, checks, mean_image=self.mean_image),
            variance.sum(0),
            misses.sum(1),
            checks,
        )


def _arriving(
    model: Model,
    codes: Sequence[torch.Tensor],
    seen: Mapping[tuple[View, torch.device], torch.Tensor],
    checks: list[LateCheck],
    *,
    mean_image: torch.Tensor | None = None,
) -> Arriving | None:
    """The errors of what a model makes of some codes, with that of the mean image as the second;
    None where it does not decode. Adds to ``checks``.
    """
    if not model.can_decode:
        return None
    images, errors = seen[model.view, model.device], []
    for one in codes:
        decoded, check = model.launch(one)
        errors.append(_image_errors(images, decoded))
        checks.append(check)
    if mean_image is not None:
        errors.insert(1, _image_errors(images, mean_image.expand_as(images)))
    return Arriving(torch.stack(errors))


def _image_errors(images: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """The mean squared error of each image, ``(k,)``, on the device of the images."""
    others = others.to(images.device)
    return (images - others).square().flatten(1).mean(1, dtype=torch.float64)
