"""What is explored: a source, its targets with their maps, and the codes of some images.

Shapes: ``n`` images, ``d`` latent variables, codes ``(d,)`` float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from latentmap.errors import ExplorerError, MapError
from latentmap.explorer.controls import ControlSet
from latentmap.explorer.fitted import FittedImages
from latentmap.explorer.named_codes import CodesById
from latentmap.explorer.places import Place, Start
from latentmap.explorer.points import Points
from latentmap.explorer.trainings import Training
from latentmap.explorer.uploads import Uploads
from latentmap.expressiveness.reported import ReportedBlind
from latentmap.images import ImageSource
from latentmap.images.attribute_table import Attributes
from latentmap.images.attribute_values import known_rows
from latentmap.images.views import View
from latentmap.mapping import LinearMap
from latentmap.mapping.typicality import FittedCodes, Typicality
from latentmap.model import Model
from latentmap.support import Ordering, SupportSet

if TYPE_CHECKING:
    from latentmap.explorer.sectors_view import SectorLook


@dataclass(frozen=True, eq=False)
class Target:
    """A model that codes are carried to by a map. ``own`` are its own codes of the images, None
    where it has none.
    """

    model: Model
    linear_map: LinearMap
    own: CodesById | None = None

    def is_outside(self, code: Tensor) -> bool | None:
        """Whether a code of the source is farther out than 99 % of codes like those of the fit, so
        that the map guesses; None where that is not known.
        """
        found = self.typicality(code)
        if found is None or not math.isfinite(found.limit):
            return None
        return bool(found.outside[0])

    def typicality(self, code: Tensor) -> Typicality | None:
        """How far a code of the source is from those of the fit; None where that is not known."""
        return None if self._fitted is None else self._fitted.typicality(code[None])

    @cached_property
    def _fitted(self) -> FittedCodes | None:
        try:
            return FittedCodes(self.linear_map)
        except MapError:
            return None


@dataclass(frozen=True, eq=False)
class Explored:
    """A source and its targets, on some images with their ``codes`` in the source; ``controls`` are
    what moves a code of the source, by name. ``command`` is the line that explores the same, where
    there is one, and ``commands`` those of views that need another; ``report`` the folder of a
    report that what is found can be added to; ``attributes`` are what a table says of the images,
    ``trainings`` are shown beside. The images of a ``support`` set in the source are marked, and
    ``reported`` is what a report calls the models blind to. ``uploads`` are images of one's own, of
    which ``own_names`` are the files, by ids, of those that were there from the start; the others
    were sent since. ``added`` are the ids of sections that the report got since.
    """

    source: Model
    targets: tuple[Target, ...]
    images: ImageSource
    codes: CodesById
    ordering: Ordering
    controls: Mapping[str, ControlSet]
    command: str = ""
    commands: Mapping[str, str] = field(default_factory=dict)
    report: Path | None = None
    attributes: Attributes | None = None
    trainings: tuple[Training, ...] = ()
    support: SupportSet | None = None
    reported: tuple[ReportedBlind, ...] = ()
    uploads: Uploads = field(default_factory=Uploads)
    own_names: Mapping[str, str] = field(default_factory=dict)
    added: set[str] = field(default_factory=set)

    @cached_property
    def points(self) -> Points:
        """The images that are points of planes."""
        return Points(self.codes, [target.own for target in self.targets])

    @cached_property
    def attribute_rows(self) -> np.ndarray:
        """The row of each point in the table of attributes, -1 where it has none: names are looked
        for once, which takes most of the time of a colouring.

        Raises:
            ImageError: the table has none of them.
        """
        assert self.attributes is not None, "only where there is a table"
        return known_rows(self.points.ids, self.attributes.table)

    @cached_property
    def fitted(self) -> FittedImages:
        """Which of the images the map to each target was fitted on."""
        return FittedImages([one.linear_map for one in self.targets], self.codes, self.images)

    @cached_property
    def mean(self) -> Tensor:
        """The mean code of the images."""
        return torch.from_numpy(self.ordering.mean)

    @cached_property
    def look(self) -> SectorLook:
        """What is kept of its sectors."""
        from latentmap.explorer.sectors_view import SectorLook

        return SectorLook(self)

    @property
    def models(self) -> list[Model]:
        """The source and the targets."""
        return [self.source, *(target.model for target in self.targets)]

    @property
    def views(self) -> list[View]:
        """What the source and each target see of an image. A file of codes sees none: what stands
        for it is what the first model sees that does.
        """
        found = [one.view if one.can_encode or one.can_decode else None for one in self.models]
        first = next((view for view in found if view is not None), None) or self.source.view
        return [first if view is None else view for view in found]

    def start_at(self, start: Start) -> Tensor:
        """The code of a start.

        Raises:
            ExplorerError: the image has no code here.
        """
        if start.kind == "image":
            return self.codes.require(start.image)
        if start.kind == "random":
            return self._drawn(start.seed)
        if start.kind == "upload":
            code = self.uploads.require(start.upload).codes[0]
            if code is None:
                raise ExplorerError(
                    f"{self.source.name} has no encoder, and so no code of an image of your own: "
                    "start from another one"
                )
            return code
        return self.mean

    def own_code(self, number: int, start: Start) -> Tensor | None:
        """The own code of the image of a start in the target of a number, from 1, if it has one."""
        if start.kind == "image":
            own = self.targets[number - 1].own
            return None if own is None else own.of(start.image)
        if start.kind == "upload":
            return self.uploads.require(start.upload).codes[number]
        return None

    def code_at(self, place: Place) -> Tensor:
        """The code of a place.

        Raises:
            ExplorerError: there is no such image, set of controls, or control.
        """
        code = self.start_at(place.start)
        for name, values in place.moves:
            found = self.controls_called(name)
            known = len(found.controls)
            for number in values:
                if not 0 <= number < known:
                    raise ExplorerError(f"{name} are 0 to {known - 1}: there is no {number}")
            code = found.moving.move(code, values)
        return code

    def controls_called(self, name: str) -> ControlSet:
        """The set of controls of this name.

        Raises:
            ExplorerError: there is none.
        """
        if name not in self.controls:
            raise ExplorerError(
                f"controls are {', '.join(self.controls)}, and there are no {name[:40]!r}"
            )
        return self.controls[name]

    def images_called(self, names: Sequence[str]) -> list[int]:
        """The positions of the images of these ids.

        Raises:
            ExplorerError: there is no such image.
        """
        places = [self._places.get(name) for name in names]
        for name, place in zip(names, places, strict=True):
            if place is None:
                raise ExplorerError(f"there is no image called {name[:200]!r}: choose another")
        return [place for place in places if place is not None]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.images.ids.tolist())}

    def _drawn(self, seed: int) -> Tensor:
        """A code that the source samples, with inactive variables at their mean, where codes of
        images have them; of a source that samples from nothing that is known, a code that is normal
        along the principal directions.
        """
        known = self.source.prior is not None or self.source.space.kind != "latent"
        if known and self.source.can_decode:
            code = self.source.sample(1, seed=seed)[0].double().cpu()
            still = list(self.ordering.inactive or ())
            code[still] = self.mean[still]
            return code
        found = self.controls["directions"]
        drawn = np.random.default_rng(seed).standard_normal(len(found.controls))
        return found.moving.move(self.mean, dict(enumerate(drawn.tolist())))
