"""The progress of the command line, on stderr: bars on a terminal, and in a log a line every 30
seconds of the command.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import click

from latentmap.progress import Progress, ShownStages

_STAGES = "latentmap.progress"


def progress_bar(label: str, unit: str = "images") -> AbstractContextManager[Progress]:
    """A stage of the command that runs; see ``ShownStages``, of which a command has one."""
    context = click.get_current_context()
    if _STAGES not in context.meta:
        context.meta[_STAGES] = ShownStages()
    stages: ShownStages = context.meta[_STAGES]
    return stages(label, unit)
