"""What a comparison works on: the codes of two splits of some images in all spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentmap.cache import Coder
from latentmap.codes import FITTED, Codes, HeldOut, Seen, hold_out
from latentmap.comparison.indexes import FEWEST
from latentmap.comparison.spaces import join
from latentmap.errors import PairError
from latentmap.images import ImageSource, Split
from latentmap.images.finding import groups_of, positions_of
from latentmap.model import Model
from latentmap.relocation.baselines import BaselineKind, BaselineModels


@dataclass(frozen=True, eq=False)
class Material:
    """The codes to fit on and to judge by, in every space, and the images that they are of.

    ``units`` ``(n,)`` are those of the images to judge by; ``left_out`` says how many images of the
    split test are not among these, and why. ``controls`` are the codes of baselines of the same
    images, to fit on and to judge by, and ``controls_of`` the numbers, by kind, of those beside
    each model.
    """

    images: ImageSource
    train: list[Codes]
    test: list[Codes]
    units: np.ndarray
    left_out: Mapping[str, int]
    controls: tuple[list[Codes], list[Codes]]
    controls_of: Sequence[Mapping[BaselineKind, int]]

    @classmethod
    def of(
        cls,
        models: Sequence[Model],
        images: ImageSource,
        coder: Coder,
        *,
        split: Split,
        baselines: Sequence[BaselineModels] = (),
    ) -> Material:
        """The codes of one split, and of those images of the split test of whose units none is in
        it; see ``hold_out``; with those of the ``baselines`` beside each model.

        Raises:
            ModelError: a model has no encoder.
            PairError: fewer than 20 units to judge by.
            ImageError, CacheError: as encoding raises them.
        """
        fitted, judged = images.split(split), images.split("test")
        coder.examine(images)
        seen = Seen(FITTED, fitted.digests, fitted.groups)
        held = hold_out(judged.digests, [seen], groups=judged.groups)
        _require_enough(held.units, len(judged), held)
        others, controls_of = _numbered(baselines or [{} for _ in models])
        spaces = join(coder.codes([*models, *others], images))
        train, test = (
            [codes.take(np.flatnonzero(np.isin(spaces[0].ids, ids))) for codes in spaces]
            for ids in (fitted.ids, judged.ids[held.positions])
        )
        # Images that no model could read have no codes.
        units = held.units[positions_of(judged.subset(held.positions), test[0].ids)]
        _require_enough(units, len(judged), held)
        m = len(models)
        controls = (train[m:], test[m:])
        return cls(images, train[:m], test[:m], units, held.left_out, controls, controls_of)

    @property
    def train_groups(self) -> np.ndarray | None:
        """The groups of the images to fit on, where they have some."""
        return groups_of(self.images, self.train[0].ids)

    @property
    def ways_of_controls(self) -> list[tuple[int, int]]:
        """From which baseline to which model maps lead, baselines being numbered after models: to
        each model from those that stand beside others.
        """
        m = len(self.train)
        pairs = (
            (m + number, j)
            for i, beside in enumerate(self.controls_of)
            for number in beside.values()
            for j in range(m)
            if j != i
        )
        return list(dict.fromkeys(pairs))

    def images_of(self, codes: Codes) -> ImageSource:
        """The images of some codes, row by row."""
        return self.images.subset(positions_of(self.images, codes.ids))


def _numbered(
    baselines: Sequence[BaselineModels],
) -> tuple[list[Model], list[dict[BaselineKind, int]]]:
    """The models of baselines, each once, and the numbers of those beside each of the models."""
    found: dict[str, Model] = {}
    for beside in baselines:
        for model in beside.values():
            found.setdefault(model.fingerprint, model)
    places = {name: place for place, name in enumerate(found)}
    return list(found.values()), [
        {kind: places[model.fingerprint] for kind, model in beside.items()} for beside in baselines
    ]


def _require_enough(units: np.ndarray, n: int, held: HeldOut) -> None:
    """Refuses to judge by too few of the ``n`` images of the split test."""
    found = len(np.unique(units))
    if found >= FEWEST:
        return
    of = f"{n} images are in the split test"
    if held.n_left_out:
        of += (
            f", {held.n_left_out} of them copies of images that are fitted on, or of a group of "
            "these"
        )
    if len(units) > found:
        of += f"; {len(units)} are left, copies and images of one group count as one"
    raise PairError(
        f"a comparison needs at least {FEWEST} images to judge by, of which none is another's copy "
        f"or of its group, not {found} ({of}): give more images"
    )
