"""Models that know their training images, through everything that is made of a model."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from latentmap.encoders import build, load
from latentmap.encoders.halving import halved
from latentmap.encoders.inverted import add_inversion, unwrap
from latentmap.encoders.listing import describe_model
from latentmap.encoders.native import add_box, read_header, save_model
from latentmap.encoders.nets.inversion import InversionNetwork, default_network
from latentmap.encoders.normalising import normalise
from latentmap.encoders.training.on_images import train_on_images
from latentmap.encoders.training.runs import Run
from latentmap.encoders.training.train_gan import GANSettings
from latentmap.encoders.training.train_inversion import InversionSettings, train_inversion
from latentmap.encoders.training.train_vae import VAESettings
from latentmap.errors import ModelError
from latentmap.images import open_images
from latentmap.model import SeenImages

VAE = {"architecture": "dense", "image_shape": [1, 8, 8], "latent_dim": 3, "widths": [8]}
GAN = {"image_shape": [1, 8, 8], "latent_dim": 4, "base": 8, "widths": [4], "norm": "batch"}
SEEN = SeenImages.of(np.random.default_rng(0).integers(0, 256, (40, 16), dtype=np.uint8))


def model_of(family="vae", config=VAE):
    model = build(family, config, name="one")
    model.seen = SEEN
    return model


def same(seen):
    return seen is not None and seen.fingerprint == SEEN.fingerprint


def rewritten(path, change):
    """The file with another header and other tensors."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["latentmap"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    change(header, tensors)
    save_file(tensors, path, metadata={"latentmap": json.dumps(header)})


def test_training_remembers_the_images_and_no_others(tmp_path):
    images = open_images("digits", limit=100)
    out = tmp_path / "vae.safetensors"
    train_on_images(images.subset(range(80)), VAESettings("vae", VAE, 1, batch_size=40), Run(out))
    seen = load(out).seen
    assert seen is not None
    assert len(seen) == describe_model(out).header.n_seen == 80
    assert seen.contains(images.digests).tolist() == [True] * 80 + [False] * 20


def test_an_image_that_could_not_be_read_was_not_seen(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(5):
        Image.fromarray(open_images("digits").read(i)[..., 0]).save(folder / f"{i}.png")
    (folder / "5.png").write_bytes(b"no image")
    images = open_images(folder)
    run = Run(tmp_path / "vae.safetensors", on_error="skip")
    model = train_on_images(images, VAESettings("vae", VAE, 1, batch_size=4), run)
    assert model.seen is not None
    assert model.seen.contains(images.digests).tolist() == [True] * 5 + [False]


def test_a_generator_remembers_with_its_inversion_network(tmp_path):
    images = open_images("digits", limit=40)
    settings = GANSettings(GAN, epochs=1, batch_size=20, discriminator_widths=(4,))
    gan = train_on_images(images, settings, Run(tmp_path / "gan.safetensors"))
    out = tmp_path / "pair.safetensors"
    few = InversionSettings(width=4, steps=1, batch_size=4, held_out=4)
    real = images.subset(range(10))
    train_inversion(load(tmp_path / "gan.safetensors"), few, Run(out), real=real)
    assert read_header(out).training["real"]["n_seen"] == 10
    for model in (gan, load(out), unwrap(load(out))):
        assert model.seen is not None and model.seen.contains(images.digests).all()


def test_what_is_made_of_a_model_remembers_as_well(tmp_path):
    model, path = model_of(), tmp_path / "one.safetensors"
    assert same(halved(model).seen)
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert same(normalise(model, lambda: [x])[0].seen)
    generator = model_of("gan", GAN)
    network_config = default_network("residual", (1, 8, 8), 4, width=4)
    pair = add_inversion(
        generator, InversionNetwork(network_config, (1, 8, 8), 4), network_config, name="one"
    )
    assert same(pair.seen) and same(halved(pair).seen)
    save_model(model, path, training={})
    add_box(path, generator, "0,0,1,1")
    assert same(load(path).seen)


def test_a_file_of_an_earlier_format_does_not_say_what_was_seen(tmp_path):
    path = tmp_path / "one.safetensors"
    model = build("vae", VAE, name="one")
    save_model(model, path, training={})

    def earlier(header, tensors):
        header["format"] = 1

    rewritten(path, earlier)
    assert load(path).seen is None
    assert load(path).fingerprint == model.fingerprint
    assert describe_model(path).to_json()["n_seen"] is None


def test_a_damaged_memory_is_one_clear_line(tmp_path):
    path = tmp_path / "one.safetensors"
    save_model(model_of(), path, training={})

    def damage(header, tensors):
        tensors["seen_images.rests"][3] ^= 1

    rewritten(path, damage)
    with pytest.raises(ModelError, match=r"one\.safetensors: what it remembers of its training"):
        load(path)


@pytest.mark.parametrize("seen", [3, {}, {"n": "many"}, {"n": 3}])
def test_a_header_that_says_something_else_of_it_is_one_clear_line(tmp_path, seen):
    path = tmp_path / "one.safetensors"
    save_model(model_of(), path, training={})

    def change(header, tensors):
        header["seen"] = seen

    rewritten(path, change)
    with pytest.raises(ModelError, match=r"does not describe its model as it should|remembers of"):
        load(path)
