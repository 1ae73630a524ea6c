"""Building a network that a file describes: nothing that it claims is believed before it fits."""

import json
from copy import deepcopy

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from latentmap.encoders import find, load
from latentmap.encoders.building import build_network
from latentmap.errors import ModelError


def changed(path, out, name, value):
    """The model file with another value in its configuration; ``name`` may lead into a part."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["latentmap"])
    config = header["config"]
    *within, last = name.split(".")
    for part in within:
        config = config[part]
    assert last in config
    config[last] = value
    save_file(load_file(path), out, {"latentmap": json.dumps(header)})


CLAIMS = {
    ("mnist-vae", "widths"): [4] * 1_000_000,
    ("mnist-vae", "latent_dim"): 10**30,
    ("mnist-vae", "architecture"): ["conv"],
    ("mnist-svae", "width"): 10**9,
    ("mnist-svae", "latent_dim"): float("nan"),
    ("mnist-svae", "image_shape"): [1, 10**9, 10**9],
    ("mnist-gan", "generator.config.widths"): [10**9] * 3,
    ("mnist-stylegan", "generator.config.mapping_layers"): 10**9,
    ("mnist-stylegan", "generator.config.channels"): [1] * 50,
    ("mnist-stylegan", "network.widths"): [[[[[[[[[[1]]]]]]]]]],
}


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
@pytest.mark.parametrize(("model", "name"), CLAIMS)
def test_what_a_file_claims_must_fit_its_tensors(tmp_path, model, name):
    path = tmp_path / "claims.safetensors"
    changed(find(model), path, name, deepcopy(CLAIMS[model, name]))
    with pytest.raises(ModelError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_no_more_layers_are_made_than_there_are_tensors():
    def endless():
        return torch.nn.Sequential(*(torch.nn.Linear(1, 1) for _ in iter(int, 1)))

    with pytest.raises(ModelError, match="more parameters than its 2 tensors can fill"):
        build_network("vae", endless, {"0.weight": torch.ones(1, 1), "0.bias": torch.ones(1)})

    def idle():
        return torch.nn.Sequential(*(torch.nn.Sequential(torch.nn.ReLU()) for _ in iter(int, 1)))

    with pytest.raises(ModelError, match="more layers than its 2 tensors can fill"):
        build_network("vae", idle, {"0.weight": torch.ones(1, 1), "0.bias": torch.ones(1)})
    # The count ends with the building.
    torch.nn.Sequential(*(torch.nn.ReLU() for _ in range(100)))
