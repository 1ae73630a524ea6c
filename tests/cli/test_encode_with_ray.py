"""`latentmap encode --engine ray`: the same codes, and what is refused."""

import importlib.util
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from latentmap.cli.main import main
from latentmap.cli.sharding import Sharding
from latentmap.encoders import build
from latentmap.encoders.native import save_model

WITH_RAY = importlib.util.find_spec("ray") is not None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a tiny model and 60 images."""
    monkeypatch.chdir(tmp_path)
    np.save("few.npy", np.random.default_rng(0).integers(0, 256, (60, 1, 8, 8), dtype=np.uint8))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = {"architecture": "dense", "image_shape": [1, 8, 8], "widths": [4]}
        save_model(build("vae", {**config, "latent_dim": 3}), Path("a.safetensors"), training={})
    return tmp_path


def encode(*more: str):
    words = "encode a.safetensors --data few.npy --device cpu --batch-size 5 --shard-images 10"
    return CliRunner().invoke(main, [*words.split(), *more])


def shards(cache: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(cache).rglob("shard-*.h5")}


@pytest.mark.skipif(not WITH_RAY, reason="needs Ray")
def test_codes_are_those_of_processes_to_the_bit(folder):
    processes = encode("--workers", "1", "--cache", "processes")
    assert processes.exit_code == 0, processes.output
    # A cluster of its own.
    ray = encode("--workers", "1", "--cache", "ray", "--engine", "ray")
    assert ray.exit_code == 0, ray.output
    assert ray.stdout == processes.stdout.replace("processes:", "ray:")
    assert len(shards("ray")) == 6
    assert shards("ray") == shards("processes")


def test_without_ray_nothing_is_begun(folder, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = encode("--workers", "2", "--cache", "cache", "--engine", "ray")
    assert result.exit_code == 1
    assert result.stderr == (
        'Error: --engine ray needs Ray, which is not installed: pip install "latentmap[ray]"\n'
    )
    assert not Path("cache").exists()


@pytest.mark.parametrize("address", ["head", "head:0", "head:65536", "ray://head:10001", "a b:1"])
def test_an_address_is_host_and_port(address, folder):
    result = encode("--workers", "2", "--engine", "ray", "--address", address)
    assert result.exit_code == 2
    assert f"{address!r} is no address of a Ray cluster: give HOST:PORT" in result.stderr


def test_ray_chooses_the_gpu():
    Sharding(workers=2, engine="ray").check_device("cuda")
    Sharding(workers=2).check_device("cuda:1")
    with pytest.raises(click.UsageError, match="--device cuda:1 does not go with --engine ray"):
        Sharding(workers=2, engine="ray").check_device("cuda:1")
