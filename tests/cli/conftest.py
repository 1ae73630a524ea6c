"""What tests of commands about maps need."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latentmap.encoders import build
from latentmap.encoders.native import save_model
from latentmap.images import open_images


def save_vae(path: Path, *, seed: int, latent_dim: int):
    torch.manual_seed(seed)
    config = {
        "architecture": "dense",
        "image_shape": [1, 8, 8],
        "latent_dim": latent_dim,
        "widths": [16],
    }
    save_model(build("vae", config), path, training={})


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A folder with two tiny models of random weights and 300 digits, as the current one."""
    monkeypatch.chdir(tmp_path)
    digits = open_images("digits", limit=300)
    np.save("few.npy", np.stack([digits.read(i) for i in range(300)]))
    save_vae(tmp_path / "a.safetensors", seed=1, latent_dim=5)
    save_vae(tmp_path / "b.safetensors", seed=2, latent_dim=3)
    return tmp_path
