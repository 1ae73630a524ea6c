"""What is fitted on what: two models, the images or samples that pair them, and how codes are had.

``fit``, ``map methods`` and ``map curve`` share it: what they ask for differs, not what it is asked
of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentmap.cli import image_choice
from latentmap.cli.code_options import CodeOptions, code_options
from latentmap.cli.data_options import DataOptions, data_options
from latentmap.cli.declaring import IMAGES, number_option, option
from latentmap.cli.image_choice import SampleOptions, sample_options
from latentmap.cli.kinds import InputFile, Reference
from latentmap.cli.options import CoderOptions, Loading, coder_options, loading_options, seed_option
from latentmap.cli.unseen import check_unseen, unseen_images, unseen_option

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.model import Model
    from latentmap.relocation import TrainingPairs
    from latentmap.relocation.baselines import BaselineModels

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Fitted:
    """What there is to fit on, the images to score, and what is to be said of both."""

    training: TrainingPairs
    test: ImageSource
    coder: Coder
    record: dict[str, Any]
    baselines: BaselineModels


@dataclass(frozen=True)
class FitRequest:
    """Two models and what pairs them, as given on the command line."""

    src: str
    dst: str
    data: DataOptions
    samples: SampleOptions
    support: Path | None
    n_pairs: int | None
    seed: int
    loading: Loading
    coding: CoderOptions
    unseen: bool
    codes: CodeOptions

    @property
    def alone(self) -> bool:
        """Whether nothing but the models was given: samples stand in for images then."""
        return self.data.path is None and self.samples.n is None and not self.of_codes

    @property
    def makes_images(self) -> bool:
        """Whether a model makes the images."""
        return self.alone or self.samples.n is not None

    @property
    def of_codes(self) -> bool:
        """Whether files of codes are fitted without images: their ids stand in for these."""
        return self.codes.check((self.src, self.dst), self.data, self.samples.n)

    def check(self) -> None:
        """Refuses what cannot be together.

        Raises:
            click.UsageError: that is so.
        """
        if self.support is not None:
            if self.alone or self.of_codes:
                raise click.UsageError(
                    "--support needs the images that it was built from: give --data"
                )
            given = {
                "--samples": self.samples.n,
                "--split": self.data.split,
                "--pairs": self.n_pairs,
            }
            names = [name for name, value in given.items() if value is not None]
            if names:
                raise click.UsageError(
                    f"{' and '.join(names)} cannot be used with --support, which says what the map "
                    "is fitted on: leave one of them out"
                )
        self._samples.check(self.data, without=self.of_codes)
        check_unseen(self.unseen, self.data)

    def load(self) -> tuple[Model, Model]:
        """The source and the target.

        Raises:
            ModelError: one cannot be loaded.
        """

        source, target = self.loading.all([self.src, self.dst])
        return source, target

    def references(self, source: Model, target: Model) -> tuple[str, str]:
        """What a map says of where its models are: what is enough to load them again."""
        from latentmap.encoders.references import full_reference

        return full_reference(self.src, source), full_reference(self.dst, target)

    def open(
        self,
        source: Model,
        target: Model,
        *,
        check: Callable[[int], object] | None = None,
        beside: Callable[[Model, Model, ImageSource], BaselineModels] | None = None,
    ) -> Fitted:
        """The pairs to fit on, and the images to score. ``check`` is called with the number of
        images to fit on, before any is encoded; ``beside`` gives the models of the baselines that
        stand beside a map between the two, fitted on such images.

        Raises:
            LatentmapError: the images or their codes are not to be had.
        """
        from latentmap.cli.output import command_line
        from latentmap.mapping.map_checks import TRUNCATION
        from latentmap.relocation import training_pairs

        coder = self.coding.open(self.data)
        drawn: dict[str, float] = {}
        if self.of_codes:
            images, (source, target) = self.codes.images_of((source, target), self.data)
        elif self._samples.n is None:
            images = replace(self.data, split=None, limit=None).open()
            source, target = self.codes.named((source, target), self.data)
        else:
            images, source, target = self._samples.draw(source, target, coder, seed=self.seed)
            drawn = {TRUNCATION: self._samples.truncation_of({})}
        made = images if self.data.path is None else None
        source, target = self.data.complete((source, target), made)
        record: dict[str, Any] = {
            "command": command_line(),
            "group_by": self.data.group_by and self.data.group_by.name,
            **drawn,
        }
        if self.support is None:
            images, members = self.data.limited(images), None
            test = images.split("test")
        else:
            test = images.split("test")
            if self.data.limit is not None:
                test = test.first(self.data.limit)
            images, members, record["support"] = self._members(images, test, coder)
        if self.unseen:
            test = unseen_images(test, (source, target), coder)
        if check is not None:
            check(len(members or images.split(self.data.fitted_split)))
        # Until the command ends: they are decoded to be encoded, to be scored and to be shown.
        click.get_current_context().with_resource(test.remembered())
        fitted = images.split(self.data.fitted_split) if members is None else members
        baselines = {} if beside is None else beside(source, target, fitted)
        training = training_pairs(
            source,
            target,
            images,
            coder,
            split=self.data.fitted_split,
            chosen=members,
            n_pairs=self.n_pairs,
            beside=list(baselines.values()),
            seed=self.seed,
        )
        return Fitted(training, test, coder, record, baselines)

    @property
    def _samples(self) -> SampleOptions:
        return replace(self.samples, n=image_choice.DEFAULT_SAMPLES) if self.alone else self.samples

    def _members(
        self, images: ImageSource, test: ImageSource, coder: Coder
    ) -> tuple[ImageSource, ImageSource, dict[str, Any]]:
        from latentmap.support import SupportSet
        from latentmap.support.training import members_in

        assert self.support is not None
        support = SupportSet.load(self.support)
        coder.examine(images)
        images, members, record = members_in(support, images, test)
        return images, members, {"file": str(self.support), **record}


def fit_request(command: Command, *, pairs: bool = True) -> Command:
    """Adds the options of what is fitted on what; the command gets them as ``request: FitRequest``.

    Without ``pairs`` the command says itself how many pairs are taken: --pairs and --support are
    left out.
    """

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        src: str,
        dst: str,
        data: DataOptions,
        samples: SampleOptions,
        seed: int,
        loading: Loading,
        coding: CoderOptions,
        support: Path | None = None,
        n_pairs: int | None = None,
        unseen: bool,
        codes: CodeOptions,
        **kwargs: Any,
    ) -> Any:
        request = FitRequest(
            src, dst, data, samples, support, n_pairs, seed, loading, coding, unseen, codes
        )
        return command(*args, request=request, **kwargs)

    options: list[Callable[..., Any]] = [
        src_option,
        dst_option,
        functools.partial(data_options, required=False),  # Samples can stand in place of images.
        unseen_option,
        code_options,
        functools.partial(sample_options, fewest=50, box=True),
    ]
    if pairs:
        options += [_support_option, _pairs_option]
    decorated: Any = wrapped
    for add in reversed([*options, seed_option, coder_options, loading_options]):
        decorated = add(decorated)
    return decorated  # type: ignore[no-any-return]  # as in options.py


src_option = option(
    "--src",
    required=True,
    type=Reference(),
    metavar="MODEL",
    help="The source: codes come from it.",
)
dst_option = click.option(
    "--dst",
    required=True,
    type=Reference(),
    metavar="MODEL",
    help="The target: codes go to it.",
)
_support_option = option(
    "--support",
    title=IMAGES,
    type=InputFile(),
    metavar="FILE",
    help="Fit on the images of this support set, found in the data by their contents; --limit "
    "holds for the images to score then.",
)
_pairs_option = number_option(
    "-n",
    "--pairs",
    "n_pairs",
    least=2,
    title=IMAGES,
    help="Fit on N random images of the split, and encode no others of it.  [default: all]",
)


def skipped_of(record: Mapping[str, Any]) -> list[str]:
    """The images that could not be read, of those to fit on and of those to score."""
    return list(dict.fromkeys((*record["fit_skipped"], *record["skipped"])))
