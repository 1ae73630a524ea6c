"""What Pillow remarks on while it reads a file: warnings and logs that are for programmers."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

_REMARK = ("ignore", None, Warning, re.compile(r"PIL\."), 0)
_NOBODY = logging.NullHandler()


@contextmanager
def without_remarks() -> Iterator[None]:
    """Reads as Pillow does with nobody listening: what it cannot read is an error of ours anyway,
    what it can read is no matter of what a person has said of warnings.
    """
    # Else Python prints what is logged; to add it once more does nothing.
    logging.getLogger("PIL").addHandler(_NOBODY)
    # catch_warnings is not for threads: what one restores, another has changed.
    filters = cast(list[Any], warnings.filters)
    filters.insert(0, _REMARK)
    try:
        yield
    finally:
        with suppress(ValueError):  # Others may have restored what was there before.
            filters.remove(_REMARK)
