"""Networks that are plain chains of layers: what their tensors say, what has to be said, and exact
codes and images.
"""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from latentmap.encoders import build, load
from latentmap.encoders.checkpoints.chains import chains_in
from latentmap.encoders.checkpoints.importing import import_checkpoint, inspect_checkpoint
from latentmap.encoders.checkpoints.unsaid import ACTIVATIONS, Unsaid
from latentmap.encoders.native import save_model
from latentmap.encoders.nets import layered
from latentmap.errors import CheckpointError, ModelError
from latentmap.model.testing import check_model

SHARED = Path(__file__).parents[2] / "../shared"


def saved(path, value):
    torch.save(value, path)
    return path


def network(*layers, seed=0):
    """The layers in evaluation mode, with norms that are not what they start as."""
    torch.manual_seed(seed)
    made = nn.Sequential(*layers).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return made.requires_grad_(False)


def images(*shape):
    return torch.rand(3, *shape, generator=torch.Generator().manual_seed(7))


def codes(*shape):
    return torch.randn(3, *shape, generator=torch.Generator().manual_seed(8))


def same(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def dcgan(doublings, *, channels=3, norm=True, z=6, width=4):
    """The generator of PyTorch's tutorial, for images of 4 * 2 ** doublings pixels."""
    layers, inputs = [], z
    for place in range(doublings):
        outputs = width + doublings - place
        stride, padding = (2, 1) if place else (1, 0)
        layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False))
        layers += [nn.BatchNorm2d(outputs)] if norm else []
        layers.append(nn.ReLU())
        inputs = outputs
    layers += [nn.ConvTranspose2d(inputs, channels, 4, 2, 1, bias=False), nn.Tanh()]
    return network(*layers)


@pytest.mark.parametrize("doublings", [1, 3, 5])
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("place", ["main.", "module.main.", "netG_state_dict"])
def test_a_dcgan_of_the_tutorial_becomes_an_exact_generator(tmp_path, doublings, norm, place):
    generator = dcgan(doublings, norm=norm)
    state = generator.state_dict()
    inner = {f"main.{name}": tensor for name, tensor in state.items()}
    contents = {
        "main.": inner,
        "module.main.": {f"module.{name}": tensor for name, tensor in inner.items()},
        "netG_state_dict": {
            "netG_state_dict": inner,
            "netD_state_dict": {"main.0.weight": torch.ones(4, 3, 4, 4)},
            "epoch": 3,
        },
    }[place]
    model, record = import_checkpoint(saved(tmp_path / "g.pth", contents))
    side = 4 * 2**doublings
    assert (model.family, model.image_shape) == ("layers", (3, side, side))
    assert model.latent_shape == (6,)
    assert model.is_generator and not model.can_encode
    same(model.decode(codes(6)), generator(codes(6, 1, 1)) / 2 + 0.5)
    (note,) = record["imported"]["notes"]
    assert note.startswith("it is taken for a DCGAN generator as in PyTorch's tutorial: --size")
    if doublings < 5:
        check_model(model)


def test_what_a_lesson_is_taken_for_can_be_said_otherwise(tmp_path):
    generator = dcgan(2, norm=False)
    other = network(*[nn.LeakyReLU(0.2) if type(m) is nn.ReLU else m for m in generator][:-1])
    path = saved(tmp_path / "g.pth", generator.state_dict())
    unsaid = Unsaid(activation="leaky-relu-0.2", output="none", range="-1..1")
    model, record = import_checkpoint(path, unsaid=unsaid)
    same(model.decode(codes(6)), (other(codes(6, 1, 1)) / 2 + 0.5).clamp(0, 1))
    (note,) = record["imported"]["notes"]
    assert "--strides 1,2,2, --paddings 0,1,1 was assumed" in note
    assert "--activation" not in note


def test_the_dcgan_of_a_course_is_known_by_its_kernels(tmp_path):
    def block(inputs, outputs, kernel, stride):
        layers = [nn.ConvTranspose2d(inputs, outputs, kernel, stride), nn.BatchNorm2d(outputs)]
        return nn.Sequential(*layers, nn.ReLU())

    last = nn.Sequential(nn.ConvTranspose2d(3, 1, 4, 2), nn.Tanh())
    generator = network(block(8, 5, 3, 2), block(5, 4, 4, 1), block(4, 3, 3, 2), last)
    state = {f"gen.{name}": tensor for name, tensor in generator.state_dict().items()}
    model, _ = import_checkpoint(saved(tmp_path / "g.pth", state))
    assert model.image_shape == (1, 28, 28)
    same(model.decode(codes(8)), generator(codes(8, 1, 1)) / 2 + 0.5)


def lenet():
    convolutions = [
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten()),
    ]
    return network(*convolutions, nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def test_a_lenet_is_an_encoder_of_the_features_before_its_last_layer(tmp_path):
    classifier = lenet()
    path = saved(tmp_path / "lenet.pth", classifier.state_dict())
    model, record = import_checkpoint(path)
    assert (model.image_shape, model.latent_dim) == ((1, 32, 32), 84)
    assert model.can_encode and not model.can_decode and not model.is_generator
    same(model.encode(images(1, 32, 32)), classifier[:-1](images(1, 32, 32)))
    assert "--until 9 was assumed" in record["imported"]["notes"][-1]
    check_model(model)
    deeper, _ = import_checkpoint(path, unsaid=Unsaid(until="6"))
    same(deeper.encode(images(1, 32, 32)), classifier[:-3](images(1, 32, 32)))
    whole, _ = import_checkpoint(path, unsaid=Unsaid(until="11"))
    same(whole.encode(images(1, 32, 32)), classifier(images(1, 32, 32)))
    with pytest.raises(CheckpointError, match=r"no layer 4 .* --until one of 0, 3, 6, 9, 11"):
        import_checkpoint(path, unsaid=Unsaid(until="4"))


class ExampleVAE(nn.Module):
    def __init__(self, pixels=784):
        super().__init__()
        torch.manual_seed(3)
        self.fc1, self.fc21, self.fc22 = nn.Linear(pixels, 9), nn.Linear(9, 4), nn.Linear(9, 4)
        self.fc3, self.fc4 = nn.Linear(4, 9), nn.Linear(9, pixels)
        self.requires_grad_(False)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_vae_of_pytorchs_examples_becomes_a_vae(tmp_path, prefix):
    vae = ExampleVAE()
    state = {prefix + name: tensor for name, tensor in vae.state_dict().items()}
    model, _ = import_checkpoint(saved(tmp_path / "vae.pth", state))
    assert (model.family, model.image_shape) == ("vae", (1, 28, 28))
    seen = images(1, 28, 28)
    hidden = vae.fc1(seen.flatten(1)).relu()
    posterior = model.posterior(seen)
    same(posterior.mean, vae.fc21(hidden))
    same(posterior.variance, vae.fc22(hidden).exp())
    decoded = vae.fc4(vae.fc3(posterior.mean).relu()).sigmoid().reshape(3, 1, 28, 28)
    same(model.decode(posterior.mean), decoded)
    check_model(model)


def test_the_size_of_an_example_vae_is_told_or_given(tmp_path):
    path = saved(tmp_path / "vae.pth", ExampleVAE(3 * 4 * 4).state_dict())
    assert import_checkpoint(path)[0].image_shape == (3, 4, 4)
    path = saved(tmp_path / "wide.pth", ExampleVAE(4 * 6).state_dict())
    with pytest.raises(CheckpointError, match=r"24 numbers is no square image.*: give --size"):
        import_checkpoint(path)
    assert import_checkpoint(path, unsaid=Unsaid(size=(4, 6)))[0].image_shape == (1, 4, 6)
    with pytest.raises(CheckpointError, match="24 numbers is no image of 5x6"):
        import_checkpoint(path, unsaid=Unsaid(size=(5, 6)))
    with pytest.raises(CheckpointError, match="--strides has no effect on the VAE of PyTorch's"):
        import_checkpoint(path, unsaid=Unsaid(strides=(1,)))


def conv_encoder():
    first = (nn.Conv2d(3, 5, 3, 2, 1), nn.BatchNorm2d(5), nn.SiLU())
    return network(*first, nn.Conv2d(5, 6, 4, 2, 1), nn.SiLU(), nn.Flatten(), nn.Linear(48, 7))


def conv_decoder():
    grid = nn.Unflatten(1, (6, 2, 4))
    first = (nn.ConvTranspose2d(6, 5, 4, 2, 1), nn.BatchNorm2d(5), nn.SiLU())
    last = (nn.ConvTranspose2d(5, 3, 3, 2, 1, output_padding=1), nn.Sigmoid())
    return network(nn.Linear(7, 48), nn.SiLU(), grid, *first, *last, seed=1)


CONV = Unsaid(
    activation="silu",
    output="sigmoid",
    strides=(2,),
    paddings=(1,),
    output_paddings=(0, 0, 0, 1),
    size=(8, 16),
)


def both(encoder, decoder):
    parts = {"encoder": encoder, "decoder": decoder}
    return {
        f"{half}.{name}": tensor
        for half, part in parts.items()
        for name, tensor in part.state_dict().items()
    }


@pytest.mark.parametrize("write", [torch.save, lambda state, path: save_file(state, path)])
def test_an_encoder_and_a_decoder_of_convolutions_become_one_exact_model(tmp_path, write):
    encoder, decoder = conv_encoder(), conv_decoder()
    write(both(encoder, decoder), tmp_path / "both")
    model, record = import_checkpoint(tmp_path / "both", unsaid=CONV)
    assert (model.image_shape, model.latent_shape) == ((3, 8, 16), (7,))
    same(model.encode(images(3, 8, 16)), encoder(images(3, 8, 16)))
    same(model.decode(codes(7)), decoder(codes(7)))
    assert record["imported"]["notes"] == []
    check_model(model)
    save_model(model, tmp_path / "model.safetensors", training={})
    assert load(tmp_path / "model.safetensors").fingerprint == model.fingerprint


def test_two_files_become_one_model_and_either_one_alone(tmp_path):
    encoder, decoder = conv_encoder(), conv_decoder()
    one = saved(tmp_path / "encoder.pth", encoder.state_dict())
    two = saved(tmp_path / "decoder.pth", decoder.state_dict())
    model, _ = import_checkpoint(one, decoder=two, unsaid=CONV)
    same(model.decode(codes(7)), decoder(codes(7)))
    alone = Unsaid(activation="silu", strides=(2,), paddings=(1,), size=(8, 16))
    reads, record = import_checkpoint(one, unsaid=alone)
    same(reads.encode(images(3, 8, 16)), encoder(images(3, 8, 16)))
    assert not reads.can_decode and "from 0 to 1 (--range)" in record["imported"]["notes"][0]
    makes, _ = import_checkpoint(two, unsaid=replace(CONV, output_paddings=(0, 1)))
    same(makes.decode(codes(7)), decoder(codes(7)))
    assert makes.is_generator


def test_codes_may_be_grids(tmp_path):
    encoder = network(nn.Conv2d(1, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 2, 3, 1, 1))
    decoder = network(nn.ConvTranspose2d(2, 4, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(4, 1, 2, 2))
    path = saved(tmp_path / "both.pth", both(encoder, decoder))
    unsaid = Unsaid(
        activation="relu", output="none", strides=(2, 1, 1, 2), paddings=(0, 1, 1, 0), size=(6, 8)
    )
    model, _ = import_checkpoint(path, unsaid=unsaid)
    assert model.latent_shape == (2, 3, 4)
    same(model.encode(images(1, 6, 8)), encoder(images(1, 6, 8)).flatten(1))
    same(model.decode(codes(2, 3, 4)), decoder(codes(2, 3, 4)).clamp(0, 1))


def test_dense_layers_with_names_are_read_in_the_order_of_the_file(tmp_path):
    class Autoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.squeeze, self.norm = nn.Linear(16, 6), nn.BatchNorm1d(6)
            self.almost, self.narrow = nn.Linear(6, 5), nn.Linear(5, 2)

    module = Autoencoder().eval().requires_grad_(False)
    path = saved(tmp_path / "named.pth", module.state_dict())
    unsaid = Unsaid(activation="tanh", range="-1..1")
    model, _ = import_checkpoint(path, unsaid=unsaid)
    hidden = module.norm(module.squeeze(2 * images(1, 4, 4).flatten(1) - 1)).tanh()
    same(model.encode(images(1, 4, 4)), module.narrow(module.almost(hidden).tanh()))


def refusal(path, **options):
    with pytest.raises(CheckpointError) as refused:
        import_checkpoint(path, unsaid=Unsaid(**options))
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_what_is_missing_is_asked_for_in_one_line(tmp_path):
    path = saved(tmp_path / "both.pth", both(conv_encoder(), conv_decoder()))
    message = refusal(path)
    assert "that needs --activation, --output, --strides and --paddings" in message
    assert "the encoder of 1 linear layer, 2 convolutions, 1 batch norm; the decoder of" in message
    assert not inspect_checkpoint(path).prospect()["possible"]
    known = {"activation": "silu", "output": "sigmoid"}
    assert refusal(path, **known).endswith("needs --strides and --paddings")
    alone = saved(tmp_path / "alone.pth", conv_encoder().state_dict())
    assert refusal(alone, activation="silu", strides=(2,), paddings=(1,)).endswith("needs --size")
    dense = saved(tmp_path / "dense.pth", network(nn.Linear(16, 2)).state_dict())
    import_checkpoint(dense)
    assert "--strides has no effect on this chain" in refusal(dense, strides=(1,))
    assert "--output has no effect on this chain" in refusal(dense, output="tanh")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (2, 2)}, "--strides has 2 numbers for 4 convolutions: give one for each, or"),
        (
            {"output_paddings": (0,)},
            "no grid of codes becomes images of 8x16: check --size",
        ),
        ({"size": (16, 16)}, "a grid of 8 positions, but images of 16x16 need 4x4: check --size"),
        ({"strides": (1, 2, 2, 2)}, r"layer 6 of the encoder takes 48 numbers, but .* gives 192"),
        ({"size": None}, "layer 3 takes a grid of 8 positions, which is no square: give --size"),
        ({"paddings": (9,)}, "no grid of codes becomes images of 8x16"),
        ({"pools": (5, 1, 1, 1)}, "the layers of the encoder do not follow each other .a layer"),
        ({"until": "nothing"}, "the encoder has no layer nothing with weights: give --until one"),
        ({"until": "3"}, r"does not fit the encoder: its codes are 7, those of the encoder 6x2x4"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, changes, message):
    path = saved(tmp_path / "both.pth", both(conv_encoder(), conv_decoder()))
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint(path, unsaid=replace(CONV, **changes))


def test_halves_of_other_images_or_kinds_are_refused(tmp_path):
    encoder = saved(tmp_path / "encoder.pth", network(nn.Linear(16, 3)).state_dict())
    decoder = saved(tmp_path / "decoder.pth", network(nn.Linear(3, 64)).state_dict())
    with pytest.raises(CheckpointError, match="a row of 16 numbers is no image of 8x8"):
        import_checkpoint(encoder, decoder=decoder, unsaid=Unsaid(output="none"))
    five = saved(tmp_path / "five.pth", network(nn.Linear(5, 16)).state_dict())
    with pytest.raises(CheckpointError, match="its codes are 5, those of the encoder 3"):
        import_checkpoint(encoder, decoder=five, unsaid=Unsaid(output="none"))
    example = saved(tmp_path / "example.pth", ExampleVAE().state_dict())
    with pytest.raises(CheckpointError, match="is of the VAE of PyTorch's examples, which is no"):
        import_checkpoint(encoder, decoder=example)


@pytest.mark.parametrize(
    "state",
    [
        # A whole autoencoder in one chain; two ways to go; what is no layer; layers in a circle.
        network(nn.Linear(16, 3), nn.Linear(3, 16)).state_dict(),
        network(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 3, 3)).state_dict(),
        {"a.weight": torch.ones(4, 16), "b.weight": torch.ones(3, 5)},
        {"a.weight": torch.ones(4, 16), "b.weight": torch.ones(4)},
        {"a.weight": torch.ones(4, 16), "a.weight_g": torch.ones(4)},
        {"a.weight": torch.ones(4, 16, 3)},
        {"a.weight": torch.ones(2, 15)},
        {"a.weight": torch.ones(4, 3, 3, 2)},
        {"a.weight": torch.ones(4, 0)},
        {"a.weight": torch.ones(4, 16), "encoder.0.weight": torch.ones(4, 16)},
        {"encoder.0.weight": torch.ones(4, 16), "decoder.0.weight": torch.ones(4, 4, 4)},
        {"encoder.0.weight": torch.ones(4, 5, 3, 3)},
        {"decoder.0.weight": torch.ones(5, 4, 3, 3)},
        {f"{n}.weight": torch.ones(4, 16 if n == 0 else 4) for n in range(201)},
    ],
)
def test_what_is_no_chain_or_not_one_alone_is_of_no_known_format(tmp_path, state):
    assert "is of no known format" in refusal(saved(tmp_path / "file", state))


def test_a_square_convolution_of_a_decoder_is_transposed_only_where_it_doubles(tmp_path):
    decoder = network(nn.Linear(2, 12), nn.ReLU(), nn.Unflatten(1, (3, 2, 2)))
    doubling = nn.ConvTranspose2d(3, 3, 4, 2, 1)
    state = {**decoder.state_dict(), "3.weight": doubling.weight, "3.bias": doubling.bias}
    path = saved(tmp_path / "decoder.pth", state)
    options = {"activation": "relu", "output": "none", "paddings": (1,)}
    model, _ = import_checkpoint(path, unsaid=Unsaid(**options, strides=(2,)))
    with torch.no_grad():
        expected = doubling(decoder(codes(2))).clamp(0, 1)
    same(model.decode(codes(2)), expected)
    assert "its layer 3 may be a convolution or a transposed one" in refusal(
        path, **options, strides=(1,)
    )


def test_of_several_chains_the_generator_is_taken_and_others_are_asked_for(tmp_path):
    generator = network(nn.Linear(2, 16)).state_dict()
    judge = network(nn.Linear(16, 1)).state_dict()
    path = saved(tmp_path / "gan.pth", {"generator": generator, "discriminator": judge})
    model, _ = import_checkpoint(path, unsaid=Unsaid(output="sigmoid"))
    assert model.is_generator
    path = saved(tmp_path / "two.pth", {"one": generator, "two": judge})
    message = refusal(path)
    assert "several networks that are chains of layers (one, two): save one of them" in message


def test_a_norm_whose_batches_were_not_counted_is_read(tmp_path):
    encoder = conv_encoder()
    state = encoder.state_dict()
    del state["1.num_batches_tracked"]
    unsaid = Unsaid(activation="silu", strides=(2,), paddings=(1,), size=(8, 16))
    model, _ = import_checkpoint(saved(tmp_path / "encoder.pth", state), unsaid=unsaid)
    same(model.encode(images(3, 8, 16)), encoder(images(3, 8, 16)))


def test_a_deep_chain_of_square_convolutions_has_one_reading():
    layers = {"0.weight": torch.ones(4, 3, 3, 3)}
    layers |= {f"{n}.weight": torch.ones(4, 4, 3, 3) for n in range(1, 60)}
    (chain,) = chains_in(layers).values()
    assert [layer.kind for layer in chain] == ["conv"] * 60


def test_a_picture_decides_how_a_convolution_is_read():
    # A grid of one channel could be made of any row, and 32 is twice 16 as well.
    state = {"decoder.0.weight": torch.ones(32, 3), "decoder.1.weight": torch.ones(2, 1, 5, 5)}
    assert [layer.kind for layer in chains_in(state)["decoder"]] == ["linear", "transposed"]


def test_activations_have_one_list():
    assert ACTIVATIONS == (*layered.ACTIVATIONS, "none")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder": [{"kind": "swirl"}]},
            "of the kind 'swirl': known are linear, conv",
        ),
        ({"encoder": [{"kind": "linear", "outputs": 2, "bias": True}]}, "takes a row, not 1x4x4"),
        ({"encoder": [{"kind": "flatten"}]}, "its layers give codes of 16, not of 2"),
        ({"encoder": [{"kind": "max-pool", "kernel": 5}]}, "a layer max-pool makes nothing of"),
        ({"decoder": [{"kind": "reshape", "shape": [1, 4, 4]}]}, "a row of 2 is no 1x4x4"),
        ({"decoder": [{"kind": "max-pool", "kernel": 2}]}, "takes a grid of channels, not 2"),
        ({"range": [1, 1], "encoder": []}, "values from 1.0 to 1.0 are no range"),
        ({}, "it has neither an encoder nor a decoder"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(changes, message):
    config = {"image_shape": [1, 4, 4], "latent_dim": 2, "range": [0, 1], **changes}
    with pytest.raises(ModelError, match=message):
        build("layers", config)


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    return path


def test_published_files_are_exact():
    path = shared("data/models/dcgan-digiface.tar")
    state = torch.load(path, map_location="cpu", weights_only=True)["netG_state_dict"]
    generator = nn.Sequential()
    for place, (inputs, outputs) in enumerate([(100, 512), (512, 256), (256, 128), (128, 64)]):
        stride, padding = (2, 1) if place else (1, 0)
        generator.append(nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False))
        generator.extend([nn.BatchNorm2d(outputs), nn.ReLU()])
    generator.extend([nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()])
    generator.load_state_dict({name.removeprefix("main."): one for name, one in state.items()})
    generator.eval().requires_grad_(False)
    model, _ = import_checkpoint(path)
    same(model.decode(codes(100)), generator(codes(100, 1, 1)) / 2 + 0.5)

    path = shared("data/models/mnist-lenet.pth")
    classifier = lenet()
    state = torch.load(path, map_location="cpu", weights_only=True)
    classifier.load_state_dict(dict(zip(classifier.state_dict(), state.values(), strict=True)))
    model, _ = import_checkpoint(path)
    same(model.encode(images(1, 32, 32)), classifier[:-1](images(1, 32, 32)))


@pytest.mark.parametrize("name", ["pytorch-examples-dcgan.pth", "ryhan-dcgan.pth"])
def test_published_generators_are_imported(name):
    model, _ = import_checkpoint(shared(f"cases/{name}"))
    assert model.is_generator
    images = model.decode(model.sample(2, seed=0))
    # The larger one is as it was made: nobody has trained it.
    assert images.std() > (0.1 if name == "ryhan-dcgan.pth" else 0.001)
