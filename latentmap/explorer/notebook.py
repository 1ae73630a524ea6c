"""The page of the explorer in the cell of a notebook."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from latentmap.cache import CoderLike
from latentmap.explorer.explored import Explored
from latentmap.explorer.places import read_place
from latentmap.explorer.preparing import explore_spaces
from latentmap.explorer.serving import Serving, require_server
from latentmap.explorer.session import Session
from latentmap.explorer.trainings import read_trainings
from latentmap.images import ImageSource
from latentmap.mapping import LinearMap
from latentmap.model import Model

_HEIGHT = 860  # Pixels of the frame.


class Explorer:
    """The page over explored spaces, as a notebook shows it; ``address`` opens it in a tab.

    It answers this machine alone, until ``close``, until nothing holds it any more (a notebook
    holds whatever its cells have shown), or until the notebook ends. ``state`` is what stands
    behind the # of a link to the page.
    """

    def __init__(self, explored: Explored, *, state: str = "", height: int = _HEIGHT) -> None:
        explored.code_at(read_place(state))
        serving = Serving(Session(explored), in_notebooks=True)
        self.explored = explored
        self.address = f"{serving.address}#{state}" if state else serving.address
        self._height = height
        self._serving = serving
        # What ends it may be the collection of garbage, in any thread, which is not to wait.
        self._end = weakref.finalize(self, serving.end)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return not self._end.alive

    def close(self) -> None:
        """Ends it; the cells that show it say that it does not answer, or are empty."""
        if self._end.detach() is not None:
            self._serving.close()

    def __enter__(self) -> Explorer:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<Explorer, closed>" if self.closed else f"<Explorer at {self.address}>"

    def _repr_html_(self) -> str:
        if self.closed:
            return "<p>This explorer is closed.</p>"
        address = escape(self.address)
        return (
            f'<iframe src="{address}" title="latentmap explorer" width="100%" '
            f'height="{self._height}" style="border: 0" allow="clipboard-write"></iframe>'
            f'<p><a href="{address}" target="_blank" rel="noopener">In a tab of its own</a>. Where '
            "the frame is empty, the explorer has ended: run the cell again. Or it runs on another "
            "machine: forward its port.</p>"
        )


def explore(
    source: Model,
    targets: Sequence[Model],
    images: ImageSource,
    *,
    coder: CoderLike = None,
    training: ImageSource | None = None,
    maps: Sequence[LinearMap] = (),
    traces: Sequence[str | Path] = (),
    seed: int = 0,
    state: str = "",
    height: int = _HEIGHT,
    progress: bool = False,
) -> Explorer:
    """The explorer of a source and some targets on ``images``, which a notebook shows in its cell.

    All but ``traces`` (files of recorded trainings), ``state`` (where to begin) and ``height`` (in
    pixels) are as for ``explore_spaces``.

    Raises:
        ExplorerError: the libraries of the server are not installed, a map leads elsewhere, or
            there is no such state.
        ImageError, CacheError, ModelError, PairError, MapError: as encoding and fitting raise them.
    """
    require_server()
    read_place(state)  # Before anything is encoded.
    trainings = read_trainings(traces)
    explored = explore_spaces(
        source,
        targets,
        images,
        coder,
        training=training,
        maps=maps,
        seed=seed,
        progress=progress,
    )
    return Explorer(replace(explored, trainings=trainings), state=state, height=height)
