"""The image sets of ``latentmap bench``: own images, data sets and support sets, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.options import refuse_given
from latentmap.cli.unseen import unseen_images

if TYPE_CHECKING:
    from latentmap.expressiveness.image_sets import ImageSet, SetName
    from latentmap.images import ImageSource
    from latentmap.model import Model


@dataclass(frozen=True)
class BenchSets:
    """The sets that generators are asked to reproduce; ``own`` is the number of own images, None
    where it is not said.
    """

    names: Sequence[SetName]
    data: DataOptions
    own: int | None

    @classmethod
    def parse(
        cls, context: click.Context, texts: Sequence[str], data: DataOptions, *, by: bool = False
    ) -> BenchSets:
        """What texts such as own:256, faces.zip:256 and support.h5 name; ``by`` tells that their
        images are cut into groups.

        Raises:
            click.UsageError: own images twice, or options about images that no set has a use for.
            ImageError: a text names no set.
        """
        from latentmap.expressiveness.image_sets import SetName
        from latentmap.support.support_file import holds_support

        names = [SetName.parse(text) for text in texts]
        own = [name.n for name in names if name.path is None]
        if len(own) > 1:
            raise click.UsageError("own images are one set: give --set own:N once")
        support_sets = [holds_support(Path(one.path)) for one in names if one.path is not None]
        if data.path is not None and not any(support_sets):
            raise click.UsageError(
                "--data is where the images of a support set are: leave it out, or give a support "
                "set as --set"
            )
        if all(support_sets):
            choices = ["split", "limit", "group_by", "ids", "exclude", "where", "missing"]
            choices += ["attributes"] if data.path is None or not by else []
            choices += ["value_range", "unseen", "by"] if data.path is None else []
            refuse_given(context, choices, "where no --set is a data set")
        return cls(names, data, own[0] if own else None)

    def open(
        self, *, seed: int, unseen_by: Sequence[Model] = (), beside: bool = True
    ) -> list[ImageSet]:
        """The sets but for own images; support sets out of --data where it is given. Of data sets,
        only images that none of ``unseen_by`` was trained on. Where there are only support sets, as
        many random images of --data as the first of them has stand ``beside`` them, last.

        Raises:
            LatentmapError: images are not to be had.
        """
        from latentmap.expressiveness.image_sets import ImageSet, titles_of
        from latentmap.support import SupportSet
        from latentmap.support.support_file import holds_support

        whole = None
        if self.data.path is not None:
            whole = self.data.every()
        opened = []
        for name, title in zip(self.names, titles_of(self.names), strict=True):
            if name.path is None:
                continue
            if holds_support(Path(name.path)):
                support = SupportSet.load(Path(name.path))
                opened.append(ImageSet.of_support(support, whole, n=name.n, name=title, seed=seed))
            else:
                images = replace(self.data, path=name.path).open()
                if unseen_by:
                    images = unseen_images(images, unseen_by)
                opened.append(ImageSet.of_images(images, name.n, name=title, seed=seed))
        if (
            beside
            and whole is not None
            and all(image_set.sector is not None for image_set in opened)
        ):
            opened += _random_beside(opened, whole, self.data, unseen_by, seed)
        return opened


def _random_beside(
    support_sets: Sequence[ImageSet],
    images: ImageSource,
    data: DataOptions,
    unseen_by: Sequence[Model],
    seed: int,
) -> list[ImageSet]:
    """As many random images of the data as the first support set has, of those that none has; none
    where there are not 2.
    """
    import numpy as np

    from latentmap.expressiveness.image_sets import ImageSet

    taken = np.concatenate([one.ids for one in support_sets])
    rest = images.subset(np.flatnonzero(~np.isin(images.ids, taken)))
    if unseen_by:
        rest = unseen_images(rest, unseen_by)
    n = min(len(support_sets[0].ids), len(rest))
    if n < 2:
        return []
    return [ImageSet.of_images(rest, n, name=f"random {Path(str(data.path)).name}:{n}", seed=seed)]
