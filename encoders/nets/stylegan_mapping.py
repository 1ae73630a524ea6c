"""The mapping network of StyleGAN 1 and 2: from z, and a class where there is one, to w.

Shapes: ``n`` samples, z ``(n, z_dim)``, labels ``(n, c_dim)`` one-hot floats, w ``(n, w_dim)``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from latentmap.errors import ModelError


class Dense(nn.Module):
    """A linear layer with equalised learning rate (Karras et al., arXiv 1710.10196, section 4.1).

    The weight is stored as N(0, 1) / ``multiplier`` and used times ``multiplier * weight_gain /
    sqrt(inputs)``, the bias used times ``multiplier * bias_gain``.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        multiplier: float = 1.0,
        weight_gain: float = 1.0,
        bias_gain: float = 1.0,
        bias: float = 0.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.weight_gain = multiplier * weight_gain / math.sqrt(inputs)
        self.bias_gain = multiplier * bias_gain

    def forward(self, x: Tensor) -> Tensor:
        """Rows ``(n, outputs)`` of rows ``(n, inputs)``."""
        return torch.addmm(
            self.bias, x, self.weight.t(), beta=self.bias_gain, alpha=self.weight_gain
        )


class LabelProjection(nn.Module):
    """Labels times a matrix, without gain or bias, as the first versions of StyleGAN do it."""

    def __init__(self, labels: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(labels, outputs))

    def forward(self, labels: Tensor) -> Tensor:
        """Rows ``(n, outputs)`` of labels ``(n, labels)``."""
        return labels @ self.weight


class MappingNetwork(nn.Module):
    """Dense layers ``fc0``, ``fc1``, ... from z to w.

    ``config`` gives ``z_dim``, ``latent_dim`` (the width of w), ``mapping_dim`` (of the hidden
    layers; that of w if absent), ``mapping_layers``, ``mapping_multiplier``, and how a class
    enters: ``label`` is "none", "embed" (``embed_dim`` variables, normalised by themselves) or
    "concat" (projected to the width of z and normalised together with it), of ``c_dim`` classes.
    ``bias_gain`` is sqrt(2) where the gain of the activation comes after the bias (StyleGAN 2).
    """

    def __init__(self, config: Mapping[str, Any], *, bias_gain: float) -> None:
        super().__init__()
        z_dim, w_dim = int(config["z_dim"]), int(config["latent_dim"])
        self.c_dim = int(config["c_dim"])
        self.label_kind = config["label"]
        inputs = z_dim
        if self.label_kind == "embed":
            self.embed = Dense(self.c_dim, config["embed_dim"])
            inputs += config["embed_dim"]
        elif self.label_kind == "concat":
            self.label = LabelProjection(self.c_dim, z_dim)
            inputs += z_dim
        elif self.label_kind != "none" or self.c_dim != 0:
            raise ValueError(
                f"label is embed, concat, or none with c_dim 0, not {self.label_kind} with c_dim "
                f"{self.c_dim}"
            )
        hidden = int(config.get("mapping_dim", w_dim))
        self.depth = int(config["mapping_layers"])
        for i in range(self.depth):
            outputs = hidden if i + 1 < self.depth else w_dim
            layer = Dense(
                inputs,
                outputs,
                multiplier=config["mapping_multiplier"],
                weight_gain=math.sqrt(2),
                bias_gain=bias_gain,
            )
            self.add_module(f"fc{i}", layer)
            inputs = outputs
        self.w_avg: Tensor
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """w ``(n, w_dim)`` of z, not truncated.

        Raises:
            ModelError: labels are missing, of another shape, or given to an unconditional network.
        """
        hidden = self._join(z, labels)
        for i in range(self.depth):
            hidden = functional.leaky_relu(self.get_submodule(f"fc{i}")(hidden), 0.2)
        return hidden

    def _join(self, z: Tensor, labels: Tensor | None) -> Tensor:
        expected = None if self.c_dim == 0 else (len(z), self.c_dim)
        given = None if labels is None else tuple(labels.shape)
        if given != expected:
            raise ModelError(
                f"this generator knows {self.c_dim} classes and takes labels of shape {expected}, "
                f"not {given}"
            )
        if labels is None:
            return _normalize(z)
        if self.label_kind == "embed":
            return torch.cat([_normalize(z), _normalize(self.embed(labels))], dim=1)
        return _normalize(torch.cat([z, self.label(labels)], dim=1))


def _normalize(x: Tensor) -> Tensor:
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
