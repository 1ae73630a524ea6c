"""Images that a model was trained on: how many are scored, and how they are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import click

from latentmap.cli.data_options import DataOptions
from latentmap.cli.declaring import IMAGES, option

if TYPE_CHECKING:
    from latentmap.cache import Coder
    from latentmap.images import ImageSource
    from latentmap.model import Model

unseen_option = option(
    "--unseen",
    title=IMAGES,
    is_flag=True,
    help="Leave out images to score that a model here was trained on, with --group-by all of their "
    "groups.",
)


def check_unseen(unseen: bool, data: DataOptions) -> None:
    """Refuses ``--unseen`` without a data set.

    Raises:
        click.UsageError: so it is.
    """
    if unseen and data.path is None:
        raise click.UsageError(
            "--unseen chooses images of a data set: leave it out, or give --data"
        )


def unseen_images(
    images: ImageSource,
    models: Sequence[Model],
    coder: Coder | None = None,
    *,
    split: Literal["train", "val", "test"] | None = None,
) -> ImageSource:
    """Those of some images to score, or of a split of them, that no model was trained on; says how
    many are left out. Contents that the cache of a ``coder`` knows are not read.

    Raises:
        ImageError: none is left.
    """
    from latentmap.cli.output import tell_left_out
    from latentmap.cli.progress import progress_bar
    from latentmap.model import unseen

    with progress_bar("reading images") as progress:
        images.examine(progress, store=None if coder is None else coder.cache.contents)
    kept, left_out = unseen(images, models, split=split)
    tell_left_out(left_out)
    return kept


def tell_seen(n_seen: Mapping[str, int | None], n: int, what: str = "images") -> None:
    """One line on stderr that says how many of ``n`` scored images each model was trained on."""
    from latentmap.cli.output import warn

    told = ", ".join(
        f"{name} {'unknown' if count is None else format(count, ',')}"
        for name, count in n_seen.items()
    )
    known = {parameter.name for parameter in click.get_current_context().command.params}
    advice = " (--unseen leaves these out)" if "unseen" in known and any(n_seen.values()) else ""
    warn(f"seen in training, of {n:,} {what}: {told}{advice}")
