"""What a map is scored on: the map, its models, and images or samples."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from latentmap.cli.code_options import CodeOptions, code_options
from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import together
from latentmap.cli.image_choice import SampleOptions, sample_options
from latentmap.cli.map_options import dst_override, map_argument, src_override
from latentmap.cli.options import CoderOptions, Loading, coder_options, loading_options, seed_option
from latentmap.cli.unseen import check_unseen, unseen_images, unseen_option

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.mapping import LinearMap
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Scored:
    """A map between two models, the ``images`` to score it on, ``every`` one that is there, and how
    codes are had.
    """

    linear_map: LinearMap
    source: Model
    target: Model
    images: ImageSource
    every: ImageSource
    coder: Coder


@dataclass(frozen=True)
class ScoreRequest:
    """A map and what it is scored on, as given on the command line."""

    map_path: Path
    src: str | None
    dst: str | None
    data: DataOptions
    samples: SampleOptions
    codes: CodeOptions
    unseen: bool
    seed: int
    coding: CoderOptions
    loading: Loading

    def check(self) -> None:
        """Refuses what cannot be together.

        Raises:
            click.UsageError: that is so.
        """
        # Without both it takes the map to say whether files of codes stand in for images.
        if self.data.path is not None or self.samples.n is not None:
            self.samples.check(self.data)
        check_unseen(self.unseen, self.data)

    def map(self) -> LinearMap:
        """The map.

        Raises:
            MapError: it cannot be read, or was fitted on groups that are not given.
        """
        from latentmap.mapping import LinearMap

        linear_map = LinearMap.load(self.map_path)
        if self.samples.n is None:
            self._require_fitted_groups(linear_map)
        return linear_map

    def references(self, linear_map: LinearMap) -> tuple[str, str]:
        """The source and the target: those given, else those of the map."""
        return self.src or linear_map.source_reference, self.dst or linear_map.target_reference

    def open(self, *, whole: bool) -> Scored:
        """The map, its models and the images; ``whole`` opens those of other splits as well.

        Raises:
            LatentmapError: they are not to be had.
        """
        from latentmap.cli.map_options import models_for_size

        linear_map = self.map()
        of_codes = self.codes.check(self.references(linear_map), self.data, self.samples.n)
        self.samples.check(self.data, without=of_codes)
        linear_map, source, target = models_for_size(
            linear_map, src=self.src, dst=self.dst, map_path=self.map_path, loading=self.loading
        )
        coder = self.coding.open(self.data, recorded=linear_map.record.get("precision"))
        chosen = replace(self.data, split=None, limit=None) if whole else self.data
        if of_codes:
            every, (source, target) = self.codes.images_of((source, target), chosen, whole=False)
        else:
            source, target = self.codes.named((source, target), self.data)
            models = (source, target)
            every = self.samples.open(chosen, linear_map, models, coder, seed=self.seed)
        made = every if self.data.path is None else None
        source, target = self.data.complete((source, target), made)
        images = self.data.of_split(every) if whole else every
        if self.unseen:
            images = unseen_images(images, (source, target), coder)
        return Scored(linear_map, source, target, images, every, coder)

    def _require_fitted_groups(self, linear_map: LinearMap) -> None:
        """Without the groups of the fit, other images of its groups would count as unseen."""
        from latentmap.cli.output import warn
        from latentmap.errors import MapError

        groups = linear_map.record.get("group_by")
        if not groups or self.data.group_by is not None:
            return
        fitted = f"{self.map_path} was fitted on a split by the groups of {groups}"
        if self.data.split is not None:
            raise MapError(
                f"{fitted}, and the split {self.data.split} without them holds other images of the "
                f"same groups: add --group-by {groups}"
            )
        warn(
            f"{fitted}: other images of its groups are scored as well; add --split test --group-by "
            f"{groups} to leave them out"
        )


def score_request(command: Command) -> Command:
    """Adds the map and what it is scored on; the command gets them as ``request: ScoreRequest``."""
    options: list[Callable[[Command], Command]] = [
        map_argument,
        src_override,
        dst_override,
        functools.partial(data_options, required=False),  # Samples can stand in place of images.
        unseen_option,
        code_options,
        functools.partial(sample_options, fewest=2, box=False),
        seed_option,
        functools.partial(coder_options, recorded=True),
        loading_options,
    ]
    return together("request", ScoreRequest, *options)(command)
