"""The images of ``latentmap compare``: of a data set, or made by one of the models for all."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli.data_options import DataOptions, check_choice, data_options
from latentmap.cli.declaring import IMAGES, option, together
from latentmap.cli.image_choice import drawn_in_words
from latentmap.cli.kinds import Reference
from latentmap.cli.options import class_option, samples_option, truncation_option

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class SamplesForAll:
    """Images that one of several models makes, as asked for on the command line; ``n_samples`` is
    None where they are not, ``label`` is the class of a conditional generator, ``truncation`` that
    of their codes.
    """

    n_samples: int | None
    sample_from: str | None
    label: int | None
    truncation: float | None

    @property
    def record(self) -> dict[str, float]:
        """What a result has to say of them: nothing where there are none."""
        return {} if self.n_samples is None else {"truncation": self._truncation}

    @property
    def _truncation(self) -> float:
        return 1.0 if self.truncation is None else self.truncation

    def check(self, references: Sequence[str], data: DataOptions, *, without: bool = False) -> None:
        """Refuses both, or neither, of a data set and samples, and what is of the other one;
        ``without`` tells that there are no images, and need be none.

        Raises:
            click.UsageError: that is so.
        """
        names = {
            "--sample-from": self.sample_from,
            "--class": self.label,
            "--truncation": self.truncation,
        }
        check_choice(data, self.n_samples, names, without=without)
        if self.sample_from is not None and self.sample_from not in references:
            raise click.UsageError(
                f"--sample-from must be one of the models, not {self.sample_from!r}"
            )

    def open(
        self,
        models: list[Model],
        references: Sequence[str],
        data: DataOptions,
        coder: Coder,
        *,
        seed: int,
    ) -> tuple[ImageSource, list[Model]]:
        """The images, and all models as they see these; says which model made them.

        Raises:
            ImageError, ModelError: there are no such images, or a model cannot see them.
        """
        from latentmap.cli.output import warn
        from latentmap.comparison.making import images_for_all, maker_among
        from latentmap.encoders.sampling import adjust

        if self.n_samples is None:
            return data.open_to_fit(), models
        maker = (
            maker_among(models)
            if self.sample_from is None
            else list(references).index(self.sample_from)
        )
        if not models[maker].can_decode:
            models[maker].require_decoder()
        making = adjust(models[maker], label=self.label)
        models = [making if number == maker else model for number, model in enumerate(models)]
        how = drawn_in_words(making, self.label, self._truncation)
        warn(f"{self.n_samples} images are made by {making.name} ({how}), seed {seed}")
        warn(
            f"{making.name} takes part with the codes that they are made of: its own error is none"
        )
        with coder.stage("generating") as progress:
            images, models = images_for_all(
                models,
                maker,
                self.n_samples,
                seed=seed,
                truncation=self._truncation,
                folder=coder.keep_generated(),
                notify=warn,
                progress=progress,
            )
        return data.limited(images), models


def compared_images(command: Command) -> Command:
    """Adds the options of the images; the command gets them as ``data: DataOptions`` and
    ``samples: SamplesForAll``.
    """
    samples = together(
        "samples",
        SamplesForAll,
        samples_option(200),
        option(
            "--sample-from",
            title=IMAGES,
            type=Reference(),
            metavar="MODEL",
            help="For --samples: which of the models makes them.  [default: the first generator]",
        ),
        class_option,
        truncation_option("1"),
    )
    return functools.partial(data_options, required=False)(samples(command))
