"""The labels of images: the option ``--labels``, and where they come from without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentmap.cli.declaring import IMAGES, option
from latentmap.cli.kinds import Reference

if TYPE_CHECKING:
    import numpy as np

    from latentmap.images import ImageSource

labels_option = option(
    "--labels",
    title=IMAGES,
    type=Reference(),
    metavar="FILE[:COLUMN]",
    help="What each image shows: a csv with the image in its first column, and which "
    "of the others is meant.  [default: MNIST's labels beside the images, the array labels of an "
    ".npz, one folder a label]",
)


def labels_of(images: ImageSource, table: str | None) -> np.ndarray | None:
    """The labels ``(n,)`` of images by a table, or those that are known without one.

    Raises:
        ImageError: they do not fit the images.
    """
    from latentmap.images.labels import read_labels

    return images.labels if table is None else read_labels(images.ids, table)
