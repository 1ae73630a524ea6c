"""Two exact models of the same images, and some images that both make without loss."""

import numpy as np
import pytest
import torch

from latentmap.explorer import explore_spaces
from latentmap.images import open_images
from latentmap.model.testing import LinearModel


@pytest.fixture(scope="session")
def models():
    """A source and a target whose codes differ by a rotation, and a generator without encoder."""
    source, target, other = (
        LinearModel(4, seed=seed, name=name)
        for seed, name in ((1, "source"), (2, "target"), (3, "maker"))
    )
    other.can_encode = False
    return source, target, other


@pytest.fixture(scope="session")
def images(models, tmp_path_factory):
    """400 images of codes whose variables differ in their spread, from the largest: 2, 0, 3, 1."""
    spread = torch.tensor([0.5, 0.1, 0.9, 0.3])
    codes = (2 * torch.rand(400, 4, generator=torch.manual_seed(0)) - 1) * spread
    pixels = (models[0].decode(codes) * 255).round().to(torch.uint8)
    path = tmp_path_factory.mktemp("images") / "images.npy"
    np.save(path, pixels.permute(0, 2, 3, 1).numpy())
    return open_images(path)


@pytest.fixture(scope="session")
def explored(models, images, tmp_path_factory):
    source, target, _ = models
    return explore_spaces(source, [target], images, tmp_path_factory.mktemp("cache"))
