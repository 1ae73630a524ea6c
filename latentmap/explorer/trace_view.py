"""The view "Traces": a recorded training at one of its epochs, and its curves."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from latentmap.diagnostics.label_colours import colour_of
from latentmap.diagnostics.trace_figures import Motion
from latentmap.diagnostics.trace_moments import moment_of
from latentmap.errors import ExplorerError
from latentmap.explorer.answers import Answer, Asked, text_in, whole_in
from latentmap.explorer.trainings import Training

_TAIL = 12  # Moments that the way of a code is seen behind it, as films have it.
_DIGITS = 5  # Of what is drawn.


class WithTrainings(Protocol):
    """What holds trainings: explored spaces, or trainings alone."""

    @property
    def trainings(self) -> tuple[Training, ...]:
        """In the order in which they were given."""


def show_moment(explored: WithTrainings, asked: Asked) -> Answer:
    """The training number ``trace`` at the end of ``epoch``."""
    training = training_asked(explored, asked)
    epoch = whole_in(asked, "epoch", most=len(training.trace.epochs.number) - 1)
    moment = moment_of(training.trace, epoch)
    motion = training.motion
    plane = None if motion is None else plane_of(motion, moment.step)
    return Answer({**moment.to_json(), "plane": plane})


def draw_curves(explored: WithTrainings, asked: Asked) -> Answer:
    """The curves of the training number ``trace`` that are called ``drawn``."""
    found = training_asked(explored, asked).curves(text_in(asked, "drawn"))
    return Answer(
        {
            "title": found.title,
            "at": found.at.tolist(),
            "lines": [_rounded(line) for line in found.values],
            "variables": list(found.variables),
            "inactive": list(found.inactive),
        }
    )


def training_asked(explored: WithTrainings, asked: Asked) -> Training:
    """The training number ``trace``.

    Raises:
        ExplorerError: there is none.
    """
    known = explored.trainings
    if not known:
        raise ExplorerError("no training was recorded here: start with --trace FILE")
    return known[whole_in(asked, "trace", most=len(known) - 1)]


def plane_of(motion: Motion, step: int) -> dict[str, Any]:
    """Discs of the followed codes when a step was done, and the way that led there."""
    last = max(int(np.searchsorted(motion.steps, step, side="right")) - 1, 0)
    first = max(last - _TAIL, 0)
    return {
        "variables": list(motion.variables),
        "step": int(motion.steps[last]),
        "reach": motion.reach,
        "ways": [[_rounded(at) for at in way] for way in motion.places[first : last + 1]],
        "radii": _rounded(motion.radii[last]),
        "colours": [colour_of(group) for group in motion.groups.tolist()],
        "legend": [{"name": name, "colour": colour_of(i)} for i, name in enumerate(motion.legend)],
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]
