"""What tests of commands about maps need."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from latentmap.encoders import build
from latentmap.encoders.native import save_model
from latentmap.images import open_images
from tests.cli.forked_workers import fork_workers


def save_vae(path: Path, *, seed: int, latent_dim: int):
    torch.manual_seed(seed)
    config = {
        "architecture": "dense",
        "image_shape": [1, 8, 8],
        "latent_dim": latent_dim,
        "widths": [16],
    }
    save_model(build("vae", config), path, training={})


@pytest.fixture(scope="session")
def models_and_digits(tmp_path_factory):
    """A folder with two tiny models of random weights and 300 digits, to be copied, and the state
    of torch's random numbers after that.
    """
    folder = tmp_path_factory.mktemp("models-and-digits")
    digits = open_images("digits", limit=300)
    np.save(folder / "few.npy", np.stack([digits.read(i) for i in range(300)]))
    save_vae(folder / "a.safetensors", seed=1, latent_dim=5)
    save_vae(folder / "b.safetensors", seed=2, latent_dim=3)
    return folder, torch.get_rng_state()


@pytest.fixture
def workdir(models_and_digits, tmp_path, monkeypatch):
    """A folder with two tiny models of random weights and 300 digits, as the current one."""
    folder, state = models_and_digits
    shutil.copytree(folder, tmp_path, copy_function=shutil.copy, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    # Whatever is drawn from now on is the same in every order of the tests.
    torch.set_rng_state(state)
    return tmp_path


@pytest.fixture
def forked_workers(monkeypatch):
    """Workers that need not import torch first."""
    fork_workers(monkeypatch)


@pytest.fixture
def conditional(workdir):
    """The file of a tiny StyleGAN of random weights with three classes, in the current folder."""
    torch.manual_seed(5)
    config = {
        "image_shape": [1, 8, 8],
        "latent_dim": 12,
        "z_dim": 10,
        "c_dim": 3,
        "label": "embed",
        "embed_dim": 5,
        "channels": [8, 8],
        "mapping_layers": 2,
        "mapping_multiplier": 0.01,
        "architecture": "skip",
        "conv_clamp": None,
    }
    save_model(build("stylegan2", config), workdir / "classes.safetensors", training={})
    return "classes.safetensors"
