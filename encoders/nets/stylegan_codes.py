"""Codes of StyleGAN generators: w ``(n, w_dim)``, and ws ``(n, num_ws, w_dim)``, one w a layer."""

from __future__ import annotations

import torch
from torch import Tensor


def count_ws(resolution: int) -> int:
    """The number of layers that take a w of their own: two a resolution from 4 on."""
    return 2 * resolution.bit_length() - 4


def broadcast_w(w: Tensor, num_ws: int) -> Tensor:
    """ws with the same w for every layer."""
    return w.unsqueeze(1).expand(-1, num_ws, -1)


def truncate(ws: Tensor, w_avg: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """ws drawn towards the mean, ``w_avg + psi * (ws - w_avg)``, in the layers before ``cutoff``.

    Without ``cutoff`` in all layers (Karras et al., arXiv 1812.04948, appendix B).
    """
    if cutoff is None:
        return torch.lerp(w_avg.expand_as(ws), ws, psi)
    return torch.cat([truncate(ws[:, :cutoff], w_avg, psi), ws[:, cutoff:]], dim=1)


def mix_styles(ws_a: Tensor, ws_b: Tensor, start: int) -> Tensor:
    """ws of ``ws_a`` before layer ``start``, of ``ws_b`` from there on (arXiv 1812.04948, 3.1)."""
    return torch.cat([ws_a[:, :start], ws_b[:, start:]], dim=1)
