"""What is compared on what: several models, and the images, or their ids, that all of them have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.code_options import CodeOptions, code_options
from latentmap.cli.compare_images import SamplesForAll, compared_images
from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import together
from latentmap.cli.kinds import Reference
from latentmap.cli.options import CoderOptions, Loading, coder_options, loading_options, seed_option
from latentmap.cli.unseen import check_unseen, unseen_images, unseen_option

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Compared:
    """Models, the images that all of them see, and how codes are had."""

    models: Sequence[Model]
    images: ImageSource
    coder: Coder


@dataclass(frozen=True)
class CompareRequest:
    """Several models and what they are compared on, as given on the command line."""

    references: tuple[str, ...]
    data: DataOptions
    samples: SamplesForAll
    codes: CodeOptions
    unseen: bool
    seed: int
    coding: CoderOptions
    loading: Loading

    @property
    def of_codes(self) -> bool:
        """Whether files of codes are compared without images: their ids stand in for these."""
        return self.codes.check(self.references, self.data, self.samples.n_samples)

    @property
    def record(self) -> dict[str, Any]:
        """What a result has to say of how it was asked for."""
        from latentmap.cli.output import command_line

        return {
            "command": command_line(),
            "group_by": self.data.group_by and self.data.group_by.name,
            **self.samples.record,
        }

    def check(self) -> None:
        """Refuses what cannot be together.

        Raises:
            click.UsageError: that is so.
        """
        if len(self.references) < 2:
            raise click.UsageError("give at least two models to compare")
        self.samples.check(self.references, self.data, without=self.of_codes)
        check_unseen(self.unseen, self.data)

    def open(self) -> Compared:
        """The models, and the images.

        Raises:
            LatentmapError: they are not to be had, or two models are the same.
        """
        from latentmap.comparison.models import require_different

        models = self.loading.all(self.references)
        require_different(models)
        coder = self.coding.open(self.data)
        if self.of_codes:
            images, models = self.codes.images_of(models, self.data)
            images = self.data.limited(images)
        else:
            models = self.codes.named(models, self.data)
            images, models = self.samples.open(
                models, self.references, self.data, coder, seed=self.seed
            )
        models = self.data.complete(models, images if self.data.path is None else None)
        if self.unseen:
            images = unseen_images(images, models, coder, split="test")
        # Until the command ends: they are decoded to be encoded, to be carried and to be shown.
        click.get_current_context().with_resource(images.split("test").remembered())
        return Compared(models, images, coder)


def compare_request(command: Command) -> Command:
    """Adds the models and what they are compared on; the command gets them as ``request:
    CompareRequest``.
    """
    models = click.argument(
        "references", nargs=-1, required=True, metavar="MODEL MODEL ...", type=Reference()
    )
    return together(
        "request",
        CompareRequest,
        models,
        compared_images,
        unseen_option,
        code_options,
        seed_option,
        coder_options,
        loading_options,
    )(command)
