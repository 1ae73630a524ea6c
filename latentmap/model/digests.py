"""What decides a model's codes, as one number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from latentmap.frames import Frame


def model_digest(family: str, config: Mapping[str, Any], frame: Frame, network: nn.Module) -> str:
    """The sha256 (hex) of what decides a model's codes: family, configuration, frame, and every
    tensor by name.
    """
    digest = hashlib.sha256()
    head = {"family": family, "config": dict(config), "frame": frame.to_json()}
    digest.update(json.dumps(head, sort_keys=True).encode())
    for key, tensor in sorted(network.state_dict().items()):
        flat = tensor.detach().cpu().contiguous()
        digest.update(f"{key} {flat.dtype} {tuple(flat.shape)}".encode())
        digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
