"""Checks that the settings of every training share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from latentmap.errors import ModelError


def check_numbers(settings: Any, *, positive: Iterable[str], not_negative: Iterable[str]) -> None:
    """Passes where the fields named ``positive`` are above 0 and those named ``not_negative`` are
    not below; a field that is None was not given.

    Raises:
        ModelError: one is not, or is no number.
    """
    for name in positive:
        value = getattr(settings, name)
        if value is not None and not value > 0:
            raise ModelError(f"{name.replace('_', ' ')} must be above 0, not {value}")
    for name in not_negative:
        value = getattr(settings, name)
        if not value >= 0:
            raise ModelError(f"{name.replace('_', ' ')} must not be below 0, but is {value}")


def check_precision(precision: str) -> None:
    """Passes where networks can be trained in this precision.

    Raises:
        ModelError: they cannot.
    """
    if precision not in ("float32", "bfloat16"):
        raise ModelError(f"training takes float32 or bfloat16, not {precision}")


def autocast(precision: str) -> torch.dtype | None:
    """The type that a recipe casts to, None for float32."""
    return torch.bfloat16 if precision == "bfloat16" else None
