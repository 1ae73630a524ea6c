"""Foreign files are told apart by their content; what they hold is shown, or refused in a line."""

import json
import random
import time
from dataclasses import replace

import pytest
import torch

from latentmap.encoders.checkpoints.foreign import open_foreign
from latentmap.encoders.checkpoints.formats import FORMATS, recognise
from latentmap.encoders.checkpoints.values import Global, Record, TensorView, text_digest
from latentmap.errors import CheckpointError
from tests.encoders import foreign_writers, nvlabs_writer, tensorflow_writer
from tests.encoders.foreign_writers import STYLEGAN1, STYLEGAN2, random_weights, save

SMALL = {**STYLEGAN2, "image_shape": [3, 8, 8], "channels": [3, 2]}
SMALL_STYLEGAN1 = {**STYLEGAN1, "image_shape": [3, 8, 8], "channels": [3, 2]}
NVLABS, TENSORFLOW, ROSINALITY, GENFORCE, PORTS, *_ = FORMATS


def opened(tmp_path, write):
    path = tmp_path / "a name that says nothing"
    write(path)
    return open_foreign(path)


def nvlabs_file(path, **networks):
    generator = nvlabs_writer.generator(SMALL, random_weights("stylegan2", SMALL))
    contents = {"G": generator, "D": nvlabs_writer.discriminator(), "G_ema": generator, **networks}
    nvlabs_writer.write(path, {**contents, "training_set_kwargs": {"path": "x.zip", "flip": True}})


def tensorflow_file(path, *, family="stylegan2", config=SMALL, **arguments):
    make = getattr(tensorflow_writer, f"{family}_variables")
    variables = make(config, random_weights(family, config))
    network = tensorflow_writer.generator("Gs", config, variables, **arguments)
    other = tensorflow_writer.Network("D", {"8x8/FromRGB/weight": torch.ones(2).numpy()})
    tensorflow_writer.write(path, (network, other, network))


def torch_file(make, family="stylegan2", config=SMALL):
    return lambda path: save(make(config, random_weights(family, config)), path)


def as_generator_smooth(make):
    return lambda config, weights: {"generator_smooth": make(config, weights)}


FILES = [
    (NVLABS, nvlabs_file),
    (NVLABS, torch_file(lambda config, weights: weights)),
    (TENSORFLOW, tensorflow_file),
    (
        TENSORFLOW,
        lambda path: tensorflow_file(path, family="stylegan1", config=SMALL_STYLEGAN1),
    ),
    (ROSINALITY, torch_file(foreign_writers.rosinality_state)),
    (ROSINALITY, torch_file(foreign_writers.rosinality_converted)),
    (ROSINALITY, torch_file(foreign_writers.rosinality_training)),
    (GENFORCE, torch_file(foreign_writers.genforce_stylegan2)),
    (
        GENFORCE,
        torch_file(
            as_generator_smooth(foreign_writers.genforce_stylegan1), "stylegan1", SMALL_STYLEGAN1
        ),
    ),
    (PORTS, torch_file(foreign_writers.lernapparat, "stylegan1", SMALL_STYLEGAN1)),
    (PORTS, torch_file(foreign_writers.huangzh13, "stylegan1", SMALL_STYLEGAN1)),
]


@pytest.mark.parametrize(("expected", "write"), FILES)
def test_one_format_alone_recognises_a_file(tmp_path, expected, write):
    file = opened(tmp_path, write)
    assert [name for name, recogniser in FORMATS.items() if recogniser(file)] == [expected]
    recognised = recognise(file)
    assert recognised.format == expected
    json.dumps([recognised.options, *(network.arguments for network in recognised.networks)])


def without_numbers(value):
    """The same tree, whose tensors cannot be read."""

    def refuse():
        raise AssertionError("a tensor was read")

    if isinstance(value, TensorView):
        return replace(value, load=refuse)
    if isinstance(value, dict):
        return {name: without_numbers(entry) for name, entry in value.items()}
    return value


def test_tensors_are_not_read_before_the_conversion(tmp_path):
    for make in (foreign_writers.rosinality_converted, foreign_writers.genforce_stylegan2):
        file = opened(tmp_path, torch_file(make))
        recognised = recognise(replace(file, value=without_numbers(file.value)))
        with pytest.raises(AssertionError, match="a tensor was read"):
            recognised.convert()


def test_the_networks_of_a_persistence_pickle_are_shown(tmp_path):
    augmentation = nvlabs_writer.other_network("AugmentPipe", "Hz_geom")
    recognised = recognise(
        opened(tmp_path, lambda path: nvlabs_file(path, augment_pipe=augmentation, x=None))
    )
    assert [(n.name, n.kind, n.class_name) for n in recognised.networks] == [
        ("G", "StyleGAN2 generator", "Generator"),
        ("D", "discriminator", "Discriminator"),
        ("G_ema", "StyleGAN2 generator", "Generator"),
        ("augment_pipe", "augmentation", "AugmentPipe"),
    ]
    assert recognised.options == {"path": "x.zip", "flip": True}
    generator = recognised.networks[0]
    assert generator.source_sha256 == text_digest(nvlabs_writer.SOURCE)
    assert generator.arguments["synthesis_kwargs"] == {"channel_base": 16384, "conv_clamp": None}
    assert generator.tensors["synthesis.b8.conv0.weight"].shape == (2, 3, 3, 3)
    # Of a module, its own tensors come first, then those of the modules in it, as in torch.
    assert list(generator.tensors)[:2] == ["mapping.w_avg", "mapping.fc0.weight"]


def test_a_stylegan_xl_generator_is_no_stylegan3_and_refused(tmp_path):
    names = ("synthesis.input.freqs", "mapping.w_avg", "mapping.embed_proj.weight")
    generator = nvlabs_writer.other_network("Generator", *names)
    file = opened(tmp_path, lambda path: nvlabs_writer.write(path, {"G_ema": generator}))
    recognised = recognise(file)
    assert recognised.networks[0].kind == "StyleGAN-XL generator"
    with pytest.raises(CheckpointError, match="a StyleGAN-XL generator: its file can be inspect"):
        recognised.convert()


def test_a_file_without_a_generator_says_what_it_holds(tmp_path):
    other = nvlabs_writer.other_network("Other", "weight")
    contents = {"D": nvlabs_writer.discriminator(), "G_ema": None, "\x1b[2J": other}
    file = opened(tmp_path, lambda path: nvlabs_writer.write(path, contents))
    message = r"no StyleGAN generator, only D \(discriminator\), \\x1b\[2J \(unknown network\):"
    with pytest.raises(CheckpointError, match=message):
        recognise(file).convert()


def test_the_networks_of_a_tensorflow_pickle_are_shown(tmp_path):
    recognised = recognise(opened(tmp_path, lambda path: tensorflow_file(path, fmap_max=512)))
    assert [(n.name, n.kind, n.class_name) for n in recognised.networks] == [
        ("G", "StyleGAN2 generator", "G_main"),
        ("D", "discriminator", "G_main"),
        ("Gs", "StyleGAN2 generator", "G_main"),
    ]
    generator = recognised.networks[2]
    assert generator.arguments == {"resolution": 8, "fmap_max": 512}
    assert generator.source_sha256 == text_digest(tensorflow_writer.SOURCE)
    assert generator.tensors["synthesis/8x8/Conv0_up/weight"].shape == (3, 3, 3, 2)
    assert generator.tensors["synthesis/8x8/Conv0_up/noise_strength"].shape == ()


def test_a_tensorflow_pickle_whose_average_is_no_generator_gives_g(tmp_path):
    variables = tensorflow_writer.stylegan2_variables(SMALL, random_weights("stylegan2", SMALL))
    generator = tensorflow_writer.generator("G", SMALL, variables)
    encoder = tensorflow_writer.Network("E", {"8x8/FromRGB/weight": torch.ones(2).numpy()})
    empty = tensorflow_writer.Network("Gs", {})

    def kinds_of(*networks):
        file = opened(tmp_path, lambda path: tensorflow_writer.write(path, networks))
        recognised = recognise(file)
        return recognised, [network.kind for network in recognised.networks]

    recognised, kinds = kinds_of(encoder, generator, encoder, empty)
    assert kinds == ["encoder", "StyleGAN2 generator", "discriminator", "unknown network"]
    assert recognised.convert().notes == ("the file's Gs is no generator: G was taken",)
    recognised, _ = kinds_of(empty, encoder, empty)
    with pytest.raises(CheckpointError, match=r"generator, only G \(unknown network\), D \(discr"):
        recognised.convert()


def test_the_networks_and_options_of_a_training_file_of_rosinality_are_shown(tmp_path):
    recognised = recognise(opened(tmp_path, torch_file(foreign_writers.rosinality_training)))
    assert [(n.name, n.kind) for n in recognised.networks] == [
        ("g", "StyleGAN2 generator"),
        ("g_ema", "StyleGAN2 generator"),
    ]
    assert recognised.options == {"size": 32, "channel_multiplier": 2, "path": "data"}


def test_without_a_moving_average_the_trained_generator_is_taken(tmp_path):
    weights = random_weights("stylegan2", SMALL)
    state = foreign_writers.rosinality_state(SMALL, weights)
    recognised = recognise(opened(tmp_path, lambda path: save({"g": state}, path)))
    assert recognised.convert().notes[0] == "the file holds no moving average g_ema: g was taken"
    state = foreign_writers.genforce_stylegan2(SMALL, weights)
    recognised = recognise(opened(tmp_path, lambda path: save({"generator": state}, path)))
    assert recognised.convert().notes == (
        "the file holds no moving average generator_smooth: generator was taken",
        "the file does not say final_tanh: none was assumed (--final-tanh)",
    )


FIRST_OF_THREE = {"input_layer.0.weight": torch.ones(4, 3, 3, 3)}
FIRST_OF_SIX = {"conv1.weight": torch.ones(4, 6, 7, 7)}
HEADS = {"styles.0.linear.weight": torch.ones(4, 4)}
ONE_CODE = {"linear.weight": torch.ones(4, 4)}
ALL_CODES = {"linear.weight": torch.ones(16, 4)}


@pytest.mark.parametrize(
    ("encoder", "options", "kind"),
    [
        (FIRST_OF_THREE | HEADS, {}, "pSp encoder into W+"),
        (FIRST_OF_THREE | HEADS, {"learn_in_w": True}, "pSp encoder into W"),
        (FIRST_OF_THREE | ALL_CODES, {"learn_in_w": False}, "pSp encoder into W+"),
        (FIRST_OF_THREE | ONE_CODE, {}, "pSp encoder into W"),
        (FIRST_OF_THREE | HEADS, {"encoder_type": "Encoder4Editing"}, "e4e encoder into W+"),
        (FIRST_OF_THREE | HEADS, {"delta_norm_lambda": 2e-4}, "e4e encoder into W+"),
        (FIRST_OF_SIX | HEADS, {"encoder_type": "BackboneEncoder"}, "ReStyle encoder into W+"),
        ({"weight": torch.ones(2, 2)}, {}, "unknown network"),
    ],
)
def test_encoders_around_a_generator_are_told_apart(tmp_path, encoder, options, kind):
    contents = foreign_writers.around_rosinality(
        SMALL, random_weights("stylegan2", SMALL), encoder=encoder, **options
    )
    recognised = recognise(opened(tmp_path, lambda path: save(contents, path)))
    assert [(n.name, n.kind) for n in recognised.networks] == [
        ("decoder", "StyleGAN2 generator"),
        ("encoder", kind),
    ]
    assert recognised.options == options


def test_the_names_of_idinvert_are_recognised_and_refused(tmp_path):
    state = {"synthesis.layer1.epilogue.bias": torch.ones(3)}
    recognised = recognise(opened(tmp_path, lambda path: save(state, path)))
    with pytest.raises(CheckpointError, match="network is a StyleGAN1 generator of idinvert: its"):
        recognised.convert()


@pytest.mark.parametrize(
    ("value", "outline"),
    [
        ({}, "a dict; known are NVIDIA's stylegan2-ada-pytorch or stylegan3; "),
        ([1, 2], "a list; known are"),
        (
            {**dict.fromkeys("abcdefghi"), "weights": {"x": torch.ones(2)}},
            "a dictionary with a, b, c, d, e, f, g, h, ...; known are",
        ),
        (torch.nn.Linear(2, 2), r"an object of torch\.nn\.modules\.linear\.Linear; known are"),
        ({"conv.weight": torch.ones(2), 3: 4}, r"a dictionary with conv\.weight; known are"),
    ],
)
def test_an_unknown_file_says_what_it_holds_and_what_is_known(tmp_path, value, outline):
    file = opened(tmp_path, lambda path: save(value, path))
    with pytest.raises(CheckpointError, match=f"is of no known format: it holds {outline}"):
        recognise(file)


def test_arguments_are_cut_and_reduced_to_what_json_holds(tmp_path):
    arguments = {
        "deep": [[[[1]]]],
        "long": "x" * 1000,
        "large": 2**100,
        "infinite": float("inf"),
        "bytes": b"abc",
        "source": "x" * 100_000,
        "tensor": torch.ones(2, 3).numpy(),
        "set": {1},
        "type": dict,
    }
    file = opened(tmp_path, lambda path: tensorflow_file(path, **arguments))
    shown = recognise(file).networks[0].arguments
    assert shown == {
        "resolution": 8,
        "deep": [["..."]],
        "long": "x" * 200 + "...",
        "large": "a number of more than 63 bits",
        "infinite": "inf",
        "bytes": "3 bytes",
        "source": "a text of 100000 bytes",
        "tensor": "<TensorView (2, 3) float32>",
        "set": [1],
        "type": "builtins.dict",
    }


def test_a_file_that_shares_its_parts_without_end_is_refused_in_time(tmp_path):
    tensors = {f"b{i}": torch.ones(1) for i in range(2000)}
    many = {f"x{i}": tensors for i in range(20_000)}
    file = opened(tmp_path, lambda path: save(many, path))
    start = time.process_time()
    with pytest.raises(CheckpointError, match=r"is of no known format|more parts than any has"):
        recognise(file)
    # A dictionary of more tensors than any network has.
    file = replace(file, value=dict.fromkeys(map(str, range(30_000)), TensorView((1,), None, None)))
    with pytest.raises(CheckpointError, match=r"is of no known format|more parts than any has"):
        recognise(file)
    assert time.process_time() - start < 5


JUNK = [None, -1, 2**20000, 1e400, "x" * 300, "lrelu", [], {}, [[1]], {1: 2}, b"x", Global("a.b")]


def places_in(value, found):
    """Every dictionary and list of a file's tree, records looked through."""
    if isinstance(value, Record):
        for part in (list(value.args), value.state, value.entries):
            places_in(part, found)
    elif isinstance(value, dict | list):
        found.append(value)
        for entry in value.values() if isinstance(value, dict) else value:
            places_in(entry, found)
    elif isinstance(value, tuple):
        for entry in value:
            places_in(entry, found)
    return found


@pytest.mark.parametrize("write", [write for _, write in FILES])
def test_a_file_with_anything_in_any_place_is_converted_or_refused(tmp_path, write):
    opened(tmp_path, write)
    path = tmp_path / "a name that says nothing"
    choice = random.Random(0)
    for _ in range(40):
        file = open_foreign(path)
        place = choice.choice([place for place in places_in(file.value, []) if place])
        key = choice.choice(list(place) if isinstance(place, dict) else range(len(place)))
        junk = choice.choice([*JUNK, TensorView((2, 2), torch.int64, lambda: torch.ones(2, 2))])
        if isinstance(place, dict) and choice.random() < 0.3:
            place[choice.choice([2**20000, "\ud800", "x" * 1000, None])] = place.pop(key)
        else:
            place[key] = junk
        try:
            recognise(file).convert()
        except CheckpointError as error:
            assert "\n" not in str(error)
