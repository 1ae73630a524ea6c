"""What a map in a file must be before anything is made of it; nothing of a file is believed.

All of it is asked of arrays and of tensors alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from latentmap.mapping.held_out_error import held_out_error

_LARGEST = 2**63
# By which a record has what the images of the fit were known by, and what that may be.
KNOWN_BY = "known_by"
# By which it says that the images of the fit were too many to be kept.
UNKEPT = "images_not_kept"
# By which it has the truncation of the images of the fit, where a model made them.
TRUNCATION = "truncation"
_KNOWN = ("contents", "ids", "positions")


def _is_finite(part: Any) -> bool:
    """Whether it is float64, and all of it finite."""
    array = np.asarray(part)
    return array.dtype == np.float64 and bool(np.isfinite(array).all())


def _fit(moments: Any, p: int, q: int) -> bool:
    """Whether all parts of moments have the shapes of ``p`` source and ``q`` target variables, are
    finite, and are of some pairs.
    """
    shapes: dict[str, tuple[int, ...]] = {
        "mean_x": (p,),
        "mean_y": (q,),
        "squares_y": (q,),
    }
    if getattr(moments, "root_x", None) is None:
        shapes |= {"xx": (p, p), "xy": (p, q), "yy": (q, q)}
    else:
        # Finite squares are finite products.
        shapes |= {"squares_x": (p,)}
        k = max(len(moments.root_x), 1)
        shapes |= {"root_x": (k, p), "root_y": (k, q)}
    parts = {name: getattr(moments, name) for name in shapes}
    return (
        isinstance(moments.n, int | float)
        and 0 < moments.n < math.inf
        and all(
            part.shape == shapes[name] and _is_finite(part)
            for name, part in parts.items()
            if part is not None
        )
    )


def _in_order(found: Any) -> bool:
    """Whether it is numbers of at least 0, the least first, or nothing."""
    if found is None:
        return True
    numbers = np.asarray(found)
    return (
        _is_finite(numbers)
        and numbers.ndim == 1
        and len(numbers) > 0
        and bool((np.diff(numbers, prepend=0) >= 0).all())
    )


def _is_penalty(found: Any) -> bool:
    penalty = found.penalty if isinstance(found.settings, dict) else None
    return penalty is None or (_is_number(penalty) and 0 <= penalty < math.inf)


def _is_number(value: Any) -> bool:
    """Whether it is a float, or a whole number that fits into one."""
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= _LARGEST)


def _is_record(record: Any) -> bool:
    """Whether all that is shown, or asked for, of a record is of the type that it should have."""
    if not isinstance(record, dict):
        return False
    texts = [record.get(name, "") for name in ("command", "precision", "group_by")]
    lists = [record.get(name, []) for name in ("selection", "made_of")]
    if not all(isinstance(part, list) for part in lists):
        return False
    chosen, made_of = lists
    return (
        all(isinstance(text, str | None) for text in texts)
        and record.get(KNOWN_BY, "contents") in _KNOWN
        and _is_truncation(record.get(TRUNCATION))
        and all(isinstance(part, dict) for part in (*chosen, *made_of))
        and all(_is_number(part.get("n_units") or 0) for part in chosen)
        and all(isinstance(part.get("map"), str) for part in made_of)
    )


def _is_truncation(value: Any) -> bool:
    return value is None or (_is_number(value) and 0 <= value < math.inf)


def _has_errors(found: Any) -> bool:
    """Whether what its record says of errors on other images, if anything, can be read."""
    try:
        held_out_error(found)
    except (AttributeError, ValueError):
        return False
    return True


def known_by_of(*records: Mapping[str, Any]) -> str:
    """What the images of several maps are known by, all of them together.

    Example:
        >>> known_by_of({}, {"known_by": "ids"}), known_by_of({"known_by": "ids"})
        ('contents', 'ids')
    """
    found = {record.get(KNOWN_BY, "contents") for record in records}
    if "positions" in found:
        return "positions"
    return "ids" if found == {"ids"} else "contents"


def check_map(found: Any) -> None:
    """Refuses a map of a file, a ``LinearMap`` or a ``StoredMap``, whose parts are not of the types
    and shapes that they should have.

    Raises:
        ValueError: that is so.
    """
    p, q = found.source.dim, found.target.dim
    patches = found.patches
    grids = (found.source.shape, found.target.shape)
    if patches is not None:
        p, q = patches.p, patches.q
    wrong = {
        "the patches must be those of its spaces": patches is not None
        and (patches.source, patches.target) != grids,
        f"the weight must be a ({p}, {q}) matrix": found.weight.shape != (p, q),
        f"the bias must have {q} numbers": found.bias.shape != (q,),
        "weight and bias must be float64 and finite": not all(
            _is_finite(part) for part in (found.weight, found.bias)
        ),
        "the digests of images must have 16 bytes each": found.train_digests.dtype != np.uint8
        or found.train_digests.shape[1:] != (16,),
        "the moments must be those of its spaces": found.moments is not None
        and not _fit(found.moments, p, q),
        "the distances of fitted codes must be numbers of at least 0, in order": not _in_order(
            getattr(found, "source_distances", None)
        ),
        "settings, figures and record must be lists of names with values": not all(
            isinstance(part, dict) for part in (found.settings, found.figures, found.record)
        ),
        "the penalty must be a number of at least 0": not _is_penalty(found),
        "its figures must be numbers": not all(
            value is None or _is_number(value) for value in found.figures.values()
        ),
        "its record must say in texts and numbers what made it": not _is_record(found.record),
        "its errors on other images must be figures with intervals": not _has_errors(found),
        "rank and number of pairs must be whole numbers": not all(
            type(number) is int and _is_number(number) for number in (found.rank, found.n_pairs)
        ),
        "the condition must be a number": not _is_number(found.condition),
        "method and models must be texts": not all(
            isinstance(text, str)
            for text in (found.method, found.source_reference, found.target_reference)
        ),
    }
    for said, is_so in wrong.items():
        if is_so:
            raise ValueError(said)
