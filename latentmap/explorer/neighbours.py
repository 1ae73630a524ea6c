"""The images whose codes are nearest to that of one, in the source and in every target."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentmap.codes import Codes
from latentmap.explorer.answers import Answer, Asked, text_in, whole_in
from latentmap.explorer.explored import Explored
from latentmap.explorer.pictures import as_source_sees
from latentmap.explorer.points import evenly
from latentmap.expressiveness.neighbours import distances_of

# Numbers of codes that are looked at in each space, so that it takes a part of a second.
_NUMBERS = 1 << 26
_MOST = 24  # Neighbours, and of all spaces together:
_PICTURES = 64


def find_near(explored: Explored, asked: Asked) -> Answer:
    """The nearest of the points to the image ``id``, up to ``count`` of them, in the original space
    of the source and of every target with codes of its own; the pictures of it and of these. Of
    very many points some are looked at, the same in all spaces.
    """
    name = text_in(asked, "id")
    code = explored.codes.require(name)
    count = whole_in(asked, "count", least=1, most=_MOST)
    count = min(count, _PICTURES // len(explored.models))
    widest = max(model.latent_dim for model in explored.models)
    looked = evenly(len(explored.points), max(1, _NUMBERS // widest))
    own = [None if target.own is None else target.own.of(name) for target in explored.targets]
    spaces = [
        _near(explored, space, name, one, looked, count) for space, one in enumerate([code, *own])
    ]
    names = [name, *(one for space in spaces for one in space["ids"])]
    shown, pixels = as_source_sees(explored, list(dict.fromkeys(names)))
    told = {"id": name, "point": explored.points.number_of(name)}
    return Answer({**told, "spaces": spaces, "shown": shown}, pixels)


def _near(
    explored: Explored,
    space: int,
    name: str,
    code: Tensor | None,
    looked: np.ndarray,
    count: int,
) -> dict[str, Any]:
    points = explored.points
    known = looked[points.rows_in(space)[looked] >= 0]
    found, distances = np.array([], np.int64), np.array([])
    if code is not None and len(known):
        # One more, which is the image itself.
        places, distances = nearest(points.codes_in(space, known), code, count + 1)
        others = points.ids[known[places]] != name
        found, distances = known[places][others][:count], distances[others][:count]
    return {
        "model": explored.models[space].name,
        "known": code is not None,
        "among": int((points.ids[known] != name).sum()),
        "ids": points.ids[found].tolist(),
        "points": found.tolist(),
        "distances": distances.tolist(),
    }


def nearest(codes: Codes, code: Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows of the ``count`` codes that are nearest to one ``(d,)``, the nearest first, and how
    far they are.
    """
    places, least, done = torch.empty(0, dtype=torch.long), torch.empty(0), 0
    for block in codes.blocks():
        ((_, distances),) = distances_of(code[None].float(), block)
        here = torch.arange(done, done + len(block))
        least, places = torch.cat([least, distances[0]]), torch.cat([places, here])
        least, kept = least.topk(min(count, len(least)), largest=False)
        places, done = places[kept], done + len(block)
    return places.numpy(), least.numpy()
