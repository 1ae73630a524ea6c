"""What models have seen of some images in their training: counted for every score, and left out
where that is asked for.

Shapes: ``n`` images, digests ``(n, 16)`` uint8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from latentmap.codes import TRAINED, HeldOut, Seen, hold_out
from latentmap.errors import ImageError
from latentmap.images import ImageSource, Split
from latentmap.model.contract import Model

_SHORT = 6  # Digits of a fingerprint that tell two models of one name apart.


def hold_out_seen(
    models: Iterable[Model],
    digests: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    among: np.ndarray | None = None,
) -> HeldOut:
    """Those of some images of whose units no model was trained on any, see ``hold_out``; a model
    that does not know its training images leaves out none.

    Only the images at the positions ``among`` are judged; the others say which groups were seen.
    """
    memories = []
    for model in models:
        if model.seen is not None:
            known = model.seen.contains(digests)
            seen_groups = None if groups is None else groups[known]
            memories.append(Seen(TRAINED, digests[known], seen_groups))
    among = np.arange(len(digests)) if among is None else among
    return hold_out(digests[among], memories, groups=None if groups is None else groups[among])


def count_seen(
    models: Sequence[Model],
    digests: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    among: np.ndarray | None = None,
) -> dict[str, int | None]:
    """How many of some images, or of those at the positions ``among``, each model was trained on,
    by its name; None where it does not know.

    Where the images have groups, one counts when any image of its unit was seen.
    """
    return {
        name: None
        if model.seen is None
        else hold_out_seen([model], digests, groups, among=among).n_left_out
        for name, model in zip(names_of(models), models, strict=True)
    }


def unseen(
    images: ImageSource, models: Sequence[Model], *, split: Split | None = None
) -> tuple[ImageSource, Mapping[str, int]]:
    """The images of whose units no model was trained on any, and how many are left out, by the
    reason; with a ``split``, all of the other splits stay.

    Raises:
        ImageError: none is left, or the split is empty.
    """
    among = np.arange(len(images))
    if split is not None:
        images.split(split)  # Refuses one that is empty.
        among = among[images.splits == split]
    held = hold_out_seen(models, images.digests, images.groups, among=among)
    if not len(held):
        others = "" if images.groups is None else ", or on others of its group"
        raise ImageError(
            f"each of these {len(among)} images is one that a model was trained on{others} "
            f"({', '.join(names_of(models))}): give other images, or leave out --unseen"
        )
    kept = np.setdiff1d(np.arange(len(images)), np.delete(among, held.positions))
    return images.subset(kept), held.left_out


def names_of(models: Sequence[Model]) -> list[str]:
    """The names of the models, with some of the fingerprint where several have one."""
    alike = Counter(model.name for model in models)
    return [
        model.name if alike[model.name] == 1 else f"{model.name} {model.fingerprint[:_SHORT]}"
        for model in models
    ]
