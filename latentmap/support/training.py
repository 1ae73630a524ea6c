"""A support set as what a map is fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentmap.images import ImageSource
from latentmap.support.support_set import SupportSet


def members_in(
    support: SupportSet, images: ImageSource, test: ImageSource
) -> tuple[ImageSource, ImageSource, dict[str, Any]]:
    """The images of a support set and those to score, the first of these alone, and what is to be
    said of the set; they are found among ``images`` by their contents.

    Raises:
        SupportError: the images do not hold the set.
    """
    members = support.select_in(images)
    wanted = np.isin(images.ids, np.concatenate([members.ids, test.ids]))
    record = {
        "n": len(support),
        "space": str(support.space),
        **{name: support.settings[name] for name in ("strategy", "variables", "threshold")},
    }
    return images.subset(np.flatnonzero(wanted)), members, record
