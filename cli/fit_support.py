"""The support set that a map is fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentmap.cli.image_choice import SampleOptions
from latentmap.cli.options import DataOptions

if TYPE_CHECKING:
    from latentmap.images import ImageSource


def check_support(
    support: Path | None,
    data: DataOptions,
    samples: SampleOptions,
    n_pairs: int | None,
    curve: tuple[int | None, ...] | None,
) -> None:
    """A support set says which images the map is fitted on, so nothing else may."""
    given = {
        "--samples": samples.n,
        "--split": data.split,
        "--pairs": n_pairs,
        "--curve": curve,
    }
    names = [name for name, value in given.items() if value is not None]
    if support is not None and names:
        raise click.UsageError(
            f"{' and '.join(names)} cannot be used with --support, which says what the map is "
            "fitted on: leave one of them out"
        )


def with_support(
    path: Path, images: ImageSource, test: ImageSource
) -> tuple[ImageSource, ImageSource, dict[str, Any]]:
    """The images of a support set and those to score; the first of these alone; and what is to be
    said of the set.
    """
    import numpy as np

    from latentmap.cli.progress import progress_bar
    from latentmap.support import SupportSet

    support = SupportSet.load(path)
    with progress_bar("reading images") as progress:
        images.examine(progress)
    members = support.select_in(images)
    wanted = np.isin(images.ids, np.concatenate([members.ids, test.ids]))
    record = {
        "file": str(path),
        "n": len(support),
        "space": str(support.space),
        **{name: support.settings[name] for name in ("strategy", "variables", "threshold")},
    }
    return images.subset(np.flatnonzero(wanted)), members, record
