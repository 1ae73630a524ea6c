"""What the page is told of the explored spaces when it opens."""

from __future__ import annotations

from typing import Any

from latentmap.explorer.answers import Answer, Asked
from latentmap.explorer.explored import Explored
from latentmap.explorer.sectors import leading_variables
from latentmap.explorer.trainings import OnlyTrainings
from latentmap.explorer.uploads import MOST_BYTES
from latentmap.model import Model


def describe(explored: Explored, asked: Asked) -> Answer:
    """The models, the controls, how many images there are, and the trainings."""
    return Answer(
        {
            "source": _told(explored.source),
            "targets": [
                {**_told(one.model), "map": one.linear_map.method, "own": one.own is not None}
                for one in explored.targets
            ],
            "controls": [one.to_json() for one in explored.controls.values()],
            "images": len(explored.codes),
            "command": explored.command,
            "commands": dict(explored.commands),
            "leading": len(leading_variables(explored.ordering, explored.support)),
            "report": explored.report is not None,
            "most_bytes": MOST_BYTES,
            "own": [{"upload": id, "file": file} for id, file in explored.own_names.items()],
            "trainings": [one.to_json() for one in explored.trainings],
        }
    )


def describe_trainings(explored: OnlyTrainings, asked: Asked) -> Answer:
    """The trainings, where there are no spaces."""
    return Answer(
        {
            "source": None,
            "command": explored.command,
            "commands": {},
            "trainings": [one.to_json() for one in explored.trainings],
        }
    )


def _told(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "space": model.space.kind,
        "dim": model.latent_dim,
        "size": list(model.image_shape[1:]),
        "decodes": model.can_decode,
    }
