"""Low-pass filters by Kaiser's window (Karras et al., arXiv 2106.12423, appendix C).

Frequencies and rates are in one unit, cycles per side of the image. Filters sum to 1, in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def low_pass(taps: int, *, cutoff: float, width: float, rate: float) -> Tensor:
    """The filter ``(taps,)`` of a signal of a rate: a sinc of the cutoff under Kaiser's window.

    ``width`` is that of the band in which it falls.
    """
    places = _places(taps) / rate
    taper: Tensor = torch.sinc(2 * cutoff * places) * _window(taps, width / (rate / 2))
    return (taper / taper.sum()).float()


def radial_low_pass(taps: int, *, cutoff: float, width: float, rate: float) -> Tensor:
    """The filter ``(taps, taps)`` that falls alike in all directions, with an even number of taps:
    J1(2 pi cutoff r) / (pi r) under the product of two windows.
    """
    places, window = _places(taps) / rate, _window(taps, width / (rate / 2))
    r = torch.hypot(places[:, None], places)
    disc = torch.special.bessel_j1(2 * math.pi * cutoff * r) / (math.pi * r)
    taper: Tensor = disc * torch.outer(window, window)
    return (taper / taper.sum()).float()


def _places(taps: int) -> Tensor:
    return torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2


def _window(taps: int, width: float) -> Tensor:
    """Kaiser's window for a fall of ``width``, of half the rate, over so many taps."""
    return torch.kaiser_window(taps, periodic=False, beta=_beta(taps, width), dtype=torch.float64)


def _beta(taps: int, width: float) -> float:
    """The window's parameter by Kaiser's formula, from the attenuation that it can reach."""
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    if attenuation > 21:
        return 0.5842 * math.pow(attenuation - 21, 0.4) + 0.07886 * (attenuation - 21)
    return 0.0
