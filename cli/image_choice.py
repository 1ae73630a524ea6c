"""Which images a map is fitted or scored on: those of a data set, or those that a model makes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from latentmap.cli.data_options import DataOptions, check_choice
from latentmap.cli.declaring import IMAGES, option
from latentmap.cli.kinds import Text
from latentmap.cli.options import class_option, samples_option, truncation_option

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.mapping import LinearMap
    from latentmap.model import Model

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_SAMPLES = 5000  # Where no images are asked for.


@dataclass(frozen=True)
class SampleOptions:
    """Images that one of two models makes, as asked for on the command line; ``n`` is None where
    they are not.

    ``box`` is the part of them that the other model sees, ``label`` the class of a conditional
    generator, ``truncation`` that of their codes.
    """

    n: int | None = None
    made_by: Literal["src", "dst"] | None = None
    label: int | None = None
    box: str | None = None
    truncation: float | None = None

    def check(self, data: DataOptions, *, without: bool = False) -> None:
        """Refuses both, or neither, of a data set and samples, and what is of the other one;
        ``without`` tells that there are no images, and need be none.

        Raises:
            click.UsageError: that is so.
        """
        names = {
            "--sample-from": self.made_by,
            "--class": self.label,
            "--box": self.box,
            "--truncation": self.truncation,
        }
        check_choice(data, self.n, names, without=without)

    def truncation_of(self, record: Mapping[str, Any]) -> float:
        """That of the codes: as it is given, else as a map that is there records it, else 1."""
        from latentmap.mapping.map_checks import TRUNCATION

        chosen = record.get(TRUNCATION) if self.truncation is None else self.truncation
        return 1.0 if chosen is None else float(chosen)

    def draw(
        self, source: Model, target: Model, coder: Coder, *, seed: int
    ) -> tuple[ImageSource, Model, Model]:
        """The images, and the two models as they see them; says which model made them.

        Raises:
            ImageError, ModelError: they cannot be made, or the other model cannot see them.
        """
        from latentmap.model import images_between

        made_by, maker, other = self._maker(source, target)
        truncation = self.truncation_of({})
        box = self.box or maker.boxes.get(other.fingerprint)
        self._announce(maker, other, box, seed=seed, truncation=truncation)
        with coder.stage("generating") as progress:
            images, maker, other = images_between(
                maker,
                other,
                self._count(),
                seed=seed,
                truncation=truncation,
                folder=coder.keep_generated(),
                box=self.box,
                notify=_warn,
                progress=progress,
            )
        return (images, maker, other) if made_by == "src" else (images, other, maker)

    def open(
        self,
        data: DataOptions,
        linear_map: LinearMap,
        models: tuple[Model, Model],
        coder: Coder,
        *,
        seed: int,
    ) -> ImageSource:
        """The images of a data set, or those that one of the two models makes, for a map that is
        there: it knows what the models see of an image, and at which truncation it was fitted. Says
        which model made them.

        Raises:
            SpaceError: the map does not belong to the models.
            ImageError, ModelError: there are no such images, or the other model cannot see them.
        """
        if self.n is None:
            return data.open()
        from latentmap.model import generated_images
        from latentmap.model.generated import require_shown
        from latentmap.relocation import require_models
        from latentmap.relocation.judged import as_fitted

        require_models(linear_map, *models)
        _, maker, other = self._maker(*as_fitted(linear_map, *models))
        truncation = self.truncation_of(linear_map.record)
        self._announce(maker, other, None, seed=seed, truncation=truncation)
        require_shown(maker, other)
        with coder.stage("generating") as progress:
            images = generated_images(
                maker,
                self._count(),
                seed=seed,
                truncation=truncation,
                folder=coder.keep_generated(),
                notify=_warn,
                progress=progress,
            )
        return data.of_split(images)

    def _count(self) -> int:
        assert self.n is not None, "only where samples are asked for"
        return self.n

    def _maker(self, source: Model, target: Model) -> tuple[Literal["src", "dst"], Model, Model]:
        from latentmap.encoders.sampling import adjust
        from latentmap.errors import ModelError
        from latentmap.model import maker_of

        made_by = self.made_by or ("src" if maker_of(source, target) == "source" else "dst")
        maker, other = (source, target) if made_by == "src" else (target, source)
        if not (maker.can_decode or other.can_decode):
            raise ModelError(
                f"neither {source.name} nor {target.name} has a decoder that makes images: give "
                "images (--data)"
            )
        if not maker.can_decode:
            maker.require_decoder()
        return made_by, adjust(maker, label=self.label), other

    def _announce(
        self, maker: Model, other: Model, box: str | None, *, seed: int, truncation: float
    ) -> None:
        seen = f", of which {other.name} sees {box}" if box else ""
        how = drawn_in_words(maker, self.label, truncation)
        _warn(f"{self.n} images are made by {maker.name} ({how}), seed {seed}{seen}")
        _warn(
            f"{maker.name} takes part with the codes that they are made of: its own error is none"
        )


def drawn_in_words(maker: Model, label: int | None, truncation: float) -> str:
    """Space, class and truncation of the codes of images that a model makes."""
    label_in_words = "" if label is None else f", class {label}"
    return f"{maker.space.kind}{label_in_words}, truncation {truncation:g}"


def sample_options(command: Command, *, fewest: int, box: bool) -> Command:
    """Adds the options of images that a model makes, at least ``fewest``; the command gets them as
    ``samples: SampleOptions``. ``box`` tells whether their box can be chosen; without, there is a
    map that knows it, and the truncation.
    """

    @functools.wraps(command)
    def wrapped(
        *args: Any,
        n_samples: int | None,
        sample_from: Literal["src", "dst"] | None,
        label: int | None,
        truncation: float | None,
        box_name: str | None = None,
        **given: Any,
    ) -> Any:
        samples = SampleOptions(n_samples, sample_from, label, box_name, truncation)
        return command(*args, samples=samples, **given)

    options = [
        samples_option(fewest),
        option(
            "--sample-from",
            title=IMAGES,
            type=click.Choice(("src", "dst")),
            help="For --samples: which model makes them.  [default: the generator, else dst]",
        ),
        class_option,
        truncation_option("1" if box else "as recorded in the map, else 1"),
    ]
    if box:
        options.append(
            option(
                "--box",
                "box_name",
                type=Text(),
                title=IMAGES,
                metavar="BOX",
                help="For --samples: the box top,left,bottom,right (0 to 1) of the made image that "
                "the other model sees.  [default: by the frames of the two]",
            )
        )
    decorated: Any = wrapped
    for add in reversed(options):
        decorated = add(decorated)
    return decorated  # type: ignore[no-any-return]  # as in options.py


def _warn(line: str) -> None:
    from latentmap.cli.output import warn

    warn(line)
