"""A comparison of three exact models."""

import numpy as np
import pytest
import torch

from latentmap.comparison import CompareOptions, compare_models
from latentmap.images import open_images
from latentmap.model.testing import LinearModel


@pytest.fixture(scope="session")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    models = [
        LinearModel(seed=seed, span_seed=span, name=name, latent_dim=size)
        for seed, span, size, name in ((1, 0, 4, "a"), (2, 0, 4, "b"), (3, 9, 3, "<c>"))
    ]
    pixels = torch.rand(300, 4, 4, 1, generator=torch.manual_seed(0))
    np.save(folder / "images.npy", (pixels * 255).round().to(torch.uint8).numpy())
    return compare_models(
        models,
        open_images(folder / "images.npy"),
        folder / "cache",
        options=CompareOptions(permutations=19, methods=("procrustes",)),
        record={"command": "latentmap compare a b '<c>'"},
    )
